"""Dates and timestamps as numbers of days."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.data.columns import Place, row_number
from bayes_hybrid.errors import DataError, DataTypeError

__all__ = ["DATES", "DAY", "days_since", "is_iso_date", "microseconds"]

DATES: Final = (date, np.datetime64, pd.Period)
"""Objects that stand for a day or a time of a day."""

_ISO: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
DAY: Final = 86_400_000_000
"""In microseconds."""


def is_iso_date(text: str) -> bool:
    """Whether text is a date, or a date and a time of day, as ISO 8601 writes them.

    Example:
        >>> is_iso_date("2024-01-31"), is_iso_date("2024-01-31 12:30"), is_iso_date("31/01/2024")
        (True, True, False)
    """
    return _ISO.fullmatch(text) is not None


def microseconds(column: pd.Series, *, place: Place | None = None) -> NDArray[np.datetime64]:
    """The times of a column in UTC, ``[N]``, to the microsecond; NaT where one is missing.

    A date is its midnight, and a period its beginning.  A time without a zone is taken as UTC.

    Args:
        column: dates, timestamps, periods, or text as of :func:`is_iso_date`.
        place: what to call a row of a part of a table; by default the first row is row 1.

    Raises:
        DataTypeError: a value is no date.
        DataError: text names a day that there is not, such as 2024-02-30.

    Example:
        >>> microseconds(pd.Series(["2024-01-31", "2024-01-31T12:00+02:00", None])).tolist()
        [datetime.datetime(2024, 1, 31, 0, 0), datetime.datetime(2024, 1, 31, 10, 0), None]
    """
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return column.to_numpy().astype("datetime64[us]")
    codes, distinct = pd.factorize(column.astype(object))
    first = np.unique(codes, return_index=True)[1][-len(distinct) :]
    times = [
        _time(column.name, value, partial(place or row_number, int(row)))
        for value, row in zip(distinct, first, strict=False)
    ]
    # The last one is read by the code of a missing value, -1.
    return np.array([*times, np.datetime64("NaT")], dtype="datetime64[us]")[codes]


def _time(name: object, value: object, where: Callable[[], str]) -> np.datetime64:
    """One value in UTC."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return np.datetime64("NaT")
        if is_iso_date(text):
            try:
                value = datetime.fromisoformat(text)
            except ValueError as error:
                raise DataError(
                    f"column {name!r}, {where()}: {text!r} is no date, {error}; mend the cell"
                ) from error
    if isinstance(value, pd.Period):
        value = value.to_timestamp()
    if isinstance(value, datetime):
        aware = value.tzinfo is not None
        plain = value.astimezone(UTC).replace(tzinfo=None) if aware else value
        return np.datetime64(plain, "us")
    if isinstance(value, date):
        return np.datetime64(value, "us")
    if isinstance(value, np.datetime64):
        converted: np.datetime64 = value.astype("datetime64[us]")
        return converted
    raise DataTypeError(
        f"column {name!r}, {where()}: {value!r} is no date; expected dates, as in the fit: "
        "write them as 2024-01-31 or 2024-01-31T12:30"
    )


def days_since(origin: str, times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Days from the beginning of a day to each time, ``[N]``; NaN for NaT.

    Args:
        origin: the day, such as ``"2001-03-04"``.
        times: ``[N]``, see :func:`microseconds`.

    Example:
        >>> days_since("2024-01-31", np.array(["2024-02-01T12:00", "NaT"], "datetime64[us]"))
        array([1.5, nan])
    """
    values = np.asarray(times, dtype="datetime64[us]")
    elapsed = (values - np.datetime64(origin, "us")).astype(np.int64) / DAY
    return np.where(np.isnat(values), np.nan, elapsed)
