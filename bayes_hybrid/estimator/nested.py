"""Settings inside settings, by scikit-learn's names, and settings by the names of before."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, ParamSpec, Self

from sklearn.base import BaseEstimator

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import FitOptions
from bayes_hybrid.models import LabelHead
from bayes_hybrid.priors import Priors

__all__ = ["NestedSettings", "require_settings", "saying_new_names"]

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
        require_settings(self._get_param_names(), params)
        super().set_params(**_outer(super().get_params(deep=False), params))
        return self


def _inside(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings inside settings, at any depth."""
    for name, value in settings.items():
        inner = _fields(_object(name, value))
        for key, each in (inner | dict(_inside(inner))).items():
            yield f"{name}__{key}", each


def _outer(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given, where those inside others have become objects that have them."""
    changed = {name: value for name, value in given.items() if "__" not in name}
    inner: dict[str, dict[str, Any]] = {}
    for name in (name for name in given if name not in changed):
        head, _, rest = name.partition("__")
        inner.setdefault(head, {})[rest] = given[name]
    for name, own in inner.items():
        value = _object(name, changed.get(name, settings[name]))
        known = _fields(value)
        if not known:
            raise OptionError(
                f"{name}__{next(iter(own))}: {name}={value!r} has no settings; set an object first"
            )
        for key in own:
            checks.choice(f"a setting of {name}", key.partition("__")[0], [*known])
        changed[name] = replace(value, **_outer(known, own))
    return changed


def _fields(value: object) -> dict[str, Any]:
    """The settings of an object; none where it is no settings object."""
    if not is_dataclass(value) or isinstance(value, type):
        return {}
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _object(name: str, value: Any) -> Any:  # noqa: ANN401 (any setting)
    return _DEFAULTS[name]() if value is None and name in _DEFAULTS else value


def saying_new_names(init: Callable[P, None]) -> Callable[P, None]:
    """An ``__init__`` that refuses other settings than its own with :func:`require_settings`."""
    known = [name for name in inspect.signature(init).parameters if name != "self"]

    @functools.wraps(init)
    def checked(*args: P.args, **settings: P.kwargs) -> None:
        require_settings(known, settings)
        init(*args, **settings)

    return checked


def require_settings(known: Collection[str], given: Mapping[str, object]) -> None:
    """Refuse settings that the estimator does not have, and say where those of before are.

    Raises:
        OptionError: such a setting.
    """
    for name, value in given.items():
        if name in _MOVED:
            raise OptionError(f"{name} is a setting of {_MOVED[name].format(name, value)}")
        checks.choice("a setting of HybridRegressor", name.partition("__")[0], [*known])
