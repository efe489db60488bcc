"""Numbers in increasing order that are Normal before they are sorted."""

import math
from collections.abc import Sequence

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor


class OrderedNormal(TorchDistribution):
    """Order statistics of n independent ``Normal(location, scale)``.

    ``log p(v) = log n! + sum_k log Normal(v_k; location, scale)`` on ``v_1 < ... < v_n``.

    =====================  ===================  ===========
    object                 batch shape          event shape
    =====================  ===================  ===========
    ``location, scale``    broadcast: ``[...]``
    the order statistics   ``[...]``            ``(n,)``
    =====================  ===================  ===========

    Args:
        location: mean of each number before sorting, ``[...]``.
        scale: its standard deviation, positive, ``[...]``.
        size: n, at least 1.

    Source: David and Nagaraja (2003), Order Statistics, 3rd edition, section 2.2.

    Example:
        >>> both = OrderedNormal(torch.tensor(0.0), torch.tensor(1.0), 2)
        >>> bool((both.sample((100,)).diff() > 0).all())
        True
    """

    arg_constraints = {  # noqa: RUF012 (torch's own protocol)
        "location": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.ordered_vector
    has_rsample = False

    def __init__(
        self, location: Tensor, scale: Tensor, size: int, *, validate_args: bool | None = None
    ) -> None:
        """Broadcast the two over one batch."""
        self.location, self.scale = torch.broadcast_tensors(location, scale)
        super().__init__(self.location.shape, torch.Size((size,)), validate_args=validate_args)

    def expand(
        self, batch_shape: Sequence[int], _instance: "OrderedNormal | None" = None
    ) -> "OrderedNormal":
        """The same numbers over a larger batch."""
        size = torch.Size(batch_shape)
        location, scale = self.location.expand(size), self.scale.expand(size)
        return OrderedNormal(location, scale, self.event_shape[0], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """The density on the ordered set, ``[...]``."""
        if self._validate_args:
            self._validate_sample(value)
        terms: Tensor = self._unsorted.log_prob(value)
        return terms.sum(-1) + math.lgamma(self.event_shape[0] + 1)

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Sorted draws, ``sample_shape + [..., n]``."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
            draws: Tensor = self._unsorted.expand(shape).sample()
            return draws.sort(dim=-1).values

    @property
    def _unsorted(self) -> TorchDistribution:
        return dist.Normal(
            self.location.unsqueeze(-1), self.scale.unsqueeze(-1), validate_args=False
        )
