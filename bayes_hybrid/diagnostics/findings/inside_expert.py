"""Is an abrupt change of the data inside one expert's curve, where the gate does not change?"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.support import Support
from bayes_hybrid.diagnostics.curves.lines import line_along
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.digits import figures
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws
from bayes_hybrid.inference.result import Fit

__all__ = ["abrupt", "even_in_data", "inside_expert_findings"]

_CELLS: Final = 40
_CENTRE: Final = 2
_AROUND: Final = 10
"""In cells: a twentieth of the way lies in the middle of a quarter of it."""

_MOST: Final = 0.5
_APART: Final = 2.0
"""An even mixture of two Normals that are nearer than two standard deviations has one peak: of a
smaller change nobody would say that the regime is another one."""

_STILL: Final = 0.1
"""The gate may move by one row in ten: as in ``regime_disagreement``."""

_LEAST: Final = 0.1
"""With fewer than one row in ten, an expert has too few in a quarter of the way to have a shape."""

_BELIEVED: Final = 0.5
"""More draws have the change than not."""


def even_in_data(values: FloatArray, num_points: int) -> FloatArray:
    """Points from the smallest to the largest value, ``[G]``, half way between even and quantiles.

    Their places in ``(F(v) + (v - min) / (max - min)) / 2`` are even, with F the distribution
    function of the values.  So neither a tenth of the points nor a curve over them is squeezed into
    a place with few rows, or into one with a small part of the range.

    Example:
        >>> even_in_data(np.array([0.0, 1.0, 2.0, 10.0]), 5).round(1)
        array([ 0. ,  1.2,  2.9,  6.5, 10. ])
    """
    distinct, counts = np.unique(values, return_counts=True)
    rank = np.cumsum(counts) - 0.5 * counts
    rank = (rank - rank[0]) / (rank[-1] - rank[0])
    place = 0.5 * (rank + (distinct - distinct[0]) / (distinct[-1] - distinct[0]))
    return np.asarray(np.interp(np.linspace(0.0, 1.0, num_points), place, distinct))


def abrupt(gate: FloatArray, mean: FloatArray, scale: FloatArray) -> NDArray[np.bool_]:
    """Where a curve makes an abrupt change while the gate stands still, ``[..., G - 10]``.

    A window is a quarter of the way, eleven points m_0 to m_10; m_4 and m_6 are the ends of the
    twentieth in its middle.  A change is abrupt where ::

        |m_6 - m_4| > (1 / 2) sum_i |m_(i+1) - m_i|   and   |m_6 - m_4| >= 2 sigma
        max_i pi_i - min_i pi_i <= 0.1                and   min_i pi_i >= 0.1

    The share of the change in the middle stays the same when the curve is scaled, shifted, turned
    round or mirrored.  It is 1 of a step, and 1/2 of a ramp between two level parts that is a tenth
    of the way long.  It is 1/5 of a straight line, at most that of an exponential, and at most 0.36
    of one bend or of a sine with a period of a tenth of the way or more.

    Args:
        gate: ``pi`` of the expert at G points of even places, ``[..., G]``.
        mean: its mean ``[..., G]``.
        scale: its noise scale ``[..., G]``.

    Example:
        >>> along = np.linspace(0, 1, 41)
        >>> step, sine = 1.0 * (along > 0.5), np.sin(20 * along)
        >>> still, noise = np.ones(41), np.full(41, 0.1)
        >>> abrupt(still, step, noise).any(), abrupt(still, sine, noise).any()
        (np.True_, np.False_)
    """
    curve = sliding_window_view(mean, _AROUND + 1, axis=-1)
    first = (_AROUND - _CENTRE) // 2
    last = first + _CENTRE
    middle = np.abs(curve[..., last] - curve[..., first])
    around = np.abs(np.diff(curve, axis=-1)).sum(axis=-1)
    weights = sliding_window_view(gate, _AROUND + 1, axis=-1)
    lowest, highest = weights.min(axis=-1), weights.max(axis=-1)
    noise = sliding_window_view(scale, _AROUND + 1, axis=-1)[..., [first, last]].max(axis=-1)
    large = (middle > _MOST * around) & (middle >= _APART * noise)
    return np.asarray(large & (highest - lowest <= _STILL) & (lowest >= _LEAST))


def inside_expert_findings(fit: Fit, x: FloatArray) -> list[Finding]:
    """``change_inside_expert``: the share of the draws with an abrupt change inside an expert.

    Each feature with as many distinct values as there are cells is gone along, from its smallest to
    its largest value, the others at their medians; there is no finding where there is none.  The
    largest share counts, over features, experts, outputs and places, where a place is a tenth of
    the way.  What is out of data, as :class:`~bayes_hybrid.data.support.Support` has it, is left
    out.

    Args:
        fit: the finished fit; its restarts count by their weights.
        x: rows that were read ``[M, D]``.
    """
    columns = [d for d in range(x.shape[1]) if len(np.unique(x[:, d])) >= _CELLS]
    if not columns:
        return []
    value, words, support = (
        0.0,
        "an abrupt change inside an expert",
        Support(x, fit.posterior.x_scaling.log.tolist()),
    )
    for column in columns:
        points = line_along(fit, column, _CELLS + 1)
        points[:, column] = even_in_data(x[:, column], _CELLS + 1)
        inside = ~sliding_window_view(support.outside(points), _AROUND + 1).any(axis=-1)
        if not inside.any():
            continue
        here, near, curve = _along(fit, points)
        index = np.unravel_index(np.where(inside, here, -1.0).argmax(), here.shape)
        if near[index] > value:
            value = float(near[index])
            words = _words(fit, column, points[:, column], curve, *map(int, index))
    return [
        judge(
            "change_inside_expert",
            value,
            "<=",
            _BELIEVED,
            meaning=f"{value:.0%} of the draws have {words}.",
            advice="The data change abruptly where the regime does not, so the regimes do not say "
            "where. Fit with {smooth experts (`experts=('gaussian', 'gaussian')`), which leave "
            "the change to the gate|more restarts (`num_restarts=128`)}.",
        )
    ]


def _along(fit: Fit, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of the draws with an abrupt change here and nearby, ``[K, Q, W]``; mean curve."""
    posterior = fit.posterior
    gate, mean = posterior.by_draw.gate_and_mean(points)
    # [R, S, G, Q, K] as [R, S, K, Q, G]
    mean, scale = (
        np.swapaxes(part.reshape(*gate.shape[:3], -1, gate.shape[-1]), 2, 4)
        for part in (mean, posterior.by_draw.expert_scale(points))
    )
    here = abrupt(np.moveaxis(gate, 2, 3)[:, :, :, None], mean, scale)
    # Neighbouring places see half of the same twentieth: together they are a tenth of the way.
    padded = np.pad(here, [(0, 0)] * 4 + [(1, 1)])
    near = padded[..., :-2] | here | padded[..., 2:]
    weights = posterior.restart_weights
    shares = mean_over_draws(here, weights), mean_over_draws(near, weights)
    return *shares, mean_over_draws(mean, weights)


def _words(
    fit: Fit, column: int, along: FloatArray, curve: FloatArray, k: int, q: int, place: int
) -> str:
    """The change in the data's units."""
    first, last = (place + _AROUND // 2 + side * _CENTRE for side in (-1, 1))
    low, high = figures(along[last] - along[first], along[first], along[last])
    before, after = curve[k, q, [first, last]]
    low_mean, high_mean = figures(after - before, before, after)
    of = f" of {fit.output_names[q]!r}" if len(fit.output_names) > 1 else ""
    return (
        f"an abrupt change inside the expert of {fit.posterior.regime_names[k]!r}: its mean{of} "
        f"goes from {low_mean} to {high_mean} between {fit.feature_names[column]} = {low} and "
        f"{high}, where the gate stands still"
    )
