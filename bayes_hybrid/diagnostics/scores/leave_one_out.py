"""Leave-one-out cross-validation by ArviZ: its figures, and its comparison."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.loo import compare, loo

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS
from bayes_hybrid.diagnostics.evaluation.chains import BAD_K

__all__ = [
    "BAD_SHARE",
    "LeaveOneOut",
    "Pointwise",
    "compared",
    "difference",
    "leave_one_out",
]

BAD_SHARE: Final = 0.05
"""More such rows than one in twenty, and the sum leans on them."""

# ArviZ 1 rounds its table for print unless it is told not to; ArviZ 0 never does, nor has a word
# for it.
_UNROUNDED: Final[dict[str, Any]] = (
    {"round_to": "none"} if "round_to" in signature(compare).parameters else {}
)

_APART: Final = 1e-9
"""Nats between repeated draws, such as rejected steps leave: at a tie ArviZ's fit of the tail can
divide by zero."""

_DIMS: Final = {
    "usage": ("chain", "draw", "regime"),
    "log_lik": ("chain", "draw"),
    "log_likelihood": ("chain", "draw", "obs"),
}


class Pointwise(Protocol):
    """The result of a cross-validation."""

    @property
    def pointwise(self) -> FloatArray:
        """Log density of each row by a fit that has not seen it, in nats, ``[N]``."""

    @property
    def elpd(self) -> float:
        """Their sum."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LeaveOneOut:
    """Leave-one-out cross-validation of one fit by Pareto-smoothed importance sampling.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27.

    Attributes:
        elpd: ``sum_n log p(y_n | x_n, all other rows)``, in nats.
        pointwise: its summands, ``[N]``.
        pareto_k: Pareto k-hat of each row, ``[N]``.
        data: ArviZ's own object, which its ``compare`` takes.
    """

    elpd: float
    pointwise: FloatArray
    pareto_k: FloatArray
    data: Any

    @property
    def bad_k(self) -> float:
        """Share of rows with Pareto k-hat above 0.7, whose summand cannot be trusted."""
        # Written so that a k that is NaN counts as bad.
        return float((~(self.pareto_k <= BAD_K)).mean())


def leave_one_out(arrays: Mapping[str, FloatArray]) -> LeaveOneOut:
    """The figures of a fit.

    Args:
        arrays: ``log_likelihood [R, S, N]``; and of ``usage [R, S, K]`` and ``log_lik [R, S]``, the
            sum over the rows, those that move within every chain: ArviZ reads from them how many
            independent draws there are.

    Raises:
        ValueError: there are fewer than 25 draws, or all alike, or the result is not finite.
    """
    shape = arrays["log_likelihood"].shape[:2]
    num_draws = int(np.prod(shape))
    if num_draws < MIN_PARETO_DRAWS:
        raise ValueError(f"leave-one-out needs {MIN_PARETO_DRAWS} draws; there are {num_draws}")
    if "log_lik" not in arrays:
        raise ValueError("leave-one-out needs draws that differ; these do not")
    variables = {name: (_DIMS[name], values) for name, values in arrays.items()}
    dims, values = variables.pop("log_likelihood")
    apart = _APART * np.linspace(0.0, 1.0, num_draws).reshape(*shape, 1)
    log_likelihood = xr.Dataset({"y": (dims, values + apart)})
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset(variables), "log_likelihood": log_likelihood}
    )
    with warnings.catch_warnings():
        # Bad k-hats are shown beside the figures.
        warnings.simplefilter("ignore")
        data = loo(tree, pointwise=True)
    pointwise = np.ravel(data.elpd_i).astype(np.float64)
    if not np.isfinite(pointwise).all():
        raise ValueError("leave-one-out is not finite")
    return LeaveOneOut(
        elpd=float(data.elpd),
        pointwise=pointwise,
        pareto_k=np.ravel(data.pareto_k).astype(np.float64),
        data=data,
    )


def difference(of: Pointwise, to: Pointwise) -> tuple[float, float]:
    """``elpd_of - elpd_to``, and its standard error ``sqrt(N Var_n(difference of row n))``.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, equation 24.
    """
    rows = of.pointwise - to.pointwise
    return float(rows.sum()), float(np.sqrt(rows.size * rows.var()))


def compared(fits: Mapping[str, LeaveOneOut]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """ArviZ's ``compare``, and what it warned of.

    Args:
        fits: leave-one-out by variant; fewer than two give an empty table.
    """
    if len(fits) < 2:
        return pd.DataFrame(), ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = compare({name: fit.data for name, fit in fits.items()}, **_UNROUNDED)
    # The others speak to the developers of ArviZ.
    told = (str(warning.message) for warning in caught if warning.category is UserWarning)
    return table, tuple(dict.fromkeys(told))
