"""What every test has in common."""

import pytest
import torch
from hypothesis import settings

# How long an example takes depends on the machine and what else it does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Oversubscribed threads make a step many times slower, and they change the order of sums.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def few_ratios():
    """Thirty draws weigh a guide and not 200, which take a third of a fit that is good for nothing.

    Leave-one-out takes 25 at least.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bayes_hybrid.inference.guides.svi._NUM_RATIOS", 30)
        yield
