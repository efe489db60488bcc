"""Threads of one process: the same answers as one thread's, bit for bit, and no fit lost."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from pyro.poutine.runtime import _PYRO_STACK
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.estimator import with_units
from tests.budgets import tiny

_THREADS = 8
_TINY = tiny(20, num_steps=10, num_draws=10)
_RNG = np.random.default_rng(0)
_X = _RNG.uniform(0.0, 10.0, (40, 1))
_Y = np.sin(_X[:, 0]) + 0.1 * _RNG.normal(size=40)

CALLS: dict[str, Callable[[HybridRegressor], Any]] = {
    "predict": lambda reg: reg.predict(_X),
    "predict_interval": lambda reg: reg.predict_interval(_X),
    "predict_regime": lambda reg: reg.predict_regime(_X, _Y),
    "log_density": lambda reg: reg.log_density(_X, _Y),
    "regime_posterior": lambda reg: reg.regime_posterior(_X).lower,
    "sample_predictive": lambda reg: reg.sample_predictive(_X, num_draws=3, random_state=1),
    "effect": lambda reg: reg.effect(0, derivative=True, grid=5).mean,
}


def _make(**settings: Any) -> HybridRegressor:
    return with_units(
        HybridRegressor(**{"fit_options": _TINY, "random_state": 0, **settings}), num_units=4
    )


def _together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """The tasks' results, each task in a thread of its own, all of them started at once."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@pytest.fixture(scope="module")
def fitted():
    return _make().fit(_X, _Y)


@pytest.fixture(scope="module", params=["one fit", "a copy each", "a loaded fit each"])
def fits(request, fitted, tmp_path_factory):
    """A fit for each thread."""
    if request.param == "one fit":
        return [fitted] * _THREADS
    if request.param == "a copy each":
        copies = []
        for number in range(_THREADS):
            path = tmp_path_factory.mktemp("copy") / str(number)
            joblib.dump(fitted, path)
            copies.append(joblib.load(path))
        return copies
    path = tmp_path_factory.mktemp("saved") / "fit"
    fitted.save(path)
    return [load(path) for _ in range(_THREADS)]


def test_mixed_calls_are_those_of_one_thread(fitted, fits):
    expected = {name: call(fitted) for name, call in CALLS.items()}
    names = list(CALLS)

    def work(reg, first):
        for turn in range(2 * len(names)):
            name = names[(first + turn) % len(names)]
            np.testing.assert_array_equal(CALLS[name](reg), expected[name], err_msg=name)

    _together([partial(work, reg, number) for number, reg in enumerate(fits)])
    assert not _PYRO_STACK


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"random_state": 1}, {"gate": "threshold"}])
def test_fits_side_by_side_are_those_in_turn(settings):
    both = [_make(), _make(**settings)]
    in_turn = [clone(reg).fit(_X, _Y) for reg in both]
    beside = _together([partial(clone(reg).fit, _X, _Y) for reg in both])
    for one, other in zip(in_turn, beside, strict=True):
        assert torch.equal(one.fit_.posterior.theta, other.fit_.posterior.theta)
        np.testing.assert_array_equal(one.predict(_X), other.predict(_X))


@pytest.mark.slow
def test_a_fit_beside_predictions(fitted):
    expected = fitted.predict(_X)
    own = _make(random_state=2).fit(_X, _Y).predict(_X)
    found, *predictions = _together(
        [lambda: _make(random_state=2).fit(_X, _Y).predict(_X)]
        + [lambda: [fitted.predict(_X) for _ in range(50)]] * 2
    )
    np.testing.assert_array_equal(found, own)
    for values in predictions:
        np.testing.assert_array_equal(values, np.stack([expected] * 50))


class _StopError(Exception):
    pass


def test_an_exception_in_the_middle_leaves_the_next_call_working(fitted):
    expected = fitted.predict(_X)

    def stop(stage, done, total):
        raise _StopError

    def fail():
        with pytest.raises(_StopError):
            _make(progress=stop).fit(_X, _Y)

    def refused():
        with pytest.raises(ValueError, match="X"):
            fitted.predict(np.full((3, 1), np.nan))

    _together([fail, fail, refused, refused, lambda: fitted.predict(_X)])
    assert not _PYRO_STACK
    np.testing.assert_array_equal(fitted.predict(_X), expected)
    np.testing.assert_array_equal(_make().fit(_X, _Y).predict(_X), expected)


@pytest.mark.slow
def test_cross_validation_by_threads_is_that_by_processes():
    scores = []
    for backend in ("threading", "loky"):
        with joblib.parallel_backend(backend, n_jobs=2):
            scores.append(cross_val_score(_make(), _X, _Y, cv=3))
    np.testing.assert_array_equal(*scores)
