"""Differences to the base as a forest plot."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_hybrid.ablation.variant import BASE
from bayes_hybrid.diagnostics.evaluation.chains import BAD_K
from bayes_hybrid.diagnostics.scores.leave_one_out import BAD_SHARE
from bayes_hybrid.plots.style import INK, PALETTE, RegimeStyle, tidy

__all__ = ["plot_differences"]

# Inches; names of variants are long.
_WIDTH: Final = 8.0
_PER_VARIANT: Final = 0.28


def plot_differences(table: pd.DataFrame) -> Figure:
    """Variant minus base with one standard error: cross-validation left, leave-one-out right.

    Left of the line of the base a variant is worse.  A hollow marker is a leave-one-out that its
    Pareto k-hats do not bear out.  A variant without a result has an empty line.

    Args:
        table: see :class:`~bayes_hybrid.ablation.Ablation`.
    """
    others = table[table["variant"] != BASE]
    size = (_WIDTH, 1.3 + _PER_VARIANT * max(len(others), 1))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    folds, loo = figure.subplots(1, 2, sharey=True)
    # A difference leans on both its ends.
    doubtful = (table["bad_k"] > BAD_SHARE)[table["variant"] == BASE].any()
    hollow = (others["bad_k"] > BAD_SHARE).to_numpy() | doubtful
    solid = np.zeros_like(hollow)
    _panel(folds, others["log_density_diff"], others["log_density_se"], PALETTE[0], solid)
    _panel(loo, others["elpd_diff"], others["dse"], PALETTE[1], hollow)
    folds.set_yticks(range(len(others)), others["variant"])
    folds.set_ylim(len(others) - 0.5, -0.5)
    folds.set_xlabel("held-out log density per row, nats", color=INK)
    loo.set_xlabel("leave-one-out, sum over the rows, nats", color=INK)
    figure.suptitle(
        "Variant minus base, with one standard error: left of the line is worse",
        fontsize=10,
        color=INK,
    )
    if hollow.any():
        key = Line2D([], [], color=PALETTE[1].color, marker=PALETTE[1].marker)
        key.set(markerfacecolor="white", linewidth=0.0)
        label = f"variant or base has more than {BAD_SHARE:.0%} of rows with k-hat > {BAD_K}"
        figure.legend(
            [key], [label], loc="outside lower right", frameon=False, fontsize=8, labelcolor=INK
        )
    return figure


def _panel(
    axes: Axes,
    values: pd.Series,
    errors: pd.Series,
    style: RegimeStyle,
    hollow: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> None:
    """One kind of difference, a line for each variant."""
    axes.axvline(0.0, color=INK, linewidth=1.0)
    places = np.arange(len(values))
    for chosen, face in ((~hollow, style.color), (hollow, "white")):
        axes.errorbar(
            values[chosen],
            places[chosen],
            xerr=errors[chosen],
            fmt=style.marker,
            color=style.color,
            markerfacecolor=face,
            markersize=6,
            capsize=3,
            linewidth=1.4,
        )
    tidy(axes)
