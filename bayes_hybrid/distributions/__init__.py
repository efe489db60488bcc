"""Densities that Pyro does not ship, or not with exact tails. Mathematics only: no sample sites."""

from bayes_hybrid.distributions.assignment import Assignment
from bayes_hybrid.distributions.censored import Censored, HasLogTails
from bayes_hybrid.distributions.contaminated_normal import ContaminatedNormal
from bayes_hybrid.distributions.counts import Bernoulli, Binomial, NegativeBinomial, Poisson
from bayes_hybrid.distributions.huber import Huber
from bayes_hybrid.distributions.laplace import Laplace
from bayes_hybrid.distributions.mixture import (
    RegimeMixture,
    along_last,
    chosen,
    mixture_quantile,
    support_of,
)
from bayes_hybrid.distributions.normal import Normal
from bayes_hybrid.distributions.ordered import OrderedNormal
from bayes_hybrid.distributions.outputs import Outputs
from bayes_hybrid.distributions.positive import Beta, Gamma, LogNormal
from bayes_hybrid.distributions.pseudo_huber import PseudoHuber
from bayes_hybrid.distributions.quantiles import pooled_quantiles
from bayes_hybrid.distributions.student_t import StudentT

__all__ = [
    "Assignment",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Censored",
    "ContaminatedNormal",
    "Gamma",
    "HasLogTails",
    "Huber",
    "Laplace",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "OrderedNormal",
    "Outputs",
    "Poisson",
    "PseudoHuber",
    "RegimeMixture",
    "StudentT",
    "along_last",
    "chosen",
    "mixture_quantile",
    "pooled_quantiles",
    "support_of",
]
