"""Gates: log probabilities of the regimes given the features.

A gate option (frozen, hashable) says which gate; its ``build`` returns the torch module that maps
``x [..., D]`` to ``log_weights [..., K]``.  A new gate is a new file with its option and its
module, and its row in :data:`GATES`.
"""

from bayes_hybrid.gates.base import Gate, GateModule
from bayes_hybrid.gates.constant import ConstantGate
from bayes_hybrid.gates.families import GATES
from bayes_hybrid.gates.softmax import LinearGate, ReLUGate

__all__ = ["GATES", "ConstantGate", "Gate", "GateModule", "LinearGate", "ReLUGate"]
