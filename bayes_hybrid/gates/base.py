"""What every gate is: an option that says which, and a torch module that computes it."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid.priors import Priors


def log_softmax_from_first(logits: Tensor) -> Tensor:
    """``log softmax(0, logits)``: K log probabilities ``[..., K]`` from K - 1 free logits.

    The first regime is the reference, else a constant could move between the logits.
    """
    zero = torch.zeros_like(logits[..., :1])
    return torch.log_softmax(torch.cat([zero, logits], dim=-1), dim=-1)


class GateModule(nn.Module, abc.ABC):
    """Maps ``x [..., D]`` to ``log_weights [..., K]``, normalised over the last axis.

    The model draws the module's parameters from their priors: a child called ``head`` is a linear
    read-out with a learned scale, any other child is a stack of blocks of hidden features, and the
    module's own parameters have the priors that it states.
    """

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., K]`` normalised log probabilities."""

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """Prior of each of the module's own parameters, by name, on ``like``'s device."""
        del priors, like
        return {}


@dataclass(frozen=True, kw_only=True)
class Gate(abc.ABC):
    """A choice of gate."""

    @abc.abstractmethod
    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """The torch module mapping ``x [..., D]`` to ``log_weights [..., K]``."""

    @property
    def ordered(self) -> bool:
        """Whether the gate itself puts the regimes in an order, so that none may trade places."""
        return False

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """Those of the parameters' sites that change when regime k does what ``order[k]`` did.

        Args:
            values: the gate's sites, named as the module's parameters are.
            order: a permutation of the regimes.
        """
        changed = {}
        for name in ("head.weight_raw", "head.bias", "bias"):
            if name in values:
                # The first regime's logit is zero by definition, whichever regime that is.
                rest = values[name]
                logits = torch.cat([torch.zeros_like(rest[:1]), rest])[list(order)]
                changed[name] = logits[1:] - logits[:1]
        return changed
