"""Standardisation of columns, in float64."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.errors import DataError

__all__ = ["Standardizer", "refuse_far"]

# Standard deviations; the square over the smallest noise variance, 1e-8, is still a float32.
_FARTHEST: Final = 1e15


@dataclass(frozen=True, eq=False, kw_only=True)
class Standardizer:
    """``z = (value - mean) / scale``, column by column, computed in float64.

    ``scale`` is the population standard deviation (denominator N, as scikit-learn's
    ``StandardScaler``).  A **constant column** has no scale: it gets ``scale = 1`` and its own
    value as ``mean``, so it is transformed to exactly 0 and carries nothing, and a *new* value in
    it is transformed to its plain difference from the constant.  Constant means that all values
    are equal as float64; a single row makes every column constant.

    The deviations are squared relative to the largest of them, so that squares neither overflow
    nor underflow: columns of size 1e-300 and 1e300 standardise like those of size 1.

    Attributes:
        mean: column means, ``[D]`` (or ``[]`` for a single series), in the units of the data.
        scale: column standard deviations, same shape and units, finite and positive.

    Raises:
        DataError: ``mean`` and ``scale`` differ in shape, or hold anything but finite numbers and
            positive scales.

    Example:
        >>> standardizer = Standardizer.fit([[1.0, 5.0], [3.0, 5.0]])
        >>> standardizer.mean, standardizer.scale
        (array([2., 5.]), array([1., 1.]))
        >>> standardizer.transform([[2.5, 5.0]])
        array([[0.5, 0. ]])
        >>> standardizer.inverse_transform([[0.5, 0.0]])
        array([[2.5, 5. ]])
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the fields and keep read-only float64 copies of them."""
        for name in ("mean", "scale"):
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if self.mean.shape != self.scale.shape or self.mean.ndim > 1:
            raise DataError(
                "mean and scale must have one shape, [] or [D]; "
                f"got {self.mean.shape} and {self.scale.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.scale).all()):
            raise DataError(f"mean and scale must be finite; got {self.mean} and {self.scale}")
        if not (self.scale > 0.0).all():
            raise DataError(f"scale must be positive; got {self.scale}")

    @classmethod
    def fit(cls, values: ArrayLike, *, missing: bool = False) -> Self:
        """The standardizer that gives ``values`` mean 0 and standard deviation 1.

        Args:
            values: table ``[N, D]`` or one series ``[N]``, ``N >= 1``.
            missing: whether NaN stands for a value that is missing, and is left aside; every
                column needs one that is there.

        Returns:
            A standardizer with fields of shape ``[D]`` or ``[]``.

        Raises:
            DataError: no rows, another number of dimensions, NaN or infinity.
        """
        table = np.asarray(values, dtype=np.float64)
        if table.ndim not in (1, 2) or table.shape[0] == 0:
            raise DataError(f"values must be [N] or [N, D] with N >= 1; got shape {table.shape}")
        absent = np.isnan(table) if missing else np.zeros(table.shape, dtype=bool)
        if not np.isfinite(table[~absent]).all():
            raise DataError(
                "values must be finite; "
                f"got {np.count_nonzero(~np.isfinite(table[~absent]))} NaN or infinite entries; "
                "drop those rows or fill them first"
            )
        if table.ndim == 2 and absent.any():
            columns = [cls.fit(column[~np.isnan(column)]) for column in table.T]
            return cls(
                mean=np.array([column.mean for column in columns]),
                scale=np.array([column.scale for column in columns]),
            )
        lowest, highest = table.min(axis=0), table.max(axis=0)
        constant = lowest == highest
        # The sum over a constant column rounds: the mean of three times 0.1 is not 0.1.
        centre = np.where(constant, lowest, table.mean(axis=0))
        deviations = table - centre
        size = np.where(constant, 1.0, np.abs(deviations).max(axis=0))
        scale = size * np.sqrt(np.square(deviations / size).mean(axis=0))
        # Below the smallest normal number a division loses its digits, and a scale may round to 0.
        scale = np.where(constant, 1.0, np.maximum(scale, np.finfo(np.float64).tiny))
        return cls(mean=centre, scale=scale)

    def transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """``(values - mean) / scale``, float64, same shape.

        Args:
            values: ``[N, D]`` in the units of the data; for a standardizer of one series, any
                shape.

        Raises:
            DataError: not the number of columns it was fitted on.
        """
        return (self._table(values) - self.mean) / self.scale

    def inverse_transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """``values * scale + mean``, float64, same shape; back in the units of the data.

        Args:
            values: standardised, ``[N, D]``; for a standardizer of one series, any shape.

        Raises:
            DataError: not the number of columns it was fitted on.
        """
        return self._table(values) * self.scale + self.mean

    def _table(self, values: ArrayLike) -> NDArray[np.float64]:
        """``values`` as float64, with the columns this standardizer knows."""
        table = np.asarray(values, dtype=np.float64)
        if self.mean.ndim == 1 and (table.ndim != 2 or table.shape[1:] != self.mean.shape):
            raise DataError(
                f"values must be [N, {self.mean.size}], the columns of the fit; "
                f"got shape {table.shape}"
            )
        return table


def refuse_far(
    name: str,
    values: NDArray[np.float64],
    scaling: Standardizer,
    *,
    columns: Sequence[str] | None = None,
    place: Callable[[int], str] | None = None,
) -> None:
    """Refuse values whose predictions would overflow float32, and say which is the first.

    Args:
        name: what the values are, for the message.
        values: ``[N, D]`` or ``[N]``, in the units of the data; NaN passes.
        scaling: that of the training data.
        columns: D names, for the message to name a column instead of counting it.
        place: what to call a row, by its position, where the values are a part of a table.

    Raises:
        DataError: a value more than 1e15 standard deviations from the mean.

    Example:
        >>> refuse_far("y", np.array([1.0, 1e300]), Standardizer.fit([0.0, 1.0]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: y, row 2: 1e+300 lies more than 1e+15 standard deviations
            from the training data; expected values of the same units
    """
    with np.errstate(over="ignore"):
        far = np.argwhere(np.abs(scaling.transform(values)) > _FARTHEST)
    if not far.size:
        return
    first = tuple(int(index) for index in far[0])
    where = f"{name}, {f'row {first[0] + 1}' if place is None else place(first[0])}"
    if len(first) > 1:
        where += f", column {first[1] + 1 if columns is None else repr(columns[first[1]])}"
    raise DataError(
        f"{where}: {values[first]:g} lies more than {_FARTHEST:g} standard deviations from the "
        "training data; expected values of the same units"
    )
