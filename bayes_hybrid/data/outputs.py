"""Several targets in a row, and regime labels: what a fit takes beside one plain target."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.errors import DataError

__all__ = ["is_several", "regime_numbers", "require_outputs"]


def is_several(y: ArrayLike | pd.Series | pd.DataFrame) -> bool:
    """Whether y is a table of two columns or more.

    Example:
        >>> is_several([[1.0, 2.0]]), is_several([1.0, 2.0]), is_several([[1.0], [2.0]])
        (True, False, False)
    """
    try:
        shape = np.asarray(y).shape
    except ValueError:  # rows of different lengths, which scikit-learn refuses in its own words
        return False
    return len(shape) == 2 and shape[1] > 1


def require_outputs(y: NDArray[np.float64]) -> None:
    """Refuse a row or a column without a single value.

    Args:
        y: targets ``[N, Q]``, NaN where missing.

    Raises:
        DataError: all of a row or a column is missing, or a column has fewer than two values.

    Example:
        >>> require_outputs(np.array([[1.0, 2.0], [np.nan, np.nan]]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: y, row 2: every output is missing; expected at least one:
            leave the row out
    """
    there = ~np.isnan(y)
    empty = np.flatnonzero(~there.any(axis=1))
    if empty.size:
        raise DataError(
            f"y, row {empty[0] + 1}: every output is missing; expected at least one: "
            "leave the row out"
        )
    short = np.flatnonzero(there.sum(axis=0) < 2)
    if short.size:
        raise DataError(
            f"y, column {short[0] + 1}: {int(there[:, short[0]].sum())} of {len(y)} values are "
            "there; expected at least two: leave the column out"
        )


def regime_numbers(
    labels: ArrayLike | pd.Series | None, num_rows: int, regimes: tuple[str, ...]
) -> tuple[NDArray[np.float64] | None, tuple[str | float | bool, ...]]:
    """Regime labels as numbers of regimes.

    Labels that are all names of regimes stand for those.  Other labels stand for the regimes in
    the labels' own order: the smallest number, or the first by the alphabet, for the first regime.

    Args:
        labels: ``[N]`` text, numbers or booleans; ``None``, NaN and empty text are missing.
        num_rows: N.
        regimes: K names.

    Returns:
        The regime's number for each row, NaN where the label is missing, ``[N]``, and the K labels
        in the regimes' order; ``None`` and nothing without labels.

    Raises:
        DataError: not one label for each row, or labels that are no regimes' names and not K
            different ones.

    Example:
        >>> regime_numbers(["wet", None, "dry"], 3, ("gaussian", "relu"))
        (array([ 1., nan,  0.]), ('dry', 'wet'))
    """
    if labels is None:
        return None, ()
    values = pd.Series(np.asarray(labels, dtype=object).ravel(), dtype=object)
    if len(values) != num_rows:
        raise DataError(
            f"regime_label: expected a label or a missing value for each of {num_rows} rows, got "
            f"{len(values)}"
        )
    values = values.map(lambda value: value.item() if isinstance(value, np.generic) else value)
    known = values[values.notna() & (values != "")]
    found = set(known)
    names: tuple[str | float | bool, ...] = regimes
    if not found <= set(regimes):
        try:
            names = tuple(sorted(found))
        except TypeError as error:
            raise DataError(
                f"regime_label: labels cannot be put in an order: {sorted(map(repr, found))}; "
                "expected all text or all numbers"
            ) from error
        if len(names) != len(regimes):
            raise DataError(
                f"regime_label: {len(names)} different labels, {list(names)[:5]}, for "
                f"{len(regimes)} regimes, {list(regimes)}; expected as many: use names of "
                "regimes, or give the model as many experts"
            )
    numbers = np.full(num_rows, np.nan)
    numbers[known.index] = known.map({name: k for k, name in enumerate(names)}).astype(float)
    return numbers, names
