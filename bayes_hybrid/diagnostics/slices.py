"""A line through feature space along one feature, and which output is read on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.interface import FitLike, FloatArray
from bayes_hybrid.errors import DataError, OptionError

__all__ = ["Output", "Row", "Slice", "one_output", "slice_along"]

_MARGIN = 0.03
"""Shown beyond the data on each side in figures, as a share of their range."""

Row = Mapping[str, float] | Mapping[int, float] | pd.Series | ArrayLike
"""Values of all features, or of some of them by name or position."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice:
    """A line through feature space.

    Attributes:
        name: the feature that varies.
        column: its position.
        points: ``[G, D]``, in the units of the data.
        held: what is held fixed, as words for a caption; empty with one feature.
    """

    name: str
    column: int
    points: FloatArray
    held: str

    @property
    def along(self) -> FloatArray:
        """The values of the feature that varies, ``[G]``."""
        return self.points[:, self.column]


@dataclass(frozen=True, kw_only=True)
class Output:
    """The output that is read.

    Attributes:
        name: what it is called.
        column: its position among Q > 1 outputs; ``None`` where there is one only.
    """

    name: str
    column: int | None

    def of(self, values: FloatArray) -> FloatArray:
        """Its part ``[N, ...]`` of values ``[N, Q, ...]``; with one output, the values."""
        return values if self.column is None else values[:, self.column]

    def of_draws(self, draws: FloatArray) -> FloatArray:
        """Its part ``[R, S, N, K]`` of draws ``[R, S, N, Q, K]``; with one output, the draws."""
        return draws if self.column is None else draws[..., self.column, :]


def one_output(fit: FitLike, output: int | str) -> Output:
    """The output of that position or name.

    Raises:
        OptionError: no such output.
    """
    if fit.y.ndim > 1:
        column = _position("output", output, fit.output_names)
        return Output(name=fit.output_names[column], column=column)
    _position("output", output, (fit.target_name,))
    return Output(name=fit.target_name, column=None)


def slice_along(
    fit: FitLike,
    feature: int | str,
    num_points: int,
    *,
    at: Row | None = None,
    beyond: float = _MARGIN,
) -> Slice:
    """Evenly spaced points over the range of one feature.

    Args:
        fit: the finished fit.
        feature: position or name.
        num_points: G, at least 2.
        at: where the other features are held: all D values in order, or some of them by name or
            position, the rest at their medians; ``None`` holds all at their medians.
        beyond: how far the points go beyond the data on each side, as a share of their range.

    Raises:
        OptionError: no such feature, fewer than two points, ``beyond`` negative, or nothing to go
            along: a feature that is constant in the data, and ``beyond`` is 0.
        DataError: ``at`` is not D finite numbers.
    """
    checks.positive_int("grid", num_points, minimum=2)
    share = checks.positive_float("beyond", beyond, closed=True)
    names = fit.feature_names
    column = _position("feature", feature, names)
    low, high = float(fit.x[:, column].min()), float(fit.x[:, column].max())
    if low == high and not share:
        raise OptionError(
            f"feature {names[column]!r} is {low:g} in every row, so there is no range to go along; "
            "choose another feature, or give beyond > 0"
        )
    # A constant column still gets a range to draw.
    margin = share * ((high - low) or 1.0)
    points = np.tile(_held_row(fit, at), (num_points, 1))
    points[:, column] = np.linspace(low - margin, high + margin, num_points)
    held = f"other features at {'their medians' if at is None else 'the given row'}"
    return Slice(
        name=names[column], column=column, points=points, held=held if len(names) > 1 else ""
    )


def _held_row(fit: FitLike, at: Row | None) -> FloatArray:
    """Values of all D features: those that were given, else medians."""
    row: FloatArray = np.median(fit.x, axis=0)
    if at is None:
        return row
    wanted = (
        f"at must be {len(fit.feature_names)} finite numbers, one for each of the features "
        f"{[*fit.feature_names]}, or some of them by name; got {at!r}"
    )
    try:
        if isinstance(at, Mapping | pd.Series):
            for feature, value in cast("Mapping[str | int, float]", at).items():
                row[_position("at", feature, fit.feature_names)] = value
        else:
            row = np.array(at, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise DataError(wanted) from None
    if row.shape != (len(fit.feature_names),) or not np.isfinite(row).all():
        raise DataError(wanted)
    return row


def _position(option: str, wanted: int | str, names: tuple[str, ...]) -> int:
    """Where ``wanted``, a name or a position, is among the names."""
    if isinstance(wanted, str):
        return names.index(checks.choice(option, wanted, names))
    whole = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool)
    if not whole or not 0 <= wanted < len(names):
        raise OptionError(f"{option} must be a name or lie in 0..{len(names) - 1}; got {wanted!r}")
    return int(wanted)
