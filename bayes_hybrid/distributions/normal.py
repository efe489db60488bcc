"""The Normal density with an exact lower tail."""

import math
from typing import Final

import pyro.distributions as dist
import torch
from torch import Tensor

from bayes_hybrid.distributions.censored import HasLogTails

_SQRT_2: Final = math.sqrt(2.0)


def log_ndtr(z: Tensor) -> Tensor:
    """``log P(Z <= z)`` of a standard Normal Z.

    torch's own has no batching rule: under ``vmap`` it works row by row.

    Example:
        >>> log_ndtr(torch.tensor([-40.0, 0.0]).double())
        tensor([-8.0461e+02, -6.9315e-01], dtype=torch.float64)
    """
    tail = z < -1.0
    # Each form sees only what it is good for, so that the other's gradient is no NaN.
    far = torch.where(tail, z, -1.0) / -_SQRT_2
    near = torch.where(tail, -1.0, z) / _SQRT_2
    log_tail = torch.log(0.5 * torch.special.erfcx(far)) - far.square()
    return torch.where(tail, log_tail, torch.log1p(-0.5 * torch.erfc(near)))


class Normal(HasLogTails, dist.Normal):
    """``p(y) = exp(-r**2 / 2) / (sqrt(2 pi) scale)``, ``r = (y - loc) / scale``.

    Pyro's class with another form of ``cdf``: its own adds to one half, so that in float64 every
    probability below 1e-16 is zero.

    Args:
        loc: mean, ``[...]``.
        scale: standard deviation, ``[...]``.
        validate_args: as in torch.

    Example:
        >>> float(Normal(torch.tensor(0.0).double(), 1.0).cdf(torch.tensor(-10.0).double())) > 0.0
        True
    """

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``, with full relative accuracy in the lower tail."""
        if self._validate_args:
            self._validate_sample(value)
        below: Tensor = torch.special.erfc((self.loc - value) / (_SQRT_2 * self.scale))
        return 0.5 * below

    def log_cdf(self, value: Tensor) -> Tensor:
        """``log P(Y <= y)``, ``[...]``, finite however far the tail."""
        return log_ndtr((value - self.loc) / self.scale)

    def log_survival(self, value: Tensor) -> Tensor:
        """``log P(Y > y)``, likewise."""
        return log_ndtr((self.loc - value) / self.scale)
