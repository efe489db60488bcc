"""Bayesian models of data that are mostly smooth, except when they are not.

The public names load on first use, so that importing the package takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayes_hybrid.ablation import ablate
    from bayes_hybrid.choosing import choose
    from bayes_hybrid.errors import BayesHybridError
    from bayes_hybrid.estimator import HybridRegressor, load
    from bayes_hybrid.gates import (
        ABRUPT,
        ConstantGate,
        Gate,
        GateModule,
        LinearGate,
        MonotoneGate,
        ObliqueGate,
        ReLUGate,
        ThresholdGate,
    )
    from bayes_hybrid.inference import (
        HMC,
        NUTS,
        SGHMC,
        FitOptions,
        Plan,
        PlanStage,
        Rates,
        Variational,
        WarmStart,
    )
    from bayes_hybrid.likelihoods import (
        Bernoulli,
        Beta,
        Binomial,
        ContaminatedNormal,
        Gamma,
        Huber,
        Laplace,
        Likelihood,
        LogNormal,
        NegativeBinomial,
        Normal,
        Poisson,
        PseudoHuber,
        StudentT,
    )
    from bayes_hybrid.models import Constant, LabelHead, Line, Pathway, Polynomial, register
    from bayes_hybrid.priors import LogNormalPrior, NormalPrior, Priors

__version__ = "0.2.0"

__all__ = [
    "ABRUPT",
    "HMC",
    "NUTS",
    "SGHMC",
    "BayesHybridError",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Constant",
    "ConstantGate",
    "ContaminatedNormal",
    "FitOptions",
    "Gamma",
    "Gate",
    "GateModule",
    "Huber",
    "HybridRegressor",
    "LabelHead",
    "Laplace",
    "Likelihood",
    "Line",
    "LinearGate",
    "LogNormal",
    "LogNormalPrior",
    "MonotoneGate",
    "NegativeBinomial",
    "Normal",
    "NormalPrior",
    "ObliqueGate",
    "Pathway",
    "Plan",
    "PlanStage",
    "Poisson",
    "Polynomial",
    "Priors",
    "PseudoHuber",
    "Rates",
    "ReLUGate",
    "StudentT",
    "ThresholdGate",
    "Variational",
    "WarmStart",
    "ablate",
    "choose",
    "load",
    "register",
]

_HOMES = {
    "ABRUPT": "gates",
    "BayesHybridError": "errors",
    "Bernoulli": "likelihoods",
    "Beta": "likelihoods",
    "Binomial": "likelihoods",
    "Constant": "models",
    "ConstantGate": "gates",
    "ContaminatedNormal": "likelihoods",
    "FitOptions": "inference",
    "Gamma": "likelihoods",
    "Gate": "gates",
    "GateModule": "gates",
    "HMC": "inference",
    "Huber": "likelihoods",
    "HybridRegressor": "estimator",
    "LabelHead": "models",
    "Laplace": "likelihoods",
    "Likelihood": "likelihoods",
    "Line": "models",
    "LinearGate": "gates",
    "LogNormal": "likelihoods",
    "LogNormalPrior": "priors",
    "MonotoneGate": "gates",
    "NUTS": "inference",
    "NegativeBinomial": "likelihoods",
    "Normal": "likelihoods",
    "NormalPrior": "priors",
    "ObliqueGate": "gates",
    "Pathway": "models",
    "Plan": "inference",
    "PlanStage": "inference",
    "Poisson": "likelihoods",
    "Polynomial": "models",
    "Priors": "priors",
    "PseudoHuber": "likelihoods",
    "Rates": "inference",
    "ReLUGate": "gates",
    "SGHMC": "inference",
    "ThresholdGate": "gates",
    "StudentT": "likelihoods",
    "Variational": "inference",
    "WarmStart": "inference",
    "ablate": "ablation",
    "choose": "choosing",
    "load": "estimator",
    "register": "models",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
