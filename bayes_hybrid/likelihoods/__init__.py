"""Likelihoods of one expert: a location and a scale in, a normalised density out.

A new likelihood is a new file with its option, and its row in :data:`LIKELIHOODS`.
"""

from types import MappingProxyType
from typing import Final

from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.likelihoods.normal import Normal

LIKELIHOODS: Final[MappingProxyType[str, type[Likelihood]]] = MappingProxyType({"normal": Normal})

__all__ = ["LIKELIHOODS", "Likelihood", "Normal"]
