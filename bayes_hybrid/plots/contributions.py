"""What each pathway adds to the mean, above what the predictive variance is made of."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid.diagnostics.curves.contributions import contributions
from bayes_hybrid.diagnostics.curves.lines import At, Grid
from bayes_hybrid.plots.effect import draw_curves
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, legend_above, regime_styles, tidy

__all__ = ["plot_contributions"]

_BETWEEN: Final = (("#9e9e9e", "||"), ("#e0e0e0", ""))
"""Face and hatch of what belongs to no pathway: between regimes, between draws."""


def plot_contributions(
    source: Source,
    *,
    feature: int | str = 0,
    at: At = None,
    output: int | str = 0,
    prob: float = 0.9,
    grid: Grid = 100,
) -> Figure:
    """:func:`~bayes_hybrid.diagnostics.curves.contributions.contributions` along one feature.

    Above, ``pi_k(x) (mu_k(x) - ybar)`` of each pathway with its band, and their sum; below, the
    shares of the predictive variance: noise within each expert, which regime it is, and what the
    fit does not know yet.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis.
        at: where the other features are held; at their medians by default.
        output: position or name of the output, where there are several.
        prob: probability of the bands.
        grid: number of points over the range of the data, or their values, rising.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: as :func:`~bayes_hybrid.diagnostics.curves.effects.effect_curve`.
    """
    fit = as_fit(source)
    found = contributions(fit, feature, at=at, output=output, prob=prob, grid=grid)
    curve, styles = found.pathways, regime_styles(fit.posterior.regime_names)
    figure = Figure(figsize=(7.2, 5.2), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    draw_curves(upper, curve)
    total = curve.mean.sum(axis=1)
    upper.plot(curve.along, total, color=INK, linewidth=1.2, linestyle=(0, (1, 1)), label="sum")
    upper.axhline(0.0, color="#888888", linewidth=0.8, zorder=1)
    upper.set_ylabel(f"{curve.output} less its mean", color=INK)
    legend_above(upper)
    looks = [(style.color, style.hatch) for style in styles.values()] + list(_BETWEEN)
    bottom = np.zeros_like(curve.along)
    for name, share, (color, hatch) in zip(found.parts, found.share.T, looks, strict=True):
        lower.fill_between(
            curve.along,
            bottom,
            bottom + share,
            facecolor=color,
            edgecolor="white",
            hatch=hatch,
            linewidth=0.0,
            label=f"within {name}" if name in styles else name,
        )
        bottom = bottom + share
    tidy(lower)
    lower.set_ylim(0.0, 1.0)
    lower.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    lower.set_xlabel(upper.get_xlabel(), color=INK)
    lower.set_ylabel("share of variance", color=INK)
    upper.set_xlabel("")
    legend_above(lower)
    return figure
