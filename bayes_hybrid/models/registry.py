"""Parts from outside the package: gates, likelihoods and pathways that saved fits may name."""

import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import torch
from torch import Tensor, nn

from bayes_hybrid.distributions import support_of
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import Gate, GateModule
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.mixture import HybridMixture, pathways
from bayes_hybrid.models.pathway import Pathway

_Part = TypeVar("_Part", bound=type)

_PACKAGE: Final = __name__.partition(".")[0]
_GROUP: Final = f"{_PACKAGE}.parts"
# What parts of one's own are tried on, and rounding of sums in float32.
_ROWS: Final = 3
_POINTS: Final = 2_001
_ALMOST: Final = 1e-4
# A trapezoid rule on these points is off by less than a thousandth, but for kinks and steps.
_CLOSE: Final = 0.01
_parts: dict[str, type] = {}


def register(part: _Part) -> _Part:
    """Make a gate, likelihood or pathway of your own known, so that fits with it can be saved.

    A saved fit calls it ``module:Class``.  Loading imports nothing because a file says so: import
    the module first, or install it with an entry point of the group ``bayes_hybrid.parts`` whose
    value is ``module:Class``, which the command line finds too.

    Args:
        part: a frozen dataclass that extends :class:`Gate`, :class:`Likelihood` or
            :class:`Pathway`.

    Returns:
        The class itself, so that this is a decorator.

    Raises:
        OptionError: anything else, or a class made inside a function, which nobody could import.

    Example:
        >>> from dataclasses import dataclass
        >>> @register
        ... @dataclass(frozen=True, kw_only=True)
        ... class Narrow(Pathway):
        ...     num_units: int = 4
        >>> Narrow().num_units
        4
    """
    kinds = (Gate, Likelihood, Pathway)
    if not (isinstance(part, type) and issubclass(part, kinds)):
        raise OptionError(
            f"register: expected a class that extends Gate, Likelihood or Pathway; got {part!r}"
        )
    own = vars(part).get("__dataclass_params__")
    if own is None or not own.frozen:
        raise OptionError(
            f"register: {part.__name__} must be a frozen dataclass, whose fields are its settings; "
            "put @dataclass(frozen=True, kw_only=True) below @register"
        )
    if "<locals>" in part.__qualname__:
        raise OptionError(
            f"register: {part.__name__} is made inside a function, where loading cannot find it; "
            "move the class to the top of its module"
        )
    if _parts.setdefault(_name_of(part), part) is not part:
        warnings.warn(
            f"{_name_of(part)} is registered anew: fits with the class of before will be loaded "
            "with this one",
            stacklevel=2,
        )
        _parts[_name_of(part)] = part
    return part


def registered() -> Mapping[str, type]:
    """The registered parts by what a saved fit calls them."""
    return MappingProxyType(_parts)


def part_named(name: str) -> type | None:
    """The part that a saved fit calls so: registered, or that of an installed entry point."""
    if name not in _parts:
        for point in entry_points(group=_GROUP):
            if point.value.replace(" ", "") == name:
                register(point.load())
    return _parts.get(name)


def require_known(model: HybridModel) -> None:
    """Refuse parts of one's own that could not be saved, or that are wrong, before the fit.

    Raises:
        OptionError: a part is not registered, or does not keep what its base class promises.
    """
    gate = (model.gate,) if isinstance(model, HybridMixture) else ()
    own = [part for part in (*gate, *pathways(model), *model.likelihoods) if _is_own(type(part))]
    if not own:
        return
    # Modules are built with random numbers, and densities sampled.
    with torch.random.fork_rng(devices=[]):
        for part in own:
            _check_registered(part)
            if isinstance(part, Pathway):
                _check_pathway(part, model.num_features)
            elif isinstance(part, Likelihood):
                _check_density(part)
            elif isinstance(model, HybridMixture):
                _check_gate(model)


def _is_own(kind: type) -> bool:
    """Whether a class is from outside the package."""
    return kind.__module__.partition(".")[0] != _PACKAGE


def _check_registered(part: Gate | Pathway | Likelihood) -> None:
    kind = type(part)
    known = _parts.get(_name_of(kind))
    if known is None:
        raise OptionError(
            f"{kind.__name__} is not registered, so a fit with it could not be saved: put "
            "@bayes_hybrid.register above the class"
        )
    if known is not kind:
        raise OptionError(
            f"{kind.__name__} was registered anew after {part!r} was made: make it again"
        )


def _check_gate(model: HybridMixture) -> None:
    name = type(model.gate).__name__
    module = model.gate.build(model.num_features, model.num_regimes)
    if not isinstance(module, GateModule):
        raise OptionError(f"{name}.build: expected a GateModule, got {module!r}")
    own = {path for path, _ in module.named_parameters(recurse=False)}
    stated = set(module.parameter_priors(model.priors, torch.zeros(())))
    if stated != own:
        raise OptionError(
            f"{name}: expected a prior of each of the module's own parameters, {sorted(own)}; "
            f"parameter_priors gives {sorted(stated)}"
        )
    weights = module(torch.linspace(-1.0, 1.0, _ROWS)[:, None].expand(-1, model.num_features))
    if weights.shape != (_ROWS, model.num_regimes):
        raise OptionError(
            f"{name}: expected log weights of the shape (rows, {model.num_regimes}), one for each "
            f"regime; got {tuple(weights.shape)} of {_ROWS} rows"
        )
    if bool((weights.logsumexp(-1).abs() > _ALMOST).any()):
        raise OptionError(
            f"{name}: expected log probabilities, which add up to one; use torch.log_softmax"
        )


def _check_pathway(pathway: Pathway, num_features: int) -> None:
    name, module = type(pathway).__name__, pathway.build(num_features)
    if not isinstance(module, nn.Module):
        raise OptionError(f"{name}.build: expected a torch module, got {module!r}")
    weights = set()
    for path, parameter in module.named_parameters():
        block, _, leaf = path.rpartition(".")
        if leaf == "bias" and block not in weights:
            raise OptionError(
                f"{name}: parameter {path!r} shares the scale of a weight, which its module has to "
                "have before it"
            )
        if not parameter.dim():
            raise OptionError(f"{name}: parameter {path!r} has no axis; give it one")
        if leaf not in ("bias", "width"):
            weights.add(block)
    found = module.eval()(torch.zeros(_ROWS, num_features))
    width = pathway.width(num_features)
    if found.shape != (_ROWS, width):
        raise OptionError(
            f"{name}: expected hidden features of the shape (rows, {width}), as num_units says; "
            f"got {tuple(found.shape)} of {_ROWS} rows"
        )


def _check_density(likelihood: Likelihood) -> None:
    """Ask the density about 0 for all that fits and predictions will ask it for."""
    name, zero = type(likelihood).__name__, torch.zeros(_POINTS, dtype=torch.float64)
    numbers = [zero]
    if likelihood.has_scale:
        numbers.append(zero + 1.0)
    if likelihood.shape_name is not None:
        numbers.append(zero + likelihood.typical_shape)
    if likelihood.size_name is not None:
        numbers = [*likelihood.sized(tuple(numbers), zero + likelihood.plain_size)]
    made = likelihood(*numbers)
    if not isinstance(made, torch.distributions.Distribution):
        raise OptionError(f"{name}: expected a distribution, got {made!r}")
    density, points = cast(Any, made), torch.linspace(-5.0, 5.0, _POINTS, dtype=torch.float64)
    if likelihood.support.is_discrete != support_of(made).is_discrete:
        raise OptionError(
            f"{name}: its support is {likelihood.support}, and that of its density "
            f"{type(made).__name__} is {support_of(made)}; state the same in both"
        )
    if likelihood.support.is_discrete:
        points = torch.arange(_POINTS, dtype=torch.float64)
        points = torch.where(likelihood.support.check(points), points, 0.0)
    asked: dict[str, Callable[[], Tensor]] = {
        "log_prob(value)": lambda: density.log_prob(points),
        "cdf(value)": lambda: density.cdf(points),
        "mean": lambda: density.mean,
        "variance": lambda: density.variance,
        "sample()": lambda: density.expand((_POINTS,)).sample(),
    }
    found = {}
    for what, ask in asked.items():
        try:
            found[what] = ask()
        except NotImplementedError as error:
            raise OptionError(
                f"{name}: its density {type(density).__name__} has no {what}, which predictions "
                "and diagnostics ask for; expected log_prob, cdf, mean, variance, sample and expand"
            ) from error
        if found[what].shape != (_POINTS,):
            raise OptionError(
                f"{name}: expected a {what} for each of {_POINTS} rows; got the shape "
                f"{tuple(found[what].shape)}"
            )
    if not bool(found["mean"].isfinite().all()):
        raise OptionError(f"{name}: its density has no finite mean, which is what predict gives")
    mass, below = found["log_prob(value)"].exp(), found["cdf(value)"]
    if likelihood.support.is_discrete:
        if bool(((below - density.cdf(points - 1.0) - mass).abs() > _ALMOST).any()):
            raise OptionError(
                f"{name}: its cdf does not belong to its log_prob: from one whole number to the "
                "next it has to grow by the probability of that"
            )
        return
    share = torch.trapezoid(mass, points)
    if not bool((below.diff() >= -_ALMOST).all() and abs(below[-1] - below[0] - share) < _CLOSE):
        raise OptionError(
            f"{name}: its cdf does not belong to its log_prob: between -5 and 5 the density adds "
            f"up to {float(share):.3f}, and the cdf goes from {float(below[0]):.3f} to "
            f"{float(below[-1]):.3f}"
        )


def _name_of(part: type) -> str:
    return f"{part.__module__}:{part.__qualname__}"
