"""Normal noise."""

from dataclasses import dataclass

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import Normal as NormalDensity
from bayes_hybrid.likelihoods.base import Likelihood


@dataclass(frozen=True, kw_only=True)
class Normal(Likelihood):
    """``y ~ Normal(location, scale)``; ``scale`` is the standard deviation.

    Example:
        >>> import torch
        >>> Normal()(torch.zeros(3), torch.ones(3)).batch_shape
        torch.Size([3])
    """

    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        del shape
        return NormalDensity(location, scale, validate_args=False)
