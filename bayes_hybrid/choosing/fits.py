"""From a candidate to an estimator: the one to fit, and the shorter one of the search."""

from dataclasses import replace
from typing import Any, Final

from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.choosing.candidates import Candidate
from bayes_hybrid.estimator import HybridRegressor, build_options
from bayes_hybrid.estimator.build import refuse_set
from bayes_hybrid.inference import HMC, FitOptions, WarmStart

__all__ = ["CHOSEN", "SETTINGS", "checked_base", "estimator_of", "searching"]

CHOSEN: Final = ("model", "gate", "experts", "joined")
"""The settings that a search is for."""

SETTINGS: Final = (*CHOSEN, "fit_options")
"""The settings in which candidates differ."""

# Of a small table sixteen restarts are evaluated side by side, and take little longer than one.
_RESTARTS: Final = 16

# Curves have a dozen parameters, and are found in a few hundred steps of a tenth, from thresholds
# of least squares: of prior draws a third found both thresholds of three lines.
_START: Final = WarmStart(max_steps=800, learning_rate=0.1, patience=5, num_cuts=0)
# Chains have to find the best thresholds nearby: with a warm-up of 60, three lines were 14 nats
# apart from seed to seed.
_SAMPLER: Final = HMC(num_warmup=150, num_iterations=50, num_leapfrog=10)


def checked_base(base: HybridRegressor | None) -> HybridRegressor:
    """The base, or the default estimator.

    Raises:
        OptionError: it is none, or has a setting that would be ignored.
    """
    given: HybridRegressor = checks.instance("base", base or HybridRegressor(), HybridRegressor)
    refuse_set(given, CHOSEN, "it is what choose is to find")
    return given


def estimator_of(base: HybridRegressor, candidate: Candidate) -> HybridRegressor:
    """The base with the candidate's settings, not fitted."""
    estimator: HybridRegressor = clone(base).set_params(**candidate.settings)
    return estimator


def searching(base: HybridRegressor, candidate: Candidate) -> HybridRegressor:
    """The same with a shorter fit, in what the base's ``fit_options`` leave at its default.

    A search compares densities: fewer restarts do, and of curves a short start from thresholds of
    least squares, and short trajectories.
    """
    options, default = build_options(base), FitOptions()
    shorter: dict[str, Any] = {"num_restarts": _RESTARTS}
    if candidate.family != "smooth":
        segments = "levels" if candidate.family == "levels" else "lines"
        shorter |= {"warm_start": replace(_START, segments=segments), "sampler": _SAMPLER}
    left = {n: v for n, v in shorter.items() if getattr(options, n) == getattr(default, n)}
    return estimator_of(base, candidate).set_params(fit_options=replace(options, **left))
