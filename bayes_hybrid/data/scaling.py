"""Standardisation of columns, in float64."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError

__all__ = [
    "Standardizer",
    "constant_columns",
    "refuse_far",
    "refuse_large",
    "refuse_narrow",
]

# Standard deviations; the square over the smallest noise variance, 1e-8, is still a float32.
_FARTHEST: Final = 1e15

_ROUNDING: Final = 64.0
"""Units in the last place.  The rounding errors of a hundred additions rarely add up to more, and
a column that varies by less has at most 6 of float64's 53 bits to say something."""

_NEAR_ZERO: Final = 1e-9
"""Scale of a constant target over its size: far below any noise, and seven digits above float64's
rounding (2e-16), so that quantiles still differ."""

_LARGEST: Final = 1e75
"""The standard error of a mean square takes fourth powers, which stay within float64 (1e308)."""

_NARROWEST: Final = 1.0 / _LARGEST


@dataclass(frozen=True, eq=False, kw_only=True)
class Standardizer:
    """``z = (value - mean) / scale``, column by column, computed in float64.

    A column with a logarithm has ``z = (log(value) - mean) / scale``.

    ``scale`` is the population standard deviation (denominator N, as scikit-learn's
    ``StandardScaler``).  A **constant column** (:func:`constant_columns`) has none; its ``mean`` is
    the constant c, and its ``scale`` depends on what the column is:

    =========  =======================  ========================================================
    column     scale                    a new value v becomes
    =========  =======================  ========================================================
    feature    ``max(1, |c|)``          ``v - c``, or the relative change ``(v - c) / |c|``: small
                                        where v is near c.  Rows of the fit are at 0, so they say
                                        nothing of its effect.
    target     ``1e-9 |c|``, ``1e-9``   far from 0, unless it is c.  Predictions are c, with a
               for c = 0                width of about a billionth of c.
    =========  =======================  ========================================================

    The deviations are squared relative to the largest of them, so that squares neither overflow
    nor underflow: columns of size 1e-300 and 1e300 standardise like those of size 1.

    Attributes:
        mean: column means, ``[D]`` (or ``[]`` for a single series), in the units of the data.
        scale: column standard deviations, same shape and units, finite and positive.
        log: columns whose logarithm is standardised, same shape, with ``mean`` and ``scale`` of the
            logarithm; by default none.

    Raises:
        DataError: the fields differ in shape, or hold anything but finite numbers and positive
            scales.

    Example:
        >>> standardizer = Standardizer.fit([[1.0, 5.0], [3.0, 5.0]])
        >>> standardizer.mean, standardizer.scale
        (array([2., 5.]), array([1., 5.]))
        >>> standardizer.transform([[2.5, 5.0]])
        array([[0.5, 0. ]])
        >>> standardizer.inverse_transform([[0.5, 0.0]])
        array([[2.5, 5. ]])
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    log: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=bool))

    def __post_init__(self) -> None:
        """Check the fields and keep read-only float64 copies of them."""
        for name in ("mean", "scale"):
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        log = np.asarray(self.log, dtype=bool)
        # A view of what it was made of, and read-only.
        object.__setattr__(self, "log", np.broadcast_to(log, log.shape or self.mean.shape))
        if self.log.shape != self.mean.shape:
            raise DataError(
                f"log must be of the shape of mean, {self.mean.shape}; got {self.log.shape}"
            )
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
    def fit(
        cls, values: ArrayLike, *, missing: bool = False, log: Sequence[bool] | None = None
    ) -> Self:
        """The standardizer that gives features mean 0 and standard deviation 1.

        Args:
            values: table ``[N, D]`` or one series ``[N]``, ``N >= 1``.
            missing: whether NaN stands for a value that is missing, and is left aside; every
                column needs one that is there.
            log: whether the logarithm of a column is standardised, ``[D]``; by default of none.

        Returns:
            A standardizer with fields of shape ``[D]`` or ``[]``.

        Raises:
            DataError: no rows, another number of dimensions, NaN or infinity, or a value without a
                logarithm.

        Example:
            >>> Standardizer.fit([[1.0], [100.0]], log=[True]).transform([[10.0]])
            array([[0.]])
        """
        chosen = np.zeros(np.shape(values)[1:], dtype=bool) if log is None else np.array(log)
        mean, scale, constant = _moments(_logarithms(values, chosen), missing=missing)
        scale = np.where(constant, np.maximum(1.0, np.abs(mean)), scale)
        return cls(mean=mean, scale=scale, log=chosen)

    @classmethod
    def unchanging(cls, *shape: int) -> Self:
        """The standardizer that leaves columns ``[D]``, or a series ``[]``, as they are.

        Example:
            >>> Standardizer.unchanging(2).transform([[3.0, -1.0]])
            array([[ 3., -1.]])
        """
        return cls(mean=np.zeros(shape), scale=np.ones(shape))

    def leaving(self, column: int | None) -> Self:
        """The same, but for a column that it leaves as it is; ``None`` for no column.

        Example:
            >>> Standardizer.fit([[1.0, 5.0], [3.0, 7.0]]).leaving(1).transform([[1.0, 5.0]])
            array([[-1.,  5.]])
        """
        if column is None:
            return self
        mean, scale = self.mean.copy(), self.scale.copy()
        mean[column], scale[column] = 0.0, 1.0
        return replace(
            self, mean=mean, scale=scale, log=self.log & (np.arange(len(mean)) != column)
        )

    @classmethod
    def of_targets(cls, values: ArrayLike) -> Self:
        """The same for targets, which differ where they are constant.

        Args:
            values: targets ``[N]``, or ``[N, Q]``, NaN where missing.

        Raises:
            DataError: as :meth:`fit`.

        Example:
            >>> Standardizer.of_targets([5.0, 5.0, 5.0]).scale
            array(5.e-09)
        """
        mean, scale, constant = _moments(values, missing=np.ndim(values) > 1)
        size = np.where(mean == 0.0, 1.0, np.abs(mean))
        return cls(
            mean=mean, scale=np.where(constant, np.maximum(_NEAR_ZERO * size, _NARROWEST), scale)
        )

    def transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """``(values - mean) / scale``, of the logarithm where there is one, float64, same shape.

        Args:
            values: ``[N, D]`` in the units of the data; for a standardizer of one series, any
                shape.

        Raises:
            DataError: not the number of columns it was fitted on, or a value without a logarithm.
        """
        return (_logarithms(self._table(values), self.log) - self.mean) / self.scale

    def inverse_transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """``values * scale + mean``, float64, same shape; back in the units of the data.

        Args:
            values: standardised, ``[N, D]``; for a standardizer of one series, any shape.

        Raises:
            DataError: not the number of columns it was fitted on.
        """
        back = self._table(values) * self.scale + self.mean
        return np.exp(back, where=self.log, out=back.copy()) if self.log.any() else back

    def read(self, values: FloatArray, column: int) -> FloatArray:
        """What is standardised of values of a column: their logarithm, or the values themselves.

        Example:
            >>> Standardizer.fit([[1.0], [2.0]]).read(np.array([1.5]), 0)
            array([1.5])
        """
        return np.log(values) if self.log[column] else values

    def unread(self, values: FloatArray, column: int) -> FloatArray:
        """The values of a column of which :meth:`read` makes these."""
        return np.exp(values) if self.log[column] else values

    def step(self, values: FloatArray, column: int) -> FloatArray:
        """``d value / d z`` at values of a column, same shape: the units of a standardised one."""
        rate = values if self.log[column] else np.ones_like(values)
        return np.asarray(self.scale[column] * rate)

    def _table(self, values: ArrayLike) -> NDArray[np.float64]:
        """``values`` as float64, with the columns this standardizer knows."""
        table = np.asarray(values, dtype=np.float64)
        if self.mean.ndim == 1 and (table.ndim != 2 or table.shape[1:] != self.mean.shape):
            raise DataError(
                f"values must be [N, {self.mean.size}], the columns of the fit; "
                f"got shape {table.shape}"
            )
        return table


def _logarithms(values: ArrayLike, log: NDArray[np.bool_]) -> FloatArray:
    """The values with logarithms in the columns that have them; NaN stays."""
    table = np.asarray(values, dtype=np.float64)
    if not log.any():
        return table
    if (wrong := log & (table <= 0.0)).any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"column {column + 1}, row {row + 1}: {table[row, column]:g} has no logarithm; "
            "expected numbers above zero"
        )
    return np.log(table, where=log, out=table.copy())


def constant_columns(values: ArrayLike) -> NDArray[np.bool_]:
    """Which columns are constant up to rounding.

    ``max - min <= 64 ulp(max |value|)``: the column varies by less than the rounding errors of a
    short computation, as 0.3 and 0.1 + 0.2 do.  The rule holds at every size, subnormal numbers
    included.  scikit-learn's ``StandardScaler`` has a bound of the same kind, which grows with the
    number of rows: ``std <= N eps |mean|``.

    Args:
        values: ``[N, D]`` or ``[N]``; NaN is left aside.

    Returns:
        ``[D]`` or ``[]``; a column without any value is constant.

    Example:
        >>> constant_columns([[0.3, 0.3], [0.1 + 0.2, 0.4]])
        array([ True, False])
    """
    table = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(table)
    lowest = np.where(there, table, np.inf).min(axis=0, initial=np.inf)
    highest = np.where(there, table, -np.inf).max(axis=0, initial=-np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        ulp = np.spacing(np.maximum(np.abs(lowest), np.abs(highest)))
        return np.asarray((highest - lowest <= _ROUNDING * ulp) | (lowest > highest))


def _moments(
    values: ArrayLike, *, missing: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Mean and standard deviation, and whether constant, each ``[D]`` or ``[]``."""
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
        columns = [_moments(column[~np.isnan(column)], missing=False) for column in table.T]
        mean, scale, constant = (np.array(part) for part in zip(*columns, strict=True))
        return mean, scale, constant
    constant = constant_columns(table)
    # The mean rounds: that of three times 0.1 is not 0.1, and lies beyond the column's values.
    mean = np.clip(table.mean(axis=0), table.min(axis=0), table.max(axis=0))
    deviations = table - mean
    farthest = np.abs(deviations).max(axis=0)
    size = np.where(farthest == 0.0, 1.0, farthest)
    # Relative to the largest, so that squares of 1e300 do not overflow, nor those of 1e-300 vanish.
    scale = size * np.sqrt(np.square(deviations / size).mean(axis=0))
    # Below the smallest normal number a division loses its digits, and a scale may round to 0.
    return mean, np.maximum(scale, np.finfo(np.float64).tiny), constant


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
    # The ends first: a long table is not copied for a question that they answer.
    ends = np.stack([np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)])
    with np.errstate(over="ignore"):
        if not (np.abs(scaling.transform(ends)) > _FARTHEST).any():
            return
        far = np.argwhere(np.abs(scaling.transform(values)) > _FARTHEST)
    first = tuple(int(index) for index in far[0])
    row = None if place is None else place(first[0])
    columns = columns if values.ndim > 1 else None
    raise DataError(
        f"{_where(name, first, columns, row)}: {values[first]:g} lies more than {_FARTHEST:g} "
        "standard deviations from the training data; expected values of the same units"
    )


def refuse_large(
    name: str, values: NDArray[np.float64], *, columns: Sequence[str] | None = None
) -> None:
    """Refuse values whose powers would overflow float64, and say which is the first.

    Args:
        name: what the values are, for the message.
        values: ``[N, D]`` or ``[N]``; NaN passes.
        columns: names, for the message to name a column.

    Raises:
        DataError: a value beyond 1e75.

    Example:
        >>> refuse_large("y", np.array([1.0, 1e300]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: y, row 2: 1e+300 is beyond 1e+75, where powers overflow;
            expected smaller numbers: choose a larger unit
    """
    if max(-np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)) > _LARGEST:
        large = np.argwhere(np.abs(values) > _LARGEST)
        place = tuple(int(index) for index in large[0])
        raise DataError(
            f"{_where(name, place, columns)}: {values[place]:g} is beyond {_LARGEST:g}, where "
            "powers overflow; expected smaller numbers: choose a larger unit"
        )


def refuse_narrow(
    name: str, values: NDArray[np.float64], *, columns: Sequence[str] | None = None
) -> None:
    """Refuse columns that vary by so little that powers of it vanish in float64.

    Args:
        name: what the values are, for the message.
        values: ``[N, D]`` or ``[N]``, not beyond 1e75; NaN passes.
        columns: names, for the message to name a column.

    Raises:
        DataError: a column that is not constant, and varies by less than 1e-75.

    Example:
        >>> refuse_narrow("y", np.array([0.0, 1e-300]))
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: y: values differ by 1e-300 at most, less than 1e-75, where
            powers vanish; expected larger numbers: choose a smaller unit
    """
    constant, table = constant_columns(values), np.atleast_2d(values.T).T
    for column in np.flatnonzero(~constant):
        spread = float(np.nanmax(table[:, column]) - np.nanmin(table[:, column]))
        if spread < _NARROWEST:
            where = _column(name, int(column), columns, several=values.ndim > 1)
            raise DataError(
                f"{where}: values differ by {spread:g} at most, less than {_NARROWEST:g}, where "
                "powers vanish; expected larger numbers: choose a smaller unit"
            )


def _where(
    name: str, place: tuple[int, ...], columns: Sequence[str] | None, row: str | None = None
) -> str:
    """A place in words: what the values are, the row, and the column of a table."""
    column = place[1] if len(place) > 1 else 0
    where = f"{name}, {row or f'row {place[0] + 1}'}"
    return _column(where, column, columns, several=len(place) > 1)


def _column(name: str, column: int, columns: Sequence[str] | None, *, several: bool) -> str:
    """A column in words, by its name where there are names, by its number in a table."""
    if columns is not None:
        return f"{name}, column {columns[column]!r}"
    return f"{name}, column {column + 1}" if several else name
