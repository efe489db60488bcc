"""How many regimes, and which experts: candidates from simple to complex, and a rule."""

from bayes_hybrid.choosing.candidates import Candidate, candidates
from bayes_hybrid.choosing.choice import Choice
from bayes_hybrid.choosing.command import fit_command
from bayes_hybrid.choosing.rule import pays, simplest
from bayes_hybrid.choosing.search import choose
from bayes_hybrid.choosing.stacking import stacking_weights

__all__ = [
    "Candidate",
    "Choice",
    "candidates",
    "choose",
    "fit_command",
    "pays",
    "simplest",
    "stacking_weights",
]
