"""Columns of a table as numbers: what was learned from the training rows, and how it is applied."""

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.data.codes import Dates, Numbers, Part, Truths
from bayes_hybrid.data.columns import Place, listed
from bayes_hybrid.data.levels import Levels
from bayes_hybrid.errors import DataError, OptionError

__all__ = ["Code", "Encoding"]

Code = Numbers | Truths | Dates | Levels
"""How one column becomes numbers."""


class Encoding(Part, frozen=True, kw_only=True):
    """How the columns of a table become the features of a fit, learned from the training rows.

    Attributes:
        columns: what is done with each column of the table, in order.
        num_rows: training rows.

    Raises:
        DataError: two encoded columns would have one name, or there is none.

    Example:
        >>> colour = Levels(name="colour", levels=("blue", "green", "red"))
        >>> encoding = Encoding(columns=(Numbers(name="age"), colour), num_rows=100)
        >>> encoding.encode(pd.DataFrame({"age": [41.0], "colour": ["red"]}))
           age  colour=green  colour=red
        0  41.0           0.0         1.0
    """

    columns: tuple[Code, ...]
    num_rows: int

    def __post_init__(self) -> None:
        """Check the names."""
        owners: dict[str, str] = {}
        for code in self.columns:
            for name in _names(code):
                if name in owners:
                    raise DataError(
                        f"two encoded columns would be called {name!r}, one of column "
                        f"{owners[name]!r} and one of column {code.name!r}; rename one of them"
                    )
                owners[name] = code.name
        if not owners:
            raise DataError(
                f"every feature is the same in all rows ({listed(self.sources)}); expected one "
                "that varies"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns, D of them."""
        return tuple(name for code in self.columns for name in _names(code))

    @property
    def log(self) -> tuple[bool, ...]:
        """Whether the model reads the logarithm of each encoded column, D of them."""
        return tuple(
            isinstance(code, Numbers) and code.log and name == code.name
            for code in self.columns
            for name in _names(code)
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return tuple(code.name for code in self.columns)

    def encode(self, table: pd.DataFrame, *, place: Place | None = None) -> pd.DataFrame:
        """The features of rows, float64 ``[N, D]``.

        Args:
            table: the columns of the training table, in their order.
            place: what to call a row, where the table is a part of another.

        Raises:
            DataError: a level that no training row has, or a missing cell in a column that had
                none, or a number without a logarithm; the message names the column and the first
                row.
            DataTypeError: a value of another kind, such as text in a column of numbers.
        """
        parts = [
            code.encode(table.iloc[:, number], place) for number, code in enumerate(self.columns)
        ]
        return pd.DataFrame(np.hstack(parts), index=table.index, columns=list(self.names))

    def words(self) -> list[str]:
        """A sentence for each column that is not what it was."""
        return [words for code in self.columns if (words := code.words(self.num_rows))]

    def position(self, option: str, wanted: int | str) -> int:
        """Which encoded column is meant by its name, or by a column of the table that is one.

        Args:
            option: what was set, for the message.
            wanted: name of an encoded column; or name or index of a column of the table.

        Raises:
            OptionError: there is none, or the table's column became other than one column.

        Example:
            >>> since = Dates(name="date", origin="2001-03-04")
            >>> Encoding(columns=(since,), num_rows=9).position("feature", "date")
            0
        """
        if isinstance(wanted, str):
            if wanted in self.names:
                return self.names.index(wanted)
            checks.choice(option, wanted, [*dict.fromkeys((*self.sources, *self.names))])
            code = self.columns[self.sources.index(wanted)]
        else:
            code = self.columns[checks.column(option, wanted, len(self.columns))]
        if len(code.value_names) == 1:
            return self.names.index(code.value_names[0])
        which = f"one of {listed(code.value_names)}" if code.value_names else "another column"
        raise OptionError(f"{option}={wanted!r} is a column of text; name {which}")

    def value(self, wanted: object, value: object) -> object:
        """The number that stands for a date at which a feature is held; other values unchanged.

        Args:
            wanted: the column, as it was named.
            value: a number, or a date in a column of dates.
        """
        code = next((code for code in self.columns if code.name == wanted), None)
        if isinstance(code, Dates) and not isinstance(value, int | float | np.number):
            return float(code.encode(pd.Series([value], name=code.name, dtype=object), None)[0, 0])
        return value

    def refuse_filled(self, option: str, position: int) -> None:
        """Refuse the size of rows where some sizes are not known.

        Raises:
            DataError: cells of that encoded column were missing.
        """
        for code in self.columns:
            if self.names[position] in code.value_names and code.has_gaps:
                raise DataError(
                    f"{option}: column {code.name!r} has missing cells; expected the size of every "
                    "row: drop such rows or fill them in first"
                )


def _names(code: Code) -> tuple[str, ...]:
    indicator = (f"{code.name} is missing",) if code.has_gaps else ()
    return (*code.value_names, *indicator)
