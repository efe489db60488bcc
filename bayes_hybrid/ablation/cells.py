"""One cell of an ablation: one variant fitted once, and its outcome."""

import hashlib
import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bayes_hybrid.ablation.loo import kept
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics import Finding
from bayes_hybrid.errors import FitError
from bayes_hybrid.estimator import HybridRegressor, setting_classes
from bayes_hybrid.inference.saving.encoding import encode
from bayes_hybrid.inference.saving.manifest import package_version

__all__ = ["Cell", "Outcome", "alone", "digest", "encoded", "run_cell"]

# Pyro keeps its handlers in one list for the whole process, so two fits in threads of one process,
# as a Dask worker may run them, would see each other's.
_ALONE: Final = threading.Lock()


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell:
    """What is fitted, and to which rows.

    Attributes:
        variant: its name.
        repeat: position of the repeat of cross-validation, -1 for a fit to all rows.
        fold: position of the fold in its repeat, -1 for a fit to all rows.
        estimator: the variant with its seed, not fitted.
        test: indices of the rows held out; none for a fit to all rows.
    """

    variant: str
    repeat: int
    fold: int
    estimator: HybridRegressor
    test: NDArray[np.intp]

    def key(self, data: str) -> str:
        """A hash of everything that determines the outcome.

        Args:
            data: the :func:`digest` of features and targets.

        Raises:
            OptionError: a setting is an object that this package does not know.
        """
        parts = {
            "version": package_version(),
            "data": data,
            "settings": encoded(self.estimator),
            "seed": self.estimator.random_state,
            "test": digest(self.test),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """The outcome of a cell.

    Attributes:
        failure: what went wrong, empty where nothing did; then the numbers are NaN.
        status: how the fit ended, in its own words.
        seconds: of the fit and of reading it.
        num_flagged: findings that are not ok.
        log_density: of each row held out, in nats, ``[M]``; empty for a fit to all rows.
        rmse: root mean squared error of the predictive mean over the rows held out, in y's units.
        coverage: share of them in their central 90% interval.
        draws: for a fit to all rows, what leave-one-out needs
            (:func:`~bayes_hybrid.ablation.loo.kept`); else empty.
    """

    failure: str = ""
    status: str = ""
    seconds: float
    num_flagged: int = 0
    log_density: FloatArray
    rmse: float = np.nan
    coverage: float = np.nan
    draws: bytes = b""


def digest(*arrays: NDArray[np.float64] | NDArray[np.intp]) -> str:
    """A hash of the values and shapes of arrays.

    Example:
        >>> digest(np.zeros((2, 3))) == digest(np.zeros((3, 2)))
        False
    """
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(f"{array.dtype.str}{array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def encoded(estimator: HybridRegressor) -> dict[str, object]:
    """The settings that determine a fit, but for the seed, as plain JSON values.

    Raises:
        OptionError: a setting is an object that this package does not know.
    """
    params = estimator.get_params(deep=False)
    del params["random_state"], params["progress"]
    classes = setting_classes()
    return {name: encode(value, classes) for name, value in params.items()}


def run_cell(cell: Cell, x: FloatArray, y: FloatArray, *, one_thread: bool) -> Outcome:
    """Fit a cell and measure it; what goes wrong is the outcome, not an exception.

    Args:
        cell: what to fit.
        x: all features ``[N, D]``.
        y: all targets ``[N]``.
        one_thread: whether torch keeps to one thread, because others fit beside.
    """
    with alone(one_thread=one_thread):
        started = time.perf_counter()
        try:
            return _measured(cell, x, y, started)
        except Exception as error:
            return Outcome(
                failure=f"{type(error).__name__}: {error}",
                seconds=time.perf_counter() - started,
                log_density=np.empty(0),
            )


def _measured(cell: Cell, x: FloatArray, y: FloatArray, started: float) -> Outcome:
    train = np.delete(np.arange(len(x)), cell.test)
    estimator = cell.estimator.fit(x[train], y[train])
    fit = estimator.fit_
    if not cell.test.size:
        return Outcome(
            status=fit.training.status,
            num_flagged=_flagged(estimator.diagnose()),
            log_density=np.empty(0),
            draws=kept(estimator.to_datatree()),
            seconds=time.perf_counter() - started,
        )
    x_test, y_test = x[cell.test], y[cell.test]
    findings = estimator.diagnose(x_test, y_test)
    log_density = estimator.log_density(x_test, y_test)
    rmse = float(np.sqrt(np.mean((y_test - estimator.predict(x_test)) ** 2)))
    if not (np.isfinite(log_density).all() and np.isfinite(rmse)):
        raise FitError("the prediction of a held-out row is not finite")
    return Outcome(
        status=fit.training.status,
        num_flagged=_flagged(findings),
        log_density=log_density,
        rmse=rmse,
        # None where all targets are one constant.
        coverage=next((f.value for f in findings if f.name == "coverage_90"), math.nan),
        seconds=time.perf_counter() - started,
    )


def _flagged(findings: list[Finding]) -> int:
    return sum(finding.severity != "ok" for finding in findings)


@contextmanager
def alone(*, one_thread: bool) -> Iterator[None]:
    """No other fit of this process inside, and torch at one thread where that is asked for."""
    with _ALONE:
        before = torch.get_num_threads()
        if one_thread:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
