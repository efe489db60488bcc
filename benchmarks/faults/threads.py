"""Many threads on fits: every answer is that of one thread, to the last bit.

A try is a round of eight threads in a process of its own; each call of a thread counts.
"""

import contextlib
import copy
import os
import pickle
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from joblib import parallel_backend
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.errors import BayesHybridError
from benchmarks.faults.outcomes import Outcome, bug
from benchmarks.faults.tiny import FEATURES, TARGET, make, tiny_table

__all__ = ["prepare", "trial"]

NUM_THREADS: Final = 8
CALLS: Final[dict[str, Callable[[HybridRegressor, Any, Any], Any]]] = {
    "predict": lambda reg, X, y: reg.predict(X),
    "predict_interval": lambda reg, X, y: reg.predict_interval(X),
    "predict_regime": lambda reg, X, y: reg.predict_regime(X),
    "predict_regime given y": lambda reg, X, y: reg.predict_regime(X, y),
    "log_density": lambda reg, X, y: reg.log_density(X, y),
    "regime_posterior": lambda reg, X, y: reg.regime_posterior(X).probability,
    "training_regimes": lambda reg, X, y: reg.training_regimes(),
    "sample_predictive": lambda reg, X, y: reg.sample_predictive(X, 2, random_state=1),
}
_OFTEN: Final = [*list(CALLS)[:6] * 3, *CALLS]


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """Two fits, what one thread gets from each, by fit, call and rows, and from another model."""

    fits: tuple[HybridRegressor, HybridRegressor]
    right: dict[tuple[int, str, int], Any]
    single: Any
    scores: Any


_SIZES: Final = (1, 8, 24)


def _rows(size: int) -> tuple[Any, Any]:
    table = tiny_table(size, seed=7)
    return table[FEATURES], table[TARGET]


@cache
def prepare() -> World:
    """Everything once in one thread."""
    X, y = _rows(24)
    fits = (make(mixture=True).fit(X, y), make(mixture=True, seed=1).fit(X, y))
    right = {
        (number, name, size): call(reg, *_rows(size))
        for number, reg in enumerate(fits)
        for name, call in CALLS.items()
        for size in _SIZES
    }
    single, scores = make().fit(X, y).predict(X), cross_val_score(make(), X, y, cv=3)
    return World(fits=fits, right=right, single=single, scores=scores)


def _one_fit(rng: np.random.Generator) -> list[tuple[int, HybridRegressor]]:
    return [(0, prepare().fits[0])] * NUM_THREADS


def _two_fits(rng: np.random.Generator) -> list[tuple[int, HybridRegressor]]:
    return list(enumerate(prepare().fits)) * (NUM_THREADS // 2)


def _copies(rng: np.random.Generator) -> list[tuple[int, HybridRegressor]]:
    return [(n, copy.deepcopy(reg)) for n, reg in _two_fits(rng)]


def _pickled(rng: np.random.Generator) -> list[tuple[int, HybridRegressor]]:
    return [(n, pickle.loads(pickle.dumps(reg))) for n, reg in _two_fits(rng)]


def _loaded(rng: np.random.Generator) -> list[tuple[int, HybridRegressor]]:
    for number, reg in enumerate(prepare().fits):
        reg.save(Path(str(number)))
    return [(n, load(Path(str(n)))) for n, _ in _two_fits(rng)]


ROUNDS: Final = {
    "one fit": _one_fit,
    "two fits": _two_fits,
    "copies": _copies,
    "pickled fits": _pickled,
    "loaded fits": _loaded,
}


class Round:
    """Threads that start together, and their outcomes by the kind of the call."""

    def __init__(self) -> None:
        self.lock, self.counts = threading.Lock(), Counter[tuple[str, str]]()
        self.jobs: list[Callable[[], None]] = []

    def note(self, what: str, bad: str) -> None:
        with self.lock:
            self.counts[what, bad] += 1

    def check(self, what: str, call: Callable[[], Any], right: Any) -> None:
        """One call, whose answer is known."""
        try:
            got = call()
        except Exception as error:
            self.note(what, bug(error) or f"refused: {error}")
            return
        self.note(what, "" if np.array_equal(got, right) else "other bits than one thread's")

    def run(self) -> None:
        """All jobs at once."""
        start = threading.Barrier(len(self.jobs))

        def started(job: Callable[[], None]) -> None:
            start.wait()
            job()

        threads = [threading.Thread(target=started, args=(job,)) for job in self.jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _calls(round_: Round, number: int, reg: HybridRegressor, rng: np.random.Generator) -> None:
    """Six calls at random."""
    for _ in range(6):
        name, size = str(rng.choice(_OFTEN)), int(rng.choice(_SIZES))
        right = prepare().right[number, name, size]
        round_.check(name, partial(CALLS[name], reg, *_rows(size)), right)


def _mixed(make_fits: Callable[..., Any]) -> Callable[[Round, np.random.Generator], None]:
    def mixed(round_: Round, rng: np.random.Generator) -> None:
        for (number, reg), own in zip(make_fits(rng), rng.spawn(NUM_THREADS), strict=True):
            round_.jobs.append(partial(_calls, round_, number, reg, own))
        round_.run()

    return mixed


def _fitting(round_: Round, rng: np.random.Generator) -> None:
    """Two fits in threads beside calls on others."""
    X, y = _rows(24)

    def fit(number: int) -> None:
        reg = clone(prepare().fits[number])
        right = prepare().right[number, "predict", 24]
        round_.check("fit", lambda: reg.fit(X, y).predict(X), right)

    first = prepare().fits[0]
    round_.jobs = [lambda: fit(0), lambda: fit(1)]
    for own in rng.spawn(2):
        round_.jobs.append(partial(_calls, round_, 0, first, own))
    round_.run()


def _failing(round_: Round, rng: np.random.Generator) -> None:
    """Calls that fail in the middle beside others, and calls after them."""
    reg = prepare().fits[0]

    class Stop(Exception):
        """From a function of the caller's own."""

    def stop(*_: object) -> None:
        raise Stop

    def fail() -> None:
        for breaks in (
            lambda: reg.predict([["a", "b"]]),
            lambda: reg.predict([[np.nan, 1.0]]),
            lambda: clone(reg).set_params(progress=stop).fit(*_rows(24)),
        ):
            try:
                breaks()
            except (BayesHybridError, Stop):
                round_.note("a call that fails", "")
            except Exception as error:
                round_.note("a call that fails", bug(error))

    round_.jobs = [fail, fail]
    for own in rng.spawn(4):
        round_.jobs.append(partial(_calls, round_, 0, reg, own))
    round_.run()
    _calls(round_, 0, reg, rng)


def _joblib(round_: Round, rng: np.random.Generator) -> None:
    """scikit-learn's cross-validation under joblib's threads."""
    X, y = _rows(24)
    with parallel_backend("threading", n_jobs=3):
        round_.check(
            "cross_val_score",
            lambda: cross_val_score(make(), X, y, cv=3, error_score="raise"),
            prepare().scores,
        )


def _forks(round_: Round, rng: np.random.Generator) -> None:
    """Forks beside threads that fit and predict: a lock that one of these holds stays held."""
    reg, over = prepare().fits[0], threading.Event()
    X, y = _rows(24)

    def work(call: Callable[[], Any]) -> None:
        while not over.is_set():
            with contextlib.suppress(Exception):  # counted elsewhere
                call()

    calls = {
        "predict": (lambda: reg.predict(X), prepare().right[0, "predict", 24]),
        "fit": (lambda: make().fit(X, y).predict(X), prepare().single),
    }
    threads = [threading.Thread(target=work, args=(call,)) for call, _ in calls.values()]
    for thread in threads:
        thread.start()
    for what in list(calls) * 6:
        call, right = calls[what]
        if (child := os.fork()) == 0:
            signal.alarm(30)
            same = False
            with contextlib.suppress(Exception):
                same = np.array_equal(call(), right)
            os._exit(not same)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        names = {0: "", 1: "other bits or an error", -signal.SIGALRM: "it never ends"}
        round_.note(f"{what} in a fork", names.get(code, f"exit code {code}"))
    over.set()
    for thread in threads:
        thread.join()


_KINDS: Final = {
    **{name: _mixed(make_fits) for name, make_fits in ROUNDS.items()},
    "fits in threads": _fitting,
    "exceptions in threads": _failing,
    "joblib": _joblib,
    "forks": _forks,
}
_TURNS: Final = [*list(ROUNDS) * 2, *_KINDS]


def trial(seed: int) -> list[Outcome]:
    """One round."""
    name = _TURNS[seed % len(_TURNS)]
    round_ = Round()
    _KINDS[name](round_, np.random.default_rng(seed))
    return [
        Outcome(seed=seed, what=f"{name}: {what}", bad=bad, count=count)
        for (what, bad), count in round_.counts.items()
    ]
