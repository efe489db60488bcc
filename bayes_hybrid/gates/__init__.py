"""Gates: log probabilities of the regimes given the features.

A gate option (frozen, hashable) says which gate; its ``build`` returns the torch module that maps
``x [..., D]`` to ``log_weights [..., K]``.  A new gate is a new file with its option and its
module, and its row in :data:`GATES`.
"""

from types import MappingProxyType
from typing import Final

from bayes_hybrid.gates.base import Boundaries, Gate, GateModule
from bayes_hybrid.gates.constant import ConstantGate
from bayes_hybrid.gates.monotone import MonotoneGate
from bayes_hybrid.gates.oblique import ObliqueGate
from bayes_hybrid.gates.softmax import LinearGate, ReLUGate
from bayes_hybrid.gates.threshold import ThresholdGate

GATES: Final[MappingProxyType[str, type[Gate]]] = MappingProxyType(
    {
        "constant": ConstantGate,
        "linear": LinearGate,
        "relu": ReLUGate,
        "threshold": ThresholdGate,
        "monotone": MonotoneGate,
        "oblique": ObliqueGate,
    }
)
FEATURE_GATES: Final[MappingProxyType[str, type[ThresholdGate | MonotoneGate]]] = MappingProxyType(
    {"threshold": ThresholdGate, "monotone": MonotoneGate}
)
"""Those that read one feature."""

THRESHOLD_GATES: Final = ("threshold", "monotone", "oblique")
"""Those whose thresholds have a posterior."""

__all__ = [
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
