"""Hybrid models as plain Pyro programs.

Each model has two readings of one joint density: ``model.enumerated`` with an explicit latent
regime ``z``, and ``model.marginal`` with ``z`` summed out exactly.  Both run under
``pyro.infer.SVI``, ``Predictive`` and ``NUTS``.
"""

from bayes_hybrid.models.base import HybridModel, SiteGroup, TrainingGroup
from bayes_hybrid.models.curves import Constant, Line, Polynomial
from bayes_hybrid.models.labels import LabelHead
from bayes_hybrid.models.mixture import HybridMixture
from bayes_hybrid.models.pathway import Pathway, PathwayModel
from bayes_hybrid.models.registry import register
from bayes_hybrid.models.sampled import Regimes
from bayes_hybrid.models.target import Target

__all__ = [
    "Constant",
    "HybridMixture",
    "HybridModel",
    "LabelHead",
    "Line",
    "Pathway",
    "PathwayModel",
    "Polynomial",
    "Regimes",
    "SiteGroup",
    "Target",
    "TrainingGroup",
    "register",
]
