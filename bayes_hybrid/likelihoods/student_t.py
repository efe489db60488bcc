"""Noise with heavy tails."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.distributions import StudentT as StudentTDensity
from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.priors import LogNormalPrior


@dataclass(frozen=True, kw_only=True)
class StudentT(Likelihood):
    """``y ~ StudentT(df, location, scale)``: its tails fall like a power of ``|y|``.

    ``scale`` is not the standard deviation, which is ``scale * sqrt(df / (df - 2))`` for df > 2.

    Args:
        df: degrees of freedom, a number above 1, below which there is no mean; or, to learn them,
            the prior of ``df - 1``.

    Example:
        >>> import torch
        >>> StudentT()(torch.tensor(0.0), torch.tensor(1.0)).variance
        tensor(2.)
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto \frac{1}{\sigma} "
        r"(1 + \frac{r^2}{\nu})^{-\frac{\nu + 1}{2}}, \quad r = \frac{y - \mu}{\sigma}",
        "Student's t noise: heavy tails, outliers pull little.",
    )
    shape_name: ClassVar[str | None] = "df"
    shape_floor: ClassVar[float] = 1.0
    df: float | LogNormalPrior = 4.0

    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return StudentTDensity(self._shape(shape, scale), location, scale, validate_args=False)
