"""Points along one feature, the others held at their medians."""

from dataclasses import dataclass

import numpy as np

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.interface import FitLike, FloatArray
from bayes_hybrid.errors import OptionError

__all__ = ["Slice", "slice_along"]

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


def slice_along(fit: FitLike, feature: int | str, num_points: int) -> Slice:
    """Evenly spaced points over the range of one feature.

    Args:
        fit: the finished fit.
        feature: position or name.
        num_points: G, at least 2.

    Raises:
        OptionError: no such feature, or fewer than two points.
    """
    checks.positive_int("grid", num_points, minimum=2)
    names, num_features = fit.feature_names, fit.x.shape[1]
    if isinstance(feature, str):
        column = names.index(checks.choice("feature", feature, names))
    elif 0 <= feature < num_features:
        column = feature
    else:
        raise OptionError(f"feature must be a name or lie in 0..{num_features - 1}; got {feature}")
    values = fit.x[:, column]
    # A constant column still gets a range to draw.
    margin = _MARGIN * (np.ptp(values) or 1.0)
    points = np.tile(np.median(fit.x, axis=0), (num_points, 1))
    points[:, column] = np.linspace(values.min() - margin, values.max() + margin, num_points)
    held = "other features at their medians" if num_features > 1 else ""
    return Slice(name=names[column], column=column, points=points, held=held)
