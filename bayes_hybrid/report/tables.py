"""Tables of a report: what is shown, what each column means, and the whole of it as CSV."""

import base64
import csv
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics.evaluation.evaluation import spread_rows
from bayes_hybrid.digits import figures

__all__ = ["MAX_SHOWN", "Table", "formatted"]

MAX_SHOWN: Final = 30
"""Rows on the page, evenly spread; all of them are in the download."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """A table on the page.

    Attributes:
        key: name of its file and anchor.
        caption: what it is, in a sentence.
        frame: the numbers and words, as they are downloaded.
        meanings: what each column means, by its name in ``frame``; all of them have one.
        hidden: columns that are in the download only.
        intervals: columns whose digits follow an interval: values, then its lower and upper end.
        errors: columns whose digits follow a standard error: value and error.
        ranges: likewise a range of data, to a hundred times finer: values, smallest and largest.
        num_shown: rows on the page, at most.
    """

    key: str
    caption: str
    frame: pd.DataFrame
    meanings: Mapping[str, str]
    hidden: Sequence[str] = ()
    intervals: Sequence[tuple[str, ...]] = ()
    errors: Sequence[tuple[str, str]] = ()
    ranges: Sequence[tuple[str, ...]] = ()
    num_shown: int = MAX_SHOWN

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are shown."""
        return [name for name in self.frame.columns if name not in self.hidden]

    @property
    def num_left_out(self) -> int:
        """Rows that are in the download only."""
        return max(0, len(self.frame) - self.num_shown)

    @property
    def rows(self) -> list[list[tuple[str, bool]]]:
        """Cells that are shown, each with whether it is a number."""
        places = spread_rows(len(self.frame), self.num_shown)
        return [self._row(row) for row in self.frame.iloc[places].to_dict("records")]

    def _row(self, row: Mapping[Hashable, Any]) -> list[tuple[str, bool]]:
        texts = {name: formatted(value) for name, value in row.items()}
        widths = [(group, row[group[-1]] - row[group[-2]]) for group in self.intervals]
        widths += [(group, row[group[-1]]) for group in self.errors]
        widths += [(group, 0.01 * (row[group[-1]] - row[group[-2]])) for group in self.ranges]
        for group, width in widths:
            if np.isfinite(width) and width != 0.0:
                finite = [name for name in group if np.isfinite(row[name])]
                digits = figures(width, *(row[name] for name in finite))
                texts.update(zip(finite, digits, strict=True))
        return [(texts[name], _is_number(row[name])) for name in self.columns]

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers, for each one that is shown."""
        types = pd.api.types
        kinds = [self.frame[name].dtype for name in self.columns]
        return [types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind) for kind in kinds]

    @property
    def address(self) -> str:
        """The whole table as a ``data:`` address of a CSV file, every text in quotes."""
        text = self.frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
        return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def formatted(value: object) -> str:
    """A cell as text: numbers with four significant digits, n/a for a missing value.

    Example:
        >>> formatted(0.123456), formatted(133), formatted(float("nan")), formatted("a")
        ('0.1235', '133', 'n/a', 'a')
        >>> formatted(1234567.8), formatted(float("-inf"))
        ('1.235e+06', 'minus infinite')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return "n/a"
        if np.isinf(value):
            return "infinite" if value > 0.0 else "minus infinite"
        return f"{value:.4g}"
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
