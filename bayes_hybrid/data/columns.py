"""From one column of a table to finite float64 numbers, or a message that names the bad row."""

from datetime import date, timedelta
from decimal import Decimal
from numbers import Real
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.errors import DataError, DataTypeError

__all__ = ["TIMES", "numeric_column"]

_NUMBERS = (Real, Decimal, np.bool_)
TIMES: Final = (date, timedelta, np.datetime64, np.timedelta64, pd.Period)
"""What stands for a date, a time or a duration, and is no number."""


def numeric_column(column: pd.Series, *, missing: bool = False) -> NDArray[np.float64]:
    """The values of a column as finite float64.

    Booleans, integers and floats of any width pass, ``Decimal`` and nullable or Arrow-backed
    columns too.  Text does not, even text that spells numbers, nor do dates and categories.

    Args:
        column: ``[N]`` values under one name.
        missing: whether values may be missing, which are NaN.

    Returns:
        ``[N]`` finite numbers.

    Raises:
        DataTypeError: text, dates, categories or other non-numbers; the message names column, row
            (the first row is 1) and value.
        DataError: NaN, a missing value or infinity; the message names column, count and first row.

    Example:
        >>> numeric_column(pd.Series([True, False], name="on"))
        array([1., 0.])
        >>> numeric_column(pd.Series([1.0, None], name="hour"))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: column 'hour' has 1 missing value (NaN), first in row 2;
            expected finite numbers: drop such rows or fill them in first
    """
    try:
        if not (pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c"):
            _refuse_non_numbers(column)
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite, and refused
            values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except ArithmeticError as error:  # 10**400, a signalling NaN
        raise DataError(
            f"column {column.name!r}: {error}; expected numbers that float64 holds"
        ) from error
    if not missing:
        _refuse(column, np.isnan(values), "missing value (NaN)")
    _refuse(column, np.isinf(values), "infinite value")
    return values


def _refuse_non_numbers(column: pd.Series) -> None:
    """Name the first value that is no number; text that spells a number counts last."""
    missing = column.isna().to_numpy()
    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    entries = [
        (row, value)
        for row, value in enumerate(column.tolist(), start=1)
        if not missing[row - 1] and (categorical or not isinstance(value, _NUMBERS))
    ]
    if not entries:
        return
    row, value = next((entry for entry in entries if not _spells_number(entry[1])), entries[0])
    what, advice = f"{type(value).__name__} values", "turn them into numbers"
    if categorical or isinstance(value, str):
        what = "categories" if categorical else "text"
        advice = "encode it as numbers, such as one 0/1 column for each label"
    if isinstance(value, TIMES):
        what, advice = "dates or times", "turn it into a number, such as days since the first row"
    if _spells_number(value):
        what, advice = "numbers written as text", "convert it with astype(float)"
    raise DataTypeError(
        f"column {column.name!r} holds {what}, first in row {row}: {value!r}; expected numbers: "
        f"{advice}, or drop the column"
    )


def _spells_number(value: object) -> bool:
    """Whether text reads as a number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _refuse(column: pd.Series, bad: NDArray[np.bool_], what: str) -> None:
    """Refuse the marked rows, by count and first row."""
    count = int(np.count_nonzero(bad))
    if count:
        plural = what.replace("value", "values") if count > 1 else what
        raise DataError(
            f"column {column.name!r} has {count} {plural}, first in row {int(bad.argmax()) + 1}; "
            "expected finite numbers: drop such rows or fill them in first"
        )
