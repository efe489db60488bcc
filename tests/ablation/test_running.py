"""Cells side by side: the same outcomes, whatever runs them."""

from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.parallel import ThreadingBackend

from bayes_hybrid.ablation import cells
from bayes_hybrid.ablation.running import outcomes
from tests.ablation.conftest import again, figures


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_at_a_time_give_the_same(shared, backend):
    threads = torch.get_num_threads()
    with joblib.parallel_config(backend, n_jobs=2):
        result = again(None)
    pd.testing.assert_frame_equal(figures(result), figures(shared[1]))
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same(shared, tmp_path):
    from dask.distributed import Client, LocalCluster

    cluster = {"n_workers": 1, "threads_per_worker": 1, "processes": True}
    with (
        LocalCluster(**cluster, dashboard_address=None) as workers,
        Client(workers),
        joblib.parallel_config("dask"),
    ):
        result = again(tmp_path / "dask")
    pd.testing.assert_frame_equal(figures(result), figures(shared[1]))
    assert len(list(tmp_path.glob("dask/cells/*.json"))) == 9


class Coarse(ThreadingBackend):  # type: ignore[misc] # (ships no types)
    """Hands over all results at once, as Ray's does."""

    supports_return_generator = False


@pytest.mark.parametrize(
    ("backend", "at_once", "most"),
    [("sequential", 1, 1), ("threading", 2, 6), (Coarse(), 2, 2)],
)
def test_outcomes_come_one_by_one_or_a_few_at_a_time(monkeypatch, backend, at_once, most):
    started = []

    def stand_in(cell, x, y, *, one_thread):
        started.append(cell)
        return cell, one_thread

    monkeypatch.setattr("bayes_hybrid.ablation.running.run_cell", stand_in)
    tasks: Any = [*"abcdef"]
    with joblib.parallel_config(backend, n_jobs=2):
        stream = outcomes(tasks, np.zeros((2, 1)), np.zeros(2), None)
        found: dict[Any, Any] = dict([next(stream)])
        assert len(started) <= most
        found |= dict(stream)
    assert found == {task: (task, at_once > 1) for task in tasks}


def test_one_thread_inside_and_as_before_outside(monkeypatch):
    seen = []
    monkeypatch.setattr(cells, "_measured", lambda *_: seen.append(torch.get_num_threads()))
    before, nothing = torch.get_num_threads(), cast(Any, None)
    try:
        torch.set_num_threads(2)
        for one_thread in (True, False):
            cells.run_cell(nothing, nothing, nothing, one_thread=one_thread)
        assert (seen, torch.get_num_threads()) == ([1, 2], 2)
    finally:
        torch.set_num_threads(before)
