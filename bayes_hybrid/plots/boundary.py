"""Where the regimes change along a feature, as draws under the regime probabilities."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid.diagnostics.regimes.boundaries import BoundaryPosterior, boundaries
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.plots.regime import plot_regime
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, tidy

__all__ = ["plot_boundary"]

_BINS = 80
"""Over the range of the data."""

_SHADES = ("#444444", "#999999")
"""Greys of neighbouring boundaries, in turn."""


def plot_boundary(
    source: Source, *, feature: int | str = 0, prob: float = 0.9, grid: int = 200
) -> Figure:
    """:func:`plot_regime` above a histogram of the draws of each boundary, with its interval.

    The height of a bar is the share of all draws, by weight, whose regime changes there, so that a
    boundary of few draws looks small.  The line above the bars is the boundary's central interval,
    with a dot at its mean and, in words, the share of draws that have it.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis; the others are held at
            their medians.
        prob: probability of the interval and of the band above.
        grid: number of points along the feature of the upper panel.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: the model has one regime, no such feature or a constant one, ``prob`` not
            between 0 and 1, or ``grid`` below 2.
    """
    fit = as_fit(source)
    found = boundaries(fit, feature, prob=prob)
    figure = Figure(figsize=(7.2, 4.4), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    plot_regime(fit, feature=feature, prob=prob, grid=grid, ax=upper)
    lower.set_xlabel(upper.get_xlabel(), color=INK)
    upper.set_xlabel("")
    tidy(lower)
    _histograms(lower, found, upper.get_xlim())
    lower.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    lower.set_ylabel("share of draws", color=INK)
    return figure


def _histograms(axes: Axes, found: BoundaryPosterior, span: tuple[float, float]) -> None:
    """Bars, interval and words of every boundary."""
    bins = np.linspace(*span, _BINS + 1)
    for number, boundary in enumerate(found.boundaries):
        places, there = boundary.draws.ravel(), ~np.isnan(boundary.draws.ravel())
        shares = draw_weights(found.weights, boundary.draws.shape[1])
        shade = _SHADES[number % 2]
        heights, *_ = axes.hist(places[there], bins.tolist(), weights=shares[there], color=shade)
        level = float(np.max(heights)) * 1.12
        axes.plot([boundary.lower, boundary.upper], [level, level], color=INK, linewidth=1.6)
        axes.plot([boundary.mean], [level], color=INK, marker="o", markersize=4)
        axes.annotate(
            f"in {boundary.probability_exists:.0%} of draws",
            (boundary.mean, level),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
    axes.margins(y=0.25)  # room for the words
    axes.set_ylim(bottom=0.0)
    if not found.boundaries:
        axes.text(
            0.5,
            0.5,
            "no boundary: one regime is the most probable throughout",
            ha="center",
            va="center",
            transform=axes.transAxes,
            fontsize=9,
            color=INK,
        )
