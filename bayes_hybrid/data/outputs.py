"""Several targets in a row, and regime labels: what a fit takes beside one plain target."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid import checks
from bayes_hybrid.data.arrays import unmasked
from bayes_hybrid.data.columns import unwritable
from bayes_hybrid.errors import DataError, DataTypeError

__all__ = ["is_several", "regime_numbers", "require_outputs"]

Label = str | float | bool
"""What a regime may be called in the data."""


def is_several(y: ArrayLike | pd.Series | pd.DataFrame) -> bool:
    """Whether y is a table of two columns or more.

    Example:
        >>> is_several([[1.0, 2.0]]), is_several([1.0, 2.0]), is_several([[1.0], [2.0]])
        (True, False, False)
    """
    try:
        shape = np.asarray(unmasked(y)).shape
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ):  # rows of different lengths, which scikit-learn refuses in its own words
        return False
    return len(shape) == 2 and shape[1] > 1


def require_outputs(y: NDArray[np.float64], names: Sequence[str] | None = None) -> None:
    """Refuse a row without a single value, or a column without two.

    Args:
        y: targets ``[N, Q]``, NaN where missing.
        names: Q names, for the message to name a column instead of counting it.

    Raises:
        DataError: all of a row or a column is missing, or a column has fewer than two values.

    Example:
        >>> require_outputs(np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: y, row 2: every output is missing; expected at least one:
            leave the row out
    """
    there = ~np.isnan(y)
    short = np.flatnonzero(there.sum(axis=0) < 2)
    if short.size:
        column = short[0] + 1 if names is None else repr(names[short[0]])
        raise DataError(
            f"y, column {column}: {int(there[:, short[0]].sum())} of {len(y)} values are "
            "there; expected at least two: leave the column out"
        )
    empty = np.flatnonzero(~there.any(axis=1))
    if empty.size:
        raise DataError(
            f"y, row {empty[0] + 1}: every output is missing; expected at least one: "
            "leave the row out"
        )


def regime_numbers(
    labels: ArrayLike | pd.Series | None, num_rows: int, regimes: tuple[Label, ...]
) -> tuple[NDArray[np.float64] | None, tuple[Label, ...]]:
    """Regime labels as numbers of regimes.

    Labels that are all names of regimes stand for those.  Other labels stand for the regimes in
    the labels' own order: the smallest number, or the first by the alphabet, for the first regime.

    Args:
        labels: ``[N]`` text, numbers or booleans; ``None``, NaN, masked entries and empty text are
            missing.
        num_rows: N.
        regimes: K names.

    Returns:
        The regime's number for each row, NaN where the label is missing, ``[N]``, and the K labels
        in the regimes' order; ``None`` and nothing without labels.

    Raises:
        DataError: not one label for each row, or labels that are not all regimes' names, and some
            are, or they are not K different ones, or a label that no file could hold.
        DataTypeError: dates or other objects among the labels.

    Example:
        >>> regime_numbers(["wet", None, "dry"], 3, ("gaussian", "relu"))
        (array([ 1., nan,  0.]), ('dry', 'wet'))
    """
    if labels is None:
        return None, ()
    where = "regime labels"
    if isinstance(labels, pd.Series) and labels.name is not None:
        where += f" in {labels.name!r}"
    column = np.asarray(unmasked(labels), dtype=object)
    if column.shape not in ((num_rows,), (num_rows, 1)):
        raise DataError(
            f"{where}: expected a label or a missing value for each of {num_rows} rows, got "
            f"shape {column.shape}"
        )
    column = column.ravel()
    known = {
        int(row): _plain(where, int(row), column[row]) for row in np.flatnonzero(pd.notna(column))
    }
    known = {row: label for row, label in known.items() if label != ""}
    names = _ordered(where, set(known.values()), regimes)
    place = {name: k for k, name in enumerate(names)}
    numbers = np.full(num_rows, np.nan)
    numbers[list(known)] = [place[label] for label in known.values()]
    return numbers, names


def _plain(where: str, row: int, label: object) -> Label:
    """The label as an object of Python."""
    if isinstance(label, np.generic):
        label = label.item()
    if not isinstance(label, str | int | float):  # a bool is an int
        raise DataTypeError(
            f"{where}, row {row + 1}: {label!r} is {type(label).__name__}; expected "
            "text, a number or a boolean"
        )
    if isinstance(label, str) and (fault := unwritable(label)):
        raise DataError(f"{where}, row {row + 1}: the label {label!r} {fault}; rename it")
    if isinstance(label, float) and math.isinf(label):
        raise DataError(f"{where}, row {row + 1}: {label!r} is no label; expected a finite number")
    return label


def _ordered(where: str, found: set[Label], regimes: tuple[Label, ...]) -> tuple[Label, ...]:
    """The labels in the order of the regimes that they stand for."""
    if found <= set(regimes):
        return regimes
    spelt = [name for name in regimes if isinstance(name, str)]
    if mixed := sorted(found & set(regimes), key=repr):
        other = sorted(found - set(regimes), key=repr)
        raise DataError(
            f"{where}: {mixed[0]!r} is the name of a regime and {other[0]!r} is not; expected "
            f"names among {list(regimes)} only, or names of your own only"
            f"{checks.suggestion(other[0], spelt)}"
        )
    folded = {name.casefold() for name in spelt}
    if alike := sorted(k for k in found if isinstance(k, str) and k.casefold() in folded):
        raise DataError(
            f"{where}: {alike[0]!r} differs from the name of a regime by capitals only; expected "
            f"names among {list(regimes)}, or names of your own"
            f"{checks.suggestion(alike[0], spelt)}"
        )
    try:
        names = tuple(sorted(found))
    except TypeError as error:
        raise DataError(
            f"{where}: labels cannot be put in an order: {sorted(map(repr, found))}; "
            "expected all text or all numbers"
        ) from error
    if len(names) != len(regimes):
        raise DataError(
            f"{where}: {len(names)} different label{'' if len(names) == 1 else 's'}, "
            f"{list(names)[:5]}, for {len(regimes)} regimes, {list(regimes)}; expected as many: "
            "use names of regimes, or give the model as many experts"
        )
    return names
