"""What each pathway adds to the mean, above what the predictive variance is made of."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.curves.contributions import Contributions
from bayes_hybrid.plots.effect import draw_curves
from bayes_hybrid.plots.style import INK, legend_above, regime_styles, tidy
from bayes_hybrid.tabular import draws

__all__ = ["plot_contributions"]

_BETWEEN: Final = (("#9e9e9e", "||"), ("#e0e0e0", ""))
"""Face and hatch of what belongs to no pathway: between regimes, between draws."""


@draws(Contributions)
def plot_contributions(found: Contributions) -> Figure:
    """What each pathway adds to the mean along a feature, and the parts of the variance.

    Above, ``pi_k(x) (mu_k(x) - ybar)`` of each pathway with its band, and their sum; below, the
    shares of the predictive variance: noise within each expert, which regime it is, and what the
    fit does not know yet.

    Args:
        found: what :func:`~bayes_hybrid.diagnostics.contributions` gives.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: something else.
    """
    curve = checks.instance("found", found, Contributions).pathways
    styles = regime_styles(curve.names)
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
