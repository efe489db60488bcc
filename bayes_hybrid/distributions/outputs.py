"""Several targets in a row, some of which may be missing."""

from collections.abc import Sequence

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints


class Outputs(TorchDistribution):
    """Q independent numbers as one event, NaN where a number was not observed.

    ``log p(y) = sum over the observed q of log p_q(y_q)``.  Everything else is about each output
    by itself: mean, variance, cdf and icdf have the event's axis.

    =============  ============  ===========
    object         batch shape   event shape
    =============  ============  ===========
    ``base``       ``[..., Q]``  ``()``
    the outputs    ``[...]``     ``(Q,)``
    =============  ============  ===========

    Example:
        >>> both = Outputs(torch.distributions.Normal(torch.zeros(2), torch.ones(2)))
        >>> one = torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(1.5))
        >>> bool(both.log_prob(torch.tensor([1.5, float("nan")])) == one)
        True
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own protocol)
    has_rsample = False

    def __init__(self, base: Distribution) -> None:
        """Take the last axis of ``base``'s batch as the event."""
        self.base = base
        batch = base.batch_shape
        # NaN has a meaning here, so values are not checked.
        super().__init__(batch[:-1], batch[-1:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """That of each output."""
        return constraints.independent(self.base.support, 1)

    def expand(self, batch_shape: Sequence[int], _instance: "Outputs | None" = None) -> "Outputs":
        """The same outputs over a larger batch."""
        return Outputs(self.base.expand(torch.Size(batch_shape) + self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Sum over the outputs that are not NaN, ``[...]``."""
        observed = ~torch.isnan(value)
        # A number in the place of NaN, because the gradient of where() would be NaN else.
        terms = self.base.log_prob(torch.where(observed, value, 0.0))
        return torch.where(observed, terms, 0.0).sum(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Distribution function of each output, ``[..., Q]``; NaN where the value is."""
        observed = ~torch.isnan(value)
        return torch.where(observed, self.base.cdf(torch.where(observed, value, 0.0)), value)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantile of each output, ``[..., Q]``."""
        return self.base.icdf(value)

    @property
    def mean(self) -> Tensor:
        """Of each output, ``[..., Q]``."""
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        """Of each output, ``[..., Q]``."""
        return self.base.variance

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """All outputs of a row, ``sample_shape + [..., Q]``."""
        return self.base.sample(torch.Size(sample_shape))
