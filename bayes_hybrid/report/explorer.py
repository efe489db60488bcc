"""The two linked figures of the interactive plot; the page's script fills them with curves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bokeh.layouts import column
from bokeh.models import (
    ColumnDataSource,
    HoverTool,
    LayoutDOM,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    WheelZoomTool,
)
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from bayes_hybrid.plots.style import PALETTE, RegimeStyle
from bayes_hybrid.report.charts import INK, PALETTE_TONES, SHADE, new_figure, toned

__all__ = ["FIT_HEIGHT", "GATE_HEIGHT", "explorer", "tone_of"]

FIT_HEIGHT: Final = 340
GATE_HEIGHT: Final = 190

_DASHES: Final = {"-": "solid", "--": "dashed", "-.": "dashdot", ":": "dotted"}


def tone_of(style: RegimeStyle) -> str:
    """The tone of a regime."""
    return PALETTE_TONES[PALETTE.index(style)]


def explorer(names: Sequence[str], styles: Mapping[str, RegimeStyle]) -> LayoutDOM:
    """Data and bands above the regime probabilities, with one horizontal range.

    The page's script finds these models by name: ``curves`` and ``points``, the data; ``along`` and
    ``height``, the ranges; ``cursor``, the vertical line of each figure.

    Args:
        names: of the regimes that are drawn.
        styles: theirs.
    """
    columns = ["x", "mean", "lower", "upper"]
    for k in range(len(names)):
        columns += [f"expert{k}", f"gate{k}", f"low{k}", f"high{k}"]
    curves = ColumnDataSource({name: [] for name in columns}, name="curves")
    points = ColumnDataSource(
        {name: [] for name in ("x", "y", "color", "marker", "regime", "probability")},
        name="points",
    )
    along = Range1d(start=0.0, end=1.0, name="along")
    upper = _fit_figure(curves, points, along, list(styles.values()))
    if len(names) == 1:
        return upper
    lower = _gate_figure(curves, along, styles)
    return column(upper, lower, sizing_mode="stretch_width", spacing=0)


def _tools() -> list[Any]:
    # The wheel alone scrolls the page.
    wheel = WheelZoomTool(dimensions="width", modifiers="ctrl")
    return [PanTool(dimensions="width"), wheel]


def _cursor(plot: figure) -> None:
    line = Span(location=0.0, dimension="height", line_dash="dotted", name="cursor")
    line.tags = [INK]
    plot.add_layout(line)


def _fit_figure(
    curves: ColumnDataSource,
    points: ColumnDataSource,
    along: Range1d,
    styles: Sequence[RegimeStyle],
) -> figure:
    height = Range1d(start=0.0, end=1.0, name="height")
    plot = new_figure("", "", height=FIT_HEIGHT, tools=_tools(), x_range=along, y_range=height)
    plot.name = "fit"
    # Where the fit has seen no data.
    sides = ColumnDataSource(
        {name: [] for name in ("left", "right", "bottom", "top")}, name="strips"
    )
    strips = plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=sides,
        line_alpha=0.0,
        fill_alpha=0.12,
        hatch_pattern="/",
        hatch_alpha=0.35,
        hatch_color="#808080",
    )
    toned(strips, SHADE)
    toned(plot.varea("x", "lower", "upper", source=curves, fill_alpha=0.25), SHADE)
    dots = plot.scatter(
        "x",
        "y",
        source=points,
        marker="marker",
        size=7,
        fill_color="color",
        fill_alpha=0.65,
        line_color="color",
        line_alpha=0.9,
    )
    for k, style in enumerate(styles):
        dash = _DASHES[style.linestyle]
        expert = plot.line(
            "x", f"expert{k}", source=curves, line_width=5, line_alpha=0.6, line_dash=dash
        )
        toned(expert, tone_of(style))
    mean = toned(plot.line("x", "mean", source=curves, line_width=1.8), INK)
    plot.add_tools(
        HoverTool(
            renderers=[mean],
            mode="vline",
            line_policy="nearest",
            tooltips=[("x", "@x"), ("mean", "@mean"), ("band", "@lower to @upper")],
        ),
        HoverTool(
            renderers=[dots],
            tooltips=[("row at", "@x, @y"), ("regime", "@regime (@probability{0%})")],
        ),
    )
    _cursor(plot)
    return plot


def _gate_figure(
    curves: ColumnDataSource, along: Range1d, styles: Mapping[str, RegimeStyle]
) -> figure:
    plot = new_figure(
        "",
        "regime probability",
        height=GATE_HEIGHT,
        tools=_tools(),
        x_range=along,
        y_range=Range1d(start=-0.02, end=1.02),
    )
    plot.name = "gate"
    plot.yaxis.formatter = NumeralTickFormatter(format="0%")
    for k, (name, style) in enumerate(styles.items()):
        tone, dash = tone_of(style), _DASHES[style.linestyle]
        toned(plot.varea("x", f"low{k}", f"high{k}", source=curves, fill_alpha=0.22), tone)
        line = plot.line("x", f"gate{k}", source=curves, line_width=2, line_dash=dash)
        toned(line, tone)
        plot.add_tools(
            HoverTool(
                renderers=[line],
                mode="vline",
                line_policy="nearest",
                tooltips=[
                    ("x", "@x"),
                    (f"p({name})", f"@gate{k}{{0%}} (@low{k}{{0%}} to @high{k}{{0%}})"),
                ],
            )
        )
    _cursor(plot)
    return plot
