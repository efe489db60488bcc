"""Frequencies of counts beside those of replicated data, as square roots."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError

__all__ = ["Rootogram", "are_counts", "rootogram"]

_MOST_BARS: Final = 40
"""More bars show noise; counts over a longer range are put together."""

_FAR: Final = 0.001
"""Share of the replicated counts on each side that may be left out: a few draws would squeeze
everything else."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rootogram:
    """Square roots of frequencies, ``sqrt(number of rows)``, for each of B groups of counts.

    The root makes the spread of a Poisson frequency about 1/2, whatever its size, so that bars of
    few rows can be compared with bars of many.

    Attributes:
        edges: of the groups, half way between whole numbers, ``[B + 1]``.
        observed: of the data, ``[B]``.
        expected: mean over the replicated data sets, ``[B]``.
        lower: lower end of their central interval, ``[B]``.
        upper: its upper end.
    """

    edges: FloatArray
    observed: FloatArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def hanging(self) -> FloatArray:
        """Lower ends of bars that hang from what is expected, ``expected - observed``, ``[B]``."""
        return self.expected - self.observed


def are_counts(*values: FloatArray) -> bool:
    """Whether all values are whole numbers from 0 on.

    Example:
        >>> are_counts(np.array([0.0, 3.0])), are_counts(np.array([0.5]))
        (True, False)
    """
    return all(
        bool(((each >= 0.0) & (each == np.floor(each)) & (each < np.inf)).all()) for each in values
    )


def rootogram(y: FloatArray, replicated: FloatArray, *, prob: float = 0.9) -> Rootogram:
    """Frequencies of counts beside those of replicated data, as square roots.

    Args:
        y: the counts, ``[N]``.
        replicated: data sets that the model makes of the same rows, ``[M, N]``.
        prob: probability of the central interval over the data sets, of each group by itself.

    Raises:
        DataError: values other than whole numbers from 0 on.
        OptionError: ``prob`` not between 0 and 1.

    Source: Kleiber and Zeileis (2016), The American Statistician 70, 296-303; here the expectation
    and the interval are those of the posterior predictive.

    Example:
        >>> rootogram(np.array([0.0, 0.0, 0.0, 0.0, 1.0]), np.array([[0.0, 0.0, 1.0, 1.0, 1.0]]))
        ... # doctest: +ELLIPSIS
        Rootogram(edges=array([-0.5,  0.5,  1.5]), observed=array([2., 1.]), expected=...
    """
    tail = 0.5 - checks.fraction("prob", prob) / 2.0
    if not are_counts(y, replicated):
        raise DataError(
            "a rootogram is of counts, whole numbers from 0 on, and of a likelihood of counts; "
            "expected both: take plot_ppc for other targets"
        )
    near = np.quantile(replicated, [_FAR, 1.0 - _FAR], method="closest_observation")
    low, high = min(near[0], y.min()), max(near[1], y.max())
    step = np.ceil((high - low + 1.0) / _MOST_BARS)
    edges = low - 0.5 + step * np.arange(np.ceil((high - low + 1.0) / step) + 1.0)
    made = np.sqrt([np.histogram(each, edges)[0] for each in replicated])
    lower, upper = np.quantile(made, [tail, 1.0 - tail], axis=0)
    return Rootogram(
        edges=edges,
        observed=np.sqrt(np.histogram(y, edges)[0]),
        expected=made.mean(axis=0),
        lower=lower,
        upper=upper,
    )
