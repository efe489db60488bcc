"""Which points lie where the fit has seen no data."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.support import Support
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Tabular

__all__ = ["OutOfData", "out_of_data"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class OutOfData(Tabular):
    """Which of M points lie outside the training data, and by which of two rules.

    Attributes:
        feature_names: D names.
        beyond: the feature is below its smallest or above its largest training value, ``[M, D]``.
        distance: Euclidean distance to the k-th nearest distinct training row, in standard
            deviations of the features, ``[M]``.
        limit: the 99% quantile of the same distance of the training rows from each other.
        neighbour: k, which is 5, or one less than there are distinct rows.
    """

    feature_names: tuple[str, ...]
    beyond: BoolArray
    distance: FloatArray
    limit: float
    neighbour: int

    @property
    def far(self) -> BoolArray:
        """``distance > limit``, ``[M]``: in a gap, or a combination of values that never came."""
        return self.distance > self.limit

    @property
    def flag(self) -> BoolArray:
        """Beyond the range of a feature, or far from all rows, ``[M]``."""
        return self.beyond.any(axis=1) | self.far

    def to_frame(self) -> pd.DataFrame:
        """A row per point: ``out_of_data``, ``distance``, ``limit``, ``beyond[NAME]`` each."""
        columns = {"out_of_data": self.flag, "distance": self.distance, "limit": self.limit}
        beyond = {f"beyond[{name}]": self.beyond[:, d] for d, name in enumerate(self.feature_names)}
        return pd.DataFrame(columns | beyond)


def out_of_data(fit: Fit, x: ArrayLike) -> OutOfData:
    """Whether points lie outside the data: beyond a feature's range, or far from every row.

    See :class:`~bayes_hybrid.data.support.Support` for what is far.  In many features distances
    differ little from each other, and the rule becomes blunt; the ranges stay sharp.

    Args:
        fit: the finished fit.
        x: points ``[M, D]``, in the units of the data.

    Raises:
        DataError: another number of columns, or values that are not finite.
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != fit.x.shape[1] or not np.isfinite(points).all():
        raise DataError(
            f"x must be finite numbers [M, {fit.x.shape[1]}], the features of the fit; got shape "
            f"{points.shape}" + (" with NaN or infinity" if points.ndim == 2 else "")
        )
    support = Support(fit.x, fit.posterior.x_scaling.log.tolist())
    return OutOfData(
        feature_names=fit.feature_names,
        beyond=support.beyond(points),
        distance=support.distance(points),
        limit=support.limit,
        neighbour=support.neighbour,
    )
