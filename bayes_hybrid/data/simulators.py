"""One-dimensional families with known regimes, to measure fits against."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid import checks

__all__ = ["FAMILIES", "SWITCH_POINT", "Simulated", "simulate"]

_Vector = NDArray[np.float64]
_Regimes = NDArray[np.int64]
_Family = Callable[[_Vector, np.random.Generator], tuple[_Vector, _Regimes]]

SWITCH_POINT: Final = 0.3
"""Where ``step`` jumps and ``kink`` bends."""

_BRANCH_PROBABILITY: Final = 0.3
_BRANCH_LEVEL: Final = -1.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulated:
    """Rows drawn from a known family.

    Attributes:
        x: inputs, ``[N, 1]``.
        y: targets, ``[N]``: ``mean + noise_scale * eps``.
        regime: the regime that made each row, ``[N]``, 0 or 1.
        mean: the noise-free target *of that regime*, ``E[y | x, regime]``, ``[N]``.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    regime: NDArray[np.int64]
    mean: NDArray[np.float64]


def _smooth(x: _Vector, rng: np.random.Generator) -> tuple[_Vector, _Regimes]:
    return np.sin(2.0 * x) + 0.3 * x, np.zeros(x.shape, dtype=np.int64)


def _step(x: _Vector, rng: np.random.Generator) -> tuple[_Vector, _Regimes]:
    after = x >= SWITCH_POINT
    return np.sin(2.0 * x) + 1.5 * after, after.astype(np.int64)


def _kink(x: _Vector, rng: np.random.Generator) -> tuple[_Vector, _Regimes]:
    after = x >= SWITCH_POINT
    line = math.sin(2.0 * SWITCH_POINT) + 2.5 * (x - SWITCH_POINT)
    return np.where(after, line, np.sin(2.0 * x)), after.astype(np.int64)


def _two_branch(x: _Vector, rng: np.random.Generator) -> tuple[_Vector, _Regimes]:
    on_branch = (x > 0.0) & (rng.random(x.shape) < _BRANCH_PROBABILITY)
    return np.where(on_branch, _BRANCH_LEVEL, np.sin(2.0 * x)), on_branch.astype(np.int64)


FAMILIES: Final[MappingProxyType[str, _Family]] = MappingProxyType(
    {"smooth": _smooth, "step": _step, "kink": _kink, "two_branch": _two_branch}
)
"""The families by name; each maps ``(x, rng)`` to the noise-free targets and the regimes."""


def simulate(family: str, num_rows: int, *, noise_scale: float = 0.1, seed: int) -> Simulated:
    """Draw rows from one of the benchmark families: x ~ Uniform(-2, 2), Normal noise.

    ========== =========================================================== ======================
    family     noise-free target                                           regime 1
    ========== =========================================================== ======================
    smooth     sin 2x + 0.3x                                               never
    step       sin 2x + 1.5 [x >= 0.3]                                     x >= 0.3
    kink       sin 2x below 0.3, from there sin 0.6 + 2.5 (x - 0.3)        x >= 0.3
    two_branch sin 2x, and on the second branch -1.5                       with probability 0.3
                                                                           where x > 0
    ========== =========================================================== ======================

    Args:
        family: ``"smooth"``, ``"step"``, ``"kink"`` or ``"two_branch"``.
        num_rows: N, at least 1.
        noise_scale: standard deviation of the noise, the same everywhere, in the units of y.
        seed: non-negative integer; the same seed gives the same x and regimes at every
            ``noise_scale``.

    Returns:
        x ``[N, 1]``, y, regime and mean ``[N]``, in the order drawn (not sorted by x).

    Raises:
        OptionError: an unknown family, no rows, a noise scale that is not positive, or a seed that
            is negative or no integer.

    Example:
        >>> rows = simulate("step", 200, seed=0)
        >>> rows.x.shape, rows.y.shape
        ((200, 1), (200,))
        >>> bool((rows.regime == (rows.x[:, 0] >= 0.3)).all())
        True
    """
    noise_free = FAMILIES[checks.choice("family", family, tuple(FAMILIES))]
    num_rows = checks.positive_int("num_rows", num_rows)
    noise_scale = checks.positive_float("noise_scale", noise_scale)
    rng = np.random.default_rng(checks.positive_int("seed", seed, minimum=0))
    x = rng.uniform(-2.0, 2.0, num_rows)
    mean, regime = noise_free(x, rng)
    y = mean + noise_scale * rng.standard_normal(num_rows)
    return Simulated(x=x[:, None], y=y, regime=regime, mean=mean)
