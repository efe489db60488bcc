"""One expert: a pathway of hidden features, its location and its noise scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.errors import OptionError
from bayes_hybrid.likelihoods import Likelihood, Normal
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models.base import HybridModel, SiteGroup, SiteRole
from bayes_hybrid.models.latent import Sites
from bayes_hybrid.models.lift import (
    sample_features,
    sample_head,
    sample_normal,
    sample_positive,
)
from bayes_hybrid.models.sampled import Expert, Parts
from bayes_hybrid.nn import (
    SMOOTHINGS,
    GaussianStabilizesReLULayer,
    ReLUBlock,
    bind,
    pathway_kind,
    stack,
)
from bayes_hybrid.priors import PRIORS, LogNormalPrior, NormalPrior, Priors

NOISE_KINDS = ("constant", "input")


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """What one expert is made of.

    A pathway of your own extends this class with a ``kind`` and a method :meth:`build`.

    Args:
        kind: ``"gaussian"``, ``"relu"``, or a layer combination: ``"linear_mix"``,
            ``"relu_gates_gaussian"``, ``"gaussian_stabilizes_relu"``.
        num_units: hidden units H per layer; ``"auto"`` is 32 up to three features, else 50.
        depth: number of layers.
        smoothing: base nonlinearity of the Gaussian units, see :func:`bayes_hybrid.nn.smooth`.
        noise: ``"constant"``, one noise scale per regime, or ``"input"``, a function of ``x``.
        likelihood: density of ``y`` about the expert's location.

    Example:
        >>> Pathway("relu", num_units=8).kind
        'relu'
    """

    formula: ClassVar[tuple[str, str] | None] = None
    """Hidden features of a class of its own, as LaTeX and in words, for the report."""

    kind: str = field(default="gaussian", kw_only=False)
    num_units: int | str = "auto"
    depth: int = 1
    smoothing: str = "bump"
    noise: str = "input"
    likelihood: Likelihood = field(default_factory=Normal)

    def __post_init__(self) -> None:
        """Check the options."""
        if type(self) is Pathway:
            pathway_kind("kind", self.kind)
        elif not (isinstance(self.kind, str) and self.kind.isidentifier()):
            raise OptionError(
                f"kind: expected what to call regimes of {type(self).__name__}, a name such as "
                f"'fourier'; got {self.kind!r}"
            )
        checks.positive_int_or_auto("num_units", self.num_units)
        checks.positive_int("depth", self.depth)
        checks.choice("smoothing", self.smoothing, tuple(SMOOTHINGS))
        checks.choice("noise", self.noise, NOISE_KINDS)
        checks.instance("likelihood", self.likelihood, Likelihood)

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """With its likelihood for targets like ``y``."""
        return replace(self, likelihood=self.likelihood.anchored(y, size))

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """:meth:`sized`, and with its likelihood's columns as indices."""
        sized, found = self.sized(num_features), self.likelihood.resolved(num_features, names)
        return sized if found is self.likelihood else replace(sized, likelihood=found)

    def sized(self, num_features: int) -> Self:
        """With a number for ``num_units``."""
        if self.num_units != "auto":
            return self
        return replace(self, num_units=32 if num_features <= 3 else 50)

    def width(self, num_features: int) -> int:
        """H, the number of hidden features of D input features."""
        return int(self.sized(num_features).num_units)

    def build(self, num_features: int) -> nn.Module:
        """The hidden layers as a torch module ``[..., D] -> [..., H]``.

        Its parameters get priors by their names: a ``bias`` shares the scale of its module's
        ``weight``, a ``width`` is positive, and any other is a matrix of weights.
        """
        units = self.width(num_features)
        return stack(self.kind, num_features, units, depth=self.depth, smoothing=self.smoothing)


def sample_noise(
    sites: Sites, priors: Priors, likelihoods: Likelihoods, outputs: tuple[int, ...], like: Tensor
) -> Tensor | None:
    """The noise scale that the experts share, one number for each of Q > 1 outputs, if any has."""
    if not likelihoods.has_noise:
        return None
    return sample_positive(
        sites, "noise", outputs, priors.noise, SiteGroup.SCALES, like, role=SiteRole.BY_OUTPUT
    )


@dataclass(frozen=True, eq=False)
class Built:
    """A pathway as a model has it.

    Args:
        name: of the regime, with which its sites begin.
        pathway: its settings.
        module: its hidden layers, whose own parameters are never used: sites take their places.
        width: hidden features H.
        offset: whether its location has a level of its own.
    """

    name: str
    pathway: Pathway
    module: nn.Module
    width: int
    offset: bool = True

    @property
    def has_relu(self) -> bool:
        """Whether there are ReLU units among its hidden layers."""
        kinds = (ReLUBlock, GaussianStabilizesReLULayer)
        return any(isinstance(module, kinds) for module in self.module.modules())

    @classmethod
    def of(cls, name: str, pathway: Pathway, num_features: int, *, offset: bool = True) -> Self:
        """The pathway of D features."""
        pathway = pathway.sized(num_features)
        module = pathway.build(num_features).requires_grad_(False).eval()
        return cls(name, pathway, module, pathway.width(num_features), offset)


def sample_expert(
    sites: Sites,
    built: Built,
    priors: Priors,
    noise: Tensor | None,
    outputs: tuple[int, ...],
    like: Tensor,
) -> Callable[[Tensor], Expert]:
    """Sample one expert's parameters; from ``x [N, D]`` to the numbers of its likelihood, ``[N]``.

    ::

        h(x) = hidden layers with weights of learned scale
        location(x) = b + location_scale / sqrt(H) * A h(x)
        scale(x) = floor + noise * ratio                                      (noise "constant")
        scale(x) = floor + noise * ratio * exp(slope_scale / sqrt(H) C h(x))  (noise "input")
        shape = the likelihood's own number, or ~ LogNormal where that is learned

    each where the likelihood has it.

    Without an offset there is no b.

    ``noise`` is shared by the experts and ``ratio ~ LogNormal`` is the expert's own: noise levels
    may differ, but an expert with next to no noise on a few rows is a priori improbable.

    With Q > 1 outputs, ``outputs = (Q,)`` and one entry of ``noise [Q]`` for each, b, A, C and
    ratio have a row for each output, hidden layers and shape are shared, and results are
    ``[N, Q]``.
    """
    name, pathway = built.name, built.pathway
    features = sample_features(sites, name, built.module, priors, SiteGroup.FEATURES, like)
    layers = bind(built.module, features)
    shape = (outputs[0] if outputs else 1, built.width)
    head = sample_head(
        sites,
        f"{name}.location",
        shape,
        priors.location_scale,
        1.0 if built.offset else None,
        SiteGroup.HEADS,
        like,
        SiteRole.BY_OUTPUT,
    )
    bias = head.get("bias", like.new_zeros(shape[:1]))
    bias = _by_row(bias if outputs else bias.squeeze(-1), outputs)
    weight, level = head.get("weight"), None
    if noise is not None and pathway.likelihood.has_scale:
        level = _by_row(noise * _sample_ratio(sites, name, priors, outputs, like), outputs)
        if pathway.noise == "input" and weight is not None:
            slope = sample_head(
                sites,
                f"{name}.noise_slope",
                shape,
                priors.noise_slope,
                None,
                SiteGroup.SCALE_SLOPES,
                like,
                SiteRole.BY_OUTPUT,
            )
            weight = torch.cat([weight, slope["weight"]], dim=-2)
    shapes = _sample_shape(sites, name, pathway.likelihood, like)

    def expert(x: Tensor) -> Expert:
        if weight is None:
            read: tuple[Tensor, ...] = (x.new_zeros(x.shape[:-1] + (1,) * len(outputs)),)
        else:
            read = _read(layers(x), weight, outputs)
        location = read[0] + bias
        numbers = [location]
        if level is not None:
            scale = level
            if len(read) > 1:
                # Bounded to e**4 either way: an exponential of an unbounded ReLU overflows.
                scale = level * torch.exp(4.0 * torch.tanh(read[1] / 4.0))
            numbers.append(priors.noise_floor + scale)
        beside = (1,) * (1 + len(outputs))
        numbers += [n.reshape(n.shape + beside) if n.dim() else n for n in shapes]
        return Expert(pathway.likelihood, tuple(torch.broadcast_tensors(*numbers)))

    return expert


def _sample_ratio(
    sites: Sites, name: str, priors: Priors, outputs: tuple[int, ...], like: Tensor
) -> Tensor:
    site, role = f"{name}.noise_ratio", SiteRole.BY_OUTPUT
    return sample_positive(
        sites, site, outputs, priors.noise_ratio, SiteGroup.SCALES, like, role=role
    )


def _read(hidden: Tensor, weight: Tensor, outputs: tuple[int, ...]) -> tuple[Tensor, ...]:
    """``hidden [..., N, H]`` times each head in ``weight``, ``[..., N]``, or ``[..., N, Q]``."""
    values = (weight @ hidden.mT).unflatten(-2, (-1, *(outputs or (1,))))
    return tuple(value.mT if outputs else value.squeeze(-2) for value in values.unbind(-3))


def _by_row(value: Tensor, outputs: tuple[int, ...]) -> Tensor:
    """``[*outputs]`` as it is; of S draws, ``[S, 1, *outputs]``, to go beside their rows."""
    return value if value.dim() == len(outputs) else value.unsqueeze(1)


def _sample_shape(
    sites: Sites, name: str, likelihood: Likelihood, like: Tensor
) -> tuple[Tensor, ...]:
    """The likelihood's shape, drawn where it has a prior; nothing where it has none."""
    shape, site = likelihood.shape, f"{name}.{likelihood.shape_name}"
    if isinstance(shape, LogNormalPrior):
        floor = likelihood.shape_floor or 0.0
        site += f"_above_{floor:g}" if floor else ""
        return (floor + sample_positive(sites, site, (), shape, SiteGroup.SCALES, like),)
    if isinstance(shape, NormalPrior):
        site += f"_from_{shape.mean:g}" if shape.mean else ""
        return (shape.mean + sample_normal(sites, site, (), shape.sd, SiteGroup.SCALES, like),)
    return () if shape is None else (like.new_full((), shape),)


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
    priors: Priors = PRIORS
    num_outputs: int = 1

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.positive_int("num_features", self.num_features)
        checks.positive_int("num_outputs", self.num_outputs)
        checks.instance("pathway", self.pathway, Pathway)
        checks.instance("priors", self.priors, Priors)
        self.likelihoods.require_one_target(self.num_features)

    @property
    def regime_names(self) -> tuple[str, ...]:
        """The pathway's kind."""
        return (self.pathway.kind,)

    @property
    def likelihoods(self) -> Likelihoods:
        """The pathway's likelihood."""
        return Likelihoods([self.pathway.likelihood])

    @property
    def relu_regimes(self) -> tuple[int, ...]:
        """See :attr:`HybridModel.relu_regimes`."""
        return (0,) if self._built.has_relu else ()

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """See :meth:`HybridModel.anchored`."""
        return replace(self, pathway=self.pathway.anchored(y, size))

    @cached_property
    def _built(self) -> Built:
        num_inputs = self.likelihoods.num_inputs(self.num_features)
        return Built.of(self.pathway.kind, self.pathway, num_inputs)

    def parts(self, sites: Sites, like: Tensor) -> Parts:
        """See :meth:`HybridModel.parts`; K = 1 and the only log weight is zero."""
        outputs = () if self.num_outputs == 1 else (self.num_outputs,)
        noise = sample_noise(sites, self.priors, self.likelihoods, outputs, like)
        expert = sample_expert(sites, self._built, self.priors, noise, outputs, like)
        parts = Parts(lambda x: x.new_zeros(len(x), 1), (expert,))
        return parts.beside(self.likelihoods.size_column, self.num_outputs)
