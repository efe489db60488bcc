"""Where the latent sites of a model live in one flat, unconstrained vector."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Independent, LogNormal, Normal, biject_to

from bayes_hybrid.cached import cached_property
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.recorder import quiet_pyro
from bayes_hybrid.models.base import OBSERVED, HybridModel, SiteGroup, SiteRole, TrainingGroup

_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Site:
    """Where one latent site lives in the flat vector.

    Args:
        name: the site's name in the Pyro program.
        shape: its constrained shape.
        free_shape: its unconstrained shape.
        start: first index in the flat vector.
        group: what the site is for.
        transform: unconstrained to constrained.
        training: which part of the model it is trained with.
        role: what is asked of it, if anything.
        normal: location and scale, each flat, of a prior that is a fixed Normal in unconstrained
            space (a Normal site, or a LogNormal one with its Jacobian); ``None`` for any other.
    """

    name: str
    shape: tuple[int, ...]
    free_shape: tuple[int, ...]
    start: int
    group: SiteGroup
    transform: torch.distributions.Transform
    normal: tuple[Tensor, Tensor] | None
    training: TrainingGroup
    role: SiteRole | None = None

    @property
    def stop(self) -> int:
        """One past the last index in the flat vector."""
        return self.start + torch.Size(self.free_shape).numel()


@dataclass(frozen=True, eq=False)
class FixedNormals:
    """Independent Normal priors of a flat vector, for the entries that have one.

    Args:
        location: ``[P]``, 0 for other entries.
        scale: ``[P]``, 1 for other entries.
        feature: 1 for entries that shape hidden features, else 0.
        rest: 1 for the remaining entries with such a prior, else 0.
    """

    location: Tensor
    scale: Tensor
    feature: Tensor
    rest: Tensor

    def log_prob(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Summed log densities of the features' entries and of the rest."""
        square = -0.5 * ((theta - self.location) / self.scale).square()
        constant = -self.scale.log() - _HALF_LOG_2PI
        feature, rest = (
            (square * share).sum() + (constant * share).sum() for share in (self.feature, self.rest)
        )
        return feature, rest


class SiteTable:
    """The latent sites of a model, in program order, laid out in one flat vector of size P."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        """Keep the sites; use :meth:`of` to make a table from a model."""
        self.sites = sites
        self.num_parameters = sites[-1].stop
        self.width = max((site.shape[0] for site in sites if len(site.shape) == 2), default=1)
        """The most rows of a weight matrix: units of the widest layer."""

    @classmethod
    def of(cls, model: HybridModel, x: Tensor) -> "SiteTable":
        """Run ``model`` on ``x [N, D]`` twice and lay out its latent sites, all but the data's.

        Raises:
            OptionError: a site comes and goes from run to run, or changes its shape; or it is
                discrete.
        """
        devices = [x.device.index] if x.device.type == "cuda" else []
        with quiet_pyro(), torch.random.fork_rng(devices=devices):
            first, again = (_samples(model, x) for _ in range(2))
        _refuse_dynamic(first, again)
        sites: list[Site] = []
        start = 0
        for name, node in first.items():
            if name in OBSERVED or node["is_observed"]:
                continue
            _refuse_discrete(name, node)
            transform = biject_to(node["fn"].support)
            shape = tuple(node["value"].shape)
            free = tuple(transform.inv(node["value"]).shape)
            group = node["infer"].get("group", SiteGroup.HEADS)
            normal = _fixed_normal(node["fn"], again[name]["fn"])
            training = node["infer"].get("training", TrainingGroup.of(group))
            role = node["infer"].get("role")
            site = Site(name, shape, free, start, group, transform, normal, training, role)
            sites.append(site)
            start = site.stop
        return cls(tuple(sites))

    def having(self, role: SiteRole) -> tuple[Site, ...]:
        """The sites that have a role."""
        return tuple(site for site in self.sites if site.role == role)

    def mask(self, *groups: SiteGroup) -> Tensor:
        """Boolean ``[P]``: which entries belong to one of the groups."""
        mask = torch.zeros(self.num_parameters, dtype=torch.bool)
        for site in self.sites:
            if site.group in groups:
                mask[site.start : site.stop] = True
        return mask

    def by_training(self, values: Mapping[str, float], like: Tensor) -> Tensor:
        """The value of each entry's training group, ``[P]``, on ``like``'s device."""
        result = like.new_ones(self.num_parameters)
        for site in self.sites:
            result[site.start : site.stop] = values[site.training]
        return result

    @cached_property
    def feature_mask(self) -> Tensor:
        """Boolean ``[P]``: entries that shape hidden features."""
        return self.mask(*(group for group in SiteGroup if group.is_feature))

    def fixed_normals(self, like: Tensor) -> FixedNormals:
        """The priors that are a fixed Normal in unconstrained space, on ``like``'s device."""
        size = self.num_parameters
        location, is_normal = torch.zeros(2, size, dtype=torch.float64)
        scale = torch.ones_like(location)
        for site in self.sites:
            if site.normal is not None:
                entries = slice(site.start, site.stop)
                location[entries], scale[entries] = site.normal[0].cpu(), site.normal[1].cpu()
                is_normal[entries] = 1.0
        feature = is_normal * self.feature_mask
        values = (location, scale, feature, is_normal - feature)
        return FixedNormals(*(value.to(like) for value in values))

    def constrain(self, theta: Tensor) -> dict[str, Tensor]:
        """Named constrained values ``[..., *shape]`` from flat vectors ``[..., P]``."""
        batch = theta.shape[:-1]
        # One split, whose gradient is one concatenation; a slice's is a whole vector of zeros.
        parts = list(theta.split([site.stop - site.start for site in self.sites], dim=-1))
        for transform, members in self._elementwise:
            joined = transform(torch.cat([parts[i] for i in members], dim=-1))
            pieces = joined.split([parts[i].shape[-1] for i in members], dim=-1)
            for i, piece in zip(members, pieces, strict=True):
                parts[i] = piece
        elementwise = {i for _, members in self._elementwise for i in members}
        values = {}
        for i, (site, part) in enumerate(zip(self.sites, parts, strict=True)):
            value = part.reshape((*batch, *site.free_shape))
            values[site.name] = value if i in elementwise else site.transform(value)
        return values

    @cached_property
    def _elementwise(self) -> list[tuple[torch.distributions.Transform, list[int]]]:
        """Sites that share a transform of single numbers, applied to all of them at once."""
        groups: list[tuple[torch.distributions.Transform, list[int]]] = []
        for i, site in enumerate(self.sites):
            if site.transform.domain.event_dim or site.transform.codomain.event_dim:
                continue
            for transform, members in groups:
                if transform == site.transform:
                    members.append(i)
                    break
            else:
                groups.append((site.transform, [i]))
        return groups

    def flatten(self, values: Mapping[str, Tensor], batch_dims: int = 0) -> Tensor:
        """The inverse of :meth:`constrain`."""
        parts = []
        for site in self.sites:
            free = site.transform.inv(values[site.name])
            parts.append(free.reshape((*free.shape[:batch_dims], -1)))
        return torch.cat(parts, dim=-1)


def _samples(model: HybridModel, x: Tensor) -> dict[str, dict[str, Any]]:
    """The sample sites of one run, those that pick a plate's rows left out."""
    nodes: Mapping[str, Any] = poutine.trace(model.marginal).get_trace(x).nodes
    return {
        name: node
        for name, node in nodes.items()
        if node["type"] == "sample" and type(node["fn"]).__name__ != "_Subsample"
    }


def _refuse_dynamic(first: Mapping[str, Any], again: Mapping[str, Any]) -> None:
    changing = sorted(set(first) ^ set(again))
    shapes = [{name: node["value"].shape for name, node in run.items()} for run in (first, again)]
    changing += [name for name, shape in shapes[0].items() if shapes[1].get(name, shape) != shape]
    if changing:
        raise OptionError(
            f"site {changing[0]!r} is not the same in two runs of the program; expected every run "
            "to have the same sites with the same shapes: draw it always, and mask what is not used"
        )


def _refuse_discrete(name: str, node: Mapping[str, Any]) -> None:
    if node["fn"].support.is_discrete:
        raise OptionError(
            f"latent site {name!r} is discrete; expected continuous ones: sum it out in the "
            "log density of the part that has it"
        )


def _fixed_normal(
    prior: torch.distributions.Distribution, again: torch.distributions.Distribution
) -> tuple[Tensor, Tensor] | None:
    """Location and scale of a prior that is Normal in unconstrained space whatever else was drawn.

    ``again`` is the same site's prior in another run of the program; only a prior that depends on
    no other latent value is the same in both.
    """
    shape = prior.batch_shape + prior.event_shape
    while isinstance(prior, Independent) and isinstance(again, Independent):
        prior, again = prior.base_dist, again.base_dist
    for family in (Normal, LogNormal):
        if isinstance(prior, family) and isinstance(again, family):
            same = torch.equal(prior.loc, again.loc) and torch.equal(prior.scale, again.scale)
            if same:
                location, scale = prior.loc.expand(shape), prior.scale.expand(shape)
                return location.reshape(-1), scale.reshape(-1)
    return None
