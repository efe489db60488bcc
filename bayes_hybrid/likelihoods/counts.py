"""Counts and events: no noise scale, and a link between the location and the mean."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions import Bernoulli as BernoulliDensity
from bayes_hybrid.distributions import NegativeBinomial as NegativeBinomialDensity
from bayes_hybrid.distributions import Poisson as PoissonDensity
from bayes_hybrid.likelihoods.base import Base, Likelihood, stated
from bayes_hybrid.priors import LogNormalPrior

_CONCENTRATION: Final = LogNormalPrior(median=3.0, spread=1.5)


@dataclass(frozen=True, kw_only=True)
class _Counts(Likelihood):
    """What families without a noise scale share: a mean that a location of zero stands for."""

    has_scale: ClassVar[bool] = False
    standardises: ClassVar[bool] = False
    support: ClassVar[constraints.Constraint] = constraints.nonnegative_integer
    takes: ClassVar[str] = "whole numbers from 0 on"
    base: Base = None

    def anchored(self, y: FloatArray) -> Self:
        """With the mean of ``y``, half a count more in none of them, where nothing is stated."""
        if self.base is not None:
            return self
        total, rows = np.nansum(y, axis=0), (~np.isnan(y)).sum(axis=0)
        return replace(self, base=stated(self._off_the_ends(total, rows)))

    def _off_the_ends(self, total: FloatArray, rows: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(total, 0.5) / rows)

    def _from_base(self, location: Tensor) -> Tensor:
        """The location, counted from the log of the base; that of one where none is stated."""
        return location if self.base is None else location + location.new_tensor(self.base).log()


@dataclass(frozen=True, kw_only=True)
class Poisson(_Counts):
    """``y ~ Poisson(base * exp(location))``: counts with a variance equal to their mean.

    Args:
        base: mean count at a location of zero, one for each output; ``None`` takes the mean of the
            training targets.

    Example:
        >>> import torch
        >>> Poisson(base=4.0)(torch.zeros(2)).mean
        tensor([4., 4.])
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu) = \frac{\lambda^y e^{-\lambda}}{y!}, \quad \lambda = b \, e^{\mu}",
        "Poisson counts: the variance is the mean.",
    )

    def __call__(self, location: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return PoissonDensity(self._from_base(location))


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial(_Counts):
    """``y ~ NegativeBinomial(m, c)``, ``m = base * exp(location)``: variance ``m + m**2 / c``.

    Args:
        base: mean count at a location of zero, see :class:`Poisson`.
        concentration: c, a positive number, or a prior from which each regime's is learned.

    Example:
        >>> import torch
        >>> NegativeBinomial(base=2.0, concentration=4.0)(torch.tensor(0.0)).variance
        tensor(3.)
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu) \propto (\frac{m}{m + c})^y (\frac{c}{m + c})^c, \quad m = b \, e^{\mu}",
        "Negative binomial counts: their variance exceeds the mean m by m² / c.",
    )
    shape_name: ClassVar[str | None] = "concentration"
    concentration: float | LogNormalPrior = _CONCENTRATION

    def __call__(self, location: Tensor, shape: Tensor | None = None) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return NegativeBinomialDensity(self._from_base(location), self._shape(shape, location))


@dataclass(frozen=True, kw_only=True)
class Bernoulli(_Counts):
    """``y ~ Bernoulli(p)``, ``logit p = logit base + location``: whether something happened.

    Args:
        base: probability at a location of zero, see :class:`Poisson`.

    Example:
        >>> import torch
        >>> Bernoulli(base=0.25)(torch.tensor(0.0)).mean
        tensor(0.2500)
    """

    support: ClassVar[constraints.Constraint] = constraints.boolean
    takes: ClassVar[str] = "0 and 1"
    formula: ClassVar[tuple[str, str] | None] = (
        r"f(1; \mu) = p, \quad \log \frac{p}{1 - p} = \log \frac{b}{1 - b} + \mu",
        "Events that happen with probability p.",
    )

    def __call__(self, location: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        odds = location
        if self.base is not None:
            odds = location + location.new_tensor(self.base).logit()
        return BernoulliDensity(odds)

    def _off_the_ends(self, total: FloatArray, rows: FloatArray) -> FloatArray:
        return np.asarray((total + 0.5) / (rows + 1.0))
