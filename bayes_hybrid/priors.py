"""Prior settings, in standardised units (features and target have mean 0 and sd 1).

Every prior has a finite mean: a half-Cauchy scale gives NaN in autoguides.  Weights are
non-centred, ``weight = weight_scale / sqrt(fan_in) * weight_raw``, ``weight_raw ~ Normal(0, 1)``:
the centred form has no mode (the density grows without bound as the scale shrinks), so a MAP start
would fail.
"""

from dataclasses import dataclass, field
from typing import Final

from bayes_hybrid import checks


@dataclass(frozen=True, kw_only=True)
class LogNormalPrior:
    """``log v ~ Normal(log median, spread)`` for a positive quantity v.

    Args:
        median: prior median, in the quantity's own units.
        spread: prior sd of ``log v``.
    """

    median: float
    spread: float

    def __post_init__(self) -> None:
        """Check both numbers."""
        checks.positive_float("median", self.median)
        checks.positive_float("spread", self.spread)


@dataclass(frozen=True, kw_only=True)
class NormalPrior:
    """``v ~ Normal(mean, sd)`` for a quantity v of either sign.

    Args:
        mean: prior mean, in the quantity's own units.
        sd: prior standard deviation.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        """Check both numbers."""
        checks.finite_float("mean", self.mean)
        checks.positive_float("sd", self.sd)


_LOG_NORMAL = (
    "feature_scale",
    "width",
    "location_scale",
    "gate_scale",
    "noise",
    "noise_ratio",
    "noise_slope",
)


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Priors of the hybrid models.

    Args:
        feature_scale: scale of a hidden layer's pre-activations on standardised inputs.
        width: smoothing width of a Gaussian unit, in units of its pre-activation.
        location_scale: scale of an expert's function, in sd(y).
        gate_scale: scale of the gate's logits.
        gate_bias_scale: prior sd of the gate's intercepts (logits).
        noise: scale of the noise that the regimes share, in sd(y).
        noise_ratio: one regime's noise scale over the shared one.
        noise_slope: scale of the log noise scale's dependence on the features.
        width_floor: smallest smoothing width.
        noise_floor: smallest noise scale, in sd(y).
    """

    feature_scale: LogNormalPrior = field(
        default_factory=lambda: LogNormalPrior(median=2.0, spread=0.7)
    )
    width: LogNormalPrior = field(default_factory=lambda: LogNormalPrior(median=1.0, spread=0.5))
    location_scale: LogNormalPrior = field(
        default_factory=lambda: LogNormalPrior(median=2.0, spread=0.7)
    )
    gate_scale: LogNormalPrior = field(
        default_factory=lambda: LogNormalPrior(median=3.0, spread=1.0)
    )
    gate_bias_scale: float = 1.5
    noise: LogNormalPrior = field(default_factory=lambda: LogNormalPrior(median=0.2, spread=1.2))
    noise_ratio: LogNormalPrior = field(
        default_factory=lambda: LogNormalPrior(median=1.0, spread=0.5)
    )
    noise_slope: LogNormalPrior = field(
        default_factory=lambda: LogNormalPrior(median=0.5, spread=0.7)
    )
    width_floor: float = 1e-2
    # Rounded or repeated targets would otherwise let a regime close in on one value.
    noise_floor: float = 1e-4

    def __post_init__(self) -> None:
        """Check every field."""
        for name in _LOG_NORMAL:
            checks.instance(name, getattr(self, name), LogNormalPrior)
        checks.positive_float("gate_bias_scale", self.gate_bias_scale)
        checks.positive_float("width_floor", self.width_floor)
        checks.positive_float("noise_floor", self.noise_floor)


PRIORS: Final = Priors()
"""Those of a model that is given no others."""
