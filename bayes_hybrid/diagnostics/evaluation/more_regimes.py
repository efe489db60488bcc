"""Are there more regimes than the fit has: do the rows of one fall into two groups?"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.support import spread_rows
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.inference.posterior.over_draws import weighted_quantiles
from bayes_hybrid.inference.result import Fit

__all__ = [
    "Realised",
    "group_gains",
    "join_rows",
    "more_regimes_finding",
    "normal_scores",
    "realised",
    "two_groups",
]

_MAX_DRAWS: Final = 100
"""Of so many, chance moves a median by a tenth of the spread over draws."""

_MAX_ROWS: Final = 400
"""Groups that these do not show are no regimes; time is in proportion to rows and features."""

_PARTS: Final = (4, 8, 16)
_ROWS_PER_PART: Final = 25
"""Half of them, as with two regimes, can be two groups of the least size."""

_LEAST_SHARE: Final = 0.1
_LEAST_ROWS: Final = 5
"""A smaller group is a few outliers, which heavier tails are for."""

_VALLEY: Final = 0.5
"""Two Normals of equal size are half as dense between them when 3.4 standard deviations apart.  A
skewed or heavy-tailed distribution may be split in two as well, but has no valley."""

_BAYES_FACTOR: Final = 20.0
"""As for ``regime_worth``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Realised:
    """A regime drawn for each of M rows under T posterior draws, and the residual in it.

    Attributes:
        regimes: ``z_n ~ p(z_n | x_n, y_n, theta_t)``, ``[T, M]``.
        residuals: ``(y_n - mu_z(x_n)) / sigma_z(x_n)``, ``[T, M, Q]``; NaN where y is missing.
        weights: of each draw ``[T]``, which add up to one.
    """

    regimes: NDArray[np.intp]
    residuals: FloatArray
    weights: FloatArray


def realised(
    responsibilities: FloatArray,
    mean: FloatArray,
    scale: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
) -> Realised:
    """Regimes and residuals of a chunk of rows, of some hundred draws, evenly spread.

    Args:
        responsibilities: ``[R, S, M, K]``.
        mean: of the experts, ``[R, S, M, K]``, or ``[R, S, M, Q, K]``.
        scale: standard deviations of the experts, the same shape; where one is infinite, as that
            of heavy tails, residuals are in y's units.
        y: targets ``[M]``, or ``[M, Q]``.
        weights: of each restart ``[R]``.
        rng: its numbers are taken row by row.
    """
    step = math.ceil(responsibilities.shape[0] * responsibilities.shape[1] / _MAX_DRAWS)
    given, mean, scale = (part[:, ::step] for part in (responsibilities, mean, scale))
    chains, draws, rows, size = given.shape
    below = given.cumsum(axis=-1)[..., :-1].reshape(chains * draws, rows, size - 1)
    uniform = rng.random((rows, chains * draws)).T
    regimes = (uniform[..., None] > below).sum(axis=-1)
    mean, scale = (
        np.take_along_axis(
            part.reshape(chains * draws, rows, -1, size), regimes[..., None, None], axis=-1
        )[..., 0]
        for part in (mean, scale)
    )
    unit = scale if np.isfinite(scale).all() else 1.0
    return Realised(
        regimes=regimes,
        residuals=(y.reshape(rows, -1) - mean) / unit,
        weights=np.repeat(weights / draws, draws),
    )


def join_rows(parts: Sequence[Realised]) -> Realised:
    """All chunks of rows together."""
    return Realised(
        regimes=np.concatenate([part.regimes for part in parts], axis=1),
        residuals=np.concatenate([part.residuals for part in parts], axis=1),
        weights=parts[0].weights,
    )


def two_groups(values: FloatArray) -> FloatArray:
    """What is gained by telling a sample in two groups, from the best cut of its sorted values.

    With S the sum of squares about the mean, of all n values and within the two groups, of which
    one has the share w::

        gain = (n / 2) log(S / S_within) + n (w log w + (1 - w) log(1 - w)) - (3 / 2) log n

    is the log likelihood ratio of two Normals with one scale, each value in one of the two, over
    one Normal, less what a regime costs (:func:`.experts.dead_threshold`).  It is 0 where that is
    negative, and where the groups are none: a group has a tenth of the values at least, and five,
    and halfway between the groups' means there are at most half as many values as at either mean
    (within an eighth of the means' distance on each side).

    Args:
        values: samples ``[T, M]``, NaN where there is none.

    Returns:
        The gain in nats, ``[T]``.

    Source: Engelman and Hartigan (1969), Journal of the American Statistical Association 64,
    1647-1648, for the ratio; the second term is the classification's, as in the ICL of Biernacki,
    Celeux and Govaert (2000), IEEE Transactions on Pattern Analysis 22, 719-725.

    Example:
        >>> apart = np.concatenate([np.linspace(-1, 1, 20), np.linspace(9, 11, 20)])
        >>> two_groups(np.stack([apart, np.linspace(-1, 1, 40)])).round(1)
        array([51.4,  0. ])
    """
    count = (~np.isnan(values)).sum(axis=1, keepdims=True)
    sizes = np.arange(1, values.shape[1])
    least = np.maximum(_LEAST_ROWS, np.ceil(_LEAST_SHARE * count))
    allowed = (sizes >= least) & (count - sizes >= least)
    found, some = np.zeros(len(values)), allowed.any(axis=1)
    if not some.any():
        return found
    values, allowed, count = values[some], allowed[some], count[some]
    centred = np.sort(values - np.nanmean(values, axis=1, keepdims=True), axis=1)  # NaN come last
    sums = np.nan_to_num(centred).cumsum(axis=1)[:, :-1]
    rest = np.maximum(count - sizes, 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # values that are all equal
        within = 1.0 - (sums**2 / sizes + sums**2 / rest) / np.nansum(centred**2, axis=1)[:, None]
        low, high = sizes / count, rest / count
        gains = count * (low * np.log(low) + high * np.log(high)) - 1.5 * np.log(count)
        # Of two values, each repeated, nothing is left within.
        gains -= 0.5 * count * np.log(np.maximum(within, np.finfo(np.float64).eps))
    # Where one row more or less gains more, the group is a smaller one that does not count.
    allowed[:, 1:-1] &= gains[:, 1:-1] >= np.maximum(gains[:, :-2], gains[:, 2:])
    gains = np.where(allowed & np.isfinite(gains), gains, 0.0)
    index, best = np.arange(len(gains)), gains.argmax(axis=1)
    first, second = sums[index, best] / sizes[best], -sums[index, best] / rest[index, best]
    reach = 0.125 * (second - first)[:, None]
    left, middle, right = (
        (np.abs(centred - at[:, None]) <= reach).sum(axis=1)
        for at in (first, 0.5 * (first + second), second)
    )
    valley = middle <= _VALLEY * np.minimum(left, right)
    found[some] = np.where(valley, gains[index, best], 0.0)
    return found


def normal_scores(values: FloatArray) -> FloatArray:
    """Normal quantiles of the values' ranks, ``[T, M]``; NaN where a value is.

    Example:
        >>> normal_scores(np.array([[3.0, np.nan, 1.0, 100.0]])).round(2)
        array([[ 0.  ,   nan, -0.97,  0.97]])
    """
    there = ~np.isnan(values)
    ranks = values.argsort(axis=1).argsort(axis=1)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    return np.asarray(ndtri(np.where(there, (ranks + 0.5) / count, np.nan)))


def group_gains(values: FloatArray, x: FloatArray) -> Iterator[tuple[int | None, FloatArray]]:
    """:func:`two_groups` of all rows, then by the parts of the rows along each feature.

    Along a feature the rows are cut into 4, 8 and 16 parts of equal size, of 25 rows or more, and
    the parts' gains, each less the log of their number, are added.  Groups whose distance varies
    along the feature show there and not in all rows together.  Parts are looked at in
    :func:`normal_scores` of all rows, in which a distribution that is the same in each part looks
    Normal, whatever its shape.

    Args:
        values: ``[T, M]``, NaN for rows that do not belong.
        x: ``[M, D]``.

    Yields:
        The feature's position, ``None`` for all rows, and the gain in nats ``[T]``.
    """
    yield None, two_groups(values)
    scores = normal_scores(values)
    for column, along in enumerate(x.T):
        order = np.argsort(along, kind="stable")
        for number in _PARTS:
            if len(order) < number * _ROWS_PER_PART:
                break
            cost, parts = math.log(number), np.array_split(order, number)
            gains = (np.maximum(two_groups(scores[:, part]) - cost, 0.0) for part in parts)
            yield column, np.sum(list(gains), axis=0)


def more_regimes_finding(fit: Fit, rows: Realised, x: FloatArray) -> Finding:
    """``more_regimes``: what the rows of a regime gain when told in two groups, in nats.

    Under a model that is right, residuals in a regime that is drawn from its posterior are those of
    its likelihood, at every posterior draw as at the truth (Johnson 2007).  Those of each draw are
    given to :func:`group_gains`; the median over draws counts, where it is largest.  The bound is
    ``log 20 + log C``, for the C gains that are looked at: one Bayes factor of 20 among them.

    **False alarms.**  A median is above the bound where half of the draws are, which has at most
    twice the probability that one draw has, whatever their dependence.  One draw is above it, for
    each regime, in fewer than 1 of 1,000 data sets with Normal noise and about 2 with Laplace or
    Student's t (3 degrees of freedom): simulated with 30 to 400 rows, half or all of them in the
    regime, and one or four features.  So two regimes are flagged in fewer than 1 of 100 fits.
    Skewed noise, which no likelihood here has, is taken for two groups more often: exponential
    noise in 4 of 100 data sets of 50 rows, in 1 of 100 or fewer of 200.

    Args:
        fit: the finished fit.
        rows: see :func:`realised`.
        x: their features ``[M, D]``.

    Source: Johnson (2007), Bayesian Analysis 2, 719-734.
    """
    read = spread_rows(len(x), _MAX_ROWS)
    names, outputs = fit.posterior.regime_names, fit.output_names
    regimes, residuals = rows.regimes[:, read], rows.residuals[:, read]
    levels, looks = [0.05, 0.5, 0.95], 0
    best, ends, words = 0.0, (0.0, 0.0), "The rows of no regime fall into two groups."
    for k, regime in enumerate(names):
        for q, output in enumerate(outputs):
            inside = np.where(regimes == k, residuals[..., q], np.nan)
            for column, gains in group_gains(inside, x[read]):
                looks += 1
                low, value, high = weighted_quantiles(gains, levels, rows.weights)
                if value > best:
                    best, ends = float(value), (float(low), float(high))
                    along = "" if column is None else f" along {fit.feature_names[column]!r}"
                    of = f" in {output!r}" if len(outputs) > 1 else ""
                    words = (
                        f"The rows of the regime {regime!r} fall into two groups{of}{along}, one "
                        f"above the other: a regime for each would add {best:.1f} nats to their "
                        "log density, beyond its cost."
                    )
    return judge(
        "more_regimes",
        best,
        "<=",
        math.log(_BAYES_FACTOR * looks),
        meaning=words,
        advice="Where one regime is said to be, there are two. Fit with {a regime more "
        "(`experts=('gaussian', 'gaussian', 'relu')`)|more restarts (`num_restarts=128`)}, or with "
        "a feature that tells the groups apart.",
        interval=ends,
    )
