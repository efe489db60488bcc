"""Rows that were kept from a fit, to judge it by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.errors import DataError

__all__ = ["HeldOut"]


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """Rows that were kept from a fit, to judge it by.

    Attributes:
        rows: their numbers in the table that they came from, counted from 0, ``[M]``.
        x: features ``[M, D]``, in the units of the data.
        y: targets ``[M]``; of several outputs ``[M, Q]``, NaN where missing.

    Raises:
        DataError: no rows, shapes that do not fit, row numbers that are negative or repeated, or
            values that are not finite.

    Example:
        >>> HeldOut(rows=[3, 7], x=[[0.1], [0.2]], y=[1.0, 2.0]).rows
        array([3, 7])
    """

    rows: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the fields and keep copies of them."""
        for name, dtype in (("rows", np.int64), ("x", np.float64), ("y", np.float64)):
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=dtype, order="C"))
        size = len(self.rows) if self.rows.ndim == 1 else 0
        if not size or self.x.ndim != 2 or self.y.ndim not in (1, 2):
            raise DataError(
                "held-out rows must be [M], [M, D] and [M] or [M, Q] with M >= 1; got shapes "
                f"{self.rows.shape}, {self.x.shape} and {self.y.shape}"
            )
        if not len(self.x) == len(self.y) == size:
            raise DataError(
                f"held-out rows must be as many in each part; got {size}, {len(self.x)} and "
                f"{len(self.y)}"
            )
        if self.rows.min() < 0 or len(np.unique(self.rows)) < size:
            raise DataError("numbers of held-out rows must be >= 0, each of them once")
        missing = np.isnan(self.y) if self.y.ndim == 2 else np.zeros(size, dtype=bool)
        if not (np.isfinite(self.x).all() and np.isfinite(self.y[~missing]).all()):
            raise DataError("held-out features and targets must be finite")

    def __len__(self) -> int:
        """M."""
        return len(self.rows)
