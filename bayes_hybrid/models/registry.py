"""Parts from outside the package: gates, likelihoods and pathways that saved fits may name."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import torch

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import Gate
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.mixture import HybridMixture
from bayes_hybrid.models.pathway import Pathway, PathwayModel

_Part = TypeVar("_Part", bound=type)

_PACKAGE: Final = __name__.partition(".")[0]
_GROUP: Final = f"{_PACKAGE}.parts"
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
        OptionError: anything else.

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
    """Refuse parts of one's own that could not be saved, or used to the end, before the fit.

    Raises:
        OptionError: a part is not registered, or a likelihood's density lacks what a fit asks of
            it.
    """
    parts: list[object] = []
    if isinstance(model, HybridMixture):
        parts = [model.gate, *model.experts]
    elif isinstance(model, PathwayModel):
        parts = [model.pathway]
    for part in (*parts, *model.likelihoods):
        kind = type(part)
        if kind.__module__.partition(".")[0] == _PACKAGE:
            continue
        if _parts.get(_name_of(kind)) is not kind:
            raise OptionError(
                f"{kind.__name__} is not registered, so a fit with it could not be saved: put "
                "@bayes_hybrid.register above the class"
            )
        if isinstance(part, Likelihood):
            _require_complete(part)


def _name_of(part: type) -> str:
    return f"{part.__module__}:{part.__qualname__}"


def _require_complete(likelihood: Likelihood) -> None:
    """Ask the density about 0 for all that fits and predictions will ask it for."""
    zero = torch.zeros(1, dtype=torch.float64)
    density = cast(Any, likelihood(zero, zero + 1.0, zero + likelihood.typical_shape))
    asked: dict[str, Callable[[], object]] = {
        "log_prob(value)": lambda: density.log_prob(zero),
        "cdf(value)": lambda: density.cdf(zero),
        "mean": lambda: density.mean,
        "variance": lambda: density.variance,
        "sample()": lambda: density.expand((2,)).sample(),
    }
    for name, ask in asked.items():
        try:
            ask()
        except NotImplementedError as error:
            raise OptionError(
                f"{type(likelihood).__name__}: its density {type(density).__name__} has no {name}, "
                "which predictions and diagnostics ask for; expected log_prob, cdf, mean, "
                "variance, sample and expand"
            ) from error
