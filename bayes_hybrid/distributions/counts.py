"""Densities of whole numbers: of counts, and of events, by what is linear in them.

They take logarithms of rates and odds, which neither overflow nor round to zero.  ``cdf`` is
for predictions and carries no gradient.
"""

import abc
from typing import Final

import numpy as np
import scipy.special
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, softplus

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions.broadcast import BroadcastDistribution, by_scipy

# float32 ends at exp(88); a rate of a mean count times exp(30) is none that anybody observed.
_MOST: Final = 30.0


class CountDistribution(BroadcastDistribution):
    """A density of whole numbers with parameters of one shape.

    Args:
        parameters: tensors that broadcast to the batch shape.
    """

    support: constraints.Constraint = constraints.nonnegative_integer

    def cdf(self, value: Tensor) -> Tensor:
        """``P(y <= value)``, ``[...]``."""
        whole = value.floor()
        return torch.where(whole < 0.0, 0.0, self._up_to(whole.clamp_min(0.0)))

    @abc.abstractmethod
    def _up_to(self, value: Tensor) -> Tensor:
        """``P(y <= value)`` of whole numbers from zero on."""


class Poisson(CountDistribution):
    """``p(y) = exp(y eta - exp(eta)) / y!``.

    Args:
        log_rate: eta, the log of the mean, ``[...]``; beyond +-30 it is taken as that.

    Example:
        >>> counts = Poisson(torch.tensor(2.0).log())
        >>> counts.mean, counts.cdf(torch.tensor(0.0)).log()
        (tensor(2.), tensor(-2.))
    """

    def __init__(self, log_rate: Tensor) -> None:
        """Keep the rate."""
        super().__init__(log_rate.clamp(-_MOST, _MOST))
        (self.log_rate,) = self.parameters

    @property
    def mean(self) -> Tensor:
        """``exp(eta)``."""
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        """The mean."""
        return self.mean

    def log_prob(self, value: Tensor) -> Tensor:
        """Of whole numbers, ``[...]``."""
        found: Tensor = value * self.log_rate - self.log_rate.exp() - torch.lgamma(value + 1.0)
        return found

    def _up_to(self, value: Tensor) -> Tensor:
        found: Tensor = torch.special.gammaincc(value + 1.0, self.mean)
        return found

    def _draw(self, shape: torch.Size) -> Tensor:
        return torch.poisson(self.mean.expand(shape))


class NegativeBinomial(CountDistribution):
    """A Poisson count whose rate is Gamma distributed: variance ``m + m**2 / c`` at the mean m.

    ::

        p(y) = Gamma(y + c) / (y! Gamma(c)) * (m / (m + c))**y * (c / (m + c))**c

    Args:
        log_mean: log m, ``[...]``; beyond +-30 it is taken as that.
        concentration: c, positive, ``[...]``; a large one is a Poisson distribution.

    Source: Cameron and Trivedi (2013), Regression analysis of count data, 2nd edition, section 3.3
    (NB2).

    Example:
        >>> counts = NegativeBinomial(torch.tensor(2.0).log(), torch.tensor(4.0))
        >>> counts.mean, counts.variance
        (tensor(2.), tensor(3.))
    """

    def __init__(self, log_mean: Tensor, concentration: Tensor) -> None:
        """Keep mean and concentration."""
        super().__init__(log_mean.clamp(-_MOST, _MOST), concentration)
        self.log_mean, self.concentration = self.parameters

    @property
    def mean(self) -> Tensor:
        """M."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """``m + m**2 / c``."""
        return self.mean + self.mean.square() / self.concentration

    def log_prob(self, value: Tensor) -> Tensor:
        """Of whole numbers, ``[...]``."""
        # In float64, because differences of log gamma functions lose what float32 has.
        c = self.concentration.double()
        whole = value.double()
        number = torch.lgamma(whole + c) - torch.lgamma(c) - torch.lgamma(whole + 1.0)
        odds = self.log_mean - self.concentration.log()
        return (
            number.to(odds.dtype) + value * logsigmoid(odds) - self.concentration * softplus(odds)
        )

    def _up_to(self, value: Tensor) -> Tensor:
        def found(c: FloatArray, mean: FloatArray, whole: FloatArray) -> FloatArray:
            return np.asarray(scipy.special.betainc(c, whole + 1.0, c / (c + mean)))

        return by_scipy(found, self.concentration, self.mean, value, like=value)

    def _draw(self, shape: torch.Size) -> Tensor:
        c = self.concentration.expand(shape)
        # The product of what underflows and what is large: logs would cost more than they bring.
        return torch.poisson(torch.distributions.Gamma(c, 1.0).sample() * (self.mean / c))


class Bernoulli(CountDistribution):
    """``p(1) = 1 / (1 + exp(-eta))``, ``p(0) = 1 - p(1)``.

    Args:
        log_odds: eta, ``[...]``.

    Example:
        >>> event = Bernoulli(torch.tensor([0.25, 0.75]).logit())
        >>> event.mean, event.cdf(torch.tensor(0.0))
        (tensor([0.2500, 0.7500]), tensor([0.7500, 0.2500]))
    """

    support: constraints.Constraint = constraints.boolean

    def __init__(self, log_odds: Tensor) -> None:
        """Keep the log odds."""
        super().__init__(log_odds)
        (self.log_odds,) = self.parameters

    @property
    def mean(self) -> Tensor:
        """``p(1)``."""
        return self.log_odds.sigmoid()

    @property
    def variance(self) -> Tensor:
        """``p(1) p(0)``."""
        return self.mean * (-self.log_odds).sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        """Of zeros and ones, ``[...]``."""
        return value * self.log_odds - softplus(self.log_odds)

    def _up_to(self, value: Tensor) -> Tensor:
        return torch.where(value < 1.0, (-self.log_odds).sigmoid(), 1.0)

    def _draw(self, shape: torch.Size) -> Tensor:
        return torch.bernoulli(self.mean.expand(shape))


class Binomial(CountDistribution):
    """``p(y) = n! / (y! (n - y)!) p**y (1 - p)**(n - y)``, ``p = 1 / (1 + exp(-eta))``.

    Args:
        log_odds: eta, ``[...]``.
        trials: n, whole numbers, ``[...]``.

    Example:
        >>> shots = Binomial(torch.tensor(0.25).logit(), torch.tensor(8.0))
        >>> shots.mean, shots.variance
        (tensor(2.), tensor(1.5000))
    """

    def __init__(self, log_odds: Tensor, trials: Tensor) -> None:
        """Keep log odds and trials."""
        super().__init__(log_odds, trials)
        self.log_odds, self.trials = self.parameters

    @property
    def mean(self) -> Tensor:
        """``n p``."""
        return self.trials * self.log_odds.sigmoid()

    @property
    def variance(self) -> Tensor:
        """``n p (1 - p)``."""
        return self.mean * (-self.log_odds).sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        """Of whole numbers, ``[...]``; minus infinity of more than there are trials."""
        # In float64, because differences of log gamma functions lose what float32 has.
        n, y = self.trials.double(), value.double()
        number = torch.lgamma(n + 1.0) - torch.lgamma(y + 1.0) - torch.lgamma(n - y + 1.0)
        odds = self.log_odds
        return number.to(odds.dtype) + value * odds - self.trials * softplus(odds)

    def _up_to(self, value: Tensor) -> Tensor:
        trials, never, most = (
            part.detach().cpu().double().numpy()
            for part in (self.trials, (-self.log_odds).sigmoid(), value)
        )
        left = (trials - most).clip(1.0)
        found = scipy.special.betainc(left, most + 1.0, never)
        upto = torch.as_tensor(found, dtype=value.dtype, device=value.device)
        return torch.where(value < self.trials, upto, 1.0)

    def _draw(self, shape: torch.Size) -> Tensor:
        chance = self.log_odds.sigmoid().expand(shape)
        return torch.binomial(self.trials.expand(shape).contiguous(), chance.contiguous())
