"""Points along one feature, with the others held fixed."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.arrays import unmasked
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["At", "Grid", "line_along", "position"]

At = ArrayLike | Mapping[str, float] | Mapping[int, float] | pd.Series | None
"""Where the features that do not vary are held."""

Grid = int | ArrayLike
"""How many points, over the range of the data; or the points themselves, rising."""


def position(option: str, wanted: int | str, names: tuple[str, ...]) -> int:
    """Where ``wanted``, a name or a position, is among the names.

    Raises:
        OptionError: it is nowhere.

    Example:
        >>> position("feature", "age", ("dose", "age"))
        1
    """
    if isinstance(wanted, str):
        return names.index(checks.choice(option, wanted, names))
    listed = f"{option} must be a name or lie in 0..{len(names) - 1}; got {wanted!r}"
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer):
        raise OptionError(f"{listed}, of type {type(wanted).__name__}")
    if not 0 <= wanted < len(names):
        raise OptionError(listed)
    return int(wanted)


def line_along(
    fit: Fit, column: int, grid: Grid, *, at: At = None, margin: float = 0.0
) -> FloatArray:
    """Points along one feature, ``[G, D]``, by default evenly spaced over its range.

    If the model reads the feature's logarithm, the logarithms are evenly spaced.

    Args:
        fit: the finished fit.
        column: position of the feature that varies.
        grid: their number G, at least 2; or G values of the feature, rising.
        at: where the other features are held: D numbers in the order of the features, or a mapping
            or Series from names or positions to numbers; what is not named is held at its median,
            as everything is by default.
        margin: how far a number of points goes beyond the data on each side, as a share of their
            range.

    Raises:
        OptionError: fewer than two points, or values that are not finite or do not rise; or ``at``
            names no feature, has another length than D, or holds what is no finite number.
    """
    along = _spaced(fit, column, grid, margin) if np.ndim(grid) == 0 else _rising(grid)
    points = np.tile(_held(fit, at), (len(along), 1))
    points[:, column] = along
    return points


def _rising(grid: Grid) -> FloatArray:
    """The values themselves, ``[G]``."""
    try:
        values = np.asarray(unmasked(grid), dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    rises = values.ndim == 1 and len(values) > 1 and bool((np.diff(values) > 0.0).all())
    if not rises or not np.isfinite(values).all():
        raise OptionError(
            f"grid must be a number of points, or two or more finite values that rise; got {grid!r}"
        )
    return values


def _spaced(fit: Fit, column: int, grid: Grid, margin: float) -> FloatArray:
    """So many values over the range of the data and the margin, ``[G]``."""
    num_points = checks.positive_int("grid", cast("int", grid), minimum=2)
    scaling = fit.posterior.x_scaling
    ends = np.array([fit.x[:, column].min(), fit.x[:, column].max()])
    low, high = scaling.read(ends, column)
    # A constant column still gets a range.
    extra = margin * ((high - low) or 1.0)
    # Sizes of rows are above zero, where a margin may be below it.
    below = 0.0 if column == fit.posterior.model.likelihoods.size_column else extra
    along = scaling.unread(np.linspace(low - below, high + extra, num_points), column)
    # The logarithm of an end need not come back to its last bit.
    return along if margin else np.clip(along, *ends)


def _held(fit: Fit, at: At) -> FloatArray:
    """Where each feature is held, ``[D]``."""
    names = fit.feature_names
    held = np.median(fit.x, axis=0)
    if isinstance(at, Mapping | pd.Series):
        for name, value in at.items():
            wanted = int(name) if isinstance(name, int | np.integer) else str(name)
            held[position("at", wanted, names)] = _number(name, value)
    elif at is not None:
        row = np.asarray(unmasked(at), dtype=object)
        if row.shape != (len(names),):
            raise OptionError(
                f"at must be {len(names)} numbers, one for each of {list(names)}, or a mapping of "
                f"names to numbers; got shape {row.shape}"
            )
        held[:] = [_number(name, value) for name, value in zip(names, row, strict=True)]
    return held


def _number(name: object, value: object) -> float:
    """``value`` as a finite float."""
    try:
        number = float(value)  # type: ignore[arg-type] # (what is none raises)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise OptionError(f"at: expected a finite number for {name!r}; got {value!r}")
    return number
