"""How training went: the objective of each stage, and what it did to the regimes' usage."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_hybrid.diagnostics.findings.training import objective_of
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import Stage
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, legend_above, regime_styles, tidy

__all__ = ["plot_training"]

_PER_PANEL: Final = 2.7
"""Inches."""

_PER_LINE: Final = 4
"""Panels beside each other."""

_MANY: Final = 6
"""Labels that fit side by side."""


def plot_training(source: Source) -> Figure:
    """Above, the trace of each stage that has one; below, the usage of each expert by stage.

    Traces are of what is maximised: held-out log density in the warm start, the ELBO in SVI.  Usage
    is the mean responsibility over rows and restarts, after each stage, and before it where other
    restarts begin: each plan of the warm start has restarts of its own, and some of all go on.  An
    expert that vanishes in a stage was lost there.

    Args:
        source: the finished fit, or the fitted estimator.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no stage has a trace, because the fit was not made by the package's own
            training.
    """
    fit = as_fit(source)
    traced = [stage for stage in fit.training.stages if len(stage.trace)]
    used = [stage for stage in fit.training.stages if len(stage.usage_after)]
    if not traced:
        raise OptionError("this fit has no trace of its training; expected one made by fit()")
    columns = min(_PER_LINE, len(traced))
    lines = -(-len(traced) // columns)
    with_usage = bool(used) and fit.posterior.num_regimes > 1
    size = (max(5.0, _PER_PANEL * columns), 2.8 * (lines + with_usage))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    grid = figure.add_gridspec(lines + with_usage, columns)
    for number, stage in enumerate(traced):
        _trace(figure.add_subplot(grid[number // columns, number % columns]), stage)
    if with_usage:
        _usage(figure.add_subplot(grid[lines, :]), used, fit.posterior.expert_names)
    return figure


def _trace(axes: Axes, stage: Stage) -> None:
    """The objective over the steps; the trace is thinned, its points evenly spread."""
    kind, values = objective_of(stage)
    steps = np.linspace(0.0, stage.steps, len(values) + 1)[1:]
    axes.plot(steps, values, color=INK, linewidth=1.2)
    tidy(axes)
    axes.set_title(_two_lines(stage.name), fontsize=9, color=INK, loc="left")
    axes.set_xlabel("steps", color=INK)
    axes.set_ylabel(f"{kind}, nats" if kind == "ELBO" else kind, color=INK)
    if kind == "ELBO" and values.min() < values.max():
        # The first steps rise from so low that nothing else would be seen.
        low, high = float(np.quantile(values, 0.05)), values.max()
        axes.set_ylim(low - 0.2 * (high - low), high + 0.05 * (high - low))


def _two_lines(name: str) -> str:
    return name.replace(": ", ":\n", 1)


def _short(name: str) -> str:
    return _two_lines(name.removeprefix("warm start, ").removeprefix("warm start: "))


def _usage(axes: Axes, stages: Sequence[Stage], names: tuple[str, ...]) -> None:
    """Stacked bars of usage by expert after each stage, and before it where restarts are others."""
    shares, labels, last = list[tuple[float, ...]](), list[str](), None
    for stage in stages:
        if len(stage.usage_before) and stage.usage_before != last:
            shares.append(stage.usage_before)
            labels.append("start" if last is None else f"before\n{_short(stage.name)}")
        shares.append(stage.usage_after)
        labels.append(f"after\n{_short(stage.name)}")
        last = stage.usage_after
    usage = np.array(shares)
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
    axes.set_xticks(places, labels, fontsize=8 if len(labels) <= _MANY else 6)
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    axes.set_ylabel("usage", color=INK)
    legend_above(axes)
