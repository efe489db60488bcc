"""What every test has in common."""

import torch
from hypothesis import settings

# How long an example takes depends on the machine and what else it does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Oversubscribed threads make a step many times slower, and they change the order of sums.
torch.set_num_threads(1)
