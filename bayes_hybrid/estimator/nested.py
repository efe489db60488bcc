"""Settings inside settings, by scikit-learn's names, and settings by the names of before."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, ParamSpec, Self

from sklearn.base import BaseEstimator

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import FitOptions
from bayes_hybrid.models import LabelHead
from bayes_hybrid.priors import Priors

__all__ = ["NestedSettings", "refuse_moved", "refusing_moved"]

P = ParamSpec("P")

_DEFAULTS: Final = {"fit_options": FitOptions, "priors": Priors, "label_head": LabelHead}
"""What ``None`` stands for."""

_OPTIONS: Final = "FitOptions now: HybridRegressor(fit_options=FitOptions({}={!r}))"
_UNITS: Final = "Pathway now: HybridRegressor(model=Pathway('relu', {}={!r})), or in each expert"
_MOVED: Final = {
    **dict.fromkeys(("num_restarts", "plan", "batch_size", "device", "compile"), _OPTIONS),
    **dict.fromkeys(("num_units", "depth", "smoothing"), _UNITS),
    "refine": "FitOptions now: 'auto' is sampler=HMC(), True HMC(budget=None), False None, as in "
    "HybridRegressor(fit_options=FitOptions(sampler=None))",
}
"""Where settings of before are."""


class NestedSettings(BaseEstimator):  # type: ignore[misc] # (ships no types)
    """An estimator with settings that are frozen dataclasses, whose fields are settings too."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings; with ``deep`` also those inside them, as ``fit_options__num_restarts``."""
        params: dict[str, Any] = super().get_params(deep=False)
        return params | (dict(_inside(params)) if deep else {})

    def set_params(self, **params: Any) -> Self:  # noqa: ANN401 (any setting)
        """Change settings; an inner one makes a new object, where that was None of its default."""
        refuse_moved(params)
        super().set_params(**_outer(type(self).__name__, super().get_params(deep=False), params))
        return self


def _inside(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings inside settings, at any depth."""
    for name, value in settings.items():
        inner = _fields(_object(name, value))
        for key, each in (inner | dict(_inside(inner))).items():
            yield f"{name}__{key}", each


def _outer(owner: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given, where those inside others have become objects that have them."""
    changed: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        head, _, rest = name.partition("__")
        checks.choice(f"a setting of {owner}", head, [*settings])
        (inner.setdefault(head, {}) if rest else changed)[rest or head] = value
    for name, own in inner.items():
        value = _object(name, changed.get(name, settings[name]))
        known = _fields(value)
        if not known:
            raise OptionError(
                f"{name}__{next(iter(own))}: {name}={value!r} has no settings; set an object first"
            )
        changed[name] = replace(value, **_outer(name, known, own))
    return changed


def _fields(value: object) -> dict[str, Any]:
    """The settings of an object; none where it is no settings object."""
    if not is_dataclass(value) or isinstance(value, type):
        return {}
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _object(name: str, value: Any) -> Any:  # noqa: ANN401 (any setting)
    return _DEFAULTS[name]() if value is None and name in _DEFAULTS else value


def refusing_moved(init: Callable[P, None]) -> Callable[P, None]:
    """An ``__init__`` that says where settings of before are now."""

    @functools.wraps(init)
    def checked(*args: P.args, **settings: P.kwargs) -> None:
        refuse_moved(settings)
        init(*args, **settings)

    return checked


def refuse_moved(names: Mapping[str, object]) -> None:
    """Refuse settings that the estimator has no longer itself, and say where they are."""
    for name, value in names.items():
        if name in _MOVED:
            raise OptionError(f"{name} is a setting of {_MOVED[name].format(name, value)}")
