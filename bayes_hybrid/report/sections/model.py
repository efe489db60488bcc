"""The model: its equations, priors and settings."""

import math
from collections.abc import Mapping
from typing import Final

import pandas as pd

from bayes_hybrid.models import HybridMixture, HybridModel, PathwayModel
from bayes_hybrid.models.mixture import pathways
from bayes_hybrid.priors import LogNormalPrior, Priors
from bayes_hybrid.report.equations import (
    expert_equations,
    gate_equations,
    joint_equations,
)
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "prior_frame"]

_ROLES: Final = {
    "feature_scale": "scale of a hidden layer's pre-activations",
    "width": "smoothing width s of a Gaussian unit, in units of its pre-activation",
    "location_scale": "scale v of an expert's function, in sd(y)",
    "gate_scale": "scale of the gate's log odds",
    "gate_bias_scale": "prior sd of the gate's intercepts, in log odds",
    "noise": "noise scale η that the regimes share, in sd(y)",
    "noise_ratio": "a regime's own noise over the shared one, λ",
    "noise_slope": "how strongly log noise scales depend on the features",
    "width_floor": "smallest smoothing width",
    "noise_floor": "smallest noise scale, in sd(y)",
}
_PRIOR_COLUMNS: Final = {
    "parameter": "its name in Priors",
    "prior": "distribution, or a fixed number; of a LogNormal, median and spread (sd of the log)",
    "90% of it": "central 90% interval of the prior",
    "what it is": "of standardised data: features (or their logarithms) and target with mean 0 and "
    "sd 1",
}
_SETTING_COLUMNS: Final = {
    "setting": "argument of HybridRegressor",
    "value": "what it was",
    "default": "whether that is its default",
}
_TAIL: Final = 1.6448536269514722
"""Standard normal quantile at 95%."""


def prior_frame(priors: Priors) -> pd.DataFrame:
    """A row for each prior setting, with its central 90% interval."""
    rows = []
    for name, role in _ROLES.items():
        prior = getattr(priors, name)
        if isinstance(prior, LogNormalPrior):
            words = f"LogNormal(median {prior.median:g}, spread {prior.spread:g})"
            factor = math.exp(_TAIL * prior.spread)
            interval = f"{prior.median / factor:.3g} to {prior.median * factor:.3g}"
        elif name == "gate_bias_scale":
            words = f"Normal(0, {prior:g})"
            interval = f"{-_TAIL * prior:.3g} to {_TAIL * prior:.3g}"
        else:
            words, interval = f"{prior:g}, fixed", ""
        rows.append((name, words, interval, role))
    return pd.DataFrame(rows, columns=list(_PRIOR_COLUMNS))


def _priors(model: HybridModel) -> Priors | None:
    return model.priors if isinstance(model, HybridMixture | PathwayModel) else None


def _settings(evidence: Evidence) -> pd.DataFrame:
    given = evidence.estimator.get_params(deep=False)
    defaults = type(evidence.estimator)().get_params(deep=False)
    rows = [
        (
            name,
            value if isinstance(value, str) else repr(value),
            repr(value) == repr(defaults[name]),
        )
        for name, value in given.items()
        if name != "progress"
    ]
    return pd.DataFrame(rows, columns=list(_SETTING_COLUMNS))


def _content(evidence: Evidence) -> Mapping[str, object]:
    model, fit = evidence.posterior.model, evidence.fit
    experts = pathways(model)
    priors = _priors(model)
    return {
        "joint": joint_equations(model),
        "gate": gate_equations(model, fit.feature_names),
        "experts": [
            (name, expert_equations(pathway))
            for name, pathway in zip(model.regime_names, experts, strict=False)
        ],
        "own": None if experts else repr(model),
        "num_regimes": model.num_regimes,
        "priors": None
        if priors is None
        else Table(
            key="priors",
            caption="Priors, of standardised data",
            frame=prior_frame(priors),
            meanings=_PRIOR_COLUMNS,
        ),
        "settings": Table(
            key="settings",
            caption="Settings of the estimator",
            frame=_settings(evidence),
            meanings=_SETTING_COLUMNS,
        ),
    }


SECTION: Final = Section(key="model", title="Model", content=_content)
