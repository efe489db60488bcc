"""From the estimator's settings to a model and to options of a fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator.rows import encoding_of, feature_names
from bayes_hybrid.gates import GATES, Gate, MonotoneGate, ThresholdGate
from bayes_hybrid.inference import HMC, FitOptions, Sampler
from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood
from bayes_hybrid.models import (
    HybridMixture,
    HybridModel,
    LabelHead,
    Pathway,
    PathwayModel,
)
from bayes_hybrid.models.curves import CURVES, Polynomial
from bayes_hybrid.models.mixture import pathways
from bayes_hybrid.models.registry import require_known
from bayes_hybrid.nn import COMBINATIONS, pathway_kind
from bayes_hybrid.priors import Priors

if TYPE_CHECKING:
    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = [
    "MODELS",
    "REFINE",
    "build_model",
    "build_options",
    "located_gate",
    "located_likelihood",
    "pathways_of",
    "refuse_set",
    "settings_of",
    "with_pathways",
    "with_units",
]

Setting = TypeVar("Setting")

MODELS: Final = ("mixture", *COMBINATIONS, *CURVES)
REFINE: Final[Mapping[str, Sampler | None]] = MappingProxyType(
    {"auto": HMC(), "always": HMC(budget=None), "never": None}
)
"""The sampler that each value of ``--refine`` stands for."""
# What a single pathway has no use for, and what a Pathway says of itself.
_OF_MIXTURES: Final = ("gate", "experts", "joined", "label_head")
_OF_PATHWAYS: Final = ("likelihood", "noise")


def build_model(
    settings: "HybridRegressor", num_features: int, num_outputs: int = 1, labelled: bool = False
) -> HybridModel:
    """The model that the settings describe, for D features and Q outputs."""
    model = _model(settings, num_features, num_outputs, labelled)
    require_known(model)
    return model


def _model(
    settings: "HybridRegressor", num_features: int, num_outputs: int, labelled: bool
) -> HybridModel:
    priors = _instance("priors", settings.priors, Priors) or Priors()
    names = feature_names(settings) or ()
    own = [_located(settings, pathway) for pathway in pathways_of(settings)]
    experts = tuple(pathway.resolved(num_features, names) for pathway in own)
    if settings.model != "mixture":
        kind = experts[0].kind
        refuse_set(settings, _OF_MIXTURES, f"model={kind!r} has no use for it")
        if labelled:
            raise OptionError(
                f"regime_label: model={kind!r} has one regime, of which labels say nothing; "
                "use model='mixture', or leave the labels out"
            )
        return PathwayModel(
            num_features=num_features, pathway=experts[0], priors=priors, num_outputs=num_outputs
        )
    label_head = _instance("label_head", settings.label_head, LabelHead) or LabelHead()
    if not labelled:
        refuse_set(settings, ("label_head",), "no regime_label came")
    gate = _beside_sizes(located_gate(settings, _gate(settings)), experts, num_features)
    return HybridMixture(
        num_features=num_features,
        experts=experts,
        gate=gate.resolved(num_features, names),
        priors=priors,
        num_outputs=num_outputs,
        label_head=label_head if labelled else None,
        joined=_joined(settings.joined, len(experts) - 1),
    )


def _beside_sizes(gate: Gate, experts: Sequence[Pathway], num_features: int) -> Gate:
    """The gate on the only other column, where one of two has the sizes of the rows."""
    size = experts[0].likelihood.size_column if experts else None
    if num_features != 2 or not isinstance(size, int):
        return gate
    if isinstance(gate, ThresholdGate | MonotoneGate) and gate.feature is None:
        return replace(gate, feature=1 - size)
    return gate


def _joined(joined: bool | Sequence[bool], num_thresholds: int) -> tuple[bool, ...]:
    if isinstance(joined, bool | np.bool_):
        return (True,) * num_thresholds if joined else ()
    if isinstance(joined, Sequence) and all(isinstance(each, bool | np.bool_) for each in joined):
        return tuple(bool(each) for each in joined)
    raise OptionError(
        f"joined: expected True, False, or one of them for each of {num_thresholds} thresholds; "
        f"got {joined!r}"
    )


def _gate(settings: "HybridRegressor") -> Gate:
    gate = settings.gate
    if isinstance(gate, Gate):
        return gate
    return GATES[checks.choice("gate", gate, tuple(GATES))]()


def located_gate(settings: "HybridRegressor", gate: Gate) -> Gate:
    """The gate with the position of an encoded column, where it named a column of the table.

    Args:
        settings: the estimator, once it has read the table.
        gate: as it was set.

    Raises:
        OptionError: the column is not there, or became other than one column.
    """
    encoding = encoding_of(settings)
    if encoding is None or not isinstance(gate, ThresholdGate | MonotoneGate):
        return gate
    feature = gate.feature
    if feature is None and len(encoding.columns) == 1:
        feature = 0
    if feature is None:
        return gate
    return replace(gate, feature=encoding.position("feature", feature))


def located_likelihood(settings: "HybridRegressor", likelihood: Likelihood) -> Likelihood:
    """The likelihood with the position of the encoded column that has the sizes of rows.

    Args:
        settings: the estimator, once it has read the table.
        likelihood: as it was set.

    Raises:
        OptionError: the column is not there, or became other than one column.
        DataError: the sizes of some rows are missing.
    """
    encoding, name, column = encoding_of(settings), likelihood.size_name, likelihood.size_column
    if encoding is None or name is None or column is None:
        return likelihood
    position = encoding.position(name, column)
    encoding.refuse_filled(name, position)
    return replace(likelihood, **{name: position})


def _located(settings: "HybridRegressor", expert: Pathway) -> Pathway:
    likelihood = located_likelihood(settings, expert.likelihood)
    return expert if likelihood is expert.likelihood else replace(expert, likelihood=likelihood)


def pathways_of(settings: "HybridRegressor") -> tuple[Pathway, ...]:
    """The pathway of each regime, those by a word with the estimator's likelihood and noise.

    Raises:
        OptionError: there is no such pathway, or a setting would be ignored.
    """
    if not isinstance(settings.model, Pathway):
        pathway_kind("model", settings.model, MODELS)
    given = settings.experts if settings.model == "mixture" else (settings.model,)
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise OptionError(
            "experts: expected a pathway for each regime, such as ('gaussian', 'relu'); "
            f"got {given!r}"
        )
    if given and all(isinstance(each, Pathway) for each in given):
        # Built to be checked: a value that cannot be is a mistake whether it is used or not.
        _pathway(settings, "gaussian")
        refuse_set(settings, _OF_PATHWAYS, "a Pathway has its own: set it there")
    return tuple(_pathway(settings, each) for each in given)


def _pathway(settings: "HybridRegressor", given: str | Pathway) -> Pathway:
    """A ``Pathway``; one named by a word gets the estimator's likelihood and noise."""
    if isinstance(given, Pathway):
        return given
    kind, likelihood = pathway_kind("experts", given, MODELS[1:]), settings.likelihood
    if not isinstance(likelihood, Likelihood):
        likelihood = LIKELIHOODS[checks.choice("likelihood", likelihood, tuple(LIKELIHOODS))]()
    if kind in CURVES:
        return CURVES[kind](likelihood=likelihood)
    return Pathway(kind, noise=settings.noise, likelihood=likelihood)


def with_pathways(
    estimator: "HybridRegressor", change: Callable[[Pathway], Pathway]
) -> "HybridRegressor":
    """The estimator with every pathway changed, those by a word as the Pathway they stand for."""
    changed = tuple(map(change, pathways_of(estimator)))
    own = {"experts": changed} if estimator.model == "mixture" else {"model": changed[0]}
    result: HybridRegressor = clone(estimator).set_params(**own, likelihood="normal", noise="input")
    return result


def with_units(estimator: "HybridRegressor", **units: Any) -> "HybridRegressor":  # noqa: ANN401
    """The estimator with other ``num_units``, ``depth`` or ``smoothing`` of its hidden units.

    Raises:
        OptionError: no pathway has hidden units, or one cannot have these.
    """
    if all(isinstance(pathway, Polynomial) for pathway in pathways_of(estimator)):
        ((name, value), *_) = units.items()
        raise OptionError(f"{name}={value!r} would be ignored, because no expert has hidden units")
    return with_pathways(
        estimator, lambda own: own if isinstance(own, Polynomial) else replace(own, **units)
    )


def build_options(settings: "HybridRegressor") -> FitOptions:
    """The fit options that the settings describe."""
    return _instance("fit_options", settings.fit_options, FitOptions) or FitOptions()


def settings_of(estimator: "HybridRegressor") -> dict[str, object]:
    """What a fitted estimator was fitted with, for :func:`bayes_hybrid.diagnostics.diagnose`."""
    fit, options = estimator.fit_, build_options(estimator)
    model, left_out = fit.posterior.model, fit.training.num_dropped + fit.training.num_negligible
    settings: dict[str, object] = {
        "num_restarts": fit.posterior.num_restarts + left_out,
        "plan": options.plan,
        # Where "auto" refined, "always" changes nothing.
        "refine": "always" if fit.restarts.sampler else "never",
        "Variational.guide": options.variational.guide,
    }
    experts = pathways(model)
    if isinstance(model, HybridMixture):
        settings["gate"] = next((n for n, kind in GATES.items() if type(model.gate) is kind), None)
        if model.relu_regimes:
            settings["model"] = "mixture"  # which is advised for its ReLU units
    noises = {expert.noise for expert in experts}
    return settings | ({"noise": noises.pop()} if len(noises) == 1 else {})


def _instance(name: str, value: Setting | None, kind: type[Setting]) -> Setting | None:
    if value is not None and not isinstance(value, kind):
        raise OptionError(f"{name} must be None or {kind.__name__}(...); got {value!r}")
    return value


def refuse_set(settings: "HybridRegressor", names: Sequence[str], reason: str) -> None:
    """Refuse settings that would be ignored."""
    defaults = type(settings)().get_params(deep=False)
    for name in names:
        value = getattr(settings, name)
        if not _is_default(value, defaults[name]):
            raise OptionError(
                f"{name}={value!r} would be ignored, because {reason}; "
                f"leave it at {defaults[name]!r}"
            )


def _is_default(value: object, default: object) -> bool:
    """Whether they are equal; a list is as good as a tuple."""
    if isinstance(value, list):
        value = tuple(value)
    # An array compared with text gives an array, not an answer.
    return not isinstance(value, np.ndarray) and value == default
