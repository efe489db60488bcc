"""Every gate by its name."""

from types import MappingProxyType
from typing import Final

from bayes_hybrid.gates.base import Gate
from bayes_hybrid.gates.constant import ConstantGate
from bayes_hybrid.gates.monotone import MonotoneGate
from bayes_hybrid.gates.oblique import ObliqueGate
from bayes_hybrid.gates.softmax import LinearGate, ReLUGate
from bayes_hybrid.gates.threshold import ThresholdGate

FEATURE_GATES: Final[MappingProxyType[str, type[ThresholdGate | MonotoneGate]]] = MappingProxyType(
    {"threshold": ThresholdGate, "monotone": MonotoneGate}
)
"""Those that read one feature."""

GATES: Final[MappingProxyType[str, type[Gate]]] = MappingProxyType(
    {
        "constant": ConstantGate,
        "linear": LinearGate,
        "relu": ReLUGate,
        **FEATURE_GATES,
        "oblique": ObliqueGate,
    }
)

THRESHOLD_GATES: Final = tuple(name for name, gate in GATES.items() if gate.has_thresholds)
"""Those whose thresholds have a posterior."""
