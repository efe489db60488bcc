"""Where the regimes change: the posterior of each threshold."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.regimes.thresholds import (
    boundary_names,
    threshold_draws,
    threshold_table,
)
from bayes_hybrid.inference.posterior.over_draws import draw_weights, quantiles_over_draws
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, legend_above, new_axes, regime_styles, tidy

__all__ = ["plot_thresholds"]

_MOST_BINS: Final = 60
"""Narrower bins than a sixtieth of the axis are hairs."""

_GREYS: Final = ("#333333", "#8c8c8c", "#bfbfbf")
"""Of the histograms of neighbouring boundaries."""


def plot_thresholds(source: Source, *, prob: float = 0.9, ax: Axes | None = None) -> Figure:
    """Histogram of each threshold's posterior draws, its mean and its ``prob`` interval.

    The background has colour and hatch of the regime between the posterior means of the
    thresholds; the bar above a histogram is the interval.

    Args:
        source: the finished fit, or the fitted estimator, of a gate with thresholds.
        prob: probability inside the intervals.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: the gate has no threshold, or ``prob`` is not strictly between 0 and 1.
    """
    fit = as_fit(source)
    table = threshold_table(fit, prob=prob)
    draws, posterior = threshold_draws(fit).location, fit.for_regimes.posterior
    figure, axes = new_axes(ax, (7.2, 2.8))
    low, high = _range(draws, posterior.restart_weights)
    bins = _edges(draws, posterior.restart_weights, low, high)
    weights = draw_weights(posterior.restart_weights, posterior.num_draws)
    for number, name in enumerate(boundary_names(fit)):
        color = _GREYS[number % len(_GREYS)]
        values = draws[..., number].ravel()
        density, _ = np.histogram(values, bins=bins, weights=weights, density=True)
        axes.stairs(density, bins, fill=True, color=color, alpha=0.8, label=name, zorder=3)
        row = table.iloc[number]
        top = 1.06 * density.max()
        axes.plot([row["lower"], row["upper"]], [top, top], color=color, linewidth=3.0, zorder=4)
        axes.plot([row["mean"]], [top], marker="o", color=color, markersize=7, zorder=5)
    edges = [low, *np.clip(table["mean"], low, high), high]
    for number, (name, style) in enumerate(regime_styles(fit.posterior.regime_names).items()):
        axes.axvspan(
            edges[number],
            edges[number + 1],
            color=style.color,
            hatch=style.hatch,
            alpha=0.16,
            linewidth=0.0,
            label=name,
        )
    tidy(axes)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(table["feature"].iloc[0], color=INK)
    axes.set_ylabel("posterior density", color=INK)
    legend_above(axes)
    return figure


def _range(draws: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """All draws but the outermost half percent on each side of each threshold, and a margin."""
    ends = quantiles_over_draws(draws, [0.005, 0.995], weights)
    low, high = ends[0].min(), ends[1].max()
    margin = 0.15 * ((high - low) or 1.0)
    return float(low - margin), float(high + margin)


def _edges(draws: FloatArray, weights: FloatArray, low: float, high: float) -> FloatArray:
    """One set of bins for all boundaries, by the rule of Freedman and Diaconis (1981)."""
    spread = np.diff(quantiles_over_draws(draws, [0.25, 0.75], weights), axis=0).min()
    width = 2.0 * float(spread) / draws[..., 0].size ** (1.0 / 3.0)
    wanted = (high - low) / width if width > 0.0 else _MOST_BINS
    return np.linspace(low, high, int(np.clip(np.ceil(wanted), 1, _MOST_BINS)) + 1)
