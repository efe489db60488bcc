"""Positive numbers and shares: a link between the location and the mean, and a dispersion."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer, constant_columns
from bayes_hybrid.distributions import Beta as BetaDensity
from bayes_hybrid.distributions import Gamma as GammaDensity
from bayes_hybrid.distributions import LogNormal as LogNormalDensity
from bayes_hybrid.likelihoods.base import Base, Likelihood, stated

# As for counts: a mean of exp(30) times the base is none that anybody observed.
_MOST: Final = 30.0


class _BetweenZeroAndOne(constraints.Constraint):
    """Shares without none and all: the density at 0 and 1 is zero or infinite."""

    def check(self, value: Tensor) -> Tensor:
        """Which values are above 0 and below 1."""
        return (value > 0.0) & (value < 1.0)


@dataclass(frozen=True, kw_only=True)
class _Positive(Likelihood):
    """What densities of positive numbers share."""

    standardises: ClassVar[bool] = False
    support: ClassVar[constraints.Constraint] = constraints.positive
    takes: ClassVar[str] = "numbers above 0"


@dataclass(frozen=True, kw_only=True)
class Gamma(_Positive):
    """``y ~ Gamma`` with mean ``base * exp(location)`` and standard deviation ``scale * mean``.

    ``scale`` is the coefficient of variation, and ``1 / scale**2`` the density's shape.  The prior
    of the noise suits it as it stands: a median of 20%, 2% to 200% in nine cases of ten.

    Args:
        base: mean at a location of zero, one for each output; ``None`` takes the mean of the
            training targets.

    Example:
        >>> import torch
        >>> waits = Gamma(base=4.0)(torch.tensor(0.0), torch.tensor(0.5))
        >>> waits.mean, waits.stddev
        (tensor(4.), tensor(2.))
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto y^{k - 1} e^{-k y / m}, \quad m = b \, e^{\mu}, "
        r"\quad k = 1 / \sigma^2",
        "Gamma: the standard deviation is sigma times the mean m.",
    )
    base: Base = None

    def anchored(self, y: FloatArray) -> Self:
        """With the mean of ``y``, where nothing is stated."""
        return self if self.base is not None else replace(self, base=stated(np.nanmean(y, axis=0)))

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        base = location.new_tensor(1.0 if self.base is None else self.base)
        return GammaDensity(location.clamp(-_MOST, _MOST) + base.log(), scale)


@dataclass(frozen=True, kw_only=True)
class LogNormal(_Positive):
    """``log y ~ Normal(centre + spread * location, spread * scale)``: a Normal fit of log y.

    Args:
        centre: mean log at a location of zero, one for each output; ``None`` takes the mean of the
            training targets' logs.
        spread: one unit of location and scale; ``None`` takes the standard deviation of the
            training targets' logs, or 1 where it is 0.

    Example:
        >>> import torch
        >>> waits = LogNormal(centre=2.0, spread=0.5)(torch.tensor(0.0), torch.tensor(1.0))
        >>> waits.icdf(torch.tensor(0.5)).log()
        tensor(2.)
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) = \frac{1}{y \, v \sigma \sqrt{2 \pi}} e^{-r^2 / 2}, "
        r"\quad r = \frac{\log y - c - v \mu}{v \sigma}",
        "Log-Normal: Normal noise of the logarithm, which has mean c and standard deviation v.",
    )
    centre: Base = None
    spread: Base = None

    def anchored(self, y: FloatArray) -> Self:
        """With mean and standard deviation of ``log y``, where they are not stated."""
        logs = np.log(y)
        found = Standardizer.of_targets(logs)
        spread = np.where(constant_columns(logs), 1.0, found.scale)
        return replace(
            self,
            centre=stated(found.mean) if self.centre is None else self.centre,
            spread=stated(spread) if self.spread is None else self.spread,
        )

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        # In float64: float32 has 1e-7 of a centre, which is more of a small spread.
        centre, spread = (
            location.new_tensor(default if given is None else given, dtype=torch.float64)
            for given, default in ((self.centre, 0.0), (self.spread, 1.0))
        )
        return LogNormalDensity(location, scale, centre, spread)


@dataclass(frozen=True, kw_only=True)
class Beta(Likelihood):
    """``y ~ Beta`` with ``logit mean = logit base + location``, and precision ``1 / scale**2``.

    The variance is ``mean (1 - mean) scale**2 / (1 + scale**2)``.  The prior of the noise suits it:
    at its median, 0.2, shares about one half have a standard deviation of 0.1, and at 1 they are as
    often near 0 and 1 as in between.

    Args:
        base: mean at a location of zero, one for each output; ``None`` takes the mean of the
            training targets.

    Example:
        >>> import torch
        >>> share = Beta(base=0.5)(torch.tensor(0.0), torch.tensor(0.5))
        >>> share.mean, share.variance
        (tensor(0.5000), tensor(0.0500))
    """

    standardises: ClassVar[bool] = False
    support: ClassVar[constraints.Constraint] = _BetweenZeroAndOne()
    takes: ClassVar[str] = "numbers above 0 and below 1"
    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto y^{m p - 1} (1 - y)^{(1 - m) p - 1}, "
        r"\quad \log \frac{m}{1 - m} = \log \frac{b}{1 - b} + \mu, \quad p = 1 / \sigma^2",
        "Beta: shares with mean m, whose variance is σ² / (1 + σ²) of that of an event.",
    )
    base: Base = None

    def anchored(self, y: FloatArray) -> Self:
        """With the mean of ``y``, where nothing is stated."""
        return self if self.base is not None else replace(self, base=stated(np.nanmean(y, axis=0)))

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        base = location.new_tensor(0.5 if self.base is None else self.base)
        return BetaDensity(location.clamp(-_MOST, _MOST) + base.logit(), scale)
