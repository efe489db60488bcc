"""Where the regimes are, and how sure that is."""

import itertools
from dataclasses import dataclass

import numpy as np

from bayes_hybrid.diagnostics import FitLike, threshold_sentences
from bayes_hybrid.diagnostics.evaluation import spread_rows
from bayes_hybrid.diagnostics.interface import FloatArray

__all__ = ["Stretch", "Switch", "describe", "stretches", "switches"]

_GRID = 400
_BAND = (0.05, 0.95)
_SURE = 0.9
_MAX_ROWS = 2_000


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Where one regime is the most probable one along the only feature.

    Attributes:
        regime: its name.
        start: where it begins, in the feature's units.
        stop: where it ends.
        probability: ``p(z=k|x)`` averaged over the stretch and the draws.
        band: central 90% interval of that average over the draws.
    """

    regime: str
    start: float
    stop: float
    probability: float
    band: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Switch:
    """Where one regime takes over from another.

    Attributes:
        before: the regime below.
        after: the regime above.
        location: median over the draws, in the feature's units.
        band: central 90% interval over the draws.
        share: share of the draws that switch there at all.
    """

    before: str
    after: str
    location: float
    band: tuple[float, float]
    share: float


def _line(fit: FitLike) -> tuple[FloatArray, FloatArray]:
    """Points along the range of the only feature ``[G]``, and ``p(z|x)`` per draw ``[D, G, K]``."""
    points = np.linspace(fit.x[:, 0].min(), fit.x[:, 0].max(), _GRID)
    draws = fit.posterior.regime_probability_draws(points[:, None])
    return points, draws.reshape(-1, *draws.shape[2:])


def _runs(likeliest: np.ndarray[tuple[int], np.dtype[np.intp]]) -> list[tuple[int, int]]:
    """First index and one past the last of every run of equal values."""
    edges = [0, *(np.flatnonzero(np.diff(likeliest)) + 1).tolist(), len(likeliest)]
    return list(itertools.pairwise(edges))


def stretches(fit: FitLike) -> list[Stretch]:
    """The stretches of a fit with one feature, from left to right.

    Args:
        fit: a fit with one feature.
    """
    points, draws = _line(fit)
    likeliest = draws.mean(axis=0).argmax(axis=-1)
    found = []
    for start, stop in _runs(likeliest):
        regime = int(likeliest[start])
        average = draws[:, start:stop, regime].mean(axis=1)
        low, high = np.quantile(average, _BAND)
        found.append(
            Stretch(
                regime=fit.posterior.regime_names[regime],
                start=float(points[start]),
                stop=float(points[stop - 1]),
                probability=float(average.mean()),
                band=(float(low), float(high)),
            )
        )
    return found


def switches(fit: FitLike) -> list[Switch]:
    """Where the most probable regime changes, with the spread of that place over the draws.

    A draw switches from a to b at the point nearest to the mean's own switch where its most
    probable regime changes from a to b, looked for from the middle of the one stretch to the
    middle of the other.

    Args:
        fit: a fit with one feature.
    """
    points, draws = _line(fit)
    likeliest = draws.mean(axis=0).argmax(axis=-1)
    runs, per_draw = _runs(likeliest), draws.argmax(axis=-1)
    found = []
    for (left, middle), (_, right) in itertools.pairwise(runs):
        before, after = int(likeliest[middle - 1]), int(likeliest[middle])
        window = slice((left + middle) // 2, (middle + right) // 2 + 1)
        places = _crossings(per_draw[:, window], before, after, middle - window.start)
        # Between a point and the next one.
        step = points[1] - points[0]
        at = points[window.start] + (places[~np.isnan(places)] - 0.5) * step
        if not at.size:
            continue
        low, median, high = np.quantile(at, [_BAND[0], 0.5, _BAND[1]])
        found.append(
            Switch(
                before=fit.posterior.regime_names[before],
                after=fit.posterior.regime_names[after],
                location=float(median),
                band=(float(low), float(high)),
                share=at.size / len(places),
            )
        )
    return found


def _crossings(
    likeliest: np.ndarray[tuple[int, int], np.dtype[np.intp]], before: int, after: int, middle: int
) -> FloatArray:
    """Index of each draw's change from ``before`` to ``after`` nearest to ``middle``, or NaN."""
    changes = (likeliest[:, :-1] == before) & (likeliest[:, 1:] == after)
    distance = np.abs(np.arange(1, likeliest.shape[1]) - middle)
    nearest = np.where(changes, distance, np.inf).argmin(axis=1) + 1.0
    return np.where(changes.any(axis=1), nearest, np.nan)


def describe(fit: FitLike) -> list[str]:
    """Where the regimes are, and how sure that is, one sentence each.

    With one feature: its stretches and switches.  With more: how many rows belong to each regime,
    by ``p(z|x, y)``, and how many of them surely do.  Of a gate with thresholds, these stand in the
    place of the switches.
    """
    if fit.posterior.num_regimes == 1:
        return ["The model has one regime."]
    thresholds = threshold_sentences(fit)
    if fit.x.shape[1] > 1:
        return _rows_in_words(fit) + thresholds
    name = fit.feature_names[0]
    words = [
        f"{name} {part.start:.4g} to {part.stop:.4g}: {part.regime}, with probability "
        f"{part.probability:.0%} (90% band {part.band[0]:.0%} to {part.band[1]:.0%})"
        for part in stretches(fit)
    ]
    return words + (thresholds or _switches_in_words(fit))


def _switches_in_words(fit: FitLike) -> list[str]:
    name = fit.feature_names[0]
    return [
        f"{change.before} gives way to {change.after} at {name} = {change.location:.4g} "
        f"(90% interval {change.band[0]:.4g} to {change.band[1]:.4g}; in {change.share:.0%} of "
        "the draws)"
        for change in switches(fit)
    ]


def _rows_in_words(fit: FitLike) -> list[str]:
    rows = spread_rows(fit.x.shape[0], _MAX_ROWS)
    given_y = fit.posterior.regime_probability_draws(fit.x[rows], fit.y[rows]).mean(axis=(0, 1))
    likeliest = given_y.argmax(axis=1)
    words = []
    for regime, name in enumerate(fit.posterior.regime_names):
        mine = given_y[likeliest == regime, regime]
        sure = float((mine > _SURE).mean()) if mine.size else 0.0
        words.append(
            f"{name}: most probable in {mine.size / rows.size:.0%} of the rows, and in {sure:.0%} "
            f"of those with a probability above {_SURE:.0%}"
        )
    return words
