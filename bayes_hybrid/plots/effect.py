"""The fitted function along a feature, or its slope, with bands."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid.diagnostics.curves.effects import EffectCurve, Quantity, effect_curve
from bayes_hybrid.diagnostics.curves.lines import At
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import (
    INK,
    RegimeStyle,
    fill_regime,
    label_along,
    legend_above,
    new_axes,
    shade_out_of_data,
    tidy,
    used_styles,
)

__all__ = ["draw_curves", "plot_effect"]


def plot_effect(
    source: Source,
    *,
    feature: int | str = 0,
    at: At = None,
    of: Quantity = "mean",
    derivative: bool = False,
    output: int | str = 0,
    prob: float = 0.9,
    grid: int = 100,
    beyond: float = 0.0,
    ax: Axes | None = None,
) -> Figure:
    """:func:`~bayes_hybrid.diagnostics.effect_curve`: mean over the draws, and its band.

    Strips with a grey hatch are out of data: there the curves follow the priors.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the horizontal axis.
        at: where the other features are held; at their medians by default.
        of: ``"mean"``, ``"expert"`` or ``"contribution"``.
        derivative: whether slopes are drawn.
        output: position or name of the output, where there are several.
        prob: probability of the band.
        grid: number of points along the feature.
        beyond: how far to go beyond the data on each side, as a share of their range.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: as :func:`~bayes_hybrid.diagnostics.curves.effects.effect_curve`.
    """
    fit = as_fit(source)
    curve = effect_curve(
        fit,
        feature,
        at=at,
        of=of,
        derivative=derivative,
        output=output,
        prob=prob,
        grid=grid,
        beyond=beyond,
    )
    figure, axes = new_axes(ax, (7.2, 3.2))
    draw_curves(axes, curve, used_styles(fit))
    label = f"{'expert mean' if of == 'expert' else of} of {curve.output}"
    axes.set_ylabel(f"slope: {label}, per {curve.feature}" if derivative else label, color=INK)
    if derivative or of == "contribution":
        axes.axhline(0.0, color="#888888", linewidth=0.8, zorder=1)
    legend_above(axes)
    return figure


def draw_curves(axes: Axes, curve: EffectCurve, styles: Mapping[str, RegimeStyle]) -> None:
    """Each curve with its band, in the style of its regime, and the strips without data."""
    mean, lower, upper = curve.mean, curve.lower, curve.upper
    for number, name in enumerate(curve.names):
        style = styles.get(name)
        if style is None and len(curve.names) > 1:
            continue  # a regime that nobody uses
        color, line = (INK, "-") if style is None else (style.color, style.linestyle)
        ends = lower[:, number], upper[:, number]
        if style is None:
            axes.fill_between(curve.along, *ends, color=INK, alpha=0.15, linewidth=0.0)
        else:
            fill_regime(axes, curve.along, *ends, style)
        axes.plot(
            curve.along, mean[:, number], color=color, linestyle=line, linewidth=1.8, label=name
        )
    shade_out_of_data(axes, curve.along, curve.out_of_data)  # last in the legend
    tidy(axes)
    axes.set_xlim(curve.along[0], curve.along[-1])
    label_along(axes, curve.feature, curve.held)
