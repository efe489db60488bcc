"""Regime probabilities along one feature, with their uncertainty."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.curves.slices import slice_along
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import (
    INK,
    fill_regime,
    label_along,
    legend_above,
    new_axes,
    tidy,
    used_styles,
)

__all__ = ["plot_regime"]


def plot_regime(
    source: Source,
    *,
    feature: int | str = 0,
    prob: float = 0.9,
    grid: int = 200,
    ax: Axes | None = None,
) -> Figure:
    """``p(z=k|x)`` along one feature: mean over the draws, and their central ``prob`` band.

    The draws are those of the leading reading.
    The band says how sure the fit is of the probability itself: a wide band around 50% is a switch
    whose place is not known, a narrow one is a row that is truly undecided.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis; the others are held at
            their medians.
        prob: probability of the band.
        grid: number of points along the feature.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such feature, ``prob`` not between 0 and 1, or ``grid`` below 2.
    """
    checks.fraction("prob", prob)
    fit = as_fit(source)
    styles, fit = used_styles(fit), fit.for_regimes
    line = slice_along(fit, feature, grid)
    figure, axes = new_axes(ax, (7.2, 2.4))
    draws = fit.posterior.by_draw.regime_probability(line.points)
    weights, ends = fit.posterior.restart_weights, [0.5 - prob / 2.0, 0.5 + prob / 2.0]
    low, high = quantiles_over_draws(draws, ends, weights)
    mean = mean_over_draws(draws, weights)
    for name, style in styles.items():
        regime = fit.posterior.regime_names.index(name)
        fill_regime(axes, line.along, low[:, regime], high[:, regime], style)
        axes.plot(
            line.along,
            mean[:, regime],
            color=style.color,
            linestyle=style.linestyle,
            linewidth=1.8,
            label=name,
        )
    tidy(axes)
    axes.set_xlim(line.along[0], line.along[-1])
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    label_along(axes, line.name, line.held)
    axes.set_ylabel("regime probability", color=INK)
    legend_above(axes)
    return figure
