"""Why the regime of a row is not certain, along one feature."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid.diagnostics.curves.slices import slice_along
from bayes_hybrid.diagnostics.regimes.regime_posterior import regime_posterior
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, label_along, legend_above, new_axes, tidy

__all__ = ["plot_regime_uncertainty"]


def plot_regime_uncertainty(
    source: Source, *, feature: int | str = 0, grid: int = 200, ax: Axes | None = None
) -> Figure:
    """Entropy of ``p(z|x)`` along one feature, ambiguity and gate uncertainty stacked, in nats.

    Ambiguity (dark) stays with any number of rows: the regimes overlap.  Gate uncertainty (light,
    hatched) is disagreement between draws; see
    :class:`~bayes_hybrid.diagnostics.RegimePosterior`.  The line is their sum.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis; the others are held at
            their medians.
        grid: number of points along the feature.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such feature, or ``grid`` below 2.
    """
    fit = as_fit(source)
    line = slice_along(fit, feature, grid)
    posterior = regime_posterior(fit, line.points)
    figure, axes = new_axes(ax, (7.2, 2.4))
    dark, light = axes.stackplot(
        line.along,
        posterior.ambiguity,
        posterior.gate_uncertainty,
        colors=["#555555", "#d9d9d9"],
        labels=["ambiguity: the regimes overlap", "gate uncertainty: draws disagree"],
        linewidth=0.0,
    )
    dark.set_zorder(2)
    light.set(hatch="///", edgecolor="#8a8a8a", zorder=2)
    axes.plot(line.along, posterior.total_entropy, color=INK, linewidth=1.4, label="both")
    tidy(axes)
    axes.set_xlim(line.along[0], line.along[-1])
    axes.set_ylim(bottom=0.0)
    label_along(axes, line.name, line.held)
    axes.set_ylabel("entropy in nats", color=INK)
    legend_above(axes, columns=3)
    return figure
