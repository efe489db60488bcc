"""Hostile arrays and frames for ``fit``, and targets whose right prediction is known."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.faults.sheets import Expect
from benchmarks.faults.tiny import FEATURES, TARGET, tiny_table

__all__ = ["FORMS", "KNOWN", "Form", "Known"]

Rng = np.random.Generator
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Form:
    """Features and targets in some form, and what has to become of them."""

    X: Any
    y: Any
    expect: Expect = "same"


def _base() -> tuple[Vector, Vector]:
    table = tiny_table()
    return table[FEATURES].to_numpy(), table[TARGET].to_numpy()


def _form(change: Callable[[Vector, Vector], tuple[Any, Any]], expect: Expect = "same") -> Any:
    return lambda rng: Form(**dict(zip("Xy", change(*_base()), strict=True)), expect=expect)


def _frame(x: Vector, **settings: Any) -> pd.DataFrame:
    return pd.DataFrame(x, columns=FEATURES, **settings)


def _objects(value: Any) -> Callable[[Rng], Form]:
    """A value among the features, which is none."""

    def form(rng: Rng) -> Form:
        x, y = _base()
        X = x.astype(object)
        X[rng.integers(len(X)), rng.integers(2)] = value
        return Form(X=X if rng.random() < 0.5 else _frame(X), y=y, expect="refused")

    return form


def _targets(value: Any) -> Callable[[Rng], Form]:
    def form(rng: Rng) -> Form:
        x, y = _base()
        target = y.astype(object)
        target[rng.integers(len(y))] = value
        return Form(X=x, y=target if rng.random() < 0.5 else pd.Series(target), expect="refused")

    return form


def _read_only(values: Vector) -> Vector:
    values.setflags(write=False)
    return values


def _masked(values: Vector, rng: Rng) -> Any:
    mask = np.zeros(values.shape, dtype=bool)
    mask.ravel()[rng.integers(mask.size)] = True
    return np.ma.array(np.where(mask, -999.0, values), mask=mask)


def _index(index: Any) -> Callable[[Rng], Form]:
    return lambda rng: Form(X=_frame(_base()[0], index=index), y=pd.Series(_base()[1], index=index))


_DATES: Final = pd.date_range("2024-01-01", periods=24)
FORMS: Final[dict[str, Callable[[Rng], Form]]] = {
    "lists": _form(lambda x, y: (x.tolist(), y.tolist())),
    "Fortran order": _form(lambda x, y: (np.asfortranarray(x), y)),
    "strides": _form(lambda x, y: (np.repeat(x, 2, axis=0)[::2], y[::-1].copy()[::-1])),
    "read-only": _form(lambda x, y: (_read_only(x), _read_only(y))),
    "float16": _form(lambda x, y: (x.astype(np.float16), y.astype(np.float16))),
    "float32": _form(lambda x, y: (x.astype(np.float32), y.astype(np.float32))),
    "long double": _form(lambda x, y: (x.astype(np.longdouble), y.astype(np.longdouble))),
    "big-endian": _form(lambda x, y: (x.astype(">f8"), y.astype(">f8"))),
    "objects": _form(lambda x, y: (x.astype(object), y.astype(object))),
    "decimals": _form(lambda x, y: (_frame(x).map(Decimal), pd.Series(y).map(Decimal))),
    "nullable": _form(lambda x, y: (_frame(x).astype("Float64"), pd.Series(y).astype("Float64"))),
    "Arrow": _form(lambda x, y: (_frame(x).convert_dtypes(dtype_backend="pyarrow"), y)),
    "a frame": _form(lambda x, y: (_frame(x), pd.Series(y, name="y"))),
    "an index of dates": _index(_DATES),
    "an index that repeats": _index([0] * 24),
    "an index of two levels": _index(pd.MultiIndex.from_product([range(4), range(6)])),
    "another index for y": _form(lambda x, y: (_frame(x), pd.Series(y, index=np.arange(24)[::-1]))),
    "numbers for names": _form(lambda x, y: (pd.DataFrame(x), y)),
    "names of both kinds": _form(lambda x, y: (pd.DataFrame(x, columns=[0, "b"]), y), "either"),
    "names in two levels": _form(
        lambda x, y: (pd.DataFrame(x, columns=pd.MultiIndex.from_tuples([(1, 2), (1, 3)])), y),
        "either",
    ),
    "a name that is missing": _form(
        lambda x, y: (pd.DataFrame(x, columns=["a", np.nan]), y), "either"
    ),
    "a name with NUL": _form(lambda x, y: (pd.DataFrame(x, columns=["a", "b\0"]), y), "refused"),
    "a tensor": _form(lambda x, y: (torch.tensor(x), torch.tensor(y)), "either"),
    "a tensor with gradient": _form(
        lambda x, y: (torch.tensor(x, requires_grad=True), y), "either"
    ),
    "xarray": _form(lambda x, y: (xr.DataArray(x), xr.DataArray(y)), "either"),
    "a matrix": _form(lambda x, y: (np.asmatrix(x), y), "either"),
    "a generator": _form(lambda x, y: (iter(x), y), "either"),
    "a dictionary": _form(lambda x, y: (dict(enumerate(x.T)), y), "either"),
    "fields": _form(lambda x, y: (_frame(x).to_records(index=False), y), "either"),
    "sparse": _form(lambda x, y: (sparse.csr_matrix(x), y), "refused"),
    "complex": _form(lambda x, y: (x + 0j, y), "refused"),
    "text": _form(lambda x, y: (x.astype(str), y), "refused"),
    "dates": _form(lambda x, y: (_DATES.to_numpy()[:, None], y), "refused"),
    "categories": _form(lambda x, y: (_frame(x).astype("category"), y), "refused"),
    "periods": _form(lambda x, y: (_frame(x).assign(dose=_DATES.to_period("D")), y), "refused"),
    "one dimension": _form(lambda x, y: (x[:, 0], y), "refused"),
    "three dimensions": _form(lambda x, y: (x[:, :, None], y), "refused"),
    "no dimension": _form(lambda x, y: (np.array(1.0), y), "refused"),
    "no rows": _form(lambda x, y: (x[:0], y[:0]), "refused"),
    "one row": _form(lambda x, y: (x[:1], y[:1]), "refused"),
    "no columns": _form(lambda x, y: (x[:, :0], y), "refused"),
    "fewer targets": _form(lambda x, y: (x, y[:-1]), "refused"),
    "a series for X": _form(lambda x, y: (pd.Series(x[:, 0]), y), "refused"),
    "ragged": _form(lambda x, y: ([*x.tolist()[:-1], [1.0]], y), "refused"),
    "a column twice": _form(lambda x, y: (_frame(x)[["dose", "dose"]], y), "refused"),
    "masked X": lambda rng: Form(X=_masked(_base()[0], rng), y=_base()[1], expect="refused"),
    "masked y": lambda rng: Form(X=_base()[0], y=_masked(_base()[1], rng), expect="refused"),
    "masked nowhere": _form(lambda x, y: (np.ma.array(x), np.ma.array(y)), "either"),
    "NaN": _objects(np.nan),
    "None": _objects(None),
    "NA": _objects(pd.NA),
    "NaT": _objects(pd.NaT),
    "infinity": _objects(np.inf),
    "text among numbers": _objects("1.5"),
    "bytes among numbers": _objects(b"1.5"),
    "a date among numbers": _objects(pd.Timestamp("2024-01-01")),
    "a list among numbers": _objects([1.0]),
    "a complex among numbers": _objects(1j),
    "a large integer among numbers": _objects(10**400),
    "a decimal NaN among numbers": _objects(Decimal("NaN")),
    "NaN in y": _targets(np.nan),
    "None in y": _targets(None),
    "text in y": _targets("1.5"),
    "a large integer in y": _targets(10**400),
    "infinity in y": _targets(-np.inf),
    "1e300 among y": lambda rng: Form(
        X=_base()[0], y=np.where(np.arange(24) == 5, 1e300, _base()[1]), expect="any"
    ),
    "1e300 in X": lambda rng: Form(
        X=np.where(np.arange(48).reshape(24, 2) == 5, 1e300, _base()[0]), y=_base()[1], expect="any"
    ),
    "-1e308 to 1e308 in y": _form(lambda x, y: (x, np.where(y > 0, 1.7e308, -1.7e308)), "any"),
    "subnormal y": _form(lambda x, y: (x, y * 2.0**-1060), "any"),
    "integers of 8 bits": _form(lambda x, y: ((x * 60).astype(np.int8), y), "any"),
    "integers beyond 2**63": _form(
        lambda x, y: ((x * 2**60).astype(np.int64).astype(np.uint64), y), "any"
    ),
    "truth values": _form(lambda x, y: (x > 0, y > 0), "any"),
}


# -- where the right prediction is known


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """Rows to fit, rows to predict, and the right answer.

    Attributes:
        X: features to fit.
        y: targets.
        new: features to predict; the fitted ones by default.
        mean: the right prediction; ``None`` where only a finite one is.
        within: how far from it, in the units of y.
        width: the widest 90% interval.
        mixture: whether the model has regimes.
    """

    X: Vector
    y: Any
    new: Vector | None = None
    mean: Vector | float | None = None
    within: float = 0.0
    width: float = np.inf
    mixture: bool = False


def _constant(rng: Rng) -> Known:
    """The constant itself; rounding of float64 and float32 is left to it."""
    x, _ = _base()
    value = float(rng.choice([0.0, 1e-6, 14.62, -3e12, 1e-300, 1e200, 0.1, 2.0**-1074, -7.0]))
    near = 1e-6 * abs(value) or 1e-6
    return Known(X=x, y=np.full(len(x), value), mean=value, within=near, width=1e3 * near)


def _rounded_constant(rng: Rng) -> Known:
    """A target of one value, but for the last digit."""
    x, _ = _base()
    size = float(rng.choice([0.3, 3e7, 3e-20, -3e150]))
    y = size * np.where(np.arange(len(x)) % 2, 1.0 + 2.0**-52, 1.0)
    return Known(X=x, y=y, mean=size, within=1e-6 * abs(size), width=1e-3 * abs(size))


def _rounded_feature(rng: Rng) -> Known:
    """A feature of one value, but for the last digit, says nothing: the curve stays the curve."""
    x, y = _base()
    size = float(rng.choice([0.3, 3e7, 3e-20, -3e150]))
    X = x.copy()
    X[:, 1] = size * np.where(np.arange(len(x)) % 2, 1.0 + 2.0**-52, 1.0)
    new = X.copy()
    new[:, 1] = size * (1.0 + 4e-16)
    # Whatever the few steps have learned, a prediction stays among the targets.
    return Known(X=X, y=y, new=new, mean=float(y.mean()), within=float(np.ptp(y)))


def _scaled(rng: Rng) -> Known:
    """Powers of two scale exactly: standardised rows are the same to the last bit."""
    from benchmarks.faults.tables import reference

    x, y = _base()
    up, across = (2.0 ** int(k) for k in rng.choice([-600, -300, -20, 1, 20, 300, 600], 2))
    mean = up * reference()
    return Known(X=x * across, y=y * up, mean=mean, within=1e-12 * float(np.abs(mean).max()))


def _few(rng: Rng) -> Known:
    x, y = _base()
    count = int(rng.integers(2, 6))
    return Known(X=x[:count], y=y[:count], new=x, mixture=True)


def _equal_rows(rng: Rng) -> Known:
    x, y = _base()
    return Known(X=np.repeat(x[:1], 24, axis=0), y=y if rng.random() < 0.5 else y.round())


def _wide(rng: Rng) -> Known:
    _, y = _base()
    return Known(X=rng.standard_normal((24, 200)), y=y)


def _outlier(rng: Rng) -> Known:
    x, y = _base()
    target = y.copy()
    target[3] = float(rng.choice([1e6, -1e15, 1e30]))
    return Known(X=x, y=target)


def _far_apart(rng: Rng) -> Known:
    """Features whose sizes differ by 400 powers of ten."""
    x, y = _base()
    return Known(X=x * np.array([1e-200, 1e200]), y=y)


KNOWN: Final[dict[str, Callable[[Rng], Known]]] = {
    "a constant target": _constant,
    "a constant target (2)": _constant,
    "a target constant up to rounding": _rounded_constant,
    "a feature constant up to rounding": _rounded_feature,
    "powers of two": _scaled,
    "powers of two (2)": _scaled,
    "two to five rows": _few,
    "equal rows": _equal_rows,
    "more columns than rows": _wide,
    "an outlier": _outlier,
    "sizes far apart": _far_apart,
}
