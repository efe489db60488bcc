"""Predictive distributions that several methods share: Normals, quantiles and draws."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from scipy.special import logsumexp, ndtri
from scipy.stats import norm

from benchmarks.methods.base import Vector

T = TypeVar("T")
Normals = tuple[np.ndarray | float, np.ndarray, np.ndarray]

# Halvings of a bracket of some standard deviations: about 1e-12 of it is left.
_HALVINGS = 40


class _Last(Generic[T]):
    """``function(x)``, remembered for the last x: three questions cost one prediction."""

    def __init__(self, function: Callable[[np.ndarray], T]) -> None:
        self._function = function
        self._last: tuple[np.ndarray, T] | None = None

    def __call__(self, x: np.ndarray) -> T:
        if self._last is None or not np.array_equal(self._last[0], x):
            self._last = x.copy(), self._function(x)
        return self._last[1]


class NormalMixture:
    """``sum_m w_m(x) Normal(y; mean_m(x), sd_m(x))``.

    Args:
        normals: from features ``[N, D]`` the weights, means and standard deviations of M Normals,
            each ``[N, M]`` or of a shape that broadcasts to it.  Weights add up to one.
    """

    def __init__(self, normals: Callable[[np.ndarray], Normals]) -> None:
        self._normals = _Last(normals)

    def _at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weights, means, sds = np.broadcast_arrays(*self._normals(x))
        return weights, means, sds

    def mean(self, x: np.ndarray) -> Vector:
        weights, means, _ = self._at(x)
        return np.asarray((weights * means).sum(1))

    def log_density(self, x: np.ndarray, y: Vector) -> Vector:
        weights, means, sds = self._at(x)
        return np.asarray(logsumexp(norm.logpdf(y[:, None], means, sds), axis=1, b=weights))

    def quantiles(self, x: np.ndarray, probs: Vector) -> np.ndarray:
        """Invert the cdf by bisection: a mixture's quantile lies between its parts' quantiles."""
        weights, means, sds = self._at(x)
        columns = []
        for prob in probs:
            ends = means + sds * ndtri(prob)
            low, high = ends.min(1), ends.max(1)
            for _ in range(_HALVINGS if means.shape[1] > 1 else 0):
                middle = 0.5 * (low + high)
                below = (weights * norm.cdf(middle[:, None], means, sds)).sum(1) < prob
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            columns.append(0.5 * (low + high))
        return np.stack(columns, axis=1)


class FromQuantiles:
    """A cdf that is linear between quantiles and has exponential tails beyond them.

    R's ``qrnn::dquantile`` interpolates densities in this way (Cannon 2011, after
    Quinonero-Candela et al. 2006).  Here the scale of a tail is that of the exponential through the
    outermost quantile and the median: ``scale = |q_median - q_1| / log(0.5 / p_1)``.  The interval
    beside the tail would say less, as outer quantiles of a forest often tie.

    Args:
        quantiles: from features ``[N, D]`` quantiles ``[N, G]``.
        probs: their probabilities ``[G]``, increasing, symmetric, with the median in the middle.
        max_density: bound of the density, which would be infinite where quantiles tie.
    """

    def __init__(
        self, quantiles: Callable[[np.ndarray], np.ndarray], probs: Vector, max_density: float
    ) -> None:
        self._quantiles, self._probs = _Last(quantiles), probs
        self._narrowest = np.diff(probs) / max_density

    def _knots(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Knots ``[N, G]``, densities between them ``[N, G - 1]``, scales of the tails ``[N, 2]``.

        Knots are no closer to each other than the bound of the density allows.
        """
        found = np.sort(self._quantiles(x), axis=1)
        widths = np.maximum(np.diff(found, axis=1), self._narrowest)
        knots = np.cumsum(np.column_stack([found[:, 0], widths]), axis=1)
        knots += (found - knots).mean(1, keepdims=True)
        median = knots[:, [len(self._probs) // 2]]
        scales = np.abs(knots[:, [0, -1]] - median) / np.log(0.5 / self._probs[0])
        return knots, np.diff(self._probs) / widths, scales

    def mean(self, x: np.ndarray) -> Vector:
        knots, _, scales = self._knots(x)
        inside = 0.5 * (knots[:, 1:] + knots[:, :-1]) @ np.diff(self._probs)
        tails = knots[:, 0] - scales[:, 0] + knots[:, -1] + scales[:, 1]
        return np.asarray(inside + self._probs[0] * tails)

    def log_density(self, x: np.ndarray, y: Vector) -> Vector:
        knots, density, scales = self._knots(x)
        interval = np.clip((y[:, None] >= knots).sum(1) - 1, 0, density.shape[1] - 1)
        inside = np.log(np.take_along_axis(density, interval[:, None], 1)[:, 0])
        beyond = np.column_stack([knots[:, 0] - y, y - knots[:, -1]])
        tails = np.log(self._probs[0] / scales) - beyond / scales
        return np.select([beyond[:, 0] > 0.0, beyond[:, 1] > 0.0], [*tails.T], inside)

    def quantiles(self, x: np.ndarray, probs: Vector) -> np.ndarray:
        knots, density, scales = self._knots(x)
        grid, first = self._probs, self._probs[0]
        inner = np.clip(probs, first, grid[-1])
        interval = np.clip(np.searchsorted(grid, inner, side="right") - 1, 0, len(grid) - 2)
        inside = knots[:, interval] + (inner - grid[interval]) / density[:, interval]
        below = scales[:, :1] * np.log(np.minimum(probs / first, 1.0))
        above = scales[:, 1:] * np.log(np.minimum((1.0 - probs) / first, 1.0))
        return np.asarray(inside + below - above)


class FromSamples:
    """Draws of y, and their Gaussian kernel density with Silverman's bandwidth.

    The bandwidth is ``0.9 min(sd, IQR / 1.34) S**-0.2`` (Silverman 1986, eq. 3.31).  Mean and
    quantiles are those of the draws, which are narrower than the density by the bandwidth.

    Args:
        samples: from features ``[N, D]`` draws ``[N, S]``, not all equal in any row.
    """

    def __init__(self, samples: Callable[[np.ndarray], np.ndarray]) -> None:
        self._samples = _Last(samples)

    def mean(self, x: np.ndarray) -> Vector:
        return np.asarray(self._samples(x).mean(1))

    def log_density(self, x: np.ndarray, y: Vector) -> Vector:
        draws = self._samples(x)
        sd = draws.std(1, ddof=1)
        spread = np.diff(np.quantile(draws, (0.25, 0.75), axis=1), axis=0)[0] / 1.34
        # Where half of the draws tie, their sd is left.
        narrow = np.where(spread > 0.0, np.minimum(sd, spread), sd)
        bandwidth = 0.9 * narrow * draws.shape[1] ** -0.2
        kernels = norm.logpdf(y[:, None], draws, bandwidth[:, None])
        return np.asarray(logsumexp(kernels, axis=1) - np.log(draws.shape[1]))

    def quantiles(self, x: np.ndarray, probs: Vector) -> np.ndarray:
        return np.asarray(np.quantile(self._samples(x), probs, axis=1).T)
