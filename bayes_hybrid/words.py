"""Settings within sentences, in the words of whoever reads them."""

import ast
import re
from types import MappingProxyType
from typing import Final

__all__ = ["OPTIONS", "SETTING", "SPAN", "on_command_line", "placed"]

OPTIONS: Final = (
    "model",
    "gate",
    "gate_feature",
    "likelihood",
    "noise",
    "label_noise",
    "label_weight",
    "num_units",
    "num_restarts",
    "plan",
    "refine",
)
"""Options of ``bayes-hybrid fit``, with underscores: advice is written with these names."""

SPAN: Final = re.compile(r"`([^`]*)`")
"""Code within a sentence."""

_VALUE: Final = r"\([^()]*\)|'[^']*'|\"[^\"]*\"|[\w.+-]*\w"

SETTING: Final = re.compile(rf"(?<!-)\b([a-z_]+)=({_VALUE})")
"""A setting with its value, such as ``num_restarts=64``."""


_PLACES: Final = MappingProxyType(
    {
        "WarmStart": "fit_options=FitOptions(warm_start={})",
        "Variational": "fit_options=FitOptions(variational={})",
        "HMC": "fit_options=FitOptions(sampler={})",
        "NUTS": "fit_options=FitOptions(sampler={})",
        "SGHMC": "fit_options=FitOptions(sampler={})",
        "Priors": "priors={}",
    }
)
"""Where an object of a class goes among the estimator's settings."""


_OBJECT: Final = re.compile(r"(?:fit_options=FitOptions|Pathway)\((.*)\)")
_REFINE: Final = {"refine='always'": "sampler=HMC(budget=None)", "refine='never'": "sampler=None"}


def placed(text: str) -> str:
    """Text with the estimator's settings, in place of options and of objects alone.

    Example:
        >>> placed("Take more steps (`WarmStart(max_steps=...)`).")
        'Take more steps (`fit_options=FitOptions(warm_start=WarmStart(max_steps=...))`).'
        >>> placed("Refine (`refine='always'`), or use fewer units (`num_units`).")
        'Refine (`fit_options=FitOptions(sampler=HMC(budget=None))`), or use fewer units
            (`Pathway(num_units=...)`).'
    """
    return SPAN.sub(lambda span: f"`{_placed(span[1])}`", text)


def _placed(code: str) -> str:
    setting = _REFINE.get(code, code if "=" in code else f"{code}=...")
    name = setting.partition("=")[0]
    if name in ("num_restarts", "plan", "sampler"):
        return f"fit_options=FitOptions({setting})"
    if name == "num_units":
        return f"Pathway({setting})"
    return _PLACES.get(code.partition("(")[0], "{}").format(code)


def _as_option(code: str) -> str:
    """Undo :func:`placed`: the option that a setting was; other code is unchanged."""
    setting = _OBJECT.sub(r"\1", code).removesuffix("=...")
    option = {those: this for this, those in _REFINE.items()}.get(setting, setting)
    return option if option.partition("=")[0] in OPTIONS else code


def on_command_line(text: str) -> str:
    """Text whose settings are written as options of ``bayes-hybrid fit``.

    What has no option is said to be Python's.

    Example:
        >>> on_command_line("Take `num_restarts=64`, `plan=('default', 'balanced')` or `ablate`.")
        'Take --num-restarts 64, --plan default,balanced or bayes-hybrid ablate.'
        >>> on_command_line("Try `Priors(width=...)`; gate='relu' bends.")
        'Try priors=Priors(width=...) in Python; --gate relu bends.'
    """
    return SETTING.sub(_option, SPAN.sub(_typed, text))


def _typed(span: re.Match[str]) -> str:
    words = _as_option(span[1])
    if words == "ablate":
        return "bayes-hybrid ablate"
    if words in OPTIONS:
        return _dashed(words)
    found = SETTING.fullmatch(words)
    if found is None or found[1] not in OPTIONS:
        return f"{_placed(words)} in Python"
    return _option(found)


def _option(setting: re.Match[str]) -> str:
    """A setting as an option; as it stands where there is none."""
    name, text = setting[1], setting[2]
    if name not in OPTIONS:
        return setting[0]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return setting[0]
    parts = value if isinstance(value, tuple) else (value,)
    return f"{_dashed(name)} {','.join(map(str, parts))}"


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
