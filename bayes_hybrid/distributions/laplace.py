"""Laplace with exact tails."""

import math
from typing import Final

import pyro.distributions as dist
import torch
from torch import Tensor

from bayes_hybrid.distributions.censored import HasLogTails

_LOG_2: Final = math.log(2.0)


class Laplace(HasLogTails, dist.Laplace):  # type: ignore[misc]  # made at run time
    """``p(y) = exp(-|y - loc| / scale) / (2 scale)``.

    Pyro's class with other forms of ``cdf`` and ``icdf``: its own subtract from one half, so that
    in float32 every probability below 1e-8 is zero.

    Args:
        loc: mean and median, ``[...]``.
        scale: mean absolute deviation, ``[...]``, in units of ``y``; the standard deviation is
            ``sqrt(2)`` of it.
        validate_args: as in torch.

    Raises:
        ValueError: with validation on, a scale that is not positive.

    Example:
        >>> laplace = Laplace(torch.tensor([0.0, 5.0]), 1.0)
        >>> laplace.cdf(torch.tensor(-30.0))
        tensor([4.6788e-14, 3.1526e-16])
        >>> laplace.icdf(torch.tensor(0.975))
        tensor([2.9957, 7.9957])
    """

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``, with full relative accuracy in the lower tail."""
        if self._validate_args:
            self._validate_sample(value)
        r = (value - self.loc) / self.scale
        tail = torch.exp(-r.abs()) / 2.0
        return torch.where(r < 0, tail, 1.0 - tail)

    def icdf(self, value: Tensor) -> Tensor:
        """``y`` with ``P(Y <= y) = value``, ``[...]``."""
        distance = -torch.log(2.0 * torch.minimum(value, 1.0 - value))
        quantile: Tensor = self.loc + self.scale * torch.where(value < 0.5, -distance, distance)
        return quantile

    def log_cdf(self, value: Tensor) -> Tensor:
        """``log P(Y <= y)``, ``[...]``, finite however far the tail."""
        return _log_below((value - self.loc) / self.scale)

    def log_survival(self, value: Tensor) -> Tensor:
        """``log P(Y > y)``, likewise."""
        return _log_below((self.loc - value) / self.scale)


def _log_below(r: Tensor) -> Tensor:
    return torch.where(r < 0.0, r - _LOG_2, torch.log1p(-0.5 * torch.exp(-r.abs())))
