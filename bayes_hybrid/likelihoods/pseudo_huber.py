"""A smooth version of Huber's density."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import PseudoHuber as PseudoHuberDensity
from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.priors import LogNormalPrior


@dataclass(frozen=True, kw_only=True)
class PseudoHuber(Likelihood):
    """``y ~ PseudoHuber(location, scale, threshold)``: the symmetric hyperbolic distribution.

    With ``r = (y - location) / scale`` and the threshold d, in units of scale::

        -log p(y) = d**2 * (sqrt(1 + (r / d)**2) - 1) + log(scale * constant(d))

    Args:
        threshold: d, a positive number, or a prior from which it is learned: about where the
            Normal core goes over into exponential tails.

    Source: Barndorff-Nielsen (1977), Exponentially decreasing distributions for the logarithm of
    particle size.

    Example:
        >>> import torch
        >>> far = torch.tensor([100.0, 101.0])
        >>> log_prob = PseudoHuber()(torch.tensor(0.0), torch.tensor(1.0)).log_prob(far)
        >>> round(float(log_prob[0] - log_prob[1]), 3)
        1.345
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto \frac{1}{\sigma} "
        r"e^{-\delta^2 (\sqrt{1 + (r / \delta)^2} - 1)}, \quad r = \frac{y - \mu}{\sigma}",
        "The normalised density of the pseudo-Huber loss: a smooth passage to exponential tails.",
    )
    shape_name: ClassVar[str | None] = "threshold"
    threshold: float | LogNormalPrior = 1.345

    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return PseudoHuberDensity(location, scale, self._shape(shape, scale), validate_args=False)
