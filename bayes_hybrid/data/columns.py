"""From one column of a table to finite float64 numbers, or a message that names the bad row."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from numbers import Real
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bayes_hybrid.data.cells import ABSENT, TRUTH, CellKind, cell_kind, spelt_numbers
from bayes_hybrid.errors import DataError, DataTypeError

__all__ = [
    "TIMES",
    "Place",
    "listed",
    "numeric_cells",
    "numeric_column",
    "refuse_name",
    "refuse_names",
    "refuse_repeats",
    "row_number",
    "unwritable",
]

_NUMBERS = (Real, Decimal, np.bool_)
TIMES: Final = (date, timedelta, np.datetime64, np.timedelta64, pd.Period)
"""What stands for a date, a time or a duration, and is no number."""

Place = Callable[[int], str]
"""What to call a row, by its position: ``"row 3"`` for 2."""


def numeric_column(
    column: pd.Series, *, missing: bool = False, place: Place | None = None
) -> NDArray[np.float64]:
    """The values of a column as finite float64.

    Booleans, integers and floats of any width pass, ``Decimal`` and nullable or Arrow-backed
    columns too.  Text does not, even text that spells numbers, nor do dates and categories.

    Args:
        column: ``[N]`` values under one name.
        missing: whether values may be missing, which are NaN.
        place: what to call a row of a part of a table; by default the first row is row 1.

    Returns:
        ``[N]`` finite numbers.

    Raises:
        DataTypeError: text, dates, categories or other non-numbers; the message names column, row
            (the first row is 1) and value, and says what the value looks like.
        DataError: NaN, a missing value or infinity; the message names column, count and first row.
            Or a name without a character that can be seen, see :func:`refuse_name`.

    Example:
        >>> numeric_column(pd.Series([True, False], name="on"))
        array([1., 0.])
        >>> numeric_column(pd.Series([1.0, None], name="hour"))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: column 'hour' has 1 missing value (NaN), first in row 2;
            expected finite numbers: drop such rows or fill them in first
    """
    refuse_name(column.name)
    try:
        if not (pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c"):
            _refuse_non_numbers(column, missing, place)
            if column.isna().all():  # of dates NumPy would read the number that marks them
                column = pd.Series(np.nan, index=column.index, name=column.name)
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite, and refused
            values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except ArithmeticError as error:  # 10**400, a signalling NaN
        raise _beyond_float(column, place, error) from error
    _refuse_infinite(column.name, values, missing, place)
    return values


def numeric_cells(
    name: str, cells: pa.StringArray, *, missing: bool = False, place: Place | None = None
) -> NDArray[np.float64]:
    """The numbers that the cells of a column of a CSV file spell, finite float64.

    Args:
        name: of the column.
        cells: ``[N]`` texts, see :func:`.cells.spelt_numbers`.
        missing: whether values may be missing, which are NaN.
        place: what to call a row of a part of a table; by default the first row is row 1.

    Returns:
        ``[N]`` finite numbers.

    Raises:
        DataTypeError: a cell spells no number.
        DataError: a missing or infinite value.

    Example:
        >>> numeric_cells("on", pa.array(["1.5", "true"]))
        array([1.5, 1. ])
        >>> numeric_cells("on", pa.array(["1.5", "2024-01-31"]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataTypeError: column 'on' holds a date, first in row 2: '2024-01-31';
            expected numbers: turn it into a number, such as days since the first row, or drop the
            column
    """
    values, wrong = spelt_numbers(cells)
    if wrong is not None:
        text = cells[wrong].as_py()
        raise _no_number(name, (place or row_number)(wrong), text, cell_kind(text), missing)
    _refuse_infinite(name, values, missing, place)
    return values


def refuse_name(name: Hashable) -> None:
    r"""Refuse a column's name that no file and no page could show.

    Args:
        name: of the column; what is no text passes.

    Raises:
        DataError: a NUL or half of a surrogate pair in it, or no character that can be seen.

    Example:
        >>> refuse_name("dose"), refuse_name(3)
        (None, None)
        >>> refuse_name("a\0b")
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: a column is called 'a\x00b', which holds a NUL; rename it
    """
    if isinstance(name, str) and (fault := unwritable(name)):
        raise DataError(f"a column is called {name!r}, which {fault}; rename it")


def unwritable(text: str) -> str:
    r"""Why no file and no page could show a name; nothing where they can.

    Example:
        >>> unwritable("a\0b"), unwritable("dose")
        ('holds a NUL', '')
    """
    if "\0" in text:
        return "holds a NUL"
    if any("\ud800" <= char <= "\udfff" for char in text):
        return "cannot be written as UTF-8"
    if text and not any(char.isprintable() for char in text):
        return "holds control characters only"
    return ""


def refuse_names(names: Sequence[str], where: str) -> None:
    """Refuse the columns of a file that are not each named once, by a name that can be shown.

    Args:
        names: of the columns.
        where: the file.

    Raises:
        DataError: a name is blank, comes twice, or see :func:`refuse_name`.
    """
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise DataError(
                f"{where}: column {place} of {len(names)} has no name; give it one, or leave it "
                "out (pandas writes row numbers that way unless told index=False)"
            )
        try:
            refuse_name(name)
        except DataError as error:
            raise DataError(f"{where}, column {place} of {len(names)}: {error}") from None
    refuse_repeats(names, where)


def refuse_repeats(names: Iterable[Hashable], where: str) -> None:
    """Refuse a name that comes twice.

    Raises:
        DataError: a name is repeated.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where} names {listed(repeated)} more than once; every column needs its own name"
        )


def listed(names: Sequence[Hashable], most: int = 20) -> str:
    """The names in quotes, the first ``most`` of them.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    rest = len(names) - most
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def row_number(position: int) -> str:
    """What to call a row of a whole table: the first is row 1."""
    return f"row {position + 1}"


def _refuse_non_numbers(column: pd.Series, missing: bool, place: Place | None) -> None:
    """Name the first value that is no number; text that spells a number counts last."""
    absent = column.isna().to_numpy()
    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    entries = [
        (row, value)
        for row, value in enumerate(column.tolist())
        if not absent[row] and (categorical or not isinstance(value, _NUMBERS))
    ]
    if not entries:
        return
    # What is least like a number first.
    worst = (entry for entry in entries if _text_kind(entry[1]) not in (None, TRUTH))
    truths = (entry for entry in entries if _text_kind(entry[1]) == TRUTH)
    row, value = next(worst, None) or next(truths, entries[0])
    kind = CellKind(f"{type(value).__name__} values", "turn them into numbers")
    if categorical:
        advice = "encode it as numbers, such as one 0/1 column for each label"
        kind = CellKind("categories", advice)
    elif isinstance(value, str):
        spelt = CellKind("numbers written as text", "convert it with astype(float)")
        kind = _text_kind(value) or spelt
    if isinstance(value, TIMES):
        advice = "turn it into a number, such as days since the first row"
        kind = CellKind("dates or times", advice)
    raise _no_number(column.name, (place or row_number)(row), value, kind, missing)


def _beyond_float(column: pd.Series, place: Place | None, error: ArithmeticError) -> DataError:
    """Name the first value that float64 cannot hold; ``error`` is what pandas or NumPy said."""
    for row, value in enumerate(column.tolist()):
        try:
            if isinstance(value, _NUMBERS):
                float(value)
        except (ArithmeticError, ValueError) as one:
            where = (place or row_number)(row)
            return DataError(
                f"column {column.name!r}, {where}: {one}; expected a number that float64 holds"
            )
    return DataError(f"column {column.name!r}: {error}; expected numbers that float64 holds")


def _no_number(
    name: Hashable, where: str, value: object, kind: CellKind | None, missing: bool
) -> DataTypeError:
    what, advice = kind or CellKind("text", "drop the row")
    if missing and advice == ABSENT:
        advice = f"leave such cells empty, {ABSENT}"
    try:
        shown = repr(value)
    except NotImplementedError:  # pandas has no words for a year beyond 9999
        shown = f"a {type(value).__name__}"
    return DataTypeError(
        f"column {name!r} holds {what}, first in {where}: {shown}; expected numbers: "
        f"{advice}, or drop the column"
    )


def _text_kind(value: object) -> CellKind | None:
    """What a value is; ``None`` for text that spells a number."""
    return cell_kind(value) if isinstance(value, str) else CellKind(type(value).__name__, "")


def _refuse_infinite(
    name: Hashable, values: NDArray[np.float64], missing: bool, place: Place | None
) -> None:
    """Refuse infinity, and NaN unless values may be missing."""
    if not missing:
        _refuse(name, np.isnan(values), "missing value (NaN)", place)
    _refuse(name, np.isinf(values), "infinite value", place)


def _refuse(name: Hashable, bad: NDArray[np.bool_], what: str, place: Place | None) -> None:
    """Refuse the marked rows, by count and first row; of a part, nobody knows the count."""
    count = int(np.count_nonzero(bad))
    if not count:
        return
    plural = what.replace("value", "values") if count > 1 else what
    how_many = f"{count} {plural}" if place is None else f"a {what}".replace("a inf", "an inf")
    raise DataError(
        f"column {name!r} has {how_many}, first in {(place or row_number)(int(bad.argmax()))}; "
        "expected finite numbers: drop such rows or fill them in first"
    )
