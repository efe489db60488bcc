"""Normal noise."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import Normal as NormalDensity
from bayes_hybrid.likelihoods.censored import Censorable


@dataclass(frozen=True, kw_only=True)
class Normal(Censorable):
    """``y ~ Normal(location, scale)``; ``scale`` is the standard deviation.

    Example:
        >>> import torch
        >>> Normal()(torch.zeros(3), torch.ones(3)).batch_shape
        torch.Size([3])
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) = \frac{1}{\sigma \sqrt{2 \pi}} e^{-r^2 / 2}, "
        r"\quad r = \frac{y - \mu}{\sigma}",
        "Normal noise.",
    )

    def __call__(
        self, location: Tensor, scale: Tensor, status: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        density = NormalDensity(location, scale, validate_args=False)
        return self._observed(density, status)
