"""Noise with exponential tails."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import Laplace as LaplaceDensity
from bayes_hybrid.likelihoods.censored import Censorable


@dataclass(frozen=True, kw_only=True)
class Laplace(Censorable):
    """``y ~ Laplace(location, scale)``: ``-log p(y) = |y - location| / scale + log(2 scale)``.

    ``scale`` is not the standard deviation, which is ``scale * sqrt(2)``.

    Example:
        >>> import torch
        >>> round(float(Laplace()(torch.tensor(0.0), torch.tensor(1.0)).variance), 3)
        2.0
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) = \frac{1}{2 \sigma} e^{-|r|}, "
        r"\quad r = \frac{y - \mu}{\sigma}",
        "Laplace noise: exponential tails.",
    )

    def __call__(
        self, location: Tensor, scale: Tensor, status: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        density = LaplaceDensity(location, scale, validate_args=False)
        return self._observed(density, status)
