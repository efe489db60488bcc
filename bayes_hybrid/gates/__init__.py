"""Gates: log probabilities of the regimes given the features.

A gate option (frozen, hashable) says which gate; its ``build`` returns the torch module that maps
``x [..., D]`` to ``log_weights [..., K]``.  A new gate is a new file with its option and its
module, and its row in :data:`GATES`.
"""

from bayes_hybrid.gates.base import Boundaries, Gate, GateModule
from bayes_hybrid.gates.constant import ConstantGate
from bayes_hybrid.gates.families import FEATURE_GATES, GATES, THRESHOLD_GATES
from bayes_hybrid.gates.monotone import MonotoneGate
from bayes_hybrid.gates.oblique import ObliqueGate
from bayes_hybrid.gates.softmax import LinearGate, ReLUGate
from bayes_hybrid.gates.threshold import ABRUPT, ThresholdGate

__all__ = [
    "ABRUPT",
    "FEATURE_GATES",
    "GATES",
    "THRESHOLD_GATES",
    "Boundaries",
    "ConstantGate",
    "Gate",
    "GateModule",
    "LinearGate",
    "MonotoneGate",
    "ObliqueGate",
    "ReLUGate",
    "ThresholdGate",
]
