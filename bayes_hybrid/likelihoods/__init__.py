"""Likelihoods of one expert: its location, and scale and shape if any, in; a density out.

A new likelihood is a new file with its option, and its row in :data:`LIKELIHOODS`.
"""

from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.likelihoods.contaminated_normal import ContaminatedNormal
from bayes_hybrid.likelihoods.counts import Bernoulli, Binomial, NegativeBinomial, Poisson
from bayes_hybrid.likelihoods.families import LIKELIHOODS
from bayes_hybrid.likelihoods.huber import Huber
from bayes_hybrid.likelihoods.laplace import Laplace
from bayes_hybrid.likelihoods.normal import Normal
from bayes_hybrid.likelihoods.positive import Beta, Gamma, LogNormal
from bayes_hybrid.likelihoods.pseudo_huber import PseudoHuber
from bayes_hybrid.likelihoods.student_t import StudentT

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Beta",
    "Binomial",
    "ContaminatedNormal",
    "Gamma",
    "Huber",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "PseudoHuber",
    "StudentT",
]
