"""One expert: a pathway of hidden features, its location and its noise scale."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.likelihoods import Likelihood, Normal
from bayes_hybrid.models.base import HybridModel, Regimes, SiteGroup
from bayes_hybrid.models.lift import apply, sample_features, sample_head, sample_positive
from bayes_hybrid.nn import SMOOTHINGS, pathway_kind, stack
from bayes_hybrid.priors import LogNormalPrior, Priors

NOISE_KINDS = ("constant", "input")


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """What one expert is made of.

    Args:
        kind: ``"gaussian"``, ``"relu"``, or a layer combination: ``"linear_mix"``,
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
        pathway_kind("kind", self.kind)
        checks.positive_int("num_units", self.num_units)
        checks.positive_int("depth", self.depth)
        checks.choice("smoothing", self.smoothing, tuple(SMOOTHINGS))
        checks.choice("noise", self.noise, NOISE_KINDS)
        checks.instance("likelihood", self.likelihood, Likelihood)

    @property
    def has_relu(self) -> bool:
        """Whether there are ReLU units in it: in all but the Gaussian control."""
        return self.kind != "gaussian"

    def build(self, num_features: int) -> nn.Sequential:
        """The hidden layers as a torch module ``[..., D] -> [..., H]``."""
        return stack(
            self.kind, num_features, self.num_units, depth=self.depth, smoothing=self.smoothing
        )


def sample_noise(priors: Priors, num_outputs: int, x: Tensor) -> Tensor:
    """The noise scale that the experts share, one number for each of Q > 1 outputs."""
    shape = () if num_outputs == 1 else (num_outputs,)
    return sample_positive("noise", shape, priors.noise, SiteGroup.SCALES, x)


def sample_expert(
    name: str, pathway: Pathway, module: nn.Module, priors: Priors, noise: Tensor, x: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample one expert's parameters and return its location, scale and shape, each ``[N]``.

    ::

        h(x) = hidden layers with weights of learned scale
        location(x) = b + location_scale / sqrt(H) * A h(x)
        scale(x) = floor + noise * ratio                                      (noise "constant")
        scale(x) = floor + noise * ratio * exp(slope_scale / sqrt(H) C h(x))  (noise "input")
        shape = the likelihood's own number, or ~ LogNormal where that is learned

    ``noise`` is shared by the experts and ``ratio ~ LogNormal`` is the expert's own: noise levels
    may differ, but an expert with next to no noise on a few rows is a priori improbable.

    With Q > 1 outputs, one entry of ``noise [Q]`` for each, b, A, C and ratio have a row for each
    output, hidden layers and shape are shared, and all three results are ``[N, Q]``.
    """
    features = sample_features(name, module, priors, SiteGroup.FEATURES, x)
    hidden = apply(module, features, x)
    shape = (max(1, noise.numel()), pathway.num_units)
    head = sample_head(f"{name}.location", shape, priors.location_scale, 1.0, SiteGroup.HEADS, x)
    location = _read(hidden, head["weight"], noise.dim()) + head["bias"]
    noise = noise * sample_positive(
        f"{name}.noise_ratio", tuple(noise.shape), priors.noise_ratio, SiteGroup.SCALES, x
    )
    scale = noise.expand(location.shape)
    if pathway.noise == "input":
        slope = sample_head(
            f"{name}.noise_slope", shape, priors.noise_slope, None, SiteGroup.SCALE_SLOPES, x
        )
        # Bounded to a factor e**4 either way: an exponential of an unbounded ReLU overflows.
        exponent = 4.0 * torch.tanh(_read(hidden, slope["weight"], noise.dim()) / 4.0)
        scale = noise * torch.exp(exponent)
    number = _sample_shape(name, pathway.likelihood, x)
    return location, priors.noise_floor + scale, number.expand(location.shape)


def _read(hidden: Tensor, weight: Tensor, output_dims: int) -> Tensor:
    """``hidden [N, H]`` times ``weight [Q, H]``: ``[N, Q]``, or ``[N]`` for one output."""
    return hidden @ weight.mT if output_dims else hidden @ weight[0]


def _sample_shape(name: str, likelihood: Likelihood, like: Tensor) -> Tensor:
    """The likelihood's shape, drawn where it has a prior."""
    shape = likelihood.shape
    if isinstance(shape, LogNormalPrior):
        floor, site = likelihood.shape_floor, f"{name}.{likelihood.shape_name}"
        site += f"_above_{floor:g}" if floor else ""
        return floor + sample_positive(site, (), shape, SiteGroup.SCALES, like)
    return like.new_full((), 1.0 if shape is None else shape)


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
    num_outputs: int = 1

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.positive_int("num_features", self.num_features)
        checks.positive_int("num_outputs", self.num_outputs)
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

    @property
    def width_floor(self) -> float:
        """See :attr:`HybridModel.width_floor`."""
        return self.priors.width_floor

    @property
    def relu_regimes(self) -> tuple[int, ...]:
        """See :attr:`HybridModel.relu_regimes`."""
        return (0,) if self.pathway.has_relu else ()

    @cached_property
    def _module(self) -> nn.Sequential:
        return self.pathway.build(self.num_features)

    def regimes(self, x: Tensor) -> Regimes:
        """See :meth:`HybridModel.regimes`; K = 1 and the only log weight is zero."""
        noise = sample_noise(self.priors, self.num_outputs, x)
        expert = sample_expert(self.pathway.kind, self.pathway, self._module, self.priors, noise, x)
        location, scale, shape = (part.unsqueeze(-1) for part in expert)
        return Regimes(x.new_zeros(len(x), 1), location, scale, shape)
