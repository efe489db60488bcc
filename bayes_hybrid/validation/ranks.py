"""The rank of a true value among posterior draws, and how far from uniform ranks may be."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import numpy as np
from arviz_stats import ecdf_utils

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError

__all__ = ["Band", "simultaneous_band", "uniform_rank"]

# ArviZ annotates nothing here.
_ECDF: Final = cast(Any, ecdf_utils)

_NUM_SIMULATIONS: Final = 10_000
"""The coverage of a 95% band is then known to sqrt(0.95 * 0.05 / 10,000) = 0.2 points."""


def uniform_rank(
    truth: float, draws: FloatArray, rng: np.random.Generator, weights: FloatArray | None = None
) -> float:
    """``(#{draws < truth} + U) / (L + 1)``, uniform on (0, 1) if truth and draws are exchangeable.

    U is uniform on ``(0, 1 + #{draws = truth})``, so the L + 1 ranks become a continuous number and
    ties, as between probabilities that round to one, fall either way.  A draw with the weight w
    counts as ``w L`` draws.

    Args:
        truth: the true value.
        draws: L posterior draws.
        rng: for U.
        weights: of the draws ``[L]``, which add up to one; equal ones where nothing is said.

    Raises:
        DataError: a value is NaN, which has no rank.

    Example:
        >>> u = uniform_rank(0.0, np.array([-1.0, 1.0, 2.0]), np.random.default_rng(0))
        >>> 0.25 <= u <= 0.5
        True

    Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788, theorem 1.
    """
    if np.isnan(truth) or np.isnan(draws).any():
        raise DataError("a true value or a draw is NaN, which has no rank")
    counts = np.ones(draws.size) if weights is None else weights * draws.size
    below, equal = float(counts[draws < truth].sum()), float(counts[draws == truth].sum())
    return float((below + rng.uniform() * (1 + equal)) / (draws.size + 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Band:
    """Between which curves the ecdf of M uniform numbers runs, all along, with a probability.

    Attributes:
        points: where the ecdf is looked at, ``1 / M, ..., (M - 1) / M``, ``[M - 1]``.
        lower: lower bound of the ecdf there.
        upper: upper bound.
    """

    points: FloatArray
    lower: FloatArray
    upper: FloatArray

    def ecdf(self, values: FloatArray) -> FloatArray:
        """Share of the M values up to each of :attr:`points`."""
        return np.searchsorted(np.sort(values), self.points, side="right") / values.size

    def excess(self, values: FloatArray) -> float:
        """How far outside the band the ecdf of M values comes; 0 or less is inside."""
        ecdf = self.ecdf(values)
        return float(np.maximum(self.lower - ecdf, ecdf - self.upper).max())


@lru_cache(maxsize=8)
def simultaneous_band(num_values: int, prob: float) -> Band:
    """The band that the ecdf of M independent uniform numbers stays in with probability ``prob``.

    Args:
        num_values: M, at least 2.
        prob: probability of staying inside everywhere at once.

    Source: Saeilynoja, Buerkner and Vehtari (2022), Statistics and Computing 32 (32), algorithm 1.
    """
    points = np.arange(1, num_values) / num_values
    # The seed has no more to say than the last digit of a simulated level.
    rng = np.random.default_rng(0)
    level = _ECDF.simulate_confidence_bands(num_values, 1, points, prob, _NUM_SIMULATIONS, rng)
    lower, upper = _ECDF.get_pointwise_confidence_band(level, num_values, points)
    return Band(points=points, lower=lower, upper=upper)
