"""Candidates as a forest plot."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_hybrid.choosing.candidates import FAMILIES, Candidate
from bayes_hybrid.plots.style import INK, PALETTE, legend_above, tidy

__all__ = ["plot_candidates"]

# Inches.
_WIDTH: Final = 7.0
_PER_CANDIDATE: Final = 0.3
_NAMES: Final = {
    "levels": "levels",
    "joined": "joined lines",
    "mixed": "lines, mixed at every x",
    "lines": "lines",
    "smooth": "smooth",
}


def plot_candidates(table: pd.DataFrame, candidates: Mapping[str, Candidate]) -> Figure:
    """Log density behind the best candidate, with one standard error; the chosen is bold.

    Args:
        table: see :class:`~bayes_hybrid.choosing.Choice`.
        candidates: those of the table, by name.
    """
    size = (_WIDTH, 1.4 + _PER_CANDIDATE * len(table))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    for number, family in enumerate(FAMILIES):
        mine = [candidates[str(name)].family == family for name in table.index]
        compared = table[mine].dropna(subset=["gain"])
        if compared.empty:
            continue
        axes.errorbar(
            compared["gain"],
            np.flatnonzero(table.index.isin(compared.index)),
            xerr=compared["error"],
            fmt=PALETTE[number].marker,
            color=PALETTE[number].color,
            markersize=6,
            capsize=3,
            linewidth=1.4,
            label=_NAMES[family],
        )
    axes.set_yticks(range(len(table)), [str(name) for name in table.index])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlabel("log density behind the best candidate, sum over the rows, nats", color=INK)
    tidy(axes)
    for label, chosen in zip(axes.get_yticklabels(), table["chosen"], strict=True):
        label.set_fontweight("bold" if chosen else "normal")
    legend_above(axes, columns=5)
    return figure
