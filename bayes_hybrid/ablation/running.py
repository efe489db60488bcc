"""Run cells in parallel; yield each outcome when it is done."""

from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np

from bayes_hybrid.ablation.cells import Cell, Outcome, run_cell
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import OptionError

__all__ = ["as_they_end", "check_jobs", "outcomes"]


def check_jobs(n_jobs: int | None) -> int | None:
    """``n_jobs`` as joblib takes it.

    Raises:
        OptionError: 0 or no integer.

    Example:
        >>> check_jobs(0)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: n_jobs must be a number of processes, -1 for one per core,
            or None; got 0
    """
    whole = isinstance(n_jobs, int | np.integer) and not isinstance(n_jobs, bool)
    if n_jobs is None or (whole and n_jobs != 0):
        return n_jobs
    raise OptionError(
        f"n_jobs must be a number of processes, -1 for one per core, or None; got {n_jobs!r}"
    )


def outcomes(
    cells: Sequence[Cell], x: FloatArray, y: FloatArray, n_jobs: int | None
) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells on the joblib backend that is active, and yield each when it is done.

    Only outcomes travel, so that workers need no folder in common with this process.

    Args:
        cells: what to run.
        x: all features ``[N, D]``.
        y: all targets ``[N]``.
        n_jobs: processes; ``None`` leaves it to ``joblib.parallel_config``, and is 1 outside.

    Yields:
        Each cell with its outcome, in the order in which they end.
    """
    at_once = joblib.effective_n_jobs(n_jobs)
    # The arrays are arguments of every call, where joblib and Dask see that they are the same.
    calls = [
        joblib.delayed(_numbered)(number, cell, x, y, one_thread=at_once > 1)
        for number, cell in enumerate(cells)
    ]
    for number, outcome in as_they_end(calls, n_jobs):
        yield cells[number], outcome


def as_they_end(calls: Sequence[Any], n_jobs: int | None) -> Iterator[Any]:
    """The results of ``joblib.delayed`` calls, each as soon as it is done.

    joblib's own backends and Dask's hand over every result at once.  Those that cannot, such as
    ``"multiprocessing"`` and Ray's, are given as many calls at a time as run side by side.

    Args:
        calls: what to run on the joblib backend that is active.
        n_jobs: processes; ``None`` leaves it to ``joblib.parallel_config``, and is 1 outside.
    """
    # A batch of several calls would come back, and be lost, together.
    try:
        parallel = joblib.Parallel(n_jobs, return_as="generator_unordered", batch_size=1)
    except ValueError:
        at_once = joblib.effective_n_jobs(n_jobs)
        for start in range(0, len(calls), at_once):
            yield from joblib.Parallel(n_jobs, batch_size=1)(calls[start : start + at_once])
    else:
        yield from parallel(calls)


def _numbered(
    number: int, cell: Cell, x: FloatArray, y: FloatArray, *, one_thread: bool
) -> tuple[int, Outcome]:
    return number, run_cell(cell, x, y, one_thread=one_thread)
