"""A Pyro model's log joint, recorded once as a flat tensor graph.

The unconstrained latents of a batch of C restarts live in one matrix ``theta [C, P]``.
``poutine.condition`` and ``poutine.trace`` evaluate the Pyro program on slices of it, and
``make_fx`` records value and gradient with validation off.  Running the record skips Pyro's Python
altogether.  Everything that changes between calls (rows, row weights, prior weights) is an input
of the graph: a closed-over value would be frozen into it.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import pyro
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Independent, LogNormal, Normal, biject_to
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_hybrid.inference.simplify import simplify
from bayes_hybrid.models.base import HybridModel, Regimes, SiteGroup

_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)
_VALUE_AND_GRAD: Final = "_value_and_grad"
_LOG_LIKELIHOOD: Final = "_log_likelihood"


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

    @classmethod
    def of(cls, model: HybridModel, x: Tensor) -> "SiteTable":
        """Trace ``model`` on ``x [N, D]`` and lay out its latent sites."""
        devices = [x.device] if x.device.type == "cuda" else []
        with quiet_pyro(), torch.random.fork_rng(devices=devices):
            trace, other = (poutine.trace(model.marginal).get_trace(x) for _ in range(2))
        again: Mapping[str, Any] = other.nodes
        sites: list[Site] = []
        start = 0
        node: dict[str, Any]
        for name, node in trace.nodes.items():  # type: ignore[assignment] # (Pyro's are looser)
            if node["type"] != "sample" or name == "y" or type(node["fn"]).__name__ == "_Subsample":
                continue
            transform = biject_to(node["fn"].support)
            shape = tuple(node["value"].shape)
            free = tuple(transform.inv(node["value"]).shape)
            group = node["infer"].get("group", SiteGroup.HEADS)
            normal = _fixed_normal(node["fn"], again[name]["fn"])
            site = Site(name, shape, free, start, group, transform, normal)
            sites.append(site)
            start = site.stop
        return cls(tuple(sites))

    def mask(self, *groups: SiteGroup) -> Tensor:
        """Boolean ``[P]``: which entries belong to one of the groups."""
        mask = torch.zeros(self.num_parameters, dtype=torch.bool)
        for site in self.sites:
            if site.group in groups:
                mask[site.start : site.stop] = True
        return mask

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


@contextmanager
def quiet_pyro() -> Iterator[None]:
    """Validation off inside, and exactly as it was outside.

    Validation branches on tensor values, which cannot be recorded; and ``torch.compile`` turns
    torch's switch off for the whole process when it is first used.
    """
    before = torch.distributions.Distribution._validate_args
    try:
        with pyro.validation_enabled(False):
            yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(before)


def _terms(
    model: HybridModel,
    table: SiteTable,
    normals: FixedNormals,
    theta: Tensor,
    x: Tensor,
    y: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log prior of features, log prior of the rest, row log likelihoods, for one ``theta [P]``.

    The priors include the log Jacobian of the unconstraining maps.
    """
    values = table.constrain(theta)
    conditioned = poutine.condition(model.marginal, data=values)
    nodes: Mapping[str, Any] = poutine.trace(conditioned).get_trace(x, y).nodes
    # One expression for all fixed Normal priors: site by site they were most of the graph.
    feature, rest = normals.log_prob(theta)
    for site in table.sites:
        if site.normal is not None:
            continue
        free = theta[site.start : site.stop].reshape(site.free_shape)
        jacobian = site.transform.log_abs_det_jacobian(free, values[site.name]).sum()
        term = nodes[site.name]["fn"].log_prob(values[site.name]).sum() + jacobian
        if site.group.is_feature:
            feature = feature + term
        else:
            rest = rest + term
    return feature, rest, nodes["y"]["fn"].log_prob(y)


class LogJoint:
    """The batched log joint of a hybrid model and its gradient.

    ``log_joint_c = w_c . log p(y | x, theta_c) + log p(rest_c) + f_c log p(features_c)`` with row
    weights ``w [C, N]`` (a fold mask, N / B for a minibatch, or ones) and feature weights
    ``f [C]``.

    Args:
        model: the hybrid model.
        x: example features ``[N, D]``, for device and dtype; a graph is recorded per shape.
        batch: restarts evaluated side by side.  Other numbers are evaluated in pieces of this
            size, so that one graph, recorded and compiled once, serves them all.
        compiled: whether :meth:`prepare` compiles.
    """

    def __init__(
        self, model: HybridModel, x: Tensor, batch: int, *, compiled: bool = False
    ) -> None:
        """Lay out the sites; recording happens at the first call."""
        self.model = model
        self.table = SiteTable.of(model, x)
        self._normals = self.table.fixed_normals(x)
        self.batch = batch
        self.compiled = compiled
        self._records: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._compiled: set[tuple[Any, ...]] = set()

    def value_and_grad(
        self, theta: Tensor, x: Tensor, y: Tensor, row_weights: Tensor, feature_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and its gradient ``[C, P]``."""
        if theta.shape[0] == self.batch:
            result: tuple[Tensor, Tensor] = self._run(
                _VALUE_AND_GRAD, (theta, x, y, row_weights, feature_weight)
            )
            return result
        parts = [
            self._run(_VALUE_AND_GRAD, (theta[i], x, y, row_weights[i], feature_weight[i]))
            for i in self._pieces(theta)
        ]
        count = theta.shape[0]
        values, gradients = zip(*parts, strict=True)
        return torch.cat(values)[:count], torch.cat(gradients)[:count]

    def log_likelihood(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Row log likelihoods ``[C, N]``."""
        parts = [self._run(_LOG_LIKELIHOOD, (theta[i], x, y)) for i in self._pieces(theta)]
        return torch.cat(parts)[: theta.shape[0]]

    def prepare(self, x: Tensor, y: Tensor) -> bool:
        """Record the gradient for rows of this shape, and compile it if asked to.

        Returns:
            Whether the graph is compiled.  Where ``torch.compile`` fails, most often for lack of a
            C++ compiler, one warning says so and the recorded graph stays.
        """
        theta = x.new_zeros(self.batch, self.table.num_parameters)
        weights = x.new_ones(self.batch, x.shape[0])
        arguments = (theta, x, y, weights, x.new_ones(self.batch))
        key = _key(_VALUE_AND_GRAD, arguments)
        self._run(_VALUE_AND_GRAD, arguments)
        if not self.compiled or key in self._compiled:
            return self.compiled
        compiled = _compile(self._records[key], arguments)
        if compiled is None:
            return False
        self._records[key] = compiled
        self._compiled.add(key)
        return True

    def _pieces(self, theta: Tensor) -> list[Tensor]:
        """Indices of restarts in pieces of ``batch``, the last one filled up with repeats."""
        count = theta.shape[0]
        starts = range(0, count, self.batch)
        index = torch.arange(self.batch, device=theta.device)
        return [(start + index).clamp_max(count - 1) for start in starts]

    def _value_and_grad(
        self, theta: Tensor, x: Tensor, y: Tensor, row_weights: Tensor, feature_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()

        def one(flat: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
            feature, rest, rows = _terms(self.model, self.table, self._normals, flat, x, y)
            return rest + scale * feature + (weights * rows).sum()

        value = torch.func.vmap(one)(theta, row_weights, feature_weight)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient

    def _log_likelihood(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return torch.func.vmap(
            lambda flat: _terms(self.model, self.table, self._normals, flat, x, y)[2]
        )(theta)

    def _run(self, name: str, arguments: tuple[Tensor, ...]) -> Any:  # noqa: ANN401
        key = _key(name, arguments)
        if key not in self._records:
            function = getattr(self, name)
            # A plain function: make_fx counts a bound method's self as an input.
            with quiet_pyro():
                record = make_fx(lambda *inputs: function(*inputs))(*arguments)
            self._records[key] = simplify(record)
        return self._records[key](*arguments)


def _key(name: str, arguments: tuple[Tensor, ...]) -> tuple[Any, ...]:
    return (name, *((tuple(a.shape), a.dtype, a.device) for a in arguments))


def _compile(graph: Callable[..., Any], arguments: tuple[Tensor, ...]) -> Callable[..., Any] | None:
    """The compiled graph, already run once, or ``None`` and a warning."""
    try:
        with quiet_pyro():
            compiled: Callable[..., Any] = torch.compile(
                graph, fullgraph=True, dynamic=False, options=_compile_options()
            )
            compiled(*arguments)
    except Exception as error:  # a missing compiler surfaces as many types
        first_line = (str(error).splitlines() or [""])[0]
        warnings.warn(
            "torch.compile failed, so fits run the recorded graph as it is: slower, same numbers. "
            f"It needs a C++ compiler. {type(error).__name__}: {first_line}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return compiled


def _compile_options() -> dict[str, Any]:
    """Settings that make one small graph quick to compile, of those that this torch knows.

    A precompiled header and trial compilations of every vector instruction set pay over many
    graphs; for one they take two thirds of the time.
    """
    wanted = {"cpp_cache_precompile_headers": False, "cpp.vec_isa_ok": True}
    known = set(torch._inductor.list_options())
    return {name: value for name, value in wanted.items() if name in known}


@lru_cache(maxsize=8)
def log_joint(
    model: HybridModel, batch: int, dtype: torch.dtype, device: torch.device, *, compiled: bool
) -> LogJoint:
    """The engine of a model; fits of equal models share it, and so what was recorded.

    Compiled engines are apart, so that what one fit compiled does not change another's rounding.
    """
    example = torch.zeros(1, model.num_features, dtype=dtype, device=device)
    return LogJoint(model, example, batch, compiled=compiled)


def evaluate_regimes(model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor) -> Regimes:
    """Gate and experts of draws ``theta [S, P]`` on ``x [N, D]``, fields ``[S, N, K]``."""

    def one(flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = table.constrain(flat)
        regimes = poutine.condition(model.regimes, data=values)(x)
        return regimes.log_weights, regimes.locations, regimes.scales

    with quiet_pyro(), torch.no_grad():
        return Regimes(*torch.func.vmap(one)(theta))
