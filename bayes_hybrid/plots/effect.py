"""The fitted function along a feature, or its slope, with bands."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.curves.effects import EffectCurve
from bayes_hybrid.plots.style import (
    INK,
    fill_regime,
    label_along,
    legend_above,
    new_axes,
    regime_styles,
    shade_out_of_data,
    tidy,
)
from bayes_hybrid.tabular import draws

__all__ = ["draw_curves", "plot_effect"]


@draws(EffectCurve)
def plot_effect(curve: EffectCurve, *, ax: Axes | None = None) -> Figure:
    """The mean over the draws of an effect along a feature, or of its slope, and its band.

    Strips with a grey hatch are out of data: there the curves follow the priors.

    Args:
        curve: what ``HybridRegressor.effect`` or
            :func:`~bayes_hybrid.diagnostics.effect_curve` gives.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: something else than a curve.
    """
    checks.instance("curve", curve, EffectCurve)
    figure, axes = new_axes(ax, (7.2, 3.2))
    draw_curves(axes, curve)
    label = f"{'expert mean' if curve.of == 'expert' else curve.of} of {curve.output}"
    slope = f"slope: {label}, per {curve.feature}"
    axes.set_ylabel(slope if curve.derivative else label, color=INK)
    if curve.derivative or curve.of == "contribution":
        axes.axhline(0.0, color="#888888", linewidth=0.8, zorder=1)
    legend_above(axes)
    return figure


def draw_curves(axes: Axes, curve: EffectCurve) -> None:
    """Each curve with its band, in the style of its regime, and the strips without data."""
    mean, lower, upper = curve.mean, curve.lower, curve.upper
    styles = {} if curve.of == "mean" else regime_styles(curve.names)
    for number, (name, used) in enumerate(zip(curve.names, curve.used, strict=True)):
        if not used:
            continue
        style = styles.get(name)
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
