"""Noise that is Normal in the core and exponential beyond a threshold."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import Huber as HuberDensity
from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.priors import LogNormalPrior


@dataclass(frozen=True, kw_only=True)
class Huber(Likelihood):
    """``y ~ Huber(location, scale, threshold)``: the normalised density of Huber's loss.

    With ``r = (y - location) / scale`` and the threshold d, in units of scale::

        -log p(y) = r**2 / 2            for |r| <= d
                    d * (|r| - d / 2)   beyond
                    + log(scale * constant(d))

    Args:
        threshold: d, a positive number, or a prior from which it is learned.  1.345 keeps 95% of
            the efficiency of the mean under Normal noise (Huber 1981, section 4.5).

    Example:
        >>> import torch
        >>> far = torch.tensor([10.0, 11.0])
        >>> log_prob = Huber()(torch.tensor(0.0), torch.tensor(1.0)).log_prob(far)
        >>> round(float(log_prob[0] - log_prob[1]), 3)
        1.345
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto \frac{1}{\sigma} e^{-\rho(r)}, \quad \rho(r) = r^2 / 2 "
        r"\text{ for } |r| \le \delta, \quad \delta (|r| - \delta / 2) \text{ beyond}",
        "The normalised density of Huber's loss: a Normal core with exponential tails.",
    )
    shape_name: ClassVar[str | None] = "threshold"
    threshold: float | LogNormalPrior = 1.345

    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return HuberDensity(location, scale, self._shape(shape, scale), validate_args=False)
