"""Densities that Pyro does not ship. Mathematics only: no sample sites."""

from bayes_hybrid.distributions.mixture import RegimeMixture, mixture_quantile

__all__ = ["RegimeMixture", "mixture_quantile"]
