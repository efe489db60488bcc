"""What is printed: plain words and tables on stdout, and warnings on stderr."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TextIO, cast

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bayes_hybrid.cli.exits import complain, emit, printable
from bayes_hybrid.digits import figures, with_error
from bayes_hybrid.words import on_command_line

if TYPE_CHECKING:
    # ArviZ takes seconds to import, which predict should not cost.
    import pandas as pd

    from bayes_hybrid.diagnostics import Finding

__all__ = [
    "bound",
    "counted",
    "findings_table",
    "number",
    "say",
    "scores_table",
    "show",
    "typed",
    "warn",
]

_COLUMNS: Final[dict[str, Literal["left", "right"]]] = {
    "check": "left",
    "value": "right",
    "90% interval": "right",
    "wanted": "right",
    "result": "left",
}
_WIDTH: Final = 80
"""Of a terminal that does not say, as rich has it."""
_STYLES: Final = {"ok": "green", "warning": "yellow", "error": "bold red"}


class _Harmless:
    """Names from data may hold what a terminal would obey; of rich's own making is the style."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._content, options):
            lines = "\n".join(printable(line) for line in segment.text.split("\n"))
            yield segment if segment.control else Segment(lines, segment.style)


class _Emitter:
    """Standard output to rich, which would raise where nothing can be written."""

    def __init__(self) -> None:
        self.encoding = sys.stdout.encoding
        self.isatty, self.fileno, self.write = sys.stdout.isatty, sys.stdout.fileno, emit

    def flush(self) -> None:
        """Do nothing: what is emitted is flushed."""


def say(text: str = "") -> None:
    """Print words on stdout; a terminal wraps them, a pipe gets whole lines."""
    _print(Text(text))


def show(content: Table) -> None:
    """Print a table on stdout."""
    _print(content)


def _print(content: Text | Table) -> None:
    # Column and regime names may hold square brackets or :words:, which are not markup here.
    file = cast(TextIO, _Emitter())
    console = Console(file=file, markup=False, emoji=False, highlight=False)
    # rich takes COLUMNS=0, which says that the width is not known, at its word and prints nothing.
    console.width = console.width or _WIDTH
    whole_lines = isinstance(content, Text) and not console.is_terminal
    console.print(_Harmless(content), soft_wrap=whole_lines)


def warn(findings: "Sequence[Finding]") -> None:
    """Print each finding that is not ok on a line of stderr, as ``--quiet`` promises."""
    for finding in findings:
        if finding.severity != "ok":
            line = (
                f"{finding.severity}: {finding.name} is {number(finding.value)}, wanted "
                f"{bound(finding)}. {finding.meaning} {finding.advice}"
            )
            complain(line)


def typed(findings: "Sequence[Finding]") -> "list[Finding]":
    """The findings, with settings as options of the command line."""
    return [
        replace(each, meaning=on_command_line(each.meaning), advice=on_command_line(each.advice))
        for each in findings
    ]


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "restart"), counted(4, "restart")
        ('1 restart', '4 restarts')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float) -> str:
    """Three significant digits.

    Example:
        >>> number(0.123456), number(12345.0)
        ('0.123', '1.23e+04')
    """
    return f"{value:.3g}"


def bound(finding: "Finding") -> str:
    """How a healthy value stands to its threshold, such as ``">= 0.7"``."""
    return f"{finding.comparison} {number(finding.threshold)}"


def findings_table(findings: "Sequence[Finding]") -> Table:
    """One line per finding: what was measured, how it should be, and whether it is."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column, justify in _COLUMNS.items():
        result.add_column(column, justify=justify, no_wrap=True)
    for finding in findings:
        value, interval = number(finding.value), ""
        if finding.interval:
            low, high = finding.interval
            value, *ends = figures(high - low, finding.value, low, high)
            interval = " to ".join(ends)
        result.add_row(
            finding.name,
            value,
            interval,
            bound(finding),
            Text(finding.severity, style=_STYLES[finding.severity]),
        )
    return result


def scores_table(scores: "pd.DataFrame") -> Table:
    """One line per score: its value, its standard error, and the rows that it is the mean of.

    Args:
        scores: see :func:`bayes_hybrid.diagnostics.predictive_scores`; its outputs are named where
            there are several.
    """
    several = scores["output"].nunique() > 1
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    result.add_column("score", no_wrap=True)
    if several:
        result.add_column("output", no_wrap=True)
    for column in ("value", "standard error", "rows"):
        result.add_column(column, justify="right", no_wrap=True)
    for line in scores.to_dict("records"):
        named = [line["output"]] if several else []
        values = *with_error(line["value"], line["standard_error"]), str(line["num_rows"])
        result.add_row(line["score"], *named, *values)
    return result
