"""The Gaussian pathway's unit: linear aggregation followed by controlled Gaussian smoothing."""

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.nn.affine import affine

_SQRT_2PI: Final = math.sqrt(2.0 * math.pi)


def _bump(z: Tensor, width: Tensor) -> Tensor:
    return torch.exp(-0.5 * (z / width).square())


def _step(z: Tensor, width: Tensor) -> Tensor:
    result: Tensor = torch.special.ndtr(z / width)
    return result


def _relu(z: Tensor, width: Tensor) -> Tensor:
    u = z / width
    # z cdf(u) + width pdf(u); both terms are finite for every u, so no branch is needed.
    below: Tensor = torch.special.ndtr(u)
    return z * below + width * torch.exp(-0.5 * u.square()) / _SQRT_2PI


def _identity(z: Tensor, width: Tensor) -> Tensor:
    # The Gaussian smoothing of a linear function is the function itself.
    return z + torch.zeros_like(width)


SMOOTHINGS: Final[MappingProxyType[str, Callable[[Tensor, Tensor], Tensor]]] = MappingProxyType(
    {"bump": _bump, "step": _step, "relu": _relu, "identity": _identity}
)


def smooth(z: Tensor, width: Tensor, base: str = "bump") -> Tensor:
    """Gaussian smoothing (Weierstrass transform) of a base nonlinearity, E[f(z + width * eps)].

    With eps ~ Normal(0, 1): ``step`` is ``cdf(z / width)``, ``relu`` is
    ``z cdf(z / width) + width pdf(z / width)``, ``identity`` is ``z``; ``bump`` is the smoothed
    point mass with its peak scaled to one, ``exp(-z**2 / (2 width**2))``.  As ``width`` goes to
    zero the unsmoothed function comes back; slopes are bounded by the width.

    Args:
        z: pre-activations, ``[..., H]``.
        width: smoothing width per unit, positive, broadcastable to ``z``, in units of ``z``.
        base: ``"bump"``, ``"step"``, ``"relu"`` or ``"identity"``.

    Returns:
        Smoothed activations ``[..., H]``.

    Raises:
        OptionError: ``base`` is not one of the four.

    Example:
        >>> z = torch.tensor([-1.0, 0.0, 2.0])
        >>> smooth(z, torch.tensor(1e-4), "relu")
        tensor([0.0000e+00, 3.9894e-05, 2.0000e+00])
    """
    return SMOOTHINGS[checks.choice("base", base, tuple(SMOOTHINGS))](z, width)


class GaussianBlock(nn.Module):
    """``h = S_width(W x + b)``: an affine map, then Gaussian smoothing at a learned width.

    Args:
        in_features: size of the last axis of the input.
        num_units: size H of the last axis of the output.
        smoothing: base nonlinearity, see :func:`smooth`.

    Example:
        >>> GaussianBlock(3, 5)(torch.zeros(7, 3)).shape
        torch.Size([7, 5])
    """

    takes_draws = True

    def __init__(self, in_features: int, num_units: int, *, smoothing: str = "bump") -> None:
        """Create the block with small random weights and unit widths."""
        super().__init__()
        self.smoothing = checks.choice("smoothing", smoothing, tuple(SMOOTHINGS))
        self.weight = nn.Parameter(torch.randn(num_units, in_features) / math.sqrt(in_features))
        self.bias = nn.Parameter(torch.zeros(num_units))
        self.width = nn.Parameter(torch.ones(num_units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., num_units]``."""
        if self.weight.dim() == 2:
            return SMOOTHINGS[self.smoothing](affine(x, self.weight, self.bias), self.width)
        width = self.width.unsqueeze(-1)
        if self.smoothing != "bump":
            return SMOOTHINGS[self.smoothing](affine(x, self.weight, self.bias), width.mT)
        # The default's, in place: fresh memory for each step would cost more than the arithmetic.
        u = affine(x, self.weight / width, self.bias / self.width)
        u = torch.addcmul(u.new_zeros(()), u, u, value=-0.5, out=u)
        # An exponential that is not a normal number takes forty times as long, and is nothing here.
        return u.clamp_min_(-700.0).exp_()

    def extra_repr(self) -> str:
        """Sizes and smoothing, as torch modules print them."""
        units, features = self.weight.shape[-2:]
        return f"in_features={features}, num_units={units}, smoothing={self.smoothing!r}"
