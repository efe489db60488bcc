"""Densities that Pyro does not ship. Mathematics only: no sample sites."""

from bayes_hybrid.distributions.mixture import RegimeMixture, chosen, mixture_quantile
from bayes_hybrid.distributions.ordered import OrderedNormal
from bayes_hybrid.distributions.outputs import Outputs

__all__ = ["OrderedNormal", "Outputs", "RegimeMixture", "chosen", "mixture_quantile"]
