"""Every gate by its name."""

from types import MappingProxyType
from typing import Final

from bayes_hybrid.gates.base import Gate
from bayes_hybrid.gates.constant import ConstantGate
from bayes_hybrid.gates.softmax import LinearGate, ReLUGate

GATES: Final[MappingProxyType[str, type[Gate]]] = MappingProxyType(
    {"constant": ConstantGate, "linear": LinearGate, "relu": ReLUGate}
)
