"""What is known of a value that is only bounded."""

import abc
from collections.abc import Sequence
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class HasLogTails:
    """What a density has whose values may be censored: logarithms of its tails, with a gradient."""

    @abc.abstractmethod
    def log_cdf(self, value: Tensor) -> Tensor:
        """``log P(Y <= y)``, ``[...]``."""

    @abc.abstractmethod
    def log_survival(self, value: Tensor) -> Tensor:
        """``log P(Y > y)``, ``[...]``."""


class Censored(TorchDistribution):
    """A density of rows of which some say only that the value is larger, or smaller, than ``y``.

    ======  ======================  =============
    status  what is known           likelihood
    ======  ======================  =============
    0       the value is y          ``p(y)``
    1       it is larger (right)    ``P(Y > y)``
    -1      it is smaller (left)    ``P(Y <= y)``
    ======  ======================  =============

    Mean, variance, cdf, quantiles and draws are those of the value itself, censored or not.

    Args:
        base: the density, with :class:`HasLogTails`, batch shape ``[...]``.
        status: of each row, ``[...]``.

    Source: Tobin (1958), Estimation of relationships for limited dependent variables.

    Example:
        >>> from bayes_hybrid.distributions import Normal
        >>> waits = Censored(Normal(torch.zeros(2), torch.ones(2)), torch.tensor([0.0, 1.0]))
        >>> waits.log_prob(torch.zeros(2))
        tensor([-0.9189, -0.6931])
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own protocol)
    has_rsample = False

    def __init__(self, base: TorchDistribution, status: Tensor) -> None:
        """Keep both."""
        self.base: Any = base
        self.status = status
        batch = torch.broadcast_shapes(base.batch_shape, status.shape)
        super().__init__(batch, torch.Size(), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The base's."""
        support: constraints.Constraint = self.base.support
        return support

    def expand(self, batch_shape: Sequence[int], _instance: "Censored | None" = None) -> "Censored":
        """The same over a larger batch."""
        size = torch.Size(batch_shape)
        return Censored(self.base.expand(size), self.status.expand(size))

    def log_prob(self, value: Tensor) -> Tensor:
        """By the table above, ``[...]``."""
        base = self.base
        tail = torch.where(self.status > 0.0, base.log_survival(value), base.log_cdf(value))
        return torch.where(self.status == 0.0, base.log_prob(value), tail)

    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``."""
        below: Tensor = self.base.cdf(value)
        return below

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles of the value, ``[...]``."""
        quantile: Tensor = self.base.icdf(value)
        return quantile

    @property
    def mean(self) -> Tensor:
        """Of the value, ``[...]``."""
        mean: Tensor = self.base.mean.expand(self.batch_shape)
        return mean

    @property
    def variance(self) -> Tensor:
        """Of the value, ``[...]``."""
        variance: Tensor = self.base.variance.expand(self.batch_shape)
        return variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of the value, ``sample_shape + [...]``."""
        draws: Tensor = self.base.expand(self.batch_shape).sample(torch.Size(sample_shape))
        return draws
