"""Which models are compared: the base, and the base with one thing changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import (
    HybridRegressor,
    build_options,
    pathways_of,
    refuse_moved,
    with_pathways,
)
from bayes_hybrid.gates import GATES
from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood, Normal
from bayes_hybrid.models import Pathway
from bayes_hybrid.nn import COMBINATIONS

__all__ = ["BASE", "Variant", "applied", "variants"]

BASE: Final = "base"
"""The variant that all others are compared with."""

# A name is printed, plotted and typed after --only, where commas separate names.
_NAME: Final = re.compile(r"[\w.+-]+")
_OF_THE_RUN: Final = ("random_state", "progress")
# What a variant changes, and Pathways have where they are given.
_IN_PATHWAYS: Final = ("likelihood", "noise")


@dataclass(frozen=True)
class Variant:
    """A model to compare: the base with some settings changed.

    Args:
        name: letters, digits and ``_ . + -``.
        settings: parameters of :class:`~bayes_hybrid.HybridRegressor` that differ from the base's,
            as ``set_params`` takes them.

    Raises:
        OptionError: another character in the name; a setting that the estimator does not have, or
            ``random_state`` or ``progress``, which are the base's for all variants.

    Example:
        >>> Variant("narrow_noise", {"priors__noise__spread": 0.5}).settings
        mappingproxy({'priors__noise__spread': 0.5})
    """

    name: str
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check name and settings, and keep a copy that cannot change."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise OptionError(
                "the name of a variant must be made of letters, digits and _ . + -; "
                f"got {self.name!r}"
            )
        refuse_moved(checks.instance("settings", self.settings, Mapping))
        known = [
            name for name in HybridRegressor().get_params(deep=False) if name not in _OF_THE_RUN
        ]
        for setting in self.settings:
            checks.choice(
                f"a setting of the variant {self.name!r}", setting.partition("__")[0], known
            )
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


MITIGATIONS: Final = (
    Variant("minus_refinement", {"fit_options__sampler": None}),
    Variant("minus_restarts", {"fit_options__num_restarts": 1}),
    Variant("minus_input_noise", {"noise": "constant"}),
    # The plan without a mitigation at all, half of the default, then others.
    Variant("plan_plain", {"fit_options__plan": "plain"}),
    Variant("plan_direct", {"fit_options__plan": "direct"}),
    Variant("plan_balanced", {"fit_options__plan": "balanced"}),
    Variant("plan_gaussian_first", {"fit_options__plan": "gaussian_first"}),
)
"""What the estimator does against bad fits, each taken away: a new one is a row here."""


def variants(base: HybridRegressor, *, only: Sequence[str] | None = None) -> tuple[Variant, ...]:
    """The base, and everything that is one step away from it.

    ====================================  =======================================================
    variant                               the base, but
    ====================================  =======================================================
    ``base``                              as it is
    ``gaussian``, ``relu``, ...           one pathway for all rows: the controls and every layer
                                          combination
    ``mixture``                           a mixture of the default experts, where the base is none
    ``gate_linear``, ...                  every other gate, where the base is a mixture
    ``likelihood_...``                    every other likelihood of such targets
    ``minus_refinement``                  without HMC after SVI, which then takes all its steps
    ``minus_restarts``                    a single restart of a single candidate, so of the first
                                          plan alone
    ``minus_input_noise``                 noise that does not depend on the features
    ``plan_plain``, ...                   another training plan
    ====================================  =======================================================

    A step that would change nothing is left out.

    Args:
        base: the model in question; its settings hold wherever a variant does not say otherwise.
        only: names of those wanted; all of them by default.  ``base`` always comes first.

    Raises:
        OptionError: ``only`` is text, or has a name that is not among them; or the base has a
            setting that it cannot have.

    Example:
        >>> [variant.name for variant in variants(HybridRegressor(), only=["relu", "gate_linear"])]
        ['base', 'relu', 'gate_linear']
    """
    checks.instance("base", base, HybridRegressor)
    steps = [
        *_models(base),
        *(_registered("gate", {name: name for name in GATES}) if base.model == "mixture" else ()),
        *_registered("likelihood", _of_the_target(base)),
        *MITIGATIONS,
    ]
    before = _compared(base)
    fitted = [Variant(step.name, _placed(base, step.settings)) for step in steps]
    different = [step for step in fitted if _compared(applied(base, step)) != before]
    offered = (Variant(BASE, {}), *different)
    if only is None:
        return offered
    if isinstance(only, str):
        raise OptionError(f"variants must be a list of names, such as [{only!r}]; got {only!r}")
    names = [variant.name for variant in offered]
    wanted = {checks.choice("variants", name, names) for name in only}
    return tuple(variant for variant in offered if variant.name in {BASE, *wanted})


def applied(base: HybridRegressor, variant: Variant) -> HybridRegressor:
    """An estimator with the base's settings and, over them, the variant's; it is not fitted."""
    estimator: HybridRegressor = clone(base).set_params(**variant.settings)
    return estimator


def _models(base: HybridRegressor) -> list[Variant]:
    """Every pathway alone, and the mixture; with the units of the base's own Pathway."""
    default = HybridRegressor().get_params(deep=False)
    own = next((each for each in (base.model, *base.experts) if isinstance(each, Pathway)), None)

    def pathway(kind: str) -> str | Pathway:
        if own is None:
            return kind
        return replace(
            own if type(own) is Pathway else Pathway(likelihood=own.likelihood), kind=kind
        )

    # What a single pathway has no use for, it refuses.
    alone = {name: default[name] for name in ("gate", "experts", "joined", "label_head")}
    alone |= {} if own is None else {name: default[name] for name in _IN_PATHWAYS}
    steps = [Variant(kind, {"model": pathway(kind)} | alone) for kind in COMBINATIONS]
    if base.model == "mixture":
        return steps
    experts = tuple(pathway(kind) for kind in default["experts"])
    return [*steps, Variant("mixture", {"model": "mixture", "experts": experts})]


def _registered(setting: str, registry: Mapping[str, object]) -> list[Variant]:
    return [Variant(f"{setting}_{name}", {setting: value}) for name, value in registry.items()]


def _of_the_target(base: HybridRegressor) -> dict[str, str | Likelihood]:
    """The likelihoods of targets such as the base's, and of rows with the same sizes."""
    kind = next((pathway.likelihood for pathway in pathways_of(base)), Normal())
    alike = {name: each for name, each in LIKELIHOODS.items() if each.takes == kind.takes}
    if kind.size_column is None:
        return {name: name for name in alike}
    return {name: each(**{str(each.size_name): kind.size_column}) for name, each in alike.items()}


def _placed(base: HybridRegressor, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings where the base has them: in its Pathways, if it has some."""
    placed = dict(settings)
    given = base.experts if base.model == "mixture" else (base.model,)
    own = any(isinstance(each, Pathway) for each in given)
    if own and (inner := {name: placed.pop(name) for name in _IN_PATHWAYS if name in placed}):
        if isinstance(inner.get("likelihood"), str):
            inner["likelihood"] = LIKELIHOODS[inner["likelihood"]]()
        changed = with_pathways(base, lambda pathway: replace(pathway, **inner))
        parts = changed.get_params(deep=False)
        placed |= {name: parts[name] for name in ("model", "experts", *_IN_PATHWAYS)}
    return placed


def _compared(estimator: HybridRegressor) -> dict[str, Any]:
    """The settings such that equal models have equal ones, whichever way they were written."""
    settings = with_pathways(estimator, lambda pathway: pathway).get_params(deep=False)
    for name in _OF_THE_RUN:
        del settings[name]
    if isinstance(settings["gate"], str):
        settings["gate"] = GATES[checks.choice("gate", settings["gate"], tuple(GATES))]()
    options = build_options(estimator)
    ordered = getattr(settings["gate"], "has_thresholds", False)
    size = len(settings["experts"]) if estimator.model == "mixture" else 1
    options = replace(options, plan=options.plans_for(size, has_thresholds=ordered))
    return settings | {"fit_options": options, "experts": tuple(settings["experts"])}
