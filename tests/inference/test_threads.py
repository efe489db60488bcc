"""Threads of a fit."""

import pytest
import torch

from bayes_hybrid.inference.recipe import run
from bayes_hybrid.inference.recipe.start import started
from bayes_hybrid.inference.threads import suited_threads
from tests.inference.test_fit import _fit

_CPU = torch.device("cpu")


@pytest.fixture
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("work", "device", "count"),
    [(1e5, _CPU, 1), (1e9, _CPU, 3), (1e5, torch.device("cuda"), 3)],
)
def test_small_work_on_a_cpu_takes_one_thread(work, device, count):
    with suited_threads(work, device):
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three")
def test_threads_come_back_after_an_error():
    with pytest.raises(ValueError, match="stop"), suited_threads(1.0, _CPU):
        raise ValueError("stop")
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three")
def test_a_small_fit_takes_one_thread(monkeypatch):
    seen: list[int] = []

    def spy(*arguments):
        seen.append(torch.get_num_threads())
        return started(*arguments)

    monkeypatch.setattr(run, "started", spy)
    _fit()
    assert (seen, torch.get_num_threads()) == ([1], 3)
