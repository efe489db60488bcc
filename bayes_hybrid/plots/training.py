"""How training went: the objective of each stage, and what it did to the regimes' usage."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid.diagnostics.interface import StageLike
from bayes_hybrid.errors import OptionError
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, legend_above, regime_styles, tidy

__all__ = ["plot_training"]

_WARM_START: Final = "warm start"
_PER_PANEL: Final = 2.7
"""Inches."""


def plot_training(source: Source) -> Figure:
    """Above, the trace of each stage that has one; below, the usage of each regime by stage.

    Usage is the mean responsibility over rows and restarts, before the first stage and after each.
    A regime that vanishes in a stage was lost there.  The stages do not hold the same restarts:
    the best of the warm start go on.

    Args:
        source: the finished fit, or the fitted estimator.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no stage has a trace, because the fit was not made by the package's own
            training.
    """
    fit = as_fit(source)
    traced = [stage for stage in fit.stages if len(stage.trace)]
    used = [stage for stage in fit.stages if len(stage.usage_after)]
    if not traced:
        raise OptionError("this fit has no trace of its training; expected one made by fit()")
    rows = 2 if used and fit.posterior.num_regimes > 1 else 1
    size = (max(5.0, _PER_PANEL * len(traced)), 2.8 * rows)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    grid = figure.add_gridspec(rows, len(traced))
    for number, stage in enumerate(traced):
        _trace(figure.add_subplot(grid[0, number]), stage)
    if rows == 2:
        _usage(figure.add_subplot(grid[1, :]), used, fit.posterior.regime_names)
    return figure


def _trace(axes: Axes, stage: StageLike) -> None:
    """The objective over the steps; the trace is thinned, its points evenly spread."""
    steps = np.linspace(0.0, stage.steps, len(stage.trace) + 1)[1:]
    axes.plot(steps, stage.trace, color=INK, linewidth=1.2)
    tidy(axes)
    axes.set_title(stage.name, fontsize=9, color=INK, loc="left")
    axes.set_xlabel("steps", color=INK)
    held_out = stage.name.startswith(_WARM_START)
    axes.set_ylabel("held-out log density" if held_out else "negative ELBO, nats", color=INK)
    if not held_out and min(stage.trace) < max(stage.trace):
        # The first steps fall from so high that nothing else would be seen.
        low, high = min(stage.trace), float(np.quantile(stage.trace, 0.95))
        axes.set_ylim(low - 0.05 * (high - low), high + 0.2 * (high - low) or None)


def _usage(axes: Axes, stages: Sequence[StageLike], names: tuple[str, ...]) -> None:
    """Stacked bars of the usage before and after each stage."""
    first = [stages[0].usage_before] if len(stages[0].usage_before) else []
    usage = np.array([*first, *(stage.usage_after for stage in stages)])
    bottom, places = np.zeros(len(usage)), np.arange(len(usage))
    for regime, (name, style) in enumerate(regime_styles(names).items()):
        axes.bar(
            places,
            usage[:, regime],
            bottom=bottom,
            width=0.6,
            facecolor=style.color,
            edgecolor="white",
            hatch=style.hatch,
            linewidth=0.0,
            label=name,
        )
        bottom += usage[:, regime]
    tidy(axes)
    labels = ["start"] * len(first) + [f"after\n{stage.name}" for stage in stages]
    axes.set_xticks(places, labels, fontsize=8)
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    axes.set_ylabel("usage", color=INK)
    legend_above(axes)
