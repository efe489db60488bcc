"""Do the restarts agree: their curves, and how differently they place rows in regimes."""

from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.effects import effect_curve
from bayes_hybrid.diagnostics.curves.lines import At
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.regimes.gate import regime_distance
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, label_along, legend_above, tidy

__all__ = ["plot_restarts"]

_MAX_ROWS: Final = 500
"""A distance that is a mean over 500 rows has a standard error of 0.02 at most."""

_WRITTEN: Final = 8
"""Up to so many restarts the curves are named, and the distances written into the cells."""


def plot_restarts(
    source: Source,
    *,
    feature: int | str = 0,
    at: At = None,
    output: int | str = 0,
    grid: int = 100,
) -> Figure:
    """Left, the mean curve of each restart; right, the distance of their regimes, pair by pair.

    The distance is the share of the rows that two restarts would give to different regimes
    (:func:`~bayes_hybrid.diagnostics.regimes.gate.regime_distance`).  Curves that agree beside
    regimes that do not are common: then predictions can be trusted and regimes cannot be read.

    Args:
        source: the finished fit, or the fitted estimator.
        feature: position or name of the feature on the left horizontal axis.
        at: where the other features are held; at their medians by default.
        output: position or name of the output, where there are several.
        grid: number of points along the feature.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.  With one regime
        it has the curves alone.

    Raises:
        OptionError: as :func:`~bayes_hybrid.diagnostics.curves.effects.effect_curve`.
    """
    fit = as_fit(source)
    figure = Figure(figsize=(7.8, 3.2), dpi=150, layout="constrained")
    if fit.posterior.num_regimes == 1:
        _curves(figure.add_subplot(), fit, feature, at, output, grid)
        return figure
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _curves(left, fit, feature, at, output, grid)
    distance = regime_distance(evaluate(fit, max_rows=_MAX_ROWS).responsibilities)
    _distances(figure, right, distance)
    return figure


def _curves(
    axes: Axes,
    fit: Fit,
    feature: int | str,
    at: At,
    output: int | str,
    grid: int,
) -> None:
    """The mean over the draws of each restart by itself."""
    curve = effect_curve(fit, feature, at=at, output=output, grid=grid)
    means = curve.draws.mean(axis=1)[..., 0]
    # cividis looks alike to those with and without full colour vision (Nunez et al. 2018).
    colors = colormaps["cividis"](np.linspace(0.0, 0.85, len(means)))
    for number, (mean, color) in enumerate(zip(means, colors, strict=True)):
        axes.plot(curve.along, mean, color=color, linewidth=1.3, label=str(number))
    tidy(axes)
    axes.set_xlim(curve.along[0], curve.along[-1])
    label_along(axes, curve.feature, curve.held)
    axes.set_ylabel(f"mean of {curve.output}", color=INK)
    if len(means) <= _WRITTEN:
        legend_above(axes, columns=4)


def _distances(figure: Figure, axes: Axes, distance: FloatArray) -> None:
    image = axes.imshow(distance, cmap="Greys", vmin=0.0, vmax=1.0)
    count = len(distance)
    if count <= _WRITTEN:
        for row, column in np.ndindex(count, count):
            value = distance[row, column]
            color = "white" if value > 0.5 else INK
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8
            )
    ticks = range(0, count, max(1, count // _WRITTEN))
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(color="#888888", labelcolor=INK, labelsize=9)
    axes.set_xlabel("restart", color=INK)
    axes.set_ylabel("restart", color=INK)
    figure.colorbar(image, ax=axes, shrink=0.8).set_label("regime distance", color=INK)
