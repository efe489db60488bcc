"""Densities of positive numbers and of shares: Gamma, log-Normal and Beta, by mean and dispersion.

Log densities work in float64, whatever their parameters have: a small dispersion makes them small
differences of large terms.  ``cdf`` and ``icdf`` are for predictions and carry no gradient.  A
value at an end of the support counts as the nearest number inside: float32 rounds 1 - 1e-9 to 1.
"""

import math
from typing import Final

import scipy.special
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from bayes_hybrid.distributions.broadcast import BroadcastDistribution, by_scipy
from bayes_hybrid.distributions.censored import HasLogTails
from bayes_hybrid.distributions.normal import Normal

_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)
# The first term that the series leaves out, 1 / (1188 x**9), is 1e-14 from here on.
_SERIES_FROM: Final = 16.0


def _log_factor(x: Tensor) -> Tensor:
    """``x log x - x - log Gamma(x)``, for x > 0, in which nothing cancels where x is large.

    Source: Stirling's series, Abramowitz and Stegun (1964), formula 6.1.41.
    """
    large = x.clamp_min(_SERIES_FROM)
    square = large.square().reciprocal()
    rest = (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square / 1680))) / large
    series = 0.5 * large.log() - _HALF_LOG_2PI - rest
    small = x.clamp_max(_SERIES_FROM)
    direct = torch.xlogy(small, small) - small - torch.lgamma(small)
    return torch.where(x < _SERIES_FROM, direct, series)


def _inside(value: Tensor, upper: float = math.inf) -> Tensor:
    """The value in float64, moved off the ends of its support by one rounding of its dtype."""
    kind = torch.finfo(value.dtype)
    highest = kind.max if upper == math.inf else upper - 0.5 * kind.eps
    return value.double().clamp(kind.tiny, highest)


def _log_gamma_draw(shape: Tensor) -> Tensor:
    """Log of a draw from Gamma(shape, 1), which does not underflow where the shape is small.

    Source: Marsaglia and Tsang (2000), A simple method for generating gamma variables.
    """
    boost = torch.rand_like(shape).clamp_min(torch.finfo(shape.dtype).tiny).log() / shape
    found: Tensor = torch.distributions.Gamma(shape + 1.0, 1.0, False).sample().log() + boost
    return found


class Gamma(BroadcastDistribution):
    """``p(y) = (k / m)**k y**(k - 1) exp(-k y / m) / Gamma(k)``, ``k = 1 / scale**2``.

    Args:
        log_mean: log m, ``[...]``.
        scale: coefficient of variation, the standard deviation over the mean, ``[...]``.

    Example:
        >>> waits = Gamma(torch.tensor(3.0).log(), torch.tensor(0.5))
        >>> waits.mean, waits.stddev, waits.cdf(torch.tensor(0.0))
        (tensor(3.), tensor(1.5000), tensor(0.))
    """

    support: constraints.Constraint = constraints.positive

    def __init__(self, log_mean: Tensor, scale: Tensor) -> None:
        """Keep mean and scale."""
        super().__init__(log_mean, scale)
        self.log_mean, self.scale = self.parameters

    @property
    def concentration(self) -> Tensor:
        """``k``, in float64."""
        return self.scale.double().square().reciprocal()

    @property
    def mean(self) -> Tensor:
        """M."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """``(m scale)**2``."""
        return (self.mean * self.scale).square()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, ``[...]``."""
        log_value, k = _inside(value).log(), self.concentration
        away = log_value - self.log_mean.double()
        found = _log_factor(k) - k * (torch.expm1(away) - away) - log_value
        return torch.where(value < 0.0, -math.inf, found).to(self.scale.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``."""
        k = self.concentration
        over = k * (value.double().clamp_min(0.0) / self.log_mean.double().exp())
        return by_scipy(scipy.special.gammainc, k, over, like=value)

    def icdf(self, value: Tensor) -> Tensor:
        """``y`` with ``P(Y <= y) = value``, ``[...]``."""
        k = self.concentration
        unit = by_scipy(scipy.special.gammaincinv, k, value, like=k)
        return _inside((unit / k * self.log_mean.double().exp()).to(value.dtype)).to(value)

    def _draw(self, shape: torch.Size) -> Tensor:
        k = self.concentration.expand(shape)
        log_value = _log_gamma_draw(k) - k.log() + self.log_mean.double()
        return _inside(log_value.exp().to(self.scale.dtype)).to(self.scale)


class LogNormal(HasLogTails, BroadcastDistribution):
    """``log y = centre + spread * r``, ``r ~ Normal(loc, scale)``.

    Args:
        loc: mean of r, ``[...]``.
        scale: standard deviation of r, ``[...]``.
        centre: what r = 0 stands for on the log scale, ``[...]``.
        spread: what one unit of r is on the log scale, ``[...]``.

    Example:
        >>> waits = LogNormal(*torch.tensor([0.0, 1.0, 2.0, 0.5]).double())
        >>> print(f"{waits.icdf(torch.tensor(0.5).double()).log():.3f}")
        2.000
    """

    support: constraints.Constraint = constraints.positive

    def __init__(self, loc: Tensor, scale: Tensor, centre: Tensor, spread: Tensor) -> None:
        """Keep the four."""
        super().__init__(loc, scale, centre, spread)
        self.loc, self.scale, self.centre, self.spread = self.parameters

    @property
    def mean(self) -> Tensor:
        """``exp(c + w**2 / 2)``, c and w being mean and standard deviation of log y."""
        center, width = self._of_the_log()
        return (center + 0.5 * width.square()).exp().to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """``mean**2 (exp(w**2) - 1)``."""
        center, width = self._of_the_log()
        # With the square in the exponent: it underflows later than the mean, and overflows earlier.
        doubled = (2.0 * center + width.square()).exp()
        return (doubled * torch.expm1(width.square())).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """That of Normal r, less the log of the change of units ``spread y``, ``[...]``."""
        log_value = _inside(value).log()
        r = ((log_value - self.centre.double()) / self.spread.double()).to(self.loc.dtype)
        volume = (log_value + self.spread.double().log()).to(self.loc.dtype)
        off = (r - self.loc) / self.scale
        found = -0.5 * off.square() - self.scale.log() - _HALF_LOG_2PI - volume
        return torch.where(value < 0.0, -math.inf, found)

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``, with full relative accuracy in the lower tail."""
        r = (value.double().clamp_min(0.0).log() - self.centre.double()) / self.spread.double()
        found = Normal(self.loc.double(), self.scale.double(), validate_args=False).cdf(r)
        return found.to(value.dtype)

    def log_cdf(self, value: Tensor) -> Tensor:
        """``log P(Y <= y)``, ``[...]``, finite however far the tail."""
        return Normal(self.loc, self.scale, validate_args=False).log_cdf(self._unit(value))

    def log_survival(self, value: Tensor) -> Tensor:
        """``log P(Y > y)``, likewise."""
        return Normal(self.loc, self.scale, validate_args=False).log_survival(self._unit(value))

    def _unit(self, value: Tensor) -> Tensor:
        """What r is of y."""
        r = (_inside(value).log() - self.centre.double()) / self.spread.double()
        return r.to(self.loc.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """``y`` with ``P(Y <= y) = value``, ``[...]``."""
        center, width = self._of_the_log()
        found = (center + width * torch.special.ndtri(value.double())).exp()
        return _inside(found.to(value.dtype)).to(value)

    def _of_the_log(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of log y, in float64."""
        spread = self.spread.double()
        return self.centre.double() + spread * self.loc.double(), spread * self.scale.double()

    def _draw(self, shape: torch.Size) -> Tensor:
        center, width = (part.expand(shape) for part in self._of_the_log())
        found = (center + width * torch.randn_like(width)).exp()
        return _inside(found.to(self.loc.dtype)).to(self.loc)


class Beta(BroadcastDistribution):
    """``p(y) = y**(a - 1) (1 - y)**(b - 1) / B(a, b)``, ``a = m f``, ``b = (1 - m) f``.

    The mean is m and the precision is ``f = 1 / scale**2``, so that the variance is
    ``m (1 - m) scale**2 / (1 + scale**2)``: a share of that of an event, 0 or 1 with the same mean.

    Args:
        log_odds: logit of m, ``[...]``.
        scale: dispersion, positive, ``[...]``: small for shares near their mean; from 1 on, shares
            are mostly near 0 and 1.

    Source: Ferrari and Cribari-Neto (2004), Beta regression for modelling rates and proportions.

    Example:
        >>> share = Beta(torch.tensor(0.0), torch.tensor(0.5))
        >>> share.mean, share.variance
        (tensor(0.5000), tensor(0.0500))
    """

    support: constraints.Constraint = constraints.unit_interval

    def __init__(self, log_odds: Tensor, scale: Tensor) -> None:
        """Keep odds and scale."""
        super().__init__(log_odds, scale)
        self.log_odds, self.scale = self.parameters

    @property
    def shapes(self) -> tuple[Tensor, Tensor, Tensor]:
        """``a``, ``b`` and ``f``, in float64."""
        odds, precision = self.log_odds.double(), self.scale.double().square().reciprocal()
        return odds.sigmoid() * precision, (-odds).sigmoid() * precision, precision

    @property
    def mean(self) -> Tensor:
        """M."""
        return self.log_odds.sigmoid()

    @property
    def variance(self) -> Tensor:
        """``m (1 - m) scale**2 / (1 + scale**2)``."""
        event, square = self.mean * (-self.log_odds).sigmoid(), self.scale.square()
        return event * (square / (1.0 + square))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, ``[...]``."""
        share, odds = _inside(value, 1.0), self.log_odds.double()
        log_share, log_rest = share.log(), torch.log1p(-share)
        a, b, precision = self.shapes
        found = a * (log_share - logsigmoid(odds)) + b * (log_rest - logsigmoid(-odds))
        found = found + _log_factor(a) + _log_factor(b) - _log_factor(precision)
        found = found - log_share - log_rest
        outside = (value < 0.0) | (value > 1.0)
        return torch.where(outside, -math.inf, found).to(self.scale.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``."""
        a, b, _ = self.shapes
        return by_scipy(scipy.special.betainc, a, b, value.clamp(0.0, 1.0), like=value)

    def icdf(self, value: Tensor) -> Tensor:
        """``y`` with ``P(Y <= y) = value``, ``[...]``."""
        a, b, _ = self.shapes
        return _inside(by_scipy(scipy.special.betaincinv, a, b, value, like=value), 1.0).to(value)

    def _draw(self, shape: torch.Size) -> Tensor:
        a, b, _ = self.shapes
        log_odds = _log_gamma_draw(a.expand(shape)) - _log_gamma_draw(b.expand(shape))
        return _inside(log_odds.sigmoid().to(self.scale.dtype), 1.0).to(self.scale)
