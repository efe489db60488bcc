"""Regime probabilities that are the same for all rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid.gates.base import GateModule, LogitGate, log_softmax_from_first
from bayes_hybrid.priors import Priors


class ConstantGateModule(GateModule):
    """``log pi_k = log softmax(b)_k`` for every row."""

    def __init__(self, num_regimes: int) -> None:
        """Start from equal probabilities."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_regimes - 1))

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`GateModule.forward`."""
        return log_softmax_from_first(self.bias.expand(*x.shape[:-1], self.bias.shape[-1]))

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """``b ~ Normal(0, gate_bias_scale)``."""
        location = like.new_zeros(self.bias.shape)
        scale = torch.full_like(location, priors.gate_bias_scale)
        return {"bias": dist.Normal(location, scale).to_event(1)}


@dataclass(frozen=True, kw_only=True)
class ConstantGate(LogitGate):
    """Regime probabilities that do not depend on ``x``.

    Example:
        >>> ConstantGate().build(3, 2)(torch.zeros(1, 3)).exp().tolist()
        [[0.5, 0.5]]
    """

    formula = (
        r"\pi = \operatorname{softmax}(0, b)",
        "Constant gate: the regimes are as probable everywhere.",
    )

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        del num_features
        return ConstantGateModule(num_regimes)
