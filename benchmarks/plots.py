"""Plots of the committed cells; ``python -m benchmarks --render`` draws them into the docs."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure

from benchmarks.methods.hybrid import CONTROLS, HYBRID
from benchmarks.prediction import Standings

# Differences below it, in nats, are drawn to scale; beyond it by their logarithms.
_LINEAR: Final = 0.1


def plot_standings(standings: Standings) -> Figure:
    """Log density of each method minus the package's: a dot per task, a bar at the mean.

    Args:
        standings: of a suite, with cells of the package and of others.
    """
    order = [name for name in standings.methods().index if name != HYBRID.name]
    apart = standings.over_tasks("log_density", "-")[order]
    figure = Figure(figsize=(7.0, 0.8 + 0.28 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    for height, name in enumerate(order):
        values = apart[name].dropna().to_numpy()
        axes.plot(values, np.full(len(values), height), "o", color="tab:blue", alpha=0.5, ms=4)
        axes.plot(values.mean(), height, "|", color="black", ms=12, mew=2)
    axes.axvline(0.0, color="tab:orange", lw=1)
    axes.set_xscale("symlog", linthresh=_LINEAR)
    axes.set_yticks(range(len(order)), order)
    axes.invert_yaxis()
    axes.set_xlabel(f"log density of a row minus {HYBRID.name}'s, in nats; right is better")
    return figure


def plot_learning_curves(standings: Standings) -> Figure | None:
    """RMSE by the number of rows, a panel per family; ``None`` where no task has several sizes."""
    curves = standings.curves()
    if not curves:
        return None
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    names = [HYBRID.name, *(control.name for control in CONTROLS)]
    for axes, (family, curve) in zip(panels, curves.items(), strict=False):
        for name in curve:
            ours = name in names
            axes.plot(
                curve.index,
                curve[name],
                color=f"C{names.index(str(name))}" if ours else "0.8",
                zorder=2 if ours else 1,
                label=str(name) if ours else None,
            )
        axes.set(title=family, xscale="log", yscale="log", xlabel="rows", ylabel="RMSE")
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    panels[0].legend(fontsize=7)
    return figure
