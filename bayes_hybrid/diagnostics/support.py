"""Which points lie where the fit has seen no data."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics.evaluation import spread_rows
from bayes_hybrid.diagnostics.interface import FitLike, FloatArray
from bayes_hybrid.errors import DataError

__all__ = ["OutOfData", "out_of_data"]

BoolArray = NDArray[np.bool_]

_NEIGHBOUR: Final = 5
"""Which nearest row counts: not the first, so that one stray row does not vouch for its place."""

_QUANTILE: Final = 0.99
"""Of the training rows' own distances: one row in a hundred would itself be called far."""

_MAX_OWN: Final = 2_000
"""Training rows whose own distances are read; the 1% beyond the quantile are then 20 rows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OutOfData:
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


def out_of_data(fit: FitLike, x: ArrayLike) -> OutOfData:
    """Whether points lie outside the data: beyond a feature's range, or far from every row.

    Far is ``d_k(x) > q``, where ``d_k`` is the distance to the k-th nearest distinct training row
    in standardised features and ``q`` the 99% quantile of ``d_k`` over the training rows
    themselves, each without itself.  In many features distances differ little from each other, and
    the rule becomes blunt; the ranges stay sharp.

    Args:
        fit: the finished fit.
        x: points ``[M, D]``, in the units of the data.

    Raises:
        DataError: another number of columns, or values that are not finite.

    Source:
        Ramaswamy, Rastogi and Shim (2000), SIGMOD, 427-438: the distance to the k-th nearest
        neighbour as a measure of outlyingness.
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != fit.x.shape[1] or not np.isfinite(points).all():
        raise DataError(
            f"x must be finite numbers [M, {fit.x.shape[1]}], the features of the fit; got shape "
            f"{points.shape}" + (" with NaN or infinity" if points.ndim == 2 else "")
        )
    scaling = Standardizer.fit(fit.x)
    # Distinct rows: repeated ones are at distance 0, and would make every new value far.
    rows = np.unique(scaling.transform(fit.x), axis=0)
    neighbour = min(_NEIGHBOUR, len(rows) - 1)
    # A tree in few features, matrix products in many.
    search = NearestNeighbors(n_neighbors=max(1, neighbour)).fit(rows)
    limit = 0.0
    if neighbour:
        own = rows[spread_rows(len(rows), _MAX_OWN)]
        # The nearest of a training row is itself.
        limit = float(np.quantile(_distance(search, own, neighbour + 1), _QUANTILE))
    return OutOfData(
        feature_names=fit.feature_names,
        beyond=(points < fit.x.min(axis=0)) | (points > fit.x.max(axis=0)),
        distance=_distance(search, scaling.transform(points), max(1, neighbour)),
        limit=limit,
        neighbour=max(1, neighbour),
    )


def _distance(search: NearestNeighbors, points: FloatArray, neighbour: int) -> FloatArray:
    """To the neighbour of that rank, ``[M]``."""
    distances, _ = search.kneighbors(points, n_neighbors=neighbour)
    return np.asarray(distances, dtype=np.float64)[:, -1]
