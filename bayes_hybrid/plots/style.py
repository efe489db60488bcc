"""How regimes look: a colour, a hatch, a marker and a line each, the same in every figure.

Nothing global is changed: figures are made without pyplot and styled one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference.result import Fit

__all__ = [
    "INK",
    "OUT_OF_DATA_HATCH",
    "PALETTE",
    "RegimeStyle",
    "blend",
    "fill_regime",
    "label_along",
    "legend_above",
    "new_axes",
    "regime_styles",
    "shade_out_of_data",
    "tidy",
    "used_styles",
]

INK: Final = "#222222"
"""Lines and text that belong to no regime."""

OUT_OF_DATA_HATCH: Final = "--"
"""Of strips without data; no regime has it."""


@dataclass(frozen=True, kw_only=True)
class RegimeStyle:
    """Colour for a screen; hatch, marker and line for a greyscale print."""

    color: str
    hatch: str
    marker: str
    linestyle: str


PALETTE: Final = (
    RegimeStyle(color="#0072B2", hatch="//", marker="o", linestyle="-"),
    RegimeStyle(color="#E69F00", hatch="\\\\", marker="^", linestyle="--"),
    RegimeStyle(color="#009E73", hatch="..", marker="s", linestyle="-."),
    RegimeStyle(color="#CC79A7", hatch="xx", marker="D", linestyle=":"),
    RegimeStyle(color="#56B4E9", hatch="++", marker="v", linestyle="-"),
    RegimeStyle(color="#D55E00", hatch="oo", marker="P", linestyle="--"),
)
"""Colours that colour-blind readers tell apart (Okabe and Ito 2008), the first two also in grey."""

_HOME: Final[Mapping[str, int]] = MappingProxyType({"gaussian": 0, "relu": 1})
"""A pathway keeps its style also where it is the only regime, or the second."""


def regime_styles(regime_names: tuple[str, ...]) -> dict[str, RegimeStyle]:
    """A style for each regime; more than six regimes repeat them.

    Example:
        >>> regime_styles(("relu",))["relu"].marker
        '^'
    """
    taken = {_HOME[name] for name in regime_names if name in _HOME}
    free = [index for index in range(len(PALETTE)) if index not in taken] or [*range(len(PALETTE))]
    others = [name for name in regime_names if name not in _HOME]
    index = dict(_HOME) | {name: free[n % len(free)] for n, name in enumerate(others)}
    return {name: PALETTE[index[name]] for name in regime_names}


def used_styles(fit: Fit) -> dict[str, RegimeStyle]:
    """A style for each regime that the leading reading uses; the others are not drawn."""
    styles, used = regime_styles(fit.posterior.regime_names), fit.readings[0].used
    return {name: style for (name, style), each in zip(styles.items(), used, strict=True) if each}


def fill_regime(
    axes: Axes, along: FloatArray, lower: FloatArray, upper: FloatArray, style: RegimeStyle
) -> None:
    """A band in the colour and hatch of a regime."""
    axes.fill_between(
        along, lower, upper, color=style.color, hatch=style.hatch, alpha=0.22, linewidth=0.0
    )


def shade_out_of_data(axes: Axes, along: FloatArray, outside: NDArray[np.bool_]) -> None:
    """Grey, hatched strips where the fit has seen no data; the legend says so."""
    edges = np.concatenate([along[:1], 0.5 * (along[:-1] + along[1:]), along[-1:]])
    changes = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]]).astype(int)))
    for number, (start, stop) in enumerate(changes.reshape(-1, 2)):
        axes.axvspan(
            edges[start],
            edges[stop],
            facecolor="#f0f0f0",
            edgecolor="#bdbdbd",
            hatch=OUT_OF_DATA_HATCH,
            linewidth=0.0,
            zorder=0.5,
            label="" if number else "out of data",
        )


def blend(probabilities: FloatArray, styles: Mapping[str, RegimeStyle]) -> FloatArray:
    """Mean colour ``sum_k p_k colour_k`` as RGB, ``[..., 3]``, for ``probabilities [..., K]``."""
    colors = np.array([to_rgb(style.color) for style in styles.values()])
    # The mean of colours is a colour, up to rounding.
    return np.asarray(np.clip(probabilities @ colors, 0.0, 1.0))


def new_axes(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The axes that were given with their figure, or new ones; ``size`` is in inches."""
    if ax is None:
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        return figure, figure.add_subplot()
    owner = ax.figure
    return (owner.figure if isinstance(owner, SubFigure) else owner), ax


def tidy(ax: Axes) -> None:
    """Two spines, a faint grid behind the data, quiet ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#888888")
    ax.tick_params(color="#888888", labelcolor=INK, labelsize=9)
    ax.grid(visible=True, color="#e6e6e6", linewidth=0.7)
    ax.set_axisbelow(True)


def label_along(ax: Axes, name: str, held: str) -> None:
    """Name the horizontal axis after a feature, with what is held fixed, if anything is."""
    ax.set_xlabel(name + (f"  ({held})" if held else ""), color=INK)


def legend_above(ax: Axes, *, columns: int = 6, handles: Sequence[Artist] | None = None) -> None:
    """A legend in a row above the axes, where it hides no data; none where nothing has a name.

    Args:
        ax: the axes.
        columns: entries in a row.
        handles: what to name, each with its label; by default all that is drawn under a name.
    """
    shown = ax.get_legend_handles_labels()[0] if handles is None else handles
    if not shown:
        return
    ax.legend(
        handles=shown,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=2.6,
        borderaxespad=0.2,
    )
