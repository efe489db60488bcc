"""How a column of numbers, truths or dates becomes numbers."""

from typing import Final

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.cells import truths
from bayes_hybrid.data.columns import Place, numeric_column, row_number
from bayes_hybrid.data.dates import DAY, days_since, is_iso_date, microseconds
from bayes_hybrid.errors import DataError

__all__ = ["NO_GAPS", "Dates", "Gaps", "Numbers", "Part", "Truths", "refuse_gaps"]

NO_GAPS: Final = (
    "expected none, because the fit had none there: drop such rows, fill them in, or fit again "
    "with some"
)
"""What to do about a missing cell in a new row."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and checked when it is built or read."""


class Gaps(Part, frozen=True, kw_only=True):
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


class Filled(Part, frozen=True, kw_only=True):
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
            refuse_gaps(name, absent, NO_GAPS, place)
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


class Numbers(Filled, tag="numbers", frozen=True, kw_only=True):
    """A column of numbers, which the model reads unchanged.

    Attributes:
        log: whether the model reads their logarithm, so that they have to be above zero.
    """

    log: bool = False

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """The numbers ``[N, 1]``, and the indicator."""
        values = numeric_column(column, missing=True, place=place)
        if self.log:
            _refuse_no_logarithm(self.name, values, place)
        return self._filled(values, column.name, place)

    def words(self, num_rows: int) -> str:
        """A sentence about it; empty where nothing was changed."""
        log = "the model reads its logarithm" if self.log else ""
        parts = [part for part in (log, self._gaps_in_words(num_rows)) if part]
        return f"{self.name}: {'; '.join(parts)}" if parts else ""


class Truths(Filled, tag="truths", frozen=True, kw_only=True):
    """A column of true and false, which are 1 and 0."""

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """0 and 1 ``[N, 1]``, and the indicator."""
        values = numeric_column(truths(column), missing=True, place=place)
        return self._filled(values, column.name, place)

    def words(self, num_rows: int) -> str:
        """A sentence about it."""
        gaps = self._gaps_in_words(num_rows)
        return f"{self.name}: true is 1, false is 0{'; ' if gaps else ''}{gaps}"


class Dates(Filled, tag="dates", frozen=True, kw_only=True):
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


def _refuse_no_logarithm(name: str, values: FloatArray, place: Place | None) -> None:
    """Refuse numbers that are not above zero; the message names the column and the first row."""
    if (wrong := values <= 0.0).any():
        row = int(wrong.argmax())
        raise DataError(
            f"column {name!r}, {(place or row_number)(row)}: {values[row]:g} has no logarithm; "
            "expected numbers above zero: mend the cell, drop the row, or fit without log for this "
            "column"
        )


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
