"""The ReLU pathway's unit: an affine map followed by a rectifier, a hard change of behaviour."""

import math

import torch
from torch import Tensor, nn

from bayes_hybrid.nn.affine import affine


class ReLUBlock(nn.Module):
    """``h = max(W x + b, 0)``.

    Args:
        in_features: size of the last axis of the input.
        num_units: size H of the last axis of the output.

    Example:
        >>> ReLUBlock(3, 5)(torch.zeros(7, 3)).shape
        torch.Size([7, 5])
    """

    takes_draws = True

    def __init__(self, in_features: int, num_units: int) -> None:
        """Create the block with small random weights."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_units, in_features) / math.sqrt(in_features))
        self.bias = nn.Parameter(torch.zeros(num_units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., num_units]``."""
        z = affine(x, self.weight, self.bias)
        return torch.relu(z) if self.weight.dim() == 2 else z.relu_()

    def extra_repr(self) -> str:
        """Sizes, as torch modules print them."""
        units, features = self.weight.shape[-2:]
        return f"in_features={features}, num_units={units}"
