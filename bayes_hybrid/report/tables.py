"""Tables of a report: what is shown, what each column means, and the whole of it as CSV."""

import base64
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics.evaluation import spread_rows

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
        num_shown: rows on the page, at most.
    """

    key: str
    caption: str
    frame: pd.DataFrame
    meanings: Mapping[str, str]
    hidden: Sequence[str] = ()
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
        shown = self.frame[self.columns].iloc[places]
        return [
            [(formatted(value), _is_number(value)) for value in row]
            for row in shown.itertuples(index=False, name=None)
        ]

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
    """A cell as text: numbers with four significant digits, n/a for what is not there.

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
