"""Means and quantiles over the draws of restarts, which count by the restarts' weights."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.arrays import FloatArray

__all__ = [
    "draw_weights",
    "mean_over_draws",
    "quantiles_over_draws",
    "sd_over_draws",
    "weighted_quantiles",
]


# Up to a million weights that add up to one are added up with a smaller error.
_ROUNDING = 1e-10


def draw_weights(weights: FloatArray, num_draws: int) -> FloatArray:
    """Of each draw ``[R S]``, ``w_r / S``; they add up to one as ``weights [R]`` do."""
    return np.repeat(weights / num_draws, num_draws)


def mean_over_draws(draws: FloatArray | NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    """``sum_r w_r mean_s draws_rs``, ``[...]``.

    Args:
        draws: ``[R, S, ...]``.
        weights: of each restart ``[R]``, which add up to one.
    """
    return np.asarray(np.tensordot(weights, draws.mean(axis=1), 1))


def sd_over_draws(draws: FloatArray, weights: FloatArray) -> FloatArray:
    """``sqrt(sum_r w_r mean_s (draws_rs - mean)^2)``, ``[...]``; arguments as the mean's."""
    away = draws - mean_over_draws(draws, weights)
    return np.sqrt(mean_over_draws(away**2, weights))


def quantiles_over_draws(draws: FloatArray, probs: ArrayLike, weights: FloatArray) -> FloatArray:
    """:func:`weighted_quantiles` of the draws, ``[L, ...]``.

    Args:
        draws: ``[R, S, ...]``.
        probs: L probabilities.
        weights: of each restart ``[R]``, which add up to one.
    """
    flat = draws.reshape(-1, *draws.shape[2:])
    return weighted_quantiles(flat, probs, draw_weights(weights, draws.shape[1]))


def weighted_quantiles(values: FloatArray, probs: ArrayLike, weights: FloatArray) -> FloatArray:
    """Quantiles of M values with weights, ``[L, ...]``; NaN where a value is.

    The least value up to which there is at least the probability p; where that is p exactly, the
    middle between it and the next.  A value of weight 2 counts as two values of weight 1.

    Args:
        values: ``[M, ...]``.
        probs: L probabilities.
        weights: ``[M]``, or with further axes of ``values``; not negative.

    Source: Hyndman and Fan (1996), The American Statistician 50, definition 2.

    Example:
        >>> values, weights = np.array([1.0, 2.0, 3.0]), np.array([0.25, 0.25, 0.5])
        >>> weighted_quantiles(values, [0.2, 0.5, 0.9], weights)
        array([1. , 2.5, 3. ])
    """
    # NumPy sorts a last axis many times faster than any other way there is.
    columns = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    if weights.ndim == 1 and np.ptp(weights) == 0.0:
        ordered = np.sort(columns, axis=-1)
        below = np.arange(1, len(values) + 1) / len(values)
    else:
        every = weights.reshape(*weights.shape, *[1] * (values.ndim - weights.ndim))
        shares = np.moveaxis(np.broadcast_to(every, values.shape), 0, -1)
        order = np.argsort(columns, axis=-1)
        ordered = np.take_along_axis(columns, order, axis=-1)
        below = np.take_along_axis(shares, order, axis=-1).cumsum(axis=-1)
        below /= below[..., -1:]

    def at(level: float) -> FloatArray:
        place = (below < level).sum(axis=-1).clip(max=len(values) - 1)
        index = np.broadcast_to(place, ordered.shape[:-1])[..., None]
        return np.take_along_axis(ordered, index, axis=-1)[..., 0]

    levels = np.atleast_1d(np.asarray(probs, dtype=np.float64))
    found = np.stack([0.5 * (at(p - _ROUNDING) + at(p + _ROUNDING)) for p in levels])
    return np.where(np.isnan(ordered[..., -1]), np.nan, found)  # NaN come last
