"""What densities of counts and of positive numbers share: parameters of one shape."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray


class BroadcastDistribution(TorchDistribution):
    """A density with parameters of one shape, and draws that carry no gradient.

    Args:
        parameters: tensors that broadcast to the batch shape.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own protocol)

    def __init__(self, *parameters: Tensor) -> None:
        """Broadcast the parameters."""
        self.parameters: Sequence[Tensor] = torch.broadcast_tensors(*parameters)
        super().__init__(self.parameters[0].shape, torch.Size(), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> Self:
        """The same over a larger batch."""
        return type(self)(*(value.expand(torch.Size(batch_shape)) for value in self.parameters))

    @abc.abstractmethod
    def _draw(self, shape: torch.Size) -> Tensor:
        """Draws of that shape."""

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Draws, as floats, ``sample_shape + [...]``."""
        with torch.no_grad():
            return self._draw(self._extended_shape(torch.Size(sample_shape)))


def by_scipy(function: Callable[..., FloatArray], *arguments: Tensor, like: Tensor) -> Tensor:
    """A function of scipy in float64, without a gradient, as a tensor like another one.

    Args:
        function: takes arrays of float64.
        arguments: its arguments, of any dtype and on any device.
        like: has the dtype and the device of the result.
    """
    arrays: list[Any] = [part.detach().cpu().double().numpy() for part in arguments]
    return torch.as_tensor(function(*arrays), dtype=like.dtype, device=like.device)
