"""Regimes in a hard order along one feature, with a threshold between neighbours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.distributions import OrderedNormal
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates.base import Boundaries, Gate, GateModule, log_softmax_from_first
from bayes_hybrid.priors import LogNormalPrior, Priors

SHARPNESS: Final = LogNormalPrior(median=20.0, spread=1.0)
"""A transition of 0.22 standard deviations of the feature, give or take a factor of five."""
ABRUPT: Final = LogNormalPrior(median=300.0, spread=0.5)
"""Prior of a change from one row to the next: the odds turn from 9 to 1 to 1 to 9 within a
seventieth of the feature's standard deviation, where a table of some hundred rows has no row."""

# From odds of 1 : 9 to odds of 9 : 1.
LOG_ODDS_90: Final = math.log(9.0)


def ordered_log_weights(score: Tensor, location: Tensor, sharpness: Tensor) -> Tensor:
    """``log softmax(0, cumsum_k s_k (score - tau_k))``, ``[..., K]``.

    Args:
        score: what puts the regimes in their order, ``[...]``.
        location: tau, ``[K - 1]``, increasing.
        sharpness: s, ``[K - 1]``, positive.
    """
    logits = torch.cumsum(sharpness * (score.unsqueeze(-1) - location), dim=-1)
    return log_softmax_from_first(logits)


ORDERED: Final = frozenset({"location", "sharpness"})
"""Names of the two."""


def ordered_parameters(
    num_regimes: int, sharpness: LogNormalPrior
) -> tuple[nn.Parameter, nn.Parameter]:
    """``location`` along the standardised range and ``sharpness`` at its median, ``[K - 1]``."""
    location = torch.linspace(-1.0, 1.0, num_regimes + 1)[1:-1]
    return nn.Parameter(location), nn.Parameter(torch.full_like(location, sharpness.median))


def ordered_priors(
    size: int, location_scale: float, sharpness: LogNormalPrior, like: Tensor
) -> dict[str, dist.TorchDistribution]:
    """Priors of ``location [size]`` and ``sharpness [size]``, on ``like``'s device."""
    zero, scale = like.new_zeros(()), like.new_full((), location_scale)
    # A plain Normal where nothing is to be sorted: inference knows it in closed form.
    plain = dist.Normal(zero, scale).expand([1]).to_event(1)
    log_median = like.new_full((size,), math.log(sharpness.median))
    return {
        "location": plain if size == 1 else OrderedNormal(zero, scale, size),
        "sharpness": dist.LogNormal(
            log_median, torch.full_like(log_median, sharpness.spread)
        ).to_event(1),
    }


def check_ordered(location_scale: float, sharpness: LogNormalPrior) -> None:
    """Check the settings of :func:`ordered_priors`.

    Raises:
        OptionError: one of them is not what it has to be.
    """
    checks.positive_float("location_scale", location_scale)
    checks.instance("sharpness", sharpness, LogNormalPrior)


def check_feature(feature: int | str | None) -> None:
    """Check that ``feature`` is a column's name or index, or ``None`` for the only one.

    Raises:
        OptionError: it is something else, or a negative index.
    """
    if feature is not None:
        checks.name_or_index("feature", feature)


def column(feature: int | str | None, num_features: int, names: Sequence[str] = ()) -> int:
    """Index of the column that a gate reads.

    Args:
        feature: its name or index; ``None`` for the only one.
        num_features: D.
        names: names of the D columns; empty where they have none.

    Raises:
        OptionError: there is no such column, or there are several and none was said.

    Example:
        >>> column("age", 2, ["dose", "age"])
        1
        >>> column("aeg", 2, ["dose", "age"])
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: feature must be one of 'dose', 'age'; got 'aeg';
            did you mean 'age'?
    """
    if feature is not None:
        return checks.column("feature", feature, num_features, names)
    if num_features == 1:
        return 0
    listed = f"{num_features} columns" + (f", {', '.join(map(repr, names))}" if names else "")
    example = repr(names[0]) if names else "0"
    raise OptionError(
        f"feature: expected the column that the gate reads, because there are {listed}; "
        f"say which, as in ThresholdGate(feature={example}), or on the command line "
        "--gate threshold --gate-feature NAME"
    )


def feature_beside(feature: int | str | None, column: int) -> int | str | None:
    """Index of a gate's feature where ``column`` is taken out.

    Raises:
        OptionError: they are the same.
    """
    if not isinstance(feature, int):
        return feature
    if feature == column:
        raise OptionError(
            f"feature: the gate would read column {column}, the size of the rows, which says "
            "nothing of regimes; expected another column"
        )
    return feature - (feature > column)


class ThresholdGateModule(GateModule):
    """``log pi_(k+1) - log pi_k = sharpness_k (x_j - location_k)``."""

    thresholds = ORDERED

    def __init__(self, feature: int, num_regimes: int, gate: "ThresholdGate") -> None:
        """Start from thresholds along the standardised range."""
        super().__init__()
        self.location, self.sharpness = ordered_parameters(num_regimes, gate.sharpness)
        self._feature, self._gate = feature, gate

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`GateModule.forward`."""
        return ordered_log_weights(x[..., self._feature], self.location, self.sharpness)

    def parameter_priors(
        self, priors: Priors, like: Tensor
    ) -> Mapping[str, dist.TorchDistribution]:
        """Sorted Normal locations, LogNormal sharpnesses."""
        del priors
        return ordered_priors(
            len(self.location), self._gate.location_scale, self._gate.sharpness, like
        )


@dataclass(frozen=True, kw_only=True)
class ThresholdGate(Gate):
    """K - 1 thresholds on one feature: below the first the first regime, and so on.

    ::

        log pi_(k+1)(x) - log pi_k(x) = s_k (x_j - tau_k)
        tau_1 < ... < tau_(K-1) ~ Normal(0, location_scale), sorted
        log s_k ~ Normal(log sharpness.median, sharpness.spread)

    Neighbouring regimes are equally probable at exactly tau_k, and ``2 log(9) / s_k`` is the width
    over which the odds go from 1 : 9 to 9 : 1.  Each threshold has a sharpness of its own, because
    one change may be sudden and the next one gradual; a shared one would let the first decide how
    sure the second is.  As s goes to infinity the regimes split hard.

    The order is that of the experts: the first expert belongs to the lowest values of the feature.
    Experts of one kind are told apart by it.  Everything is in standardised units here; a fit
    reports thresholds in the feature's own.

    Args:
        feature: column of the feature, by index or by name; ``None`` for the only one.
        location_scale: prior sd of a threshold before sorting, in sd(x_j).
        sharpness: prior of the sharpness, in 1 / sd(x_j).

    Raises:
        OptionError: a setting is not what it has to be.

    Source: Terasvirta (1994), JASA 89, 208-218, the logistic smooth transition, for K = 2; for
    more, adjacent-category logits, Agresti (2013), Categorical Data Analysis, section 8.3.

    Example:
        >>> gate = ThresholdGate(feature=1).build(3, 2)
        >>> gate(torch.zeros(1, 3)).exp().tolist()  # the threshold is at 0 before it is fitted
        [[0.5, 0.5]]
    """

    formula = (
        r"\log \frac{\pi_{k+1}(x)}{\pi_k(x)} = s_k (x_j - \tau_k), \quad "
        r"\tau_1 < \dots < \tau_{K-1}",
        "Threshold gate: neighbouring regimes are equally probable at the threshold, and the "
        "sharpness says how sudden the change is.",
    )

    has_thresholds: ClassVar[bool] = True
    names_regimes: ClassVar[bool] = True
    feature: int | str | None = None
    location_scale: float = 1.0
    sharpness: LogNormalPrior = SHARPNESS

    def __post_init__(self) -> None:
        """Check the options."""
        check_feature(self.feature)
        check_ordered(self.location_scale, self.sharpness)

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        return ThresholdGateModule(column(self.feature, num_features), num_regimes, self)

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """See :meth:`Gate.resolved`."""
        return replace(self, feature=column(self.feature, num_features, names))

    def beside(self, column: int) -> Self:
        """See :meth:`Gate.beside`."""
        return replace(self, feature=feature_beside(self.feature, column))

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries:
        """See :meth:`Gate.boundaries`."""
        width = 2.0 * LOG_ODDS_90 / values["sharpness"]
        # Without a number there is one column; a name has been resolved before anything was drawn.
        feature = self.feature if isinstance(self.feature, int) else 0
        return Boundaries(location=values["location"], width=width, feature=feature)
