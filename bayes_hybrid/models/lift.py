"""Turn a torch module's parameters into latent sites and run the module with them."""

import math
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import pyro.distributions as dist
from pyro.poutine.runtime import InferDict
from torch import Tensor, nn

from bayes_hybrid.gates import GateModule
from bayes_hybrid.models.base import SiteGroup, SiteRole, TrainingGroup
from bayes_hybrid.models.latent import Sites
from bayes_hybrid.nn import (
    GaussianBlock,
    GaussianStabilizesReLULayer,
    LinearMixLayer,
    ReLUBlock,
    bind,
)
from bayes_hybrid.priors import LogNormalPrior, Priors

_MIXES: Final = {"mix_gaussian": SiteRole.MIXES_GAUSSIAN, "mix_relu": SiteRole.MIXES_RELU}


def _note(
    group: SiteGroup, training: TrainingGroup | None = None, role: SiteRole | None = None
) -> InferDict:
    # Pyro hands on keys that it does not know; its type lists only those that it does.
    notes = {"group": group, "training": training or TrainingGroup.of(group), "role": role}
    return cast(InferDict, notes)


def _pathway_of(block: nn.Module, group: SiteGroup) -> TrainingGroup:
    """Which pathway a block of hidden features is part of; what mixes pathways is of neither."""
    if group != SiteGroup.FEATURES:
        return TrainingGroup.of(group)
    if isinstance(block, GaussianBlock):
        return TrainingGroup.GAUSSIAN
    if isinstance(block, ReLUBlock | GaussianStabilizesReLULayer):
        return TrainingGroup.RELU
    return TrainingGroup.HEADS


def sample_normal(
    sites: Sites,
    name: str,
    shape: tuple[int, ...],
    scale: float,
    group: SiteGroup,
    like: Tensor,
    training: TrainingGroup | None = None,
    role: SiteRole | None = None,
) -> Tensor:
    """``name ~ Normal(0, scale)``, independent entries of ``shape``, on ``like``'s device."""

    def prior() -> dist.TorchDistribution:
        each = dist.Normal(like.new_zeros(shape), like.new_full(shape, scale))
        together: dist.TorchDistribution = each.to_event(len(shape))
        return together

    return sites(name, prior, _note(group, training, role))


def sample_positive(
    sites: Sites,
    name: str,
    shape: tuple[int, ...],
    prior: LogNormalPrior,
    group: SiteGroup,
    like: Tensor,
    training: TrainingGroup | None = None,
    role: SiteRole | None = None,
) -> Tensor:
    """``log name ~ Normal(log median, spread)``, independent entries of ``shape``."""

    def site() -> dist.TorchDistribution:
        location = like.new_full(shape, math.log(prior.median))
        each = dist.LogNormal(location, like.new_full(shape, prior.spread))
        together: dist.TorchDistribution = each.to_event(len(shape))
        return together

    return sites(name, site, _note(group, training, role))


def _times(scale: Tensor, raw: Tensor) -> Tensor:
    """A number times a tensor, or S numbers times S tensors."""
    return scale.reshape(scale.shape + (1,) * (raw.dim() - scale.dim())) * raw


def sample_head(
    sites: Sites,
    name: str,
    shape: tuple[int, int],
    scale_prior: LogNormalPrior,
    bias_scale: float | None,
    group: SiteGroup,
    like: Tensor,
    role: SiteRole | None = None,
) -> dict[str, Tensor]:
    """Weight and bias of a linear read-out, ``weight = weight_scale / sqrt(fan_in) * raw``.

    Of nothing to read there is no weight.
    """
    values = {}
    if shape[-1]:
        scale = sample_positive(sites, f"{name}.weight_scale", (), scale_prior, group, like)
        raw = sample_normal(sites, f"{name}.weight_raw", shape, 1.0, group, like, None, role)
        values["weight"] = _times(scale / math.sqrt(shape[-1]), raw)
    if bias_scale is not None:
        site = f"{name}.bias"
        values["bias"] = sample_normal(sites, site, shape[:1], bias_scale, group, like, None, role)
    return values


def sample_features(
    sites: Sites, name: str, module: nn.Module, priors: Priors, group: SiteGroup, like: Tensor
) -> dict[str, Tensor]:
    """Sites for every parameter of a stack of Gaussian and ReLU blocks.

    Weight matrices get a learned scale over the square root of their fan-in; a block's bias shares
    that scale, as the weight of a constant input of one, so that kinks and bumps spread over the
    standardised data whatever the scale; widths are LogNormal above a floor.
    """
    values: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    for path, parameter in module.named_parameters():
        block, _, leaf = path.rpartition(".")
        site, shape = f"{name}.{path}", tuple(parameter.shape)
        owner = module.get_submodule(block)
        part = _pathway_of(owner, group)
        if leaf == "width":
            role = SiteRole.WIDTH
            width = sample_positive(sites, site, shape, priors.width, group, like, part, role)
            values[path] = priors.width_floor + width
        elif leaf == "bias":
            # named_parameters lists a block's weight before its bias.
            raw = sample_normal(sites, f"{site}_raw", shape, 1.0, group, like, part)
            values[path] = _times(scales[block], raw)
        else:
            scale = sample_positive(
                sites, f"{site}_scale", (), priors.feature_scale, group, like, part
            )
            mixes = _MIXES.get(leaf) if isinstance(owner, LinearMixLayer) else None
            raw = sample_normal(sites, f"{site}_raw", shape, 1.0, group, like, part, mixes)
            values[path] = _times(scale / math.sqrt(shape[-1]), raw)
            scales[block] = scale
    return values


def _known(prior: dist.TorchDistribution) -> dist.TorchDistribution:
    return prior


def sample_gate(
    sites: Sites, module: GateModule, priors: Priors, like: Tensor
) -> tuple[Callable[[Tensor], Tensor], dict[str, Tensor]]:
    """Sites for every parameter of a gate; from ``x [N, D]`` to its ``log_weights [N, K]``.

    And the parameters themselves, by their names in the module.
    """
    values: dict[str, Tensor] = {}
    for path, child in module.named_children():
        name = f"gate.{path}"
        if path == "head":
            size, width = child.get_parameter("weight").shape
            part = sample_head(
                sites,
                name,
                (size, width),
                priors.gate_scale,
                priors.gate_bias_scale,
                SiteGroup.GATE_HEAD,
                like,
            )
        else:
            part = sample_features(sites, name, child, priors, SiteGroup.GATE_FEATURES, like)
        values |= {f"{path}.{leaf}": value for leaf, value in part.items()}
    for path, prior in module.parameter_priors(priors, like).items():
        group = SiteGroup.THRESHOLDS if path in module.thresholds else SiteGroup.GATE_HEAD
        values[path] = sites(f"gate.{path}", partial(_known, prior), _note(group))
    return bind(module, values), values
