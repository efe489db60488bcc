"""Samplers that go on from SVI's guide: a class each, which holds its settings."""

from typing import Final

from bayes_hybrid.inference.samplers.base import Chains, Sampler
from bayes_hybrid.inference.samplers.hmc import HMC
from bayes_hybrid.inference.samplers.nuts import NUTS
from bayes_hybrid.inference.samplers.sghmc import SGHMC

__all__ = ["HMC", "NUTS", "SAMPLERS", "SGHMC", "Chains", "Sampler"]

SAMPLERS: Final[tuple[type[Sampler], ...]] = (HMC, NUTS, SGHMC)
"""Those that a saved fit may name."""
