"""A line through feature space along one feature, and which output is read on it."""

from dataclasses import dataclass

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import At, Grid, line_along, position
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["Output", "Slice", "one_output", "slice_along"]

_MARGIN = 0.03
"""Shown beyond the data on each side in figures, as a share of their range."""


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


def one_output(fit: Fit, output: int | str) -> Output:
    """The output of that position or name.

    Raises:
        OptionError: no such output.
    """
    if fit.y.ndim > 1:
        column = position("output", output, fit.output_names)
        return Output(name=fit.output_names[column], column=column)
    position("output", output, (fit.target_name,))
    return Output(name=fit.target_name, column=None)


def slice_along(
    fit: Fit,
    feature: int | str,
    grid: Grid,
    *,
    at: At = None,
    margin: float = _MARGIN,
) -> Slice:
    """Points along one feature.

    Args:
        fit: the finished fit.
        feature: position or name.
        grid: their number, or their values, see :func:`.lines.line_along`.
        at: where the other features are held, see :func:`.lines.line_along`; at their medians by
            default.
        margin: how far a number of points goes beyond the data on each side, as a share of their
            range.

    Raises:
        OptionError: no such feature; values that are not two or more and finite, or do not rise; a
            number of them along a feature that is constant in the data; or ``at`` is not D finite
            numbers, or some of them by name.
    """
    names = fit.feature_names
    column = position("feature", feature, names)
    low, high = float(fit.x[:, column].min()), float(fit.x[:, column].max())
    if low == high and not margin and np.ndim(grid) == 0:
        raise OptionError(
            f"feature {names[column]!r} is {low:g} in every row, so there is no range to go along; "
            "choose another feature, or give the values as the grid"
        )
    points = line_along(fit, column, grid, at=at, margin=margin)
    held = f"other features at {'their medians' if at is None else 'the given values'}"
    return Slice(
        name=names[column], column=column, points=points, held=held if len(names) > 1 else ""
    )
