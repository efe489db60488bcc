"""What may be read as numbers: tables column by column, and arrays without text or dates."""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.data.columns import TIMES, numeric_column
from bayes_hybrid.errors import DataError, DataTypeError

__all__ = ["numeric_array", "refuse_headers", "unmasked"]

_TEXT: Final = "convert numbers with astype(float), or encode labels as numbers"
_DATES: Final = "turn them into numbers, such as days since the first row"
# By NumPy's letters for the kinds of its types: what they hold, and what to do.
_KINDS: Final = {
    "U": ("text", _TEXT),
    "S": ("text", _TEXT),
    "T": ("text", _TEXT),
    "M": ("dates", _DATES),
    "m": ("durations", _DATES),
    "V": ("records", "take its fields as columns"),
}
_AXES: Final = ("row", "column")


def unmasked(values: Any) -> Any:  # noqa: ANN401 (whatever NumPy reads)
    """``values`` with ``None`` in place of masked entries, which NumPy would read through the mask.

    Args:
        values: a masked array, or lists that hold some; anything else comes back as it is.

    Example:
        >>> unmasked(np.ma.array([1.0, -999.0], mask=[False, True])).tolist()
        [1.0, None]
        >>> unmasked([1.0, np.ma.masked])
        [1.0, None]
    """
    if values is np.ma.masked:
        return None
    if isinstance(values, np.ma.MaskedArray):
        mask, plain = np.ma.getmaskarray(values), np.asarray(values)
        if mask.dtype == np.bool_ and mask.any():  # of records it has fields of its own
            plain = plain.astype(object)
            plain[mask] = None
        return plain
    if isinstance(values, list | tuple):
        entries = [unmasked(value) for value in values]
        changed = any(new is not old for new, old in zip(entries, values, strict=True))
        return entries if changed else values
    return values


def numeric_array(
    name: str, values: ArrayLike | pd.DataFrame | pd.Series, *, missing: bool = False
) -> Any:  # noqa: ANN401
    """``values`` as finite float64, for scikit-learn's checks of shapes.

    Those checks alone would read text that spells numbers, and dates, as numbers.  Numbers of any
    width pass: booleans, integers, which float64 rounds beyond 2^53, and ``Decimal``.  ``None``,
    ``pd.NA`` and masked entries are missing values, as NaN is.

    Args:
        name: what the values are, ``"X"`` or ``"y"``, for the message.
        values: ``[N, D]`` or ``[N]``.
        missing: whether values may be missing, which are NaN.

    Returns:
        A table of float64 for a table, else an array of float64; a sparse array, a scalar, ragged
        lists and what is no array are left to scikit-learn to refuse.

    Raises:
        DataError: columns of one name; missing or infinite values; complex numbers.
        DataTypeError: text, dates or other objects, in whatever they came; the message names the
            first; columns of a table with text for some names only; a ``MultiIndex``.

    Example:
        >>> numeric_array("X", [[1, 2], [3, True]])
        array([[1., 2.],
               [3., 1.]])
        >>> numeric_array("y", np.array([1.5, "2.5"], dtype=object))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataTypeError: y holds text, first in row 2: '2.5'; expected numbers:
            convert numbers with astype(float), or encode labels as numbers
    """
    if isinstance(values, pd.DataFrame):
        return _table(name, values, missing=missing)
    if isinstance(values, pd.MultiIndex):
        raise DataTypeError(
            f"{name} is a MultiIndex; expected a table or an array of numbers: "
            f"{name}.to_frame(index=False) makes a table of it"
        )
    if isinstance(values, pd.Index | pd.api.extensions.ExtensionArray):
        values = pd.Series(values)
    if isinstance(values, pd.Series):
        named = values if values.name is not None else values.rename(name)
        return numeric_column(named, missing=missing)
    array = _read(name, values)
    if array.ndim == 0:
        return values
    array = _numbers(name, array)
    if not missing:
        _refuse(name, np.isnan(array), "missing value (NaN, None or masked)")
    _refuse(name, np.isinf(array), "infinite value")
    # A table of another library keeps the names of its columns.
    return array if isinstance(values, list | tuple | np.ndarray) else values


def _table(name: str, table: pd.DataFrame, *, missing: bool) -> pd.DataFrame:
    """Every column of a table as float64."""
    refuse_headers(name, table)
    columns = {column: numeric_column(table[column], missing=missing) for column in table.columns}
    return pd.DataFrame(columns, index=table.index, columns=table.columns)


def refuse_headers(name: str, table: pd.DataFrame) -> None:
    """Refuse a table whose columns are not each named once, all by text or none.

    Raises:
        DataError: a name comes twice.
        DataTypeError: columns with text for some names only.
    """
    repeated = table.columns[table.columns.duplicated()].tolist()
    if repeated:
        raise DataError(f"{name} names columns {repeated} twice; give each its own name")
    kinds = sorted({type(column).__name__ for column in table.columns})
    if "str" in kinds and len(kinds) > 1:
        raise DataTypeError(
            f"{name} names columns by {' and '.join(kinds)}; expected text for all: "
            f"set {name}.columns = {name}.columns.astype(str)"
        )


def _read(name: str, values: Any) -> NDArray[Any]:  # noqa: ANN401 (whatever NumPy reads)
    """``values`` as NumPy reads them; ``[]`` for what scikit-learn refuses in its own words."""
    if hasattr(values, "toarray"):  # sparse
        return np.empty(())
    try:
        return np.asarray(unmasked(values))
    except ValueError:  # rows of different lengths
        return np.empty(())
    except (TypeError, RuntimeError) as error:
        raise DataTypeError(f"{name} cannot be read as an array: {error}") from error


def _numbers(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Refuse what holds no numbers, by the array's type or by the first entry that is none."""
    kind = values.dtype.kind
    if kind in _KINDS:
        what, advice = _KINDS[kind]
        raise DataTypeError(
            f"{name} holds {what} (dtype {values.dtype}); expected numbers: {advice}"
        )
    if kind == "c":
        raise DataError(
            f"Complex data not supported: {name} has dtype {values.dtype}; expected real numbers, "
            "such as the real part and the imaginary part in columns of their own"
        )
    if kind == "O":
        numbers = [_number(name, place, value) for place, value in np.ndenumerate(values)]
        return np.array(numbers, dtype=np.float64).reshape(values.shape)
    with np.errstate(over="ignore"):  # a long double beyond float64 is infinite, and refused
        return values.astype(np.float64, copy=False)


def _number(name: str, place: tuple[int, ...], value: Any) -> float:  # noqa: ANN401
    """An object as a number, NaN where it stands for a missing one."""
    if value is None or value is pd.NA:
        return math.nan
    what, advice = "", ""
    if isinstance(value, str | bytes):
        what, advice = "text", _TEXT
    elif isinstance(value, TIMES):
        what, advice = "dates or times", _DATES
    if what:
        raise DataTypeError(
            f"{name} holds {what}, first in {_where(place)}: {value!r}; expected numbers: {advice}"
        )
    if not isinstance(value, complex | np.complexfloating | np.ndarray):  # of which NumPy warns
        try:
            return float(value)
        except TypeError:
            pass
        except (ArithmeticError, ValueError) as error:  # 10**400, a signalling NaN
            raise DataError(
                f"{name}, {_where(place)}: {error}; expected a number that float64 holds"
            ) from error
    raise DataTypeError(
        f"{name}, {_where(place)}: argument must be a string or a real number, not "
        f"{type(value).__name__!r}; expected a number"
    )


def _refuse(name: str, bad: NDArray[np.bool_], what: str) -> None:
    """Refuse the marked entries, by count and first place."""
    count = int(np.count_nonzero(bad))
    if count:
        first = tuple(int(index) for index in np.unravel_index(int(bad.argmax()), bad.shape))
        raise DataError(
            f"{name} has {count} {what if count == 1 else what.replace('value', 'values')}, first "
            f"in {_where(first)}; expected finite numbers: drop such rows or fill them in first"
        )


def _where(place: tuple[int, ...]) -> str:
    """A place in an array in words."""
    return ", ".join(f"{axis} {index + 1}" for axis, index in zip(_AXES, place, strict=False))
