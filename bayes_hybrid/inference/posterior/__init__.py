"""Draws of a fit, and what they predict."""

from bayes_hybrid.inference.posterior.posterior import Posterior

__all__ = ["Posterior"]
