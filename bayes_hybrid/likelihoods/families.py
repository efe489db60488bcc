"""Every likelihood by its name."""

from types import MappingProxyType
from typing import Final

from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.likelihoods.contaminated_normal import ContaminatedNormal
from bayes_hybrid.likelihoods.counts import Bernoulli, Binomial, NegativeBinomial, Poisson
from bayes_hybrid.likelihoods.huber import Huber
from bayes_hybrid.likelihoods.laplace import Laplace
from bayes_hybrid.likelihoods.normal import Normal
from bayes_hybrid.likelihoods.positive import Beta, Gamma, LogNormal
from bayes_hybrid.likelihoods.pseudo_huber import PseudoHuber
from bayes_hybrid.likelihoods.student_t import StudentT

LIKELIHOODS: Final[MappingProxyType[str, type[Likelihood]]] = MappingProxyType(
    {
        "normal": Normal,
        "student_t": StudentT,
        "laplace": Laplace,
        "huber": Huber,
        "pseudo_huber": PseudoHuber,
        "contaminated_normal": ContaminatedNormal,
        "poisson": Poisson,
        "negative_binomial": NegativeBinomial,
        "bernoulli": Bernoulli,
        "gamma": Gamma,
        "log_normal": LogNormal,
        "beta": Beta,
        "binomial": Binomial,
    }
)
