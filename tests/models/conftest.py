"""Pyro's parameter store and torch's generator are global: each test gets its own."""

import pyro
import pytest
import torch


@pytest.fixture(autouse=True)
def _own_globals():
    with pyro.get_param_store().scope(), torch.random.fork_rng():
        pyro.set_rng_seed(0)
        yield
