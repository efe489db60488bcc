"""Location-scale families with a symmetric density: what they have in common."""

import abc
import copy
from collections.abc import Sequence

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints


class SymmetricDistribution(TorchDistribution):
    """``p(y) = exp(-energy(r)) / (constant * scale)``, ``r = (y - loc) / scale``, energy even.

    A family states its energy, its constant, its moments, and the upper tail of ``r`` with its
    inverse, from which ``cdf`` and ``icdf`` are exact in both tails.  These two are for
    predictions: they carry no gradient.

    Parameters broadcast, and only ``loc`` is expanded to the batch shape.  Constants of a shape
    parameter that all rows share are then computed once, not once a row.

    Args:
        parameters: ``loc [...]``, ``scale [...]`` and the family's shape parameters.
        validate_args: whether parameters and values are checked, as in torch.

    Raises:
        ValueError: with validation on, a parameter outside of its ``arg_constraints``.
    """

    support = constraints.real
    loc: Tensor
    scale: Tensor

    def __init__(self, *, validate_args: bool | None, **parameters: Tensor | float) -> None:
        """Make tensors of the parameters, and find the batch shape."""
        given = [value for value in parameters.values() if isinstance(value, Tensor)]
        like = given[0] if given else torch.tensor(0.0)
        for name, value in parameters.items():
            if not isinstance(value, Tensor):
                value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
            setattr(self, name, value)
        shapes = [getattr(self, name).shape for name in parameters]
        batch_shape = torch.broadcast_shapes(*shapes)
        self.loc = self.loc.expand(batch_shape)
        super().__init__(batch_shape, torch.Size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """``loc``, where there is a mean."""
        return self.loc

    def expand(
        self, batch_shape: Sequence[int], _instance: Distribution | None = None
    ) -> "SymmetricDistribution":
        """The same distribution over a larger batch."""
        size = torch.Size(batch_shape)
        new = copy.copy(self)
        new.loc = self.loc.expand(size)
        Distribution.__init__(new, size, torch.Size(), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """``-energy(r) - log constant - log scale``, ``[...]``."""
        return -self._energy(self._standardise(value)) - self._log_constant() - self.scale.log()

    @torch.no_grad()
    def cdf(self, value: Tensor) -> Tensor:
        """``P(Y <= y)``, ``[...]``, with full relative accuracy in the lower tail; no gradient."""
        r = self._standardise(value)
        tail = self._upper_tail(r.abs())
        return torch.where(r < 0, tail, 1.0 - tail)

    @torch.no_grad()
    def icdf(self, value: Tensor) -> Tensor:
        """``y`` with ``P(Y <= y) = value``, ``[...]``; no gradient."""
        distance = self._upper_quantile(torch.minimum(value, 1.0 - value))
        return self.loc + self.scale * torch.where(value < 0.5, -distance, distance)

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Independent draws, ``sample_shape + [...]``."""
        with torch.no_grad():
            shape = self._extended_shape(torch.Size(sample_shape))
            return self.loc + self.scale * self._draw(shape)

    def entropy(self) -> Tensor:
        """``-E[log p(y)]`` in nats, ``[...]``."""
        entropy = self._log_constant() + self.scale.log() + self._mean_energy()
        return entropy.expand(self.batch_shape)

    @property
    def variance(self) -> Tensor:
        """``scale**2 Var[r]``, ``[...]``."""
        return (self.scale.square() * self._unit_variance()).expand(self.batch_shape)

    def _standardise(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (value - self.loc) / self.scale

    @abc.abstractmethod
    def _energy(self, r: Tensor) -> Tensor:
        """Minus the log density of ``r`` up to a constant."""

    @abc.abstractmethod
    def _log_constant(self) -> Tensor:
        """``log`` of the integral of ``exp(-energy(r))``."""

    @abc.abstractmethod
    def _mean_energy(self) -> Tensor:
        """``E[energy(r)]``."""

    @abc.abstractmethod
    def _unit_variance(self) -> Tensor:
        """``Var[r]``."""

    @abc.abstractmethod
    def _draw(self, shape: torch.Size) -> Tensor:
        """Independent draws of ``r``; the batch shape is the end of ``shape``."""

    @abc.abstractmethod
    def _upper_tail(self, distance: Tensor) -> Tensor:
        """``P(r > distance)`` for ``distance >= 0``."""

    @abc.abstractmethod
    def _upper_quantile(self, tail: Tensor) -> Tensor:
        """``distance >= 0`` with ``P(r > distance) = tail``, for ``tail`` in [0, 0.5]."""


def with_random_sign(distance: Tensor) -> Tensor:
    """``distance`` or its negative, with probability one half each."""
    return torch.where(torch.rand_like(distance) < 0.5, -distance, distance)
