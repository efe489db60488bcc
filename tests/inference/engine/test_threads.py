"""Threads of a fit."""

import pytest
import torch

from bayes_hybrid.inference import FitOptions
from bayes_hybrid.inference.engine.threads import flushed, suited_threads
from bayes_hybrid.inference.recipe import run
from bayes_hybrid.inference.recipe.start import started
from tests.inference.test_fit import _fit
from tests.models import zoo

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


def _keeps_tiny_numbers():
    return bool((0.5 * torch.full((1,), torch.finfo(torch.float32).tiny) > 0.0).item())


@pytest.mark.parametrize("before", [False, True])
def test_tiny_numbers_are_zero_meanwhile(before):
    torch.set_flush_denormal(before)
    try:
        with flushed():
            assert not _keeps_tiny_numbers()
        assert _keeps_tiny_numbers() is not before
        with pytest.raises(ValueError, match="stop"), flushed():
            raise ValueError("stop")
        assert _keeps_tiny_numbers() is not before
    finally:
        torch.set_flush_denormal(False)


def test_a_fit_leaves_tiny_numbers_as_they_were():
    seen = []
    _fit(progress=lambda *_: seen.append(_keeps_tiny_numbers()))
    assert not any(seen)
    assert _keeps_tiny_numbers()


@pytest.mark.parametrize(
    ("restarts", "plan", "size", "batch"),
    [
        (32, "default", 1, 16),
        (32, "default", 1_000_000, 8),
        (32, "direct", 1, 16),
        # Pieces of one size, none of them filled up for long.
        (20, "direct", 100_000, 10),
        (9, "direct", 1_000_000, 5),
        (3, "default", 100_000, 2),
        # Of a tiny table sixteen take as long as one, and draws of a restart are taken together.
        (3, "default", 20_000, 16),
    ],
)
def test_restarts_go_side_by_side_as_far_as_they_fit_the_cache(restarts, plan, size, batch):
    options = FitOptions(num_restarts=restarts, plan=plan)
    model = zoo.MODELS["mixture of 2, constant, constant"]
    assert run._batch(model, options, size, size, _CPU) == batch
    assert run._batch(model, options, size, size, torch.device("cuda")) == restarts


def test_a_large_table_in_small_steps_has_large_pieces():
    # 32 restarts for all of its rows, sixteen of them side by side for those of a step.
    model = zoo.MODELS["mixture of 2, constant, constant"]
    assert run._batch(model, FitOptions(), 1_000_000, 1, _CPU) == 16
    assert run._batch(model, FitOptions(), 1_000_000, 1, torch.device("cuda")) == 32
