"""Positive numbers and shares: a link between the location and the mean, and a dispersion."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
import pyro.distributions as dist
import torch
from scipy.special import logit
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer, constant_columns
from bayes_hybrid.distributions import Beta as BetaDensity
from bayes_hybrid.distributions import Gamma as GammaDensity
from bayes_hybrid.distributions import LogNormal as LogNormalDensity
from bayes_hybrid.likelihoods.base import Base, Likelihood, stated
from bayes_hybrid.likelihoods.censored import Censorable

# As for counts: a mean of exp(30) times the base is none that anybody observed.
_MOST: Final = 30.0


def _spread(values: FloatArray) -> Base:
    """Standard deviation of each column, 1 of one that is constant."""
    scale = Standardizer.of_targets(values).scale
    return stated(np.where(constant_columns(values), 1.0, scale))


class _BetweenZeroAndOne(constraints.Constraint):
    """Shares without none and all: the density at 0 and 1 is zero or infinite."""

    def check(self, value: Tensor) -> Tensor:
        """Which values are above 0 and below 1."""
        return (value > 0.0) & (value < 1.0)


@dataclass(frozen=True, kw_only=True)
class _AboutMean(Likelihood):
    """A mean at a location of zero, and what one unit of location is on the scale of the link."""

    standardises: ClassVar[bool] = False
    link: ClassVar[Callable[[FloatArray], FloatArray]] = np.log
    base: Base = None
    spread: Base = None

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """With the mean of ``y`` and the spread of its link, where they are not stated."""
        del size
        return replace(
            self,
            base=stated(np.nanmean(y, axis=0)) if self.base is None else self.base,
            spread=_spread(type(self).link(y)) if self.spread is None else self.spread,
        )


@dataclass(frozen=True, kw_only=True)
class _Positive(Likelihood):
    """What densities of positive numbers share."""

    standardises: ClassVar[bool] = False
    support: ClassVar[constraints.Constraint] = constraints.positive
    takes: ClassVar[str] = "numbers above 0"


@dataclass(frozen=True, kw_only=True)
class Gamma(_AboutMean, _Positive):
    """``y ~ Gamma`` with mean ``base * exp(spread * location)``, sd ``spread * scale * mean``.

    ``spread * scale`` is the coefficient of variation, and one over its square the density's shape.
    Location and noise are in units of the targets' spread, as they are of standardised targets, so
    that their priors suit targets that vary by 1% and by a factor of a thousand.

    Args:
        base: mean at a location of zero, one for each output; ``None`` takes the mean of the
            training targets.
        spread: one unit of location and scale; ``None`` takes the standard deviation of the
            training targets' logs, or 1 where it is 0.

    Example:
        >>> import torch
        >>> waits = Gamma(base=4.0, spread=0.5)(torch.tensor(0.0), torch.tensor(1.0))
        >>> waits.mean, waits.stddev
        (tensor(4.), tensor(2.))
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto y^{k - 1} e^{-k y / m}, \quad m = b \, e^{v \mu}, "
        r"\quad k = 1 / (v \sigma)^2",
        "Gamma: the standard deviation is v sigma times the mean m.",
    )

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        base, spread = (
            location.new_tensor(1.0 if given is None else given)
            for given in (self.base, self.spread)
        )
        return GammaDensity((spread * location).clamp(-_MOST, _MOST) + base.log(), spread * scale)


@dataclass(frozen=True, kw_only=True)
class LogNormal(Censorable, _Positive):
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

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """With mean and standard deviation of ``log y``, where they are not stated."""
        del size
        logs = np.log(y)
        return replace(
            self,
            centre=stated(np.nanmean(logs, axis=0)) if self.centre is None else self.centre,
            spread=_spread(logs) if self.spread is None else self.spread,
        )

    def __call__(
        self, location: Tensor, scale: Tensor, status: Tensor | None = None
    ) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        # In float64: float32 has 1e-7 of a centre, which is more of a small spread.
        centre, spread = (
            location.new_tensor(default if given is None else given, dtype=torch.float64)
            for given, default in ((self.centre, 0.0), (self.spread, 1.0))
        )
        return self._observed(LogNormalDensity(location, scale, centre, spread), status)


@dataclass(frozen=True, kw_only=True)
class Beta(_AboutMean):
    """``y ~ Beta``, ``logit mean = logit base + spread * location``, precision ``1 / scale**2``.

    The variance is ``mean (1 - mean) scale**2 / (1 + scale**2)``.  The prior of the noise suits it:
    at its median, 0.2, shares about one half have a standard deviation of 0.1, and at 1 they are as
    often near 0 and 1 as in between.

    Args:
        base: mean at a location of zero, one for each output; ``None`` takes the mean of the
            training targets.
        spread: one unit of location; ``None`` takes the standard deviation of the training targets'
            log odds, or 1 where it is 0.

    Example:
        >>> import torch
        >>> share = Beta(base=0.5)(torch.tensor(0.0), torch.tensor(0.5))
        >>> share.mean, share.variance
        (tensor(0.5000), tensor(0.0500))
    """

    link: ClassVar[Callable[[FloatArray], FloatArray]] = logit
    support: ClassVar[constraints.Constraint] = _BetweenZeroAndOne()
    takes: ClassVar[str] = "numbers above 0 and below 1"
    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu, \sigma) \propto y^{m p - 1} (1 - y)^{(1 - m) p - 1}, "
        r"\quad \log \frac{m}{1 - m} = \log \frac{b}{1 - b} + v \mu, \quad p = 1 / \sigma^2",
        "Beta: shares with mean m, whose variance is σ² / (1 + σ²) of that of an event.",
    )

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        base = location.new_tensor(0.5 if self.base is None else self.base)
        spread = location.new_tensor(1.0 if self.spread is None else self.spread)
        return BetaDensity((spread * location).clamp(-_MOST, _MOST) + base.logit(), scale)
