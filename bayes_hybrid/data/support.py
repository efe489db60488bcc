"""Where training rows lie, and how far new points are from them."""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from bayes_hybrid.data.scaling import Standardizer

__all__ = ["Support", "spread_rows"]

_NEIGHBOUR: Final = 5
"""Which nearest row counts: not the first, so that one stray row does not vouch for its place."""

_QUANTILE: Final = 0.99
"""Of the training rows' own distances: one row in a hundred would itself be called far."""

_MAX_OWN: Final = 2_000
"""Training rows whose own distances are read; the 1% beyond the quantile are then 20 rows."""


@final
class Support:
    """Whether points lie outside the training rows: beyond a range, or far from every row.

    Far is ``d_k(x) > q``, where ``d_k`` is the distance to the k-th nearest distinct training row
    in standardised features and ``q`` the 99% quantile of ``d_k`` over the training rows
    themselves, each without itself.

    Args:
        rows: training features ``[N, D]``, finite, ``N >= 1``.
        log: features whose logarithm distances are read of, ``[D]``; by default none.

    Attributes:
        neighbour: k, which is 5, or one less than there are distinct rows.
        limit: q.

    Source:
        Ramaswamy, Rastogi and Shim (2000), SIGMOD, 427-438: the distance to the k-th nearest
        neighbour as a measure of outlyingness.

    Example:
        >>> Support(np.arange(9.0)[:, None]).outside(np.array([[4.5], [9.0]]))
        array([False,  True])
    """

    def __init__(self, rows: NDArray[np.float64], log: Sequence[bool] | None = None) -> None:
        self._low, self._high = rows.min(axis=0), rows.max(axis=0)
        self._scaling = Standardizer.fit(rows, log=log)
        # Distinct rows: repeated ones are at distance 0, and would make every new value far.
        distinct = np.unique(self._scaling.transform(rows), axis=0)
        neighbour = min(_NEIGHBOUR, len(distinct) - 1)
        # A tree in few features, matrix products in many.
        self._search = NearestNeighbors(n_neighbors=max(1, neighbour)).fit(distinct)
        self.neighbour, self.limit = max(1, neighbour), 0.0
        if neighbour:
            own = distinct[spread_rows(len(distinct), _MAX_OWN)]
            # The nearest of a training row is itself.
            self.limit = float(np.quantile(self._nearest(own, neighbour + 1), _QUANTILE))

    def beyond(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which features of ``points [M, D]`` are beyond their range, ``[M, D]``."""
        return np.asarray((points < self._low) | (points > self._high))

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """``d_k`` of ``points [M, D]``, in standard deviations of the features, ``[M]``."""
        return self._nearest(self._scaling.transform(points), self.neighbour)

    def outside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of ``points [M, D]`` are beyond a range or far, ``[M]``."""
        found = np.asarray(self.beyond(points).any(axis=1))
        # Distances take time, and say nothing new about what is beyond.
        inside = np.flatnonzero(~found)
        if inside.size:
            found[inside] = self.distance(points[inside]) > self.limit
        return found

    def _nearest(self, points: NDArray[np.float64], neighbour: int) -> NDArray[np.float64]:
        """Distance to the row of that rank, ``[M]``."""
        distances, _ = self._search.kneighbors(points, n_neighbors=neighbour)
        return np.asarray(distances, dtype=np.float64)[:, -1]


def spread_rows(num_rows: int, max_rows: int | None) -> NDArray[np.intp]:
    """Indices of at most ``max_rows`` of ``num_rows`` rows, evenly spread, first and last included.

    Example:
        >>> spread_rows(9, 3)
        array([0, 4, 8])
    """
    if max_rows is None or num_rows <= max_rows:
        return np.arange(num_rows)
    return np.linspace(0, num_rows - 1, max_rows).round().astype(np.intp)
