"""Inference: the recorded log joint, warm start, SVI, refinement, and the posterior."""

from bayes_hybrid.inference.fit import fit, resolve_device
from bayes_hybrid.inference.options import FitOptions, Refinement, Variational, WarmStart
from bayes_hybrid.inference.plans import PLANS, Plan, PlanStage, Rates
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.program import ProgramDensity
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.result import Fit, Stage

__all__ = [
    "PLANS",
    "Fit",
    "FitOptions",
    "Plan",
    "PlanStage",
    "Posterior",
    "ProgramDensity",
    "Progress",
    "Rates",
    "Refinement",
    "Stage",
    "Variational",
    "WarmStart",
    "fit",
    "resolve_device",
    "silent",
]
