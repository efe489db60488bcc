"""What a method is: a way to fit rows, and the predictive distribution that comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

Vector = np.ndarray


class Predictive(Protocol):
    """The predictive distribution of y at features ``x [N, D]``."""

    def mean(self, x: np.ndarray) -> Vector:
        """Mean, ``[N]``."""

    def log_density(self, x: np.ndarray, y: Vector) -> Vector:
        """Log density of ``y [N]``, in its units, ``[N]``."""

    def quantiles(self, x: np.ndarray, probs: Vector) -> np.ndarray:
        """Quantiles ``[N, P]`` at probabilities ``[P]``."""


@runtime_checkable
class Located(Predictive, Protocol):
    """One that says where behaviour changes."""

    def places(self, along: int) -> np.ndarray:
        """Estimate, lower and upper end of the 90% interval of each place, ``[M, 3]``.

        Ends are not numbers where the method has no interval.
        """


@runtime_checkable
class Regimes(Predictive, Protocol):
    """One that says which regime a row is in."""

    def regimes(self, x: np.ndarray, y: Vector) -> np.ndarray:
        """Probability of each regime given the row, ``[N, K]``."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to fit.

    Args:
        name: as tables print it.
        settings: what was set, in a few words; "defaults" where nothing was.
        fit: from features ``[N, D]``, targets ``[N]`` and a seed.
        needs: modules that have to be importable.
        max_rows: more training rows than this take too long, and are not tried.
        one_feature: only works along one feature.
    """

    name: str
    settings: str
    fit: Callable[[np.ndarray, Vector, int], Predictive]
    needs: tuple[str, ...] = ()
    max_rows: int | None = None
    one_feature: bool = False
