"""Gates that read logits off the features: of ``x`` itself, or of hidden ReLU units."""

from dataclasses import dataclass

from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.gates.base import GateModule, LogitGate, log_softmax_from_first
from bayes_hybrid.nn import ReLUBlock, affine


class SoftmaxGateModule(GateModule):
    """``log pi(x) = log softmax(A h(x) + b)`` with ``h`` the inputs or their ReLU features."""

    takes_draws = True

    def __init__(self, features: nn.Module, num_features: int, num_regimes: int) -> None:
        """Put a linear head of K - 1 logits on ``features``, whose width is ``num_features``."""
        super().__init__()
        self.features = features
        self.head = nn.Linear(num_features, num_regimes - 1)

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`GateModule.forward`."""
        logits = affine(self.features(x), self.head.weight, self.head.bias)
        return log_softmax_from_first(logits)


@dataclass(frozen=True, kw_only=True)
class LinearGate(LogitGate):
    """Multinomial logistic regression of the regime on ``x``.

    Example:
        >>> import torch
        >>> LinearGate().build(3, 2)(torch.zeros(7, 3)).shape
        torch.Size([7, 2])
    """

    formula = (
        r"\pi(x) = \operatorname{softmax}(0, A x + b)",
        "Linear gate: log odds are linear in the features.",
    )

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        return SoftmaxGateModule(nn.Identity(), num_features, num_regimes)


@dataclass(frozen=True, kw_only=True)
class ReLUGate(LogitGate):
    """Logits from ReLU features of ``x``: the ReLU pathway says *when* behaviour changes.

    Args:
        num_units: number of ReLU features.

    Example:
        >>> import torch
        >>> ReLUGate(num_units=4).build(3, 2)(torch.zeros(7, 3)).shape
        torch.Size([7, 2])
    """

    formula = (
        r"\pi(x) = \operatorname{softmax}(0, A \max(0, W x + c) + b)",
        "ReLU gate: log odds are straight pieces with kinks, so that regimes may change more "
        "than once.",
    )

    num_units: int = 16

    def __post_init__(self) -> None:
        """Check the option."""
        checks.positive_int("num_units", self.num_units)

    def build(self, num_features: int, num_regimes: int) -> GateModule:
        """See :meth:`Gate.build`."""
        block = ReLUBlock(num_features, self.num_units)
        return SoftmaxGateModule(block, self.num_units, num_regimes)
