"""Columns of a table as numbers: what was learned from the training rows, and how it is applied."""

from typing import Final

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.cells import truths
from bayes_hybrid.data.columns import Place, listed, numeric_column, row_number, unwritable
from bayes_hybrid.data.dates import DAY, days_since, is_iso_date, microseconds
from bayes_hybrid.errors import DataError, OptionError

__all__ = [
    "Code",
    "Dates",
    "Encoding",
    "Gaps",
    "Levels",
    "Numbers",
    "Truths",
    "level_texts",
    "refuse_gaps",
]

_SHOWN: Final = 8
"""Levels that a sentence names."""

_NO_GAPS: Final = (
    "expected none, because the fit had none there: drop such rows, fill them in, or fit again "
    "with some"
)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and checked when it is built or read."""


class Gaps(_Part, frozen=True, kw_only=True):
    """Cells of a column that were missing in the training rows.

    Attributes:
        count: how many, at least 1.
        median: of the other cells, which stands in their place.
    """

    count: int
    median: float

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.count < 1 or not np.isfinite(self.median):
            raise DataError(f"expected a count of 1 or more and a finite median; got {self}")


class _Filled(_Part, frozen=True, kw_only=True):
    """A column that is one number a row, and an indicator where cells were missing in training.

    Attributes:
        name: of the column.
        gaps: what is known of missing cells; ``None`` where there were none.
    """

    name: str
    gaps: Gaps | None = None

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the encoded columns, but for the indicator."""
        return (self.name,)

    @property
    def has_gaps(self) -> bool:
        """Whether there is an indicator."""
        return self.gaps is not None

    def _filled(self, values: FloatArray, name: object, place: Place | None) -> FloatArray:
        absent = np.isnan(values)
        if self.gaps is None:
            refuse_gaps(name, absent, _NO_GAPS, place)
            return values[:, None]
        return np.column_stack([np.where(absent, self.gaps.median, values), absent])

    def _shown(self, median: float) -> str:
        """The median in words."""
        return f"{median:.6g}"

    def _gaps_in_words(self, num_rows: int) -> str:
        if self.gaps is None:
            return ""
        return (
            f"{self.gaps.count} of {num_rows} missing, the median {self._shown(self.gaps.median)} "
            f"in their place, and the indicator '{self.name} is missing'"
        )


class Numbers(_Filled, tag="numbers", frozen=True, kw_only=True):
    """A column of numbers, which stay as they are."""

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """The numbers ``[N, 1]``, and the indicator."""
        values = numeric_column(column, missing=True, place=place)
        return self._filled(values, column.name, place)

    def words(self, num_rows: int) -> str:
        """A sentence about it; empty where nothing was changed."""
        gaps = self._gaps_in_words(num_rows)
        return f"{self.name}: {gaps}" if gaps else ""


class Truths(_Filled, tag="truths", frozen=True, kw_only=True):
    """A column of true and false, which are 1 and 0."""

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """0 and 1 ``[N, 1]``, and the indicator."""
        values = numeric_column(truths(column), missing=True, place=place)
        return self._filled(values, column.name, place)

    def words(self, num_rows: int) -> str:
        """A sentence about it."""
        gaps = self._gaps_in_words(num_rows)
        return f"{self.name}: true is 1, false is 0{'; ' if gaps else ''}{gaps}"


class Dates(_Filled, tag="dates", frozen=True, kw_only=True):
    """A column of dates, as days since the earliest training date, in UTC.

    Attributes:
        origin: that date.
    """

    origin: str

    def __post_init__(self) -> None:
        """Check the origin."""
        if len(self.origin) != len("2024-01-31") or not is_iso_date(self.origin):
            raise DataError(f"expected an origin such as 2024-01-31; got {self.origin!r}")
        np.datetime64(self.origin)  # 2024-13-01 is a ValueError

    @property
    def value_names(self) -> tuple[str, ...]:
        """The name says unit and origin."""
        return (f"{self.name} (days since {self.origin})",)

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """The days ``[N, 1]``, and the indicator."""
        values = days_since(self.origin, microseconds(column, place=place))
        return self._filled(values, column.name, place)

    def _shown(self, median: float) -> str:
        """The median as a date too."""
        day = np.datetime64(self.origin, "us") + np.timedelta64(round(median * DAY), "us")
        return f"{median:.6g} ({day.astype('datetime64[D]')})"

    def words(self, num_rows: int) -> str:
        """A sentence about it."""
        gaps = self._gaps_in_words(num_rows)
        return f"{self.name}: days since {self.origin}, UTC{'; ' if gaps else ''}{gaps}"


class Levels(_Part, tag="levels", frozen=True, kw_only=True):
    """A column of text or categories: a 0/1 column for each level but the first.

    Attributes:
        name: of the column.
        levels: in order; a row of the first has 0 in every column.
        missing: training rows without a level, which have 0 in every column but the indicator.
    """

    name: str
    levels: tuple[str, ...]
    missing: int = 0

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.levels or len(set(self.levels)) < len(self.levels) or self.missing < 0:
            raise DataError(f"expected levels that differ, and a count; got {self}")
        for level in self.levels:
            if fault := unwritable(level):
                raise DataError(f"column {self.name!r} has the level {level!r}, which {fault}")

    @property
    def value_names(self) -> tuple[str, ...]:
        """A name for each level but the first."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:])

    @property
    def has_gaps(self) -> bool:
        """Whether there is an indicator."""
        return self.missing > 0

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """0 and 1 ``[N, K - 1]``, and the indicator."""
        codes, texts = level_texts(column)
        number = {level: k for k, level in enumerate(self.levels)}
        numbers = np.array([*(number.get(text, -2) for text in texts), -1])[codes]
        absent = numbers == -1
        if (unseen := numbers == -2).any():
            row = int(unseen.argmax())
            raise DataError(
                f"column {column.name!r} has the level {texts[codes[row]]!r} in "
                f"{(place or row_number)(row)}, which no training row has; expected "
                f"{listed(self.levels)}: mend the cell, drop the row, or fit again with rows of "
                "that level"
            )
        if not self.missing:
            refuse_gaps(column.name, absent, _NO_GAPS, place)
        ones = (numbers[:, None] == np.arange(1, len(self.levels))).astype(np.float64)
        return np.column_stack([ones, absent]) if self.missing else ones

    def words(self, num_rows: int) -> str:
        """A sentence about it."""
        shown = [repr(level) if "," in level else level for level in self.levels[:_SHOWN]]
        first, count = shown[0], len(self.levels)
        rest = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        sentence = f"{self.name}: {count} levels, {', '.join(shown)}{rest}; "
        sentence += f"a 0/1 column for each but {first}"
        if count == 1:
            sentence = f"{self.name}: 1 level, {first}, which says nothing and is left out"
        if not self.missing:
            return sentence
        return (
            f"{sentence}; {self.missing} of {num_rows} missing, with the indicator "
            f"'{self.name} is missing'"
        )


Code = Numbers | Truths | Dates | Levels
"""How one column becomes numbers."""


class Encoding(_Part, frozen=True, kw_only=True):
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
                none; the message names the column and the first row.
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
        """The number that stands for a date at which a feature is held; others as they are.

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


def refuse_gaps(
    name: object, absent: NDArray[np.bool_], advice: str, place: Place | None = None
) -> None:
    """Refuse missing cells.

    Args:
        name: of the column.
        absent: which cells are missing, ``[N]``.
        advice: what was expected, and what to do.
        place: what to call a row of a part of a table, of which nobody knows the count.

    Raises:
        DataError: there is one; the message names the column and the first row.
    """
    count = int(np.count_nonzero(absent))
    if count:
        how_many = f"{count} missing value{'s' if count > 1 else ''} (NaN)"
        if place is not None:
            how_many = "a missing value (NaN)"
        row = (place or row_number)(int(absent.argmax()))
        raise DataError(f"column {name!r} has {how_many}, first in {row}; {advice}")


def level_texts(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """The levels of a column as text without blanks around, by first appearance.

    Args:
        column: text, categories or other values.

    Returns:
        ``[N]`` places in the list of levels, -1 where the cell is missing or blank; and the list.

    Example:
        >>> level_texts(pd.Series(["red", " red ", "", 3.0]))
        (array([ 0,  0, -1,  1]), ['red', '3'])
    """
    codes, values = pd.factorize(column.astype(object))
    texts = [_level(value) for value in values]
    levels = [text for text in dict.fromkeys(texts) if text]
    number = {level: place for place, level in enumerate(levels)}
    return np.array([*(number.get(text, -1) for text in texts), -1], dtype=np.intp)[codes], levels


def _level(value: object) -> str:
    """A whole number is one level, whether its column is of integers or of floats."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()
