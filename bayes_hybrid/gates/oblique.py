"""Regimes in an order along a direction among the features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates.base import Boundaries, Gate, GateModule
from bayes_hybrid.gates.threshold import (
    LOG_ODDS_90,
    ORDERED,
    SHARPNESS,
    check_ordered,
    ordered_log_weights,
    ordered_parameters,
    ordered_priors,
)
from bayes_hybrid.priors import LogNormalPrior, Priors


def unit(raw: Tensor) -> Tensor:
    """``raw / |raw|`` on the last axis; zero where all of it is zero."""
    return nn.functional.normalize(raw, dim=-1)


class ObliqueGateModule(GateModule):
    """``log pi_(k+1) - log pi_k = sharpness_k (w . x - location_k)`` with ``|w| = 1``."""

    thresholds = ORDERED

    def __init__(self, num_features: int, num_regimes: int, gate: "ObliqueGate") -> None:
        """Start from equal weights and thresholds along the standardised range."""
        super().__init__()
        self.location, self.sharpness = ordered_parameters(num_regimes, gate.sharpness)
        self.direction_raw = nn.Parameter(torch.ones(num_features))
        self._gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`GateModule.forward`."""
        score = (x * unit(self.direction_raw)).sum(-1)
        return ordered_log_weights(score, self.location, self.sharpness)

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """Those of a threshold gate, and a direction that is uniform on the sphere."""
        del priors
        gate, zeros = self._gate, like.new_zeros(self.direction_raw.shape)
        raw = dist.Normal(zeros, torch.ones_like(zeros)).to_event(1)
        size = len(self.location)
        return ordered_priors(size, gate.location_scale, gate.sharpness, like) | {
            "direction_raw": raw
        }


@dataclass(frozen=True, kw_only=True)
class ObliqueGate(Gate):
    """K - 1 thresholds on a linear combination of the features.

    ::

        log pi_(k+1)(x) - log pi_k(x) = s_k (w . x - tau_k)
        w = r / |r|,  r ~ Normal(0, 1): every direction is as probable as any other
        tau_1 < ... < tau_(K-1) ~ Normal(0, location_scale), sorted
        log s_k ~ Normal(log sharpness.median, sharpness.spread)

    As :class:`~bayes_hybrid.gates.ThresholdGate`, on ``w . x`` in the place of one feature.

    ``(w, tau)`` with the regimes in one order is ``(-w, -tau)`` with them in reverse.  Experts of
    different kinds fix which of the two it is.  Of experts made alike, up to three, the restarts
    are turned round after the fact to agree with the best one, as their regimes would be renamed
    under other gates; a sign held fixed would cut through the posterior wherever that entry of w
    may be zero.  Restarts that still disagree are left out of the posterior.

    Args:
        location_scale: prior sd of a threshold before sorting, in units of ``w . x``.
        sharpness: prior of the sharpness, in 1 / units of ``w . x``.

    Raises:
        OptionError: a setting is not what it has to be; or, when built, a single feature.

    Source: the logistic transition of Terasvirta (1994), JASA 89, 208-218, along the oblique splits
    of Murthy, Kasif and Salzberg (1994), Journal of Artificial Intelligence Research 2, 1-32.

    Example:
        >>> gate = ObliqueGate().build(2, 2)
        >>> gate(torch.tensor([[3.0, -3.0]])).exp().tolist()  # on the diagonal of equal weights
        [[0.5, 0.5]]
    """

    formula = (
        r"\log \frac{\pi_{k+1}(x)}{\pi_k(x)} = s_k (w \cdot x - \tau_k), \quad |w| = 1",
        "Oblique gate: thresholds on a linear combination of the features.",
    )

    has_thresholds: ClassVar[bool] = True
    location_scale: float = 1.0
    sharpness: LogNormalPrior = SHARPNESS

    def __post_init__(self) -> None:
        """Check the options."""
        check_ordered(self.location_scale, self.sharpness)

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        _require_two(num_features)
        return ObliqueGateModule(num_features, num_regimes, self)

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """See :meth:`Gate.resolved`."""
        del names
        _require_two(num_features)
        return self

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries:
        """See :meth:`Gate.boundaries`."""
        return Boundaries(
            location=values["location"],
            width=2.0 * LOG_ODDS_90 / values["sharpness"],
            direction=unit(values["direction_raw"]),
        )

    def may_trade(self, first: int, second: int, num_regimes: int) -> bool:
        """See :meth:`Gate.may_trade`: only by turning the whole order round."""
        # Of four or more, one pair could trade without the other.
        mirrored = num_regimes <= 3 and first + second == num_regimes - 1
        return first == second or mirrored

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """See :meth:`Gate.relabelled`; ``order`` is the identity or its reverse."""
        if order[0] == 0:
            return {}
        return {
            "direction_raw": -values["direction_raw"],
            "location": -values["location"].flip(-1),
            "sharpness": values["sharpness"].flip(-1),
        }


def _require_two(num_features: int) -> None:
    if num_features < 2:
        raise OptionError(
            "an oblique gate combines two features or more, but there is 1; use gate='threshold'"
        )
