"""Likelihoods of values of which some are only known to be larger, or smaller."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions import Censored
from bayes_hybrid.errors import DataError
from bayes_hybrid.likelihoods.base import Likelihood


@dataclass(frozen=True, kw_only=True)
class Censorable(Likelihood):
    """What likelihoods share whose rows may be censored.

    Args:
        censored: column of x, by name or index, that says of each row whether y is its value (0),
            or the value is larger (1, such as a machine that still runs), or smaller (-1, such as a
            concentration below what can be measured); pathways and gate do not see it.  ``None``:
            every y is a value.
    """

    size_name: ClassVar[str | None] = "censored"
    plain_size: ClassVar[float] = 0.0
    censored: int | str | None = None

    def sized(self, numbers: tuple[Tensor, ...], size: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Likelihood.sized`: the status is a number of the density."""
        return (*numbers, size.round().expand_as(numbers[0]))

    def require_sizes(self, size: FloatArray, y: FloatArray | None = None) -> None:
        """See :meth:`Likelihood.require_sizes`; without targets the status says nothing."""
        if y is None:
            return
        wrong = ~np.isin(size, (-1.0, 0.0, 1.0))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                "censored: expected 0 where y is the value, 1 where the value is larger, -1 where "
                f"it is smaller; got {size[row]:g} in row {row + 1}"
            )

    @staticmethod
    def _observed(density: dist.TorchDistribution, status: Tensor | None) -> dist.TorchDistribution:
        """The density of rows of this status; ``None``: of values."""
        return density if status is None else Censored(density, status)
