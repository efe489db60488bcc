"""Inference: the recorded log joint, warm start, SVI, samplers, and the posterior."""

from bayes_hybrid.inference.fit import fit, resolve_device
from bayes_hybrid.inference.posterior.posterior import Posterior
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.recipe.options import FitOptions
from bayes_hybrid.inference.recipe.plans import PLANS, Plan, PlanStage, Rates
from bayes_hybrid.inference.recipe.start import WarmStart
from bayes_hybrid.inference.recipe.variational import Variational
from bayes_hybrid.inference.result import Fit, Restarts, Stage, Training
from bayes_hybrid.inference.samplers import HMC, NUTS, SGHMC, Sampler

__all__ = [
    "HMC",
    "NUTS",
    "PLANS",
    "SGHMC",
    "Fit",
    "FitOptions",
    "Plan",
    "PlanStage",
    "Posterior",
    "Progress",
    "Rates",
    "Restarts",
    "Sampler",
    "Stage",
    "Training",
    "Variational",
    "WarmStart",
    "fit",
    "resolve_device",
    "silent",
]
