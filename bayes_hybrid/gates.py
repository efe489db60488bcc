"""Gates: log probabilities of the regimes given the features.

A gate option (frozen, hashable) says which gate; its ``build`` returns the torch module that maps
``x [..., D]`` to ``log_weights [..., K]``.  A new gate is a new option, its module, and its row in
:data:`GATES`.
"""

import abc
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.nn import ReLUBlock


def _log_weights(logits: Tensor) -> Tensor:
    # K - 1 free logits: the first regime is the reference, else a constant could move between them.
    zero = torch.zeros_like(logits[..., :1])
    return torch.log_softmax(torch.cat([zero, logits], dim=-1), dim=-1)


class ConstantGateModule(nn.Module):
    """``log pi_k = log softmax(b)_k`` for every row."""

    def __init__(self, num_regimes: int) -> None:
        """Start from equal probabilities."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_regimes - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., K]`` normalised log probabilities."""
        return _log_weights(self.bias.expand(*x.shape[:-1], self.bias.shape[-1]))


class HeadGateModule(nn.Module):
    """``log pi(x) = log softmax(A h(x) + b)`` with ``h`` the inputs or their ReLU features."""

    def __init__(self, features: nn.Module, num_features: int, num_regimes: int) -> None:
        """Put a linear head of K - 1 logits on ``features``, whose width is ``num_features``."""
        super().__init__()
        self.features = features
        self.head = nn.Linear(num_features, num_regimes - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., K]`` normalised log probabilities."""
        return _log_weights(self.head(self.features(x)))


@dataclass(frozen=True, kw_only=True)
class Gate(abc.ABC):
    """A choice of gate."""

    @abc.abstractmethod
    def build(self, num_features: int, num_regimes: int) -> nn.Module:
        """The torch module mapping ``x [..., D]`` to ``log_weights [..., K]``."""


@dataclass(frozen=True, kw_only=True)
class ConstantGate(Gate):
    """Regime probabilities that do not depend on ``x``.

    Example:
        >>> ConstantGate().build(3, 2)(torch.zeros(1, 3)).exp().tolist()
        [[0.5, 0.5]]
    """

    def build(self, num_features: int, num_regimes: int) -> nn.Module:
        """See :meth:`Gate.build`."""
        del num_features
        return ConstantGateModule(num_regimes)


@dataclass(frozen=True, kw_only=True)
class LinearGate(Gate):
    """Multinomial logistic regression of the regime on ``x``.

    Example:
        >>> LinearGate().build(3, 2)(torch.zeros(7, 3)).shape
        torch.Size([7, 2])
    """

    def build(self, num_features: int, num_regimes: int) -> nn.Module:
        """See :meth:`Gate.build`."""
        return HeadGateModule(nn.Identity(), num_features, num_regimes)


@dataclass(frozen=True, kw_only=True)
class ReLUGate(Gate):
    """Logits from ReLU features of ``x``: the ReLU pathway says *when* behaviour changes.

    Args:
        num_units: number of ReLU features.

    Example:
        >>> ReLUGate(num_units=4).build(3, 2)(torch.zeros(7, 3)).shape
        torch.Size([7, 2])
    """

    num_units: int = 16

    def __post_init__(self) -> None:
        """Check the option."""
        checks.positive_int("num_units", self.num_units)

    def build(self, num_features: int, num_regimes: int) -> nn.Module:
        """See :meth:`Gate.build`."""
        return HeadGateModule(ReLUBlock(num_features, self.num_units), self.num_units, num_regimes)


GATES: Final[MappingProxyType[str, type[Gate]]] = MappingProxyType(
    {"constant": ConstantGate, "linear": LinearGate, "relu": ReLUGate}
)
