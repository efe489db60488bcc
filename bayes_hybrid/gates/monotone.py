"""Regimes in a hard order along one feature, with odds that rise in any shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.distributions import mixture_quantile
from bayes_hybrid.gates.base import Boundaries, Gate, GateModule
from bayes_hybrid.gates.threshold import (
    LOG_ODDS_90,
    ORDERED,
    SHARPNESS,
    check_feature,
    check_ordered,
    column,
    feature_beside,
    ordered_log_weights,
    ordered_parameters,
    ordered_priors,
)
from bayes_hybrid.nn import smooth
from bayes_hybrid.priors import LogNormalPrior, Priors

# The steps rise between two standard deviations below the mean and two above.
_RANGE: Final = 4.0


def warped(x: Tensor, raw: Tensor) -> Tensor:
    """``m(x)``, a feature on a scale that is stretched here and compressed there.

    With ``w = softmax(raw)``, H steps, and centres c evenly spread over two standard deviations
    about the mean, a distance d apart::

        m(x) = w_0 x + 4 sum_h w_h (Phi((x - c_h) / d) - 1/2)

    It rises strictly, by 1 per standard deviation on average: the steps' share and the slope's sum
    to one.

    Args:
        x: standardised feature, ``[...]``.
        raw: ``[H + 1]`` or broadcastable, ``[..., H + 1]``.
    """
    num_units = raw.shape[-1] - 1
    width = _RANGE / num_units
    index = torch.arange(num_units, dtype=x.dtype, device=x.device)
    centres = width * (index + 0.5) - 0.5 * _RANGE
    steps = smooth(x.unsqueeze(-1) - centres, torch.full_like(centres, width), "step") - 0.5
    weights = torch.softmax(raw, dim=-1)
    return weights[..., 0] * x + _RANGE * (weights[..., 1:] * steps).sum(-1)


def unwarped(target: Tensor, raw: Tensor) -> Tensor:
    """The ``x`` at which ``m(x)`` is ``target [..., M]``, for ``raw [..., H + 1]``."""
    raw = raw.unsqueeze(-2)
    # The steps add less than half their range either way to a straight line.
    slope = torch.softmax(raw, dim=-1)[..., 0]
    lower, upper = ((target + sign * 0.5 * _RANGE) / slope for sign in (-1.0, 1.0))
    return mixture_quantile(lambda x: warped(x, raw), target, lower, upper)


class MonotoneGateModule(GateModule):
    """``log pi_(k+1) - log pi_k = sharpness_k (m(x_j) - location_k)``."""

    thresholds = ORDERED

    def __init__(self, feature: int, num_regimes: int, gate: "MonotoneGate") -> None:
        """Start from an even warp and thresholds along the standardised range."""
        super().__init__()
        self.location, self.sharpness = ordered_parameters(num_regimes, gate.sharpness)
        self.warp_raw = nn.Parameter(torch.zeros(gate.num_units + 1))
        self._feature, self._gate = feature, gate

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`GateModule.forward`."""
        score = warped(x[..., self._feature], self.warp_raw)
        return ordered_log_weights(score, self.location, self.sharpness)

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """Those of a threshold gate, and Normal log shares of the warp."""
        del priors
        gate, zeros = self._gate, like.new_zeros(self.warp_raw.shape)
        warp = dist.Normal(zeros, torch.ones_like(zeros)).to_event(1)
        size = len(self.location)
        return ordered_priors(size, gate.location_scale, gate.sharpness, like) | {"warp_raw": warp}


@dataclass(frozen=True, kw_only=True)
class MonotoneGate(Gate):
    """K - 1 thresholds on one feature, approached in any rising shape.

    ::

        log pi_(k+1)(x) - log pi_k(x) = s_k (m(x_j) - o_k)
        m(x) = w_0 x + 4 sum_h w_h (Phi((x - c_h) / d) - 1/2),   w = softmax(r),  r ~ Normal(0, 1)
        o_1 < ... < o_(K-1) ~ Normal(0, location_scale), sorted
        log s_k ~ Normal(log sharpness.median, sharpness.spread)

    As :class:`~bayes_hybrid.gates.ThresholdGate`, but the log odds need not be a straight line in
    the feature: a change may begin slowly and end at once.  The warp m is shared by the thresholds
    and rises by 1 per standard deviation on average, so that its size is not confused with the
    sharpness, and with equal shares it is the feature itself.  Neighbours are equally probable
    where ``m(x_j) = o_k``, once on the whole line.

    Args:
        feature: column of the feature, by index or by name; ``None`` for the only one.
        num_units: H, steps of the warp.
        location_scale: prior sd of a threshold before sorting, about in sd(x_j).
        sharpness: prior of the average sharpness, in 1 / sd(x_j).

    Raises:
        OptionError: a setting is not what it has to be.

    Source: a monotone spline as in Ramsay (1988), Statistical Science 3, 425-441, with Normal
    distribution functions for I-splines.

    Example:
        >>> gate = MonotoneGate(feature=1).build(3, 2)
        >>> gate(torch.zeros(1, 3)).exp().round(decimals=3).tolist()
        [[0.5, 0.5]]
    """

    formula = (
        r"\log \frac{\pi_{k+1}(x)}{\pi_k(x)} = s_k (m(x_j) - o_k), \quad m' > 0",
        "Monotone gate: a threshold that is approached in any rising shape m.",
    )

    has_thresholds: ClassVar[bool] = True
    names_regimes: ClassVar[bool] = True
    feature: int | str | None = None
    num_units: int = 8
    location_scale: float = 1.0
    sharpness: LogNormalPrior = SHARPNESS

    def __post_init__(self) -> None:
        """Check the options."""
        check_feature(self.feature)
        checks.positive_int("num_units", self.num_units)
        check_ordered(self.location_scale, self.sharpness)

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        return MonotoneGateModule(column(self.feature, num_features), num_regimes, self)

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """See :meth:`Gate.resolved`."""
        return replace(self, feature=column(self.feature, num_features, names))

    def beside(self, column: int) -> Self:
        """See :meth:`Gate.beside`."""
        return replace(self, feature=feature_beside(self.feature, column))

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries:
        """See :meth:`Gate.boundaries`; the warp is inverted numerically, draw by draw."""
        offset, reach = values["location"], LOG_ODDS_90 / values["sharpness"]
        targets = torch.cat([offset, offset - reach, offset + reach], dim=-1)
        location, start, stop = unwarped(targets, values["warp_raw"]).chunk(3, dim=-1)
        feature = self.feature if isinstance(self.feature, int) else 0
        return Boundaries(location=location, width=stop - start, feature=feature)
