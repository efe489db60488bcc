"""How regimes look: a colour and a marker each, the same in every figure.

Nothing global is changed: figures are made without pyplot and styled one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure

from bayes_hybrid.diagnostics.interface import FloatArray

__all__ = ["INK", "PALETTE", "RegimeStyle", "blend", "new_axes", "regime_styles", "tidy"]

INK: Final = "#222222"
"""Lines and text that belong to no regime."""


@dataclass(frozen=True, kw_only=True)
class RegimeStyle:
    """Colour for a screen, marker and line for a greyscale print."""

    color: str
    marker: str
    linestyle: str


PALETTE: Final = (
    RegimeStyle(color="#0072B2", marker="o", linestyle="-"),
    RegimeStyle(color="#E69F00", marker="^", linestyle="--"),
    RegimeStyle(color="#009E73", marker="s", linestyle="-."),
    RegimeStyle(color="#CC79A7", marker="D", linestyle=":"),
    RegimeStyle(color="#56B4E9", marker="v", linestyle="-"),
    RegimeStyle(color="#D55E00", marker="P", linestyle="--"),
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
