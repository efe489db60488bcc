"""What may be read as numbers: tables column by column, and arrays without text or dates."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.data.columns import TIMES, numeric_column
from bayes_hybrid.errors import DataError, DataTypeError

__all__ = ["numeric_array"]

_TEXT: Final = "convert numbers with astype(float), or encode labels as numbers"
_DATES: Final = "turn them into numbers, such as days since the first row"
# By NumPy's letters for the kinds of its types: what they hold, and what to do.
_KINDS: Final = {
    "U": ("text", _TEXT),
    "S": ("text", _TEXT),
    "M": ("dates", _DATES),
    "m": ("durations", _DATES),
}
_AXES: Final = ("row", "column")


def numeric_array(
    name: str, values: ArrayLike | pd.DataFrame | pd.Series, *, missing: bool = False
) -> Any:  # noqa: ANN401
    """``values`` as scikit-learn's checks take them, with text and dates refused.

    Those checks would read text that spells numbers, and dates, as numbers.  Everything else about
    an array is left to them.

    Args:
        name: what the values are, ``"X"`` or ``"y"``, for the message.
        values: ``[N, D]`` or ``[N]``.
        missing: whether a table may have missing values, which are NaN.

    Returns:
        A table of float64 for a table, float64 ``[N]`` for a series, else ``values`` itself.

    Raises:
        DataError: columns of one name; missing or infinite values in a column of a table.
        DataTypeError: text or dates, in whatever they came; the message names the first.

    Example:
        >>> numeric_array("X", [[1, 2], [3, 4]])
        [[1, 2], [3, 4]]
        >>> numeric_array("y", np.array([1.5, "2.5"], dtype=object))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataTypeError: y holds text, first in row 2: '2.5'; expected numbers:
            convert numbers with astype(float), or encode labels as numbers
    """
    if isinstance(values, pd.DataFrame):
        repeated = values.columns[values.columns.duplicated()].tolist()
        if repeated:
            raise DataError(f"{name} names columns {repeated} twice; give each its own name")
        columns = {
            column: numeric_column(values[column], missing=missing) for column in values.columns
        }
        return pd.DataFrame(columns, index=values.index, columns=values.columns)
    if isinstance(values, pd.Series):
        return numeric_column(values if values.name is not None else values.rename(name))
    if isinstance(values, list | tuple):
        _refuse_kind(name, _read(values))
    elif isinstance(values, np.ndarray):
        _refuse_kind(name, values)
    return values


def _read(values: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    """Nested lists as NumPy reads them; what it cannot read is left to scikit-learn to refuse."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return np.empty(0)


def _refuse_kind(name: str, values: NDArray[Any]) -> None:
    """Refuse text and dates, by the array's type or by the first entry that is one."""
    kind = values.dtype.kind
    if kind in _KINDS:
        what, advice = _KINDS[kind]
        raise DataTypeError(
            f"{name} holds {what} (dtype {values.dtype}); expected numbers: {advice}"
        )
    if kind != "O":
        return
    for place, value in np.ndenumerate(values):
        if isinstance(value, str | bytes):
            what, advice = "text", _TEXT
        elif isinstance(value, TIMES):
            what, advice = "dates or times", _DATES
        else:
            continue
        where = ", ".join(f"{axis} {index + 1}" for axis, index in zip(_AXES, place, strict=False))
        raise DataTypeError(
            f"{name} holds {what}, first in {where}: {value!r}; expected numbers: {advice}"
        )
