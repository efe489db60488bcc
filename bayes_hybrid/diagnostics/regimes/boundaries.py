"""Where the most probable regime changes along a feature, as a posterior, whatever the gate."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import At, line_along, position
from bayes_hybrid.diagnostics.regimes.changes import Changes, gate_changes, row_changes
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.posterior.over_draws import draw_weights, weighted_quantiles
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Tabular

__all__ = ["Boundary", "BoundaryPosterior", "boundaries"]

_GRID: Final = 400
"""Points along the feature: a cell is a quarter of a percent of its range."""

_PROB: Final = 0.9

_RESOLUTION: Final = 0.05
"""Changes nearer than a twentieth of the range are one.  Over the draws of a simulated step of 100
rows a change has an sd of one to two hundredths of the range, which a finer look could cut up."""

_RARE: Final = 0.05
"""A boundary that fewer draws have, by weight, is not listed.  One of 16 restarts that count alike
is 6%, and of the 200 draws of four ten are left, too few for the ends of an interval."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Boundary:
    """One place where the most probable regime changes.

    Everything but ``probability_exists`` is conditional on the change being there.

    Attributes:
        below: the regime below it in most of the draws that have it.
        above: the regime above it.
        mean: posterior mean of the place, in the feature's units.
        sd: posterior standard deviation.
        lower: lower end of the central credible interval.
        upper: its upper end.
        probability_exists: share of all draws that have it, by weight.
        agreement: share of these in which ``below`` is the regime below; in the rest the two
            regimes have traded their parts.
        changes: mean number of changes there in the draws that have one; well above 1 where
            several are nearer to each other than the resolution.
        draws: the place in each draw ``[R, S]``, NaN in draws without it.
    """

    below: str
    above: str
    mean: float
    sd: float
    lower: float
    upper: float
    probability_exists: float
    agreement: float
    changes: float
    draws: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class BoundaryPosterior(Tabular):
    """The boundaries along one feature.

    Attributes:
        feature: name of the feature.
        prob: probability inside the intervals.
        boundaries: from left to right; empty where hardly a draw has a change.
        probability_none: share of draws without any change: one regime is the most probable one
            all along the feature.
        weights: what each restart counts, ``[R]``.
    """

    feature: str
    prob: float
    boundaries: tuple[Boundary, ...]
    probability_none: float
    weights: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """A row for each boundary, with the fields of :class:`Boundary` but its draws."""
        columns = [name for name in Boundary.__dataclass_fields__ if name != "draws"]
        rows = [[getattr(each, name) for name in columns] for each in self.boundaries]
        table = pd.DataFrame(rows, columns=pd.Index(columns))
        table.insert(2, "feature", self.feature)
        table.insert(7, "prob", self.prob)
        return table


def boundaries(
    fit: Fit,
    feature: int | str = 0,
    *,
    of: str = "gate",
    at: At = None,
    prob: float = _PROB,
    resolution: float = _RESOLUTION,
    grid: int = _GRID,
) -> BoundaryPosterior:
    """Where the most probable regime changes along a feature, over the posterior's draws.

    There are two places to ask for::

        of="gate"   where p(z | x) of a draw changes its most probable regime
        of="rows"   between which fitted rows p(z_n | x_n, y_n) of a draw changes it

    With two regimes the first are the crossings of 1/2.  With more, a change is where the most
    probable regime gives way to the next one: there the two are equally probable, as at a threshold
    of :func:`threshold_table`, though neither has to reach 1/2.  Changes are found on a grid over
    the range of the data, and placed between two points by linear interpolation of the two regimes'
    log odds: exact for a linear gate, and for others off by less than a cell.  Several changes
    within a cell are seen as one or none.

    A gate has a slope, and its prior keeps that finite: the place where its odds are even is a
    little vaguer than the data, and its interval too wide for a change that is sudden.  The rows
    say where a sudden change was: between the last row of one regime and the first of the next,
    and nothing tells where between them, so draws are spread evenly over that gap.  Where
    the rows' regimes are certain, the interval of a sudden change has its nominal coverage.  Where
    regimes overlap in x, rows change back and forth, and the gate is what to ask.

    **From changes to boundaries.**  A draw can change never, once or often, restarts are modes that
    may disagree on that, and they may use regimes in exchanged roles.  The mean of p(z | x) over
    such draws need not cross 1/2 where every draw that changes does.  So the changes of all draws
    between the same two regimes, in either direction, are pooled; their density, smoothed by half
    the resolution, is cut at its lowest points; and each part is a boundary, to which a draw
    contributes its change nearest to the part's peak.  Parts that fewer than 5% of the draws have
    are left out.

    **What the interval says.**  It is conditional on the change being there: read
    ``probability_exists`` with it.  Where that is small, most of the posterior explains the data
    without a change of regime there, for instance by one expert that bends sharply.

    Args:
        fit: the finished fit.
        feature: position or name of the feature.
        of: ``"gate"`` or ``"rows"``, the latter for a fit with one feature.
        at: where the other features are held: D numbers, or names and numbers; at their medians
            where nothing is said.
        prob: probability inside the intervals, strictly between 0 and 1.
        resolution: changes nearer than about this share of the range are taken as one.
        grid: points along the feature, at least 2.

    Raises:
        OptionError: the model has one regime, the feature is constant or does not exist, the rows
            of a fit with several features were asked for, or another option is not what it has to
            be.

    Source: modes of a kernel density as clusters, Silverman (1981), Journal of the Royal
    Statistical Society B 43, 97-99.

    Example:
        >>> from bayes_hybrid import FitOptions, HybridRegressor, Pathway
        >>> X = [[value] for value in range(20)]
        >>> y = [0.1 * (value % 3) + (value > 12) * (20 - value) for value in range(20)]
        >>> path = Pathway("gaussian", num_units=4), Pathway("relu", num_units=4)
        >>> reg = HybridRegressor(
        ...     gate="threshold", experts=path, fit_options=FitOptions.quick(), random_state=0
        ... )
        >>> found = boundaries(reg.fit(X, y).fit_)
        >>> len(found.boundaries), found.probability_none
        (1, 0.0)
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    checks.fraction("resolution", resolution)
    fit = fit.for_regimes
    posterior, column = fit.posterior, position("feature", feature, fit.feature_names)
    name = fit.feature_names[column]
    if posterior.num_regimes == 1:
        raise OptionError("boundaries: the model has one regime, which never changes")
    points, scaling = line_along(fit, column, grid, at=at), posterior.x_scaling
    along = scaling.read(points[:, column], column)
    if along[0] == along[-1]:
        raise OptionError(f"feature {name!r} is constant in the data, so nothing changes along it")
    shape = posterior.num_restarts, posterior.num_draws
    weights = draw_weights(posterior.restart_weights, posterior.num_draws)
    if checks.choice("of", of, ("gate", "rows")) == "gate":
        every = gate_changes(fit, points, along)
    else:
        every = row_changes(fit)
    found: list[Boundary] = []
    changing = np.zeros(len(weights), dtype=bool)
    for (a, b), changes in every.items():
        changing[changes.draw] = True
        names = posterior.regime_names[a], posterior.regime_names[b]
        for part, peak in _parts(changes, weights, along, resolution):
            nearest, counts = _nearest(part, peak)
            places = replace(nearest, place=scaling.unread(nearest.place, column))
            boundary = _boundary(places, counts, names, weights.reshape(shape), tail)
            if boundary.probability_exists >= _RARE:
                found.append(boundary)
    return BoundaryPosterior(
        feature=name,
        prob=prob,
        boundaries=tuple(sorted(found, key=lambda each: each.mean)),
        probability_none=min(1.0, float(weights[~changing].sum())),
        weights=posterior.restart_weights,
    )


def _parts(
    changes: Changes, weights: FloatArray, along: FloatArray, resolution: float
) -> Iterator[tuple[Changes, float]]:
    """The changes around each peak of their smoothed density, and the peak."""
    bins = np.linspace(along[0], along[-1], 4 * _GRID + 1)
    middles = 0.5 * (bins[1:] + bins[:-1])
    shares = np.histogram(changes.place, bins, weights=weights[changes.draw])[0]
    # Two equal peaks of a Normal kernel melt into one when nearer than two of its sd.
    density = gaussian_filter1d(shares, 0.5 * resolution * len(shares), mode="constant")
    peaks = _tops(density)
    cuts = [
        middles[left + density[left : right + 1].argmin()]
        for left, right in itertools.pairwise(peaks)
    ]
    place = np.searchsorted(np.array(cuts), changes.place)
    for number, peak in enumerate(peaks):
        if (place == number).any():
            yield changes.where(place == number), float(middles[peak])


def _tops(density: FloatArray) -> list[int]:
    """Indices of the local maxima; of a flat top, its middle."""
    padded = np.concatenate([[-1.0], density, [-1.0]])
    slope = np.sign(np.diff(padded))
    moves = np.flatnonzero(slope)
    up, down = moves[:-1], moves[1:]
    tops = (slope[up] > 0) & (slope[down] < 0)
    return [int(top) for top in (up[tops] + down[tops] - 1) // 2]


def _nearest(part: Changes, peak: float) -> tuple[Changes, NDArray[np.intp]]:
    """The change of each draw that is nearest to a peak, and how many changes the draw has."""
    order = np.lexsort([np.abs(part.place - peak), part.draw])
    _, first, counts = np.unique(part.draw[order], return_index=True, return_counts=True)
    nearest = order[first]
    return Changes(
        draw=part.draw[nearest], place=part.place[nearest], rising=part.rising[nearest]
    ), counts


def _boundary(
    nearest: Changes,
    counts: NDArray[np.intp],
    names: tuple[str, str],
    weights: FloatArray,
    tail: float,
) -> Boundary:
    """The boundary of one change, and a count, for each of some draws with weights ``[R, S]``."""
    place, rising = nearest.place, nearest.rising
    draws = np.full(weights.size, np.nan)
    draws[nearest.draw] = place
    shares = weights.ravel()[nearest.draw]
    exists = shares.sum()
    shares = shares / exists
    lower, upper = weighted_quantiles(place, [tail, 1.0 - tail], shares)
    mean, upwards = shares @ place, shares @ rising
    mostly_rising = upwards >= 0.5
    below, above = names if mostly_rising else names[::-1]
    return Boundary(
        below=below,
        above=above,
        mean=float(mean),
        sd=math.sqrt(shares @ (place - mean) ** 2),
        lower=float(lower),
        upper=float(upper),
        probability_exists=min(1.0, float(exists)),  # up to rounding
        agreement=min(1.0, float(upwards if mostly_rising else 1.0 - upwards)),
        changes=float(shares @ counts),
        draws=draws.reshape(weights.shape),
    )
