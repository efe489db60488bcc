"""Is the posterior right?  Against the model's own simulations, and against a long sampler."""

from bayes_hybrid.validation.calibration import SimulationCalibration
from bayes_hybrid.validation.reference import ReferenceCheck, check_against_nuts
from bayes_hybrid.validation.sbc import sbc

__all__ = ["ReferenceCheck", "SimulationCalibration", "check_against_nuts", "sbc"]
