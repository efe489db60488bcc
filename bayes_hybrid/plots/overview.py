"""The fit and its regime probabilities, one above the other."""

from matplotlib.figure import Figure

from bayes_hybrid.plots.fit import plot_fit
from bayes_hybrid.plots.regime import plot_regime
from bayes_hybrid.plots.source import Source, as_fit

__all__ = ["plot_overview"]


def plot_overview(
    source: Source,
    *,
    feature: int | str = 0,
    output: int | str = 0,
    prob: float = 0.9,
    grid: int = 200,
) -> Figure:
    """:func:`plot_fit` above :func:`plot_regime`, with one horizontal axis for both.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis.
        output: position or name of the output on the upper axis, where there are several.
        prob: probability of the outer band and of the regimes' bands.
        grid: number of points along the feature.

    Raises:
        OptionError: no such feature or output, ``prob`` not between 0 and 1, or ``grid`` below 2.
    """
    fit = as_fit(source)
    figure = Figure(figsize=(7.2, 5.6), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
    plot_fit(fit, feature=feature, output=output, prob=prob, grid=grid, ax=upper)
    plot_regime(fit, feature=feature, prob=prob, grid=grid, ax=lower)
    upper.set_xlabel("")
    legend = lower.get_legend()
    if legend is not None:
        legend.remove()  # the upper panel's colours say it
    return figure
