"""Likelihoods of one expert: a location and a scale in, a normalised density out."""

import abc
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pyro.distributions as dist
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Likelihood(abc.ABC):
    """A choice of density for ``y`` given one expert's location and scale."""

    @abc.abstractmethod
    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """The distribution with batch shape ``[...]`` of ``location`` and ``scale`` (an sd)."""


@dataclass(frozen=True, kw_only=True)
class Normal(Likelihood):
    """``y ~ Normal(location, scale)``; ``scale`` is the standard deviation.

    Example:
        >>> import torch
        >>> Normal()(torch.zeros(3), torch.ones(3)).batch_shape
        torch.Size([3])
    """

    def __call__(self, location: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return dist.Normal(location, scale)


LIKELIHOODS: Final[MappingProxyType[str, type[Likelihood]]] = MappingProxyType({"normal": Normal})
