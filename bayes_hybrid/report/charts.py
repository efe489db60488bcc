"""Charts of a report: Bokeh figures, embedded as JSON and drawn by the page.

A glyph has no colour of its own but a tone, the name of a colour in the page's style sheet, which
has one for the light theme and one for the dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, LayoutDOM, Range1d
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.plots.style import PALETTE

__all__ = [
    "INK",
    "PALETTE_TONES",
    "SHADE",
    "Chart",
    "band",
    "bars",
    "limits",
    "line",
    "new_figure",
    "rounded",
    "steps",
    "toned",
]

INK: Final = "ink"
"""The tone of text, and of lines that belong to no regime."""

SHADE: Final = "shade"
"""The tone of bands that belong to no regime."""

PALETTE_TONES: Final = tuple(f"palette-{index}" for index in range(len(PALETTE)))
"""The tones of :data:`bayes_hybrid.plots.style.PALETTE`; the first is also that of bars."""

_DIGITS: Final = 5
"""Significant digits of what is drawn: a hundredth of a pixel."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Chart:
    """A chart on the page.

    Attributes:
        key: its anchor.
        label: what it shows, in words, for those who do not see it.
        model: the figure, or several in a column.
        height: in pixels, so that nothing moves when it is drawn.
    """

    key: str
    label: str
    model: LayoutDOM
    height: int

    @property
    def item(self) -> dict[str, Any]:
        """The figure as JSON that BokehJS reads."""
        return dict(json_item(self.model))


def rounded(values: FloatArray, digits: int = _DIGITS) -> FloatArray:
    """``values`` to so many significant digits of their range; they compress to text.

    Years from 1980 to 1981 need more digits than their size suggests.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    span = np.ptp(finite) or np.abs(finite).max()
    if not np.isfinite(span) or span == 0.0:
        return values
    return np.round(values, max(0, digits - 1 - int(np.floor(np.log10(span)))))


def new_figure(x_label: str, y_label: str, *, height: int = 240, **options: Any) -> figure:  # noqa: ANN401 (Bokeh's own)
    """An empty figure as wide as the page, without a toolbar, in quiet colours.

    Args:
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        height: in pixels.
        options: further ones of Bokeh's figure.
    """
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        **({"tools": ""} | options),
    )
    plot.xaxis.axis_label, plot.yaxis.axis_label = x_label, y_label
    plot.outline_line_color = plot.background_fill_color = plot.border_fill_color = None
    plot.min_border_right = 16
    for axis in plot.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font = axis.major_label_text_font = "system-ui, sans-serif"
        axis.axis_label_text_font_size = "13px"
        axis.major_label_text_font_size = "12px"
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.major_tick_out = 4
    return plot


def bars(
    plot: figure,
    edges: FloatArray,
    heights: FloatArray,
    *,
    tone: str = PALETTE_TONES[0],
    highest: float = 0.0,
) -> None:
    """Bars of a histogram, on a vertical axis from zero.

    Args:
        plot: where to draw.
        edges: of the bins, ``[B + 1]``.
        heights: ``[B]``.
        tone: their colour.
        highest: what else the axis has to reach.
    """
    quads = plot.quad(
        left=edges[:-1],
        right=edges[1:],
        bottom=0.0,
        top=heights,
        fill_alpha=0.45,
        line_alpha=0.9,
    )
    toned(quads, tone)
    top = max(float(np.max(heights, initial=0.0)), highest)
    plot.y_range = Range1d(start=0.0, end=1.08 * (top or 1.0))


def band(plot: figure, x: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """A grey band between two curves, all ``[G]``."""
    toned(plot.varea(x=x, y1=low, y2=high, fill_alpha=0.25), SHADE)


def steps(plot: figure, edges: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """A grey band that is constant within each bin, ``edges [B + 1]``, ends ``[B]``."""
    band(plot, np.repeat(edges, 2)[1:-1], np.repeat(low, 2), np.repeat(high, 2))


def line(
    plot: figure, x: FloatArray, y: FloatArray, *, tone: str = INK, dash: str = "solid"
) -> None:
    """A line through points ``[G]``."""
    source = ColumnDataSource({"x": x, "y": y})
    toned(plot.line("x", "y", source=source, line_width=1.6, line_dash=dash), tone)


def toned(renderer: "GlyphRenderer[Any]", tone: str) -> "GlyphRenderer[Any]":
    """The renderer, its glyph with a tone, which the page's script reads."""
    renderer.glyph.tags = [tone]
    return renderer


def limits(values: Sequence[FloatArray], margin: float = 0.05) -> tuple[float, float]:
    """Smallest and largest finite value of all arrays, and a margin on both sides."""
    parts = [value[np.isfinite(value)] for value in values]
    joined = np.concatenate([part.ravel() for part in parts])
    if not joined.size:
        return 0.0, 1.0
    low, high = float(joined.min()), float(joined.max())
    # A constant still gets a range to draw.
    room = margin * ((high - low) or max(abs(low), 1.0))
    return low - room, high + room
