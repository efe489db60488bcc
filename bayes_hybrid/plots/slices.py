"""What is drawn: one output, along one feature, the others held at their medians."""

from dataclasses import dataclass

from bayes_hybrid.diagnostics.interface import FitLike, FloatArray
from bayes_hybrid.diagnostics.lines import line_along, position

__all__ = ["Output", "Slice", "one_output", "slice_along"]

_MARGIN = 0.03
"""Shown beyond the data on each side, as a share of their range."""


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
    """The output that is drawn.

    Attributes:
        name: what it is called.
        column: its position among Q > 1 outputs; ``None`` where there is one only.
    """

    name: str
    column: int | None

    def of(self, values: FloatArray) -> FloatArray:
        """Its part ``[N, ...]`` of values ``[N, Q, ...]``; with one output, the values."""
        return values if self.column is None else values[:, self.column]


def one_output(fit: FitLike, output: int | str) -> Output:
    """The output of that position or name.

    Raises:
        OptionError: no such output.
    """
    if fit.y.ndim > 1:
        column = position("output", output, fit.output_names)
        return Output(name=fit.output_names[column], column=column)
    position("output", output, (fit.target_name,))
    return Output(name=fit.target_name, column=None)


def slice_along(fit: FitLike, feature: int | str, num_points: int) -> Slice:
    """Evenly spaced points over the range of one feature.

    Args:
        fit: the finished fit.
        feature: position or name.
        num_points: G, at least 2.

    Raises:
        OptionError: no such feature, or fewer than two points.
    """
    names = fit.feature_names
    column = position("feature", feature, names)
    points = line_along(fit, column, num_points, margin=_MARGIN)
    held = "other features at their medians" if len(names) > 1 else ""
    return Slice(name=names[column], column=column, points=points, held=held)
