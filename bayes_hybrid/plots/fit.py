"""Data and predictive bands, coloured by regime."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.slices import Output, Slice, one_output, slice_along
from bayes_hybrid.diagnostics.evaluation.evaluation import fitted_regimes, spread_rows
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import (
    INK,
    RegimeStyle,
    blend,
    label_along,
    new_axes,
    tidy,
    used_styles,
)

__all__ = ["plot_fit"]

_INNER = 0.5
"""Probability of the inner band."""

_SHOWN = 0.05
"""An expert is hidden where the probability of its regime is below this."""

_MAX_POINTS = 2_000
"""More points than that only hide the bands."""


def plot_fit(
    source: Source,
    *,
    feature: int | str = 0,
    output: int | str = 0,
    prob: float = 0.9,
    grid: int = 200,
    ax: Axes | None = None,
) -> Figure:
    """Data, predictive mean and predictive bands along one feature, coloured by regime.

    The bands are central intervals of the posterior predictive, of probability ``prob`` and 50%;
    their colour mixes those of the regimes in the proportions ``p(z=k|x)``, their hatch is that of
    the likeliest.  Each row has the marker of its most probable regime, and a colour mixed by
    ``p(z=k|x, y)``.  A coloured line is the mean of one expert; it fades out with ``p(z=k|x)``.
    Regimes and experts are those that the leading reading uses (``fit.for_regimes``), the
    prediction is that of all restarts.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis; the others are held at
            their medians.
        output: position or name of the output on the vertical axis, where there are several.
        prob: probability of the outer band.
        grid: number of points along the feature.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such feature or output, ``prob`` not above 0 and 1 - 2e-12 at most, or
            ``grid`` below 2.
    """
    checks.central("prob", prob)
    fit = as_fit(source)
    line, drawn = slice_along(fit, feature, grid), one_output(fit, output)
    figure, axes = new_axes(ax, (7.2, 4.0))
    styles, regimes = used_styles(fit), fit.for_regimes.posterior
    used = fit.readings[0].used
    gate = _shares(regimes.predictive.regime_probability(line.points), used)
    quantiles = drawn.of(fit.posterior.predictive.quantile(line.points, _levels(prob)))
    _bands(axes, line, quantiles, blend(gate, styles))
    _hatches(axes, line, quantiles[:, [0, 3]], gate, styles)
    means = mean_over_draws(regimes.by_draw.expert_mean(line.points), regimes.restart_weights)
    means = drawn.of(means)[:, used]
    _experts(axes, line, means, gate, styles)
    mean = drawn.of(fit.posterior.predictive.mean(line.points))
    axes.plot(line.along, mean, color=INK, linewidth=1.6, zorder=4)
    _points(axes, fit, line.column, drawn, styles)
    tidy(axes)
    axes.set_xlim(line.along[0], line.along[-1])
    axes.use_sticky_edges = False  # else the strips of colour end where the axes do
    axes.autoscale(axis="y")
    label_along(axes, line.name, line.held)
    axes.set_ylabel(drawn.name, color=INK)
    _legend(axes, prob, styles)
    return figure


def _shares(probability: FloatArray, used: NDArray[np.bool_]) -> FloatArray:
    """Of regimes that are used ``[N, K']``, whose sum is one again, from ``[N, K]``."""
    some = probability[:, used] + np.finfo(np.float64).tiny
    return np.asarray(some / some.sum(axis=1, keepdims=True))


def _levels(prob: float) -> FloatArray:
    """The ends of both bands, as probabilities."""
    return np.array([0.5 - prob / 2.0, 0.5 - _INNER / 2.0, 0.5 + _INNER / 2.0, 0.5 + prob / 2.0])


def _bands(axes: Axes, line: Slice, quantiles: FloatArray, colors: FloatArray) -> None:
    """Both bands, each a strip of colours seen through the shape of the interval."""
    for low, high, alpha in ((0, 3, 0.22), (1, 2, 0.38)):
        bottom, top = quantiles[:, low], quantiles[:, high]
        shape = axes.fill_between(line.along, bottom, top, color="none", linewidth=0.0)
        strip = axes.imshow(
            np.insert(colors, 3, alpha, axis=1)[None],
            extent=(line.along[0], line.along[-1], float(bottom.min()), float(top.max())),
            aspect="auto",
            interpolation="bilinear",
            zorder=2,
        )
        strip.set_clip_path(shape.get_paths()[0], transform=axes.transData)


def _hatches(
    axes: Axes,
    line: Slice,
    ends: FloatArray,
    gate: FloatArray,
    styles: Mapping[str, RegimeStyle],
) -> None:
    """Hatch the outer band by the most probable regime."""
    for regime, style in enumerate(styles.values()):
        axes.fill_between(
            line.along,
            ends[:, 0],
            ends[:, 1],
            where=gate.argmax(axis=1) == regime,
            facecolor="none",
            edgecolor=style.color,
            hatch=style.hatch,
            alpha=0.3,
            linewidth=0.0,
            zorder=2.5,
        )


def _experts(
    axes: Axes,
    line: Slice,
    means: FloatArray,
    gate: FloatArray,
    styles: Mapping[str, RegimeStyle],
) -> None:
    """Each expert's mean, fading out with the probability of its regime."""
    for regime, style in enumerate(styles.values()):
        ends = np.column_stack([line.along, means[:, regime]])
        alpha = np.where(gate[:, regime] > _SHOWN, gate[:, regime], 0.0)
        axes.add_collection(
            LineCollection(
                list(np.stack([ends[:-1], ends[1:]], axis=1)),
                colors=[(*to_rgb(style.color), strength) for strength in alpha[:-1]],
                linewidths=1.6,
                zorder=3.5,
            ),
            autolim=False,
        )


def _points(
    axes: Axes, fit: Fit, column: int, drawn: Output, styles: Mapping[str, RegimeStyle]
) -> None:
    rows = spread_rows(fit.x.shape[0], _MAX_POINTS)
    x = fit.x[rows]
    given_y = _shares(fitted_regimes(fit.for_regimes, rows), fit.readings[0].used)
    y = drawn.of(fit.y[rows])  # where it is missing, nothing is drawn
    colors, likeliest = blend(given_y, styles), given_y.argmax(axis=1)
    for regime, style in enumerate(styles.values()):
        mine = likeliest == regime
        axes.scatter(
            x[mine, column],
            y[mine],
            s=22,
            marker=style.marker,
            color=colors[mine],
            edgecolors="white",
            linewidths=0.5,
            zorder=3,
        )


def _legend(axes: Axes, prob: float, styles: Mapping[str, RegimeStyle]) -> None:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.color, marker=style.marker, linewidth=1.6, label=name)
        for name, style in styles.items()
    ]
    handles += [
        Line2D([], [], color=INK, linewidth=1.6, label="predictive mean"),
        Patch(color="#777777", alpha=0.55, linewidth=0.0, label=f"{_INNER:.0%} band"),
        Patch(color="#777777", alpha=0.25, linewidth=0.0, label=f"{prob:.0%} band"),
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.5,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
