"""One expert: a pathway of hidden features, its location and its noise scale."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.likelihoods import Likelihood, Normal
from bayes_hybrid.models.base import HybridModel, Regimes, SiteGroup
from bayes_hybrid.models.lift import apply, sample_features, sample_head, sample_positive
from bayes_hybrid.nn import COMBINATIONS, SMOOTHINGS, stack
from bayes_hybrid.priors import Priors

NOISE_KINDS = ("constant", "input")


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """What one expert is made of.

    Args:
        kind: ``"gaussian"``, ``"relu"``, or a layer combination: ``"linear"``,
            ``"relu_gates_gaussian"``, ``"gaussian_stabilizes_relu"``.
        num_units: hidden units H per layer.
        depth: number of layers.
        smoothing: base nonlinearity of the Gaussian units, see :func:`bayes_hybrid.nn.smooth`.
        noise: ``"constant"``, one noise scale per regime, or ``"input"``, a function of ``x``.
        likelihood: density of ``y`` about the expert's location.

    Example:
        >>> Pathway(kind="relu", num_units=8).kind
        'relu'
    """

    kind: str = "gaussian"
    num_units: int = 32
    depth: int = 1
    smoothing: str = "bump"
    noise: str = "input"
    likelihood: Likelihood = field(default_factory=Normal)

    def __post_init__(self) -> None:
        """Check the options."""
        checks.choice("kind", self.kind, tuple(COMBINATIONS))
        checks.positive_int("num_units", self.num_units)
        checks.positive_int("depth", self.depth)
        checks.choice("smoothing", self.smoothing, tuple(SMOOTHINGS))
        checks.choice("noise", self.noise, NOISE_KINDS)
        checks.instance("likelihood", self.likelihood, Likelihood)

    def build(self, num_features: int) -> nn.Sequential:
        """The hidden layers as a torch module ``[..., D] -> [..., H]``."""
        return stack(
            self.kind, num_features, self.num_units, depth=self.depth, smoothing=self.smoothing
        )


def sample_expert(
    name: str, pathway: Pathway, module: nn.Module, priors: Priors, noise: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Sample one expert's parameters and return its location and scale, each ``[N]``.

    ::

        h(x) = hidden layers with weights of learned scale
        location(x) = b + location_scale / sqrt(H) * A h(x)
        scale(x) = floor + noise * ratio                                      (noise "constant")
        scale(x) = floor + noise * ratio * exp(slope_scale / sqrt(H) C h(x))  (noise "input")

    ``noise`` is shared by the experts and ``ratio ~ LogNormal`` is the expert's own: noise levels
    may differ, but an expert with next to no noise on a few rows is a priori improbable.
    """
    features = sample_features(name, module, priors, SiteGroup.FEATURES, x)
    hidden = apply(module, features, x)
    shape = (1, pathway.num_units)
    head = sample_head(f"{name}.location", shape, priors.location_scale, 1.0, SiteGroup.HEADS, x)
    location = hidden @ head["weight"][0] + head["bias"]
    noise = noise * sample_positive(
        f"{name}.noise_ratio", (), priors.noise_ratio, SiteGroup.SCALES, x
    )
    if pathway.noise == "constant":
        return location, priors.noise_floor + noise.expand(location.shape)
    slope = sample_head(
        f"{name}.noise_slope", shape, priors.noise_slope, None, SiteGroup.SCALE_SLOPES, x
    )
    # Bounded to a factor e**4 either way: an exponential of an unbounded ReLU overflows.
    exponent = 4.0 * torch.tanh(hidden @ slope["weight"][0] / 4.0)
    return location, priors.noise_floor + noise * torch.exp(exponent)


@dataclass(frozen=True, kw_only=True)
class PathwayModel(HybridModel):
    """A single pathway for every row: the controls and the layer combinations on their own.

    Generative story: the parameters of one expert (:func:`sample_expert`), then
    ``y_n ~ F(location(x_n), scale(x_n))``.  It is a hybrid model with one regime.

    Example:
        >>> model = PathwayModel(num_features=1, pathway=Pathway(kind="relu", num_units=4))
        >>> model.marginal(torch.zeros(5, 1)).shape
        torch.Size([5])
    """

    num_features: int = 1
    pathway: Pathway = field(default_factory=Pathway)
    priors: Priors = field(default_factory=Priors)

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.positive_int("num_features", self.num_features)
        checks.instance("pathway", self.pathway, Pathway)
        checks.instance("priors", self.priors, Priors)

    @property
    def regime_names(self) -> tuple[str, ...]:
        """The pathway's kind."""
        return (self.pathway.kind,)

    @property
    def likelihoods(self) -> tuple[Likelihood, ...]:
        """The pathway's likelihood."""
        return (self.pathway.likelihood,)

    @property
    def noise_floor(self) -> float:
        """See :attr:`HybridModel.noise_floor`."""
        return self.priors.noise_floor

    @cached_property
    def _module(self) -> nn.Sequential:
        return self.pathway.build(self.num_features)

    def regimes(self, x: Tensor) -> Regimes:
        """See :meth:`HybridModel.regimes`; K = 1 and the only log weight is zero."""
        noise = sample_positive("noise", (), self.priors.noise, SiteGroup.SCALES, x)
        location, scale = sample_expert(
            self.pathway.kind, self.pathway, self._module, self.priors, noise, x
        )
        return Regimes(
            torch.zeros_like(location).unsqueeze(-1), location.unsqueeze(-1), scale.unsqueeze(-1)
        )
