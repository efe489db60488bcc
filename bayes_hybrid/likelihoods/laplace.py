"""Noise with exponential tails."""

from dataclasses import dataclass

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import Laplace as LaplaceDensity
from bayes_hybrid.likelihoods.base import Likelihood


@dataclass(frozen=True, kw_only=True)
class Laplace(Likelihood):
    """``y ~ Laplace(location, scale)``: ``-log p(y) = |y - location| / scale + log(2 scale)``.

    ``scale`` is not the standard deviation, which is ``scale * sqrt(2)``.

    Example:
        >>> import torch
        >>> round(float(Laplace()(torch.tensor(0.0), torch.tensor(1.0)).variance), 3)
        2.0
    """

    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        del shape
        return LaplaceDensity(location, scale, validate_args=False)
