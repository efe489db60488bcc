"""What to do about a finding, for this fit and in the words of whoever reads it.

Advice is written once.  Settings stand in backquotes as Python writes them, those that are options
of ``bayes-hybrid fit`` by the option's name, and alternatives in braces with bars between them::

    Fit again with {more restarts (`num_restarts=128`)|`plan=('default', 'balanced')`}.

:func:`resolved` drops the alternatives that the fit has followed already, and a sentence of which
none is left, and says where an object such as ``HMC(...)``, or an option, goes in Python.
:func:`bayes_hybrid.words.on_command_line` turns settings into options.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from bayes_hybrid.diagnostics.evaluation.finding import Finding
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.recipe.plans import plans_of
from bayes_hybrid.words import SETTING, SPAN, placed

__all__ = ["Settings", "resolved", "resolved_findings"]

Settings = Mapping[str, object]
"""What a fit was made with, by the names of options; other classes' as ``"Variational.guide"``."""

_ENOUGH: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"num_restarts": operator.ge}
)
"""Advised are more candidates and fewer restarts; of other settings that very value."""

_GROUP: Final = re.compile(r"\{([^{}]*)\}")
_OF_CLASS: Final = re.compile(r"([A-Z]\w*)\((.*)\)")
_SENTENCE: Final = re.compile(r"(?<=[.?!]) +")
_FOLLOWED: Final = "What is usually advised here is set already."


def resolved(text: str, settings: Settings) -> str:
    """Advice without what the fit has followed already.

    Args:
        text: with alternatives in braces.
        settings: of the fit; what is not among them counts as not followed.

    Example:
        >>> text = "Fit again with {more restarts (`num_restarts=128`)|`plan='balanced'`}."
        >>> resolved(text, {"num_restarts": 64})
        "Fit again with more restarts (`fit_options=FitOptions(num_restarts=128)`) or
            `fit_options=FitOptions(plan='balanced')`."
        >>> resolved(text, {"num_restarts": 128})
        "Fit again with `fit_options=FitOptions(plan='balanced')`."
    """
    kept = []
    for sentence in _SENTENCE.split(text):
        found = _GROUP.search(sentence)
        if found is None:
            kept.append(sentence)
            continue
        left = [each for each in found[1].split("|") if not _followed(each, settings)]
        if left:
            words = ", ".join(left[:-1]) + " or " * (len(left) > 1) + left[-1]
            sentence = sentence[: found.start()] + words + sentence[found.end() :]
            kept.append(sentence[0].upper() + sentence[1:])
    return placed(" ".join(kept)) or (_FOLLOWED if text else "")


def resolved_findings(findings: list[Finding], settings: Settings) -> list[Finding]:
    """The findings, each with its advice :func:`resolved`."""
    return [
        replace(each, meaning=placed(each.meaning), advice=resolved(each.advice, settings))
        for each in findings
    ]


def _followed(alternative: str, settings: Settings) -> bool:
    """Whether every setting with a value in it is so already; false where there is none."""
    wanted = [pair for span in SPAN.findall(alternative) for pair in _pairs(span)]
    return bool(wanted) and all(_is_so(name, value, settings) for name, value in wanted)


def _pairs(span: str) -> list[tuple[str, object]]:
    """Names and values of the settings in a span; one to be chosen, ``...``, has no such value."""
    within = _OF_CLASS.fullmatch(span)
    prefix = f"{within[1]}." if within else ""
    pairs = SETTING.findall(within[2] if within else span)
    if not pairs:
        return [(span, ...)] if "=" in span else []
    return [(f"{prefix}{name}", ast.literal_eval(value)) for name, value in pairs]


def _is_so(name: str, value: object, settings: Settings) -> bool:
    if name not in settings:
        return False
    current = settings[name]
    if name == "plan":
        try:
            return set(plans_of(value)) <= set(plans_of(current))  # type: ignore[arg-type]
        except OptionError:
            return False
    enough = _ENOUGH.get(name)
    return current == value if enough is None else enough(current, value)
