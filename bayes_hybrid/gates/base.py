"""What every gate is: an option that says which, and a torch module that computes it."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid.distributions import along_last
from bayes_hybrid.priors import Priors


def log_softmax_from_first(logits: Tensor) -> Tensor:
    """``log softmax(0, logits)``: K log probabilities ``[..., K]`` from K - 1 free logits.

    The first regime is the reference, else a constant could move between the logits.
    """
    if logits.shape[-1] == 1 and not torch.is_grad_enabled():
        # The same, many times faster than a softmax over an axis of two.
        logit = logits.squeeze(-1)
        total = torch.logaddexp(logit, torch.zeros_like(logit))
        return along_last([-total, logit - total])
    zero = torch.zeros_like(logits[..., :1])
    return torch.log_softmax(torch.cat([zero, logits], dim=-1), dim=-1)


class GateModule(nn.Module, abc.ABC):
    """Maps ``x [..., D]`` to ``log_weights [..., K]``, normalised over the last axis.

    The model draws the module's parameters from their priors: a child called ``head`` is a linear
    read-out with a learned scale, any other child is a stack of blocks of hidden features, and the
    module's own parameters have the priors that it states.
    """

    thresholds: ClassVar[frozenset[str]] = frozenset()
    """Own parameters in which the density is nearly a step: samplers step them one by one."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., K]`` normalised log probabilities."""

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """Prior of each of the module's own parameters, by name, on ``like``'s device."""
        del priors, like
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Boundaries:
    """Where neighbouring regimes have equal odds, for any number of draws, in standardised units.

    Regimes k and k + 1 are equally probable where a feature, or ``direction . x``, is at
    ``location_k``.

    Args:
        location: ``[..., K - 1]``, in increasing order.
        width: distance over which ``pi_(k+1) / (pi_k + pi_(k+1))`` rises from 10% to 90%,
            ``[..., K - 1]``.
        feature: index of the feature; ``None`` for a linear combination.
        direction: unit vectors of the linear combination, ``[..., D]``; ``None`` for one feature.
    """

    location: Tensor
    width: Tensor
    feature: int | None = None
    direction: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Gate(abc.ABC):
    """A choice of gate."""

    has_thresholds: ClassVar[bool] = False
    """Whether :meth:`boundaries` says where the regimes change."""

    names_regimes: ClassVar[bool] = False
    """Whether each regime has its place along a feature, which then names it."""

    formula: ClassVar[tuple[str, str] | None] = None
    """Its log odds as LaTeX and in words, for the report."""

    @abc.abstractmethod
    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """The torch module mapping ``x [..., D]`` to ``log_weights [..., K]``."""

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """The same gate, with the index of a column in the place of its name.

        Args:
            num_features: D.
            names: names of the D columns; empty where they have none.

        Raises:
            OptionError: a column that the gate is to read is not there, or was not said.
        """
        del num_features, names
        return self

    def beside(self, column: int) -> Self:
        """The same gate where ``column`` of x is taken out of what it reads.

        Raises:
            OptionError: it is the one column that the gate reads.
        """
        del column
        return self

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries | None:
        """Where the regimes change, or ``None`` for a gate that may change back and forth.

        Args:
            values: the gate's sites, named as the module's parameters are, of any number of draws:
                each ``[..., *shape]``.
        """
        del values
        return None

    def may_trade(self, first: int, second: int, num_regimes: int) -> bool:
        """Whether two regimes of ``num_regimes`` may trade places, for all that the gate says.

        Only a gate that :meth:`relabelled` can follow says so.
        """
        del num_regimes
        return first == second

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """Those of the parameters' sites that change when regime k does what ``order[k]`` did.

        Args:
            values: the gate's sites, named as the module's parameters are.
            order: a permutation of the regimes, in which only those trade that may.
        """
        del values, order
        return {}


@dataclass(frozen=True, kw_only=True)
class LogitGate(Gate):
    """A gate whose sites ``head.weight_raw``, ``head.bias`` or ``bias`` have a row for each logit.

    That of the first regime is zero by definition, and any two regimes may trade places.
    """

    def may_trade(self, first: int, second: int, num_regimes: int) -> bool:
        """See :meth:`Gate.may_trade`."""
        del first, second, num_regimes
        return True

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """See :meth:`Gate.relabelled`."""
        changed = {}
        for name in ("head.weight_raw", "head.bias", "bias"):
            if name in values:
                # The first regime's logit is zero, whichever regime that is.
                rest = values[name]
                logits = torch.cat([torch.zeros_like(rest[:1]), rest])[list(order)]
                changed[name] = logits[1:] - logits[:1]
        return changed
