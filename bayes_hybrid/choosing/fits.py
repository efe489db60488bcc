"""From a candidate to an estimator: the one to fit, and the shorter one of the search."""

from dataclasses import replace
from typing import Any, Final

from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.choosing.candidates import Candidate
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import HybridRegressor, build_options
from bayes_hybrid.inference import HMC, WarmStart

__all__ = ["CHOSEN", "SETTINGS", "checked_base", "estimator_of", "searching"]

CHOSEN: Final = ("model", "gate", "experts", "joined")
"""The settings that a search is for."""

_OF_UNITS: Final = ("num_units", "depth", "smoothing")
_OF_OPTIONS: Final = ("num_restarts", "plan", "refine", "batch_size", "device", "compile")

SETTINGS: Final = (*CHOSEN, *_OF_UNITS, "fit_options")
"""The settings in which candidates differ."""

_OF_CURVES, _OF_SMOOTH = 32, 16
"""Restarts.  About a third of them find both thresholds of three lines; with 8, a simulated table
had none that did.  Smooth experts have many modes that predict alike."""

# Curves have a dozen parameters, and are found in a few hundred steps of a tenth.
_START: Final = WarmStart(max_steps=800, learning_rate=0.1, patience=5, num_cuts=0)
_SAMPLER: Final = HMC(num_warmup=100, num_iterations=50, num_leapfrog=10)


def checked_base(base: HybridRegressor | None) -> HybridRegressor:
    """The base, or the default estimator.

    Raises:
        OptionError: it is none, or has a setting that would be ignored.
    """
    given: HybridRegressor = checks.instance("base", base or HybridRegressor(), HybridRegressor)
    default = HybridRegressor().get_params(deep=False)
    for name in CHOSEN:
        value = getattr(given, name)
        if (tuple(value) if isinstance(value, list) else value) != default[name]:
            raise OptionError(
                f"base: {name}={value!r} would be ignored, because it is what choose is to find; "
                f"leave it at {default[name]!r}"
            )
    return given


def estimator_of(base: HybridRegressor, candidate: Candidate) -> HybridRegressor:
    """The base with the candidate's settings, not fitted.

    Settings of hidden units are the base's for smooth experts, and left alone for curves, which
    have none.
    """
    estimator: HybridRegressor = clone(base).set_params(**candidate.settings)
    if candidate.family != "smooth":
        default = HybridRegressor()
        estimator.set_params(**{name: getattr(default, name) for name in _OF_UNITS})
    return estimator


def searching(base: HybridRegressor, candidate: Candidate) -> HybridRegressor:
    """The same with a shorter fit, unless the base says itself how to fit.

    A search compares densities: fewer restarts do, and of curves a short start and short
    trajectories.
    """
    estimator = estimator_of(base, candidate)
    if base.fit_options is not None:
        return estimator
    default = HybridRegressor()
    options = replace(build_options(base), **_shorter(base, candidate))
    estimator.set_params(
        fit_options=options, **{name: getattr(default, name) for name in _OF_OPTIONS}
    )
    return estimator


def _shorter(base: HybridRegressor, candidate: Candidate) -> dict[str, Any]:
    default, found = HybridRegressor(), dict[str, Any]()
    if base.num_restarts == default.num_restarts:
        smooth = candidate.family == "smooth"
        found["num_restarts"] = _OF_SMOOTH if smooth else _OF_CURVES
    if candidate.family != "smooth":
        found["warm_start"] = _START
        if base.refine == default.refine:
            found["sampler"] = _SAMPLER
    return found
