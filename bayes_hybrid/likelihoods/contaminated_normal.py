"""Normal noise with a share of gross errors."""

from dataclasses import dataclass
from typing import ClassVar, Final

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.distributions import ContaminatedNormal as ContaminatedNormalDensity
from bayes_hybrid.likelihoods.censored import Censorable
from bayes_hybrid.priors import LogNormalPrior

_RATIO: Final = LogNormalPrior(median=10.0, spread=1.0)


@dataclass(frozen=True, kw_only=True)
class ContaminatedNormal(Censorable):
    """``y ~ (1 - share) Normal(location, scale) + share Normal(location, ratio * scale)``.

    For rows of which most are good and some are grossly wrong, by nobody knows how much; so
    ``ratio`` is learned by default.  ``scale`` is that of the good rows.

    Args:
        ratio: sd of the wrong rows over that of the good ones, a positive number, or a prior from
            which it is learned.  A fixed one that is far too small makes ``scale`` too large.
        share: share of the wrong rows, in (0, 1).  The location hardly depends on it; intervals,
            variance and log density do.

    Example:
        >>> import torch
        >>> noise = ContaminatedNormal(ratio=10.0)(torch.tensor(0.0), torch.tensor(1.0))
        >>> [round(float(noise.log_prob(torch.tensor(y))), 1) for y in (0.0, 3.0, 30.0)]
        [-1.0, -5.1, -10.7]
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) = (1 - \epsilon) \, N(y; \mu, \sigma^2) "
        r"+ \epsilon \, N(y; \mu, \kappa^2 \sigma^2)",
        "Normal noise; in a share ε of the rows its scale is larger by the ratio κ.",
    )
    shape_name: ClassVar[str | None] = "ratio"
    ratio: float | LogNormalPrior = _RATIO
    share: float = 0.05

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.fraction("share", self.share)

    def __call__(
        self,
        location: Tensor,
        scale: Tensor,
        shape: Tensor | None = None,
        status: Tensor | None = None,
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        density = ContaminatedNormalDensity(
            location, scale, self._shape(shape, scale), self.share, validate_args=False
        )
        return self._observed(density, status)
