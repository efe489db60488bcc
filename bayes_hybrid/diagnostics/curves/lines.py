"""Points along one feature, with the others held fixed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.arrays import unmasked
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["At", "line_along", "position"]

At = ArrayLike | Mapping[str, float] | Mapping[int, float] | pd.Series | None
"""Where the features that do not vary are held."""


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
    fit: Fit, column: int, num_points: int, *, at: At = None, margin: float = 0.0
) -> FloatArray:
    """Evenly spaced points over the range of one feature, ``[G, D]``.

    Of a feature whose logarithm the model reads, the logarithms are evenly spaced.

    Args:
        fit: the finished fit.
        column: position of the feature that varies.
        num_points: G, at least 2.
        at: where the other features are held: D numbers in the order of the features, or a mapping
            or Series from names or positions to numbers; what is not named is held at its median,
            as everything is by default.
        margin: how far to go beyond the data on each side, as a share of their range.

    Raises:
        OptionError: fewer than two points, or ``at`` names no feature, has another length than D,
            or holds what is no finite number.
    """
    checks.positive_int("grid", num_points, minimum=2)
    scaling = fit.posterior.x_scaling
    ends = np.array([fit.x[:, column].min(), fit.x[:, column].max()])
    low, high = scaling.read(ends, column)
    # A constant column still gets a range.
    extra = margin * ((high - low) or 1.0)
    points = np.tile(_held(fit, at), (num_points, 1))
    # Sizes of rows are above zero, where a margin may be below it.
    below = 0.0 if column == fit.posterior.model.likelihoods.size_column else extra
    along = scaling.unread(np.linspace(low - below, high + extra, num_points), column)
    # The logarithm of an end need not come back to its last bit.
    points[:, column] = along if margin else np.clip(along, *ends)
    return points


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
