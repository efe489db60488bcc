"""The ranks of a simulation-based calibration beside their band."""

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from bayes_hybrid.plots.style import INK, PALETTE, tidy
from bayes_hybrid.validation.ranks import simultaneous_band

if TYPE_CHECKING:
    from bayes_hybrid.validation.calibration import SimulationCalibration

__all__ = ["plot_ranks"]

_COLUMNS: Final = 4
# Inches.
_PANEL: Final = (2.4, 1.9)


def plot_ranks(result: "SimulationCalibration") -> Figure:
    """A panel for each quantity: the ecdf of its ranks minus the diagonal, and the band.

    A line above the band on the left, or below it on the right, says that true values lie too often
    at the ends: the posterior is too narrow.  A line above the band all along says that they lie
    too often below the draws.

    Args:
        result: see :class:`~bayes_hybrid.validation.SimulationCalibration`.
    """
    band = simultaneous_band(len(result.ranks), result.prob)
    count = result.ranks.shape[1]
    rows = -(-count // _COLUMNS)
    size = (_PANEL[0] * _COLUMNS, _PANEL[1] * rows + 0.6)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True)).ravel()
    for axes, (_, row) in zip(panels, result.table.iterrows(), strict=False):
        style = PALETTE[0] if row["inside"] else PALETTE[5]
        low, high = band.lower - band.points, band.upper - band.points
        axes.fill_between(band.points, low, high, color="#dddddd", linewidth=0.0)
        line = band.ecdf(result.ranks[row["quantity"]].to_numpy()) - band.points
        axes.plot(band.points, line, color=style.color, linestyle=style.linestyle, linewidth=1.4)
        miss = "" if row["inside"] else ": outside"
        axes.set_title(f"{row['quantity']}{miss}", fontsize=8, color=INK)
        tidy(axes)
    for axes in panels[count:]:
        axes.set_axis_off()
    figure.supxlabel("rank of the true value among the draws", fontsize=9, color=INK)
    figure.supylabel("share of ranks, minus uniform", fontsize=9, color=INK)
    figure.suptitle(
        f"{len(result.ranks)} replications; a right posterior stays in its grey band with "
        f"probability {result.prob:.0%}",
        fontsize=10,
        color=INK,
    )
    return figure
