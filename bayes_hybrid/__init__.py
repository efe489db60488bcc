"""Bayesian models of data that are mostly smooth, except when they are not.

The public names load on first use, so that importing the package takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayes_hybrid.errors import BayesHybridError
    from bayes_hybrid.estimator import HybridRegressor, load
    from bayes_hybrid.gates import (
        ConstantGate,
        LinearGate,
        MonotoneGate,
        ObliqueGate,
        ReLUGate,
        ThresholdGate,
    )
    from bayes_hybrid.inference import FitOptions, Refinement, Variational, WarmStart
    from bayes_hybrid.models import Pathway
    from bayes_hybrid.priors import LogNormalPrior, Priors

__version__ = "0.1.0"

__all__ = [
    "BayesHybridError",
    "ConstantGate",
    "FitOptions",
    "HybridRegressor",
    "LinearGate",
    "LogNormalPrior",
    "MonotoneGate",
    "ObliqueGate",
    "Pathway",
    "Priors",
    "ReLUGate",
    "Refinement",
    "ThresholdGate",
    "Variational",
    "WarmStart",
    "load",
]

_HOMES = {
    "BayesHybridError": "errors",
    "ConstantGate": "gates",
    "FitOptions": "inference",
    "HybridRegressor": "estimator",
    "LinearGate": "gates",
    "LogNormalPrior": "priors",
    "MonotoneGate": "gates",
    "ObliqueGate": "gates",
    "Pathway": "models",
    "Priors": "priors",
    "ReLUGate": "gates",
    "Refinement": "inference",
    "ThresholdGate": "gates",
    "Variational": "inference",
    "WarmStart": "inference",
    "load": "estimator",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
