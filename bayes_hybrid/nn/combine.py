"""Ways to combine a Gaussian and a ReLU pathway within a layer, and stacks of such layers."""

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.nn.affine import affine
from bayes_hybrid.nn.gaussian import GaussianBlock, smooth
from bayes_hybrid.nn.relu import ReLUBlock


class LinearMixLayer(nn.Module):
    """``h = A_G h_G + A_R h_R``: each unit reads both pathways.

    Example:
        >>> LinearMixLayer(3, 5)(torch.zeros(7, 3)).shape
        torch.Size([7, 5])
    """

    takes_draws = True

    def __init__(self, in_features: int, num_units: int, *, smoothing: str = "bump") -> None:
        """Create both pathways and the two mixing matrices."""
        super().__init__()
        self.gaussian = GaussianBlock(in_features, num_units, smoothing=smoothing)
        self.relu = ReLUBlock(in_features, num_units)
        size = (num_units, num_units)
        self.mix_gaussian = nn.Parameter(torch.randn(size) / math.sqrt(num_units))
        self.mix_relu = nn.Parameter(torch.randn(size) / math.sqrt(num_units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., num_units]``."""
        gaussian: Tensor = self.gaussian(x) @ self.mix_gaussian.transpose(-1, -2)
        relu: Tensor = self.relu(x) @ self.mix_relu.transpose(-1, -2)
        return gaussian + relu


class ReLUGatesGaussianLayer(nn.Module):
    """``h = g(h_R) * h_G`` with ``g(r) = 1 - exp(-r)``, so a silent ReLU closes the gate exactly.

    Example:
        >>> layer = ReLUGatesGaussianLayer(1, 2)
        >>> with torch.no_grad():
        ...     _ = layer.relu.weight.fill_(1.0)
        >>> layer(torch.tensor([[-1.0]])).abs().max().item()
        0.0
    """

    takes_draws = True

    def __init__(self, in_features: int, num_units: int, *, smoothing: str = "bump") -> None:
        """Create both pathways."""
        super().__init__()
        self.gaussian = GaussianBlock(in_features, num_units, smoothing=smoothing)
        self.relu = ReLUBlock(in_features, num_units)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., num_units]``."""
        gate: Tensor = -torch.expm1(-self.relu(x))
        gaussian: Tensor = self.gaussian(x)
        return gate * gaussian


class GaussianStabilizesReLULayer(nn.Module):
    """``h = relu(z) + E[relu(z + width * eps)]``, z = W x + b: a ReLU plus its own smoothing.

    Example:
        >>> GaussianStabilizesReLULayer(3, 5)(torch.zeros(7, 3)).shape
        torch.Size([7, 5])
    """

    takes_draws = True

    def __init__(self, in_features: int, num_units: int) -> None:
        """Create the shared affine map and the widths of its smoothing."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_units, in_features) / math.sqrt(in_features))
        self.bias = nn.Parameter(torch.zeros(num_units))
        self.width = nn.Parameter(torch.ones(num_units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., num_units]``."""
        z = affine(x, self.weight, self.bias)
        width = self.width if self.width.dim() == 1 else self.width.unsqueeze(-2)
        return torch.relu(z) + smooth(z, width, "relu")


def _gaussian(in_features: int, num_units: int, smoothing: str) -> nn.Module:
    return GaussianBlock(in_features, num_units, smoothing=smoothing)


def _relu(in_features: int, num_units: int, smoothing: str) -> nn.Module:
    del smoothing
    return ReLUBlock(in_features, num_units)


def _linear_mix(in_features: int, num_units: int, smoothing: str) -> nn.Module:
    return LinearMixLayer(in_features, num_units, smoothing=smoothing)


def _relu_gates_gaussian(in_features: int, num_units: int, smoothing: str) -> nn.Module:
    return ReLUGatesGaussianLayer(in_features, num_units, smoothing=smoothing)


def _gaussian_stabilizes_relu(in_features: int, num_units: int, smoothing: str) -> nn.Module:
    del smoothing  # its smoothing is that of its own ReLU
    return GaussianStabilizesReLULayer(in_features, num_units)


COMBINATIONS: Final[MappingProxyType[str, Callable[[int, int, str], nn.Module]]] = MappingProxyType(
    {
        "gaussian": _gaussian,
        "relu": _relu,
        "linear_mix": _linear_mix,
        "relu_gates_gaussian": _relu_gates_gaussian,
        "gaussian_stabilizes_relu": _gaussian_stabilizes_relu,
    }
)


def pathway_kind(name: str, value: str, options: Sequence[str] = tuple(COMBINATIONS)) -> str:
    """``value``, which has to be a kind of pathway.

    Args:
        name: the setting, as its user writes it.
        value: what was given.
        options: what it may be, in the order in which the message lists them.

    Raises:
        OptionError: ``value`` is none of them.

    Example:
        >>> pathway_kind("experts", "linear")
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: experts='linear' is no kind of pathway: 'linear_mix' mixes
            Gaussian and ReLU units linearly; a straight line is the expert 'line', or Line()
    """
    if isinstance(value, str) and value == "linear":
        raise OptionError(
            f"{name}='linear' is no kind of pathway: 'linear_mix' mixes Gaussian and ReLU units "
            "linearly; a straight line is the expert 'line', or Line()"
        )
    return checks.choice(name, value, options)


def stack(
    kind: str, in_features: int, num_units: int, *, depth: int = 1, smoothing: str = "bump"
) -> nn.Sequential:
    """``depth`` layers of one kind, the first reading ``in_features``, each ``num_units`` wide.

    Args:
        kind: ``"gaussian"`` or ``"relu"`` (the controls), ``"linear_mix"``,
            ``"relu_gates_gaussian"`` or ``"gaussian_stabilizes_relu"``.
        in_features: size of the last axis of the input.
        num_units: units H of every layer.
        depth: number of layers.
        smoothing: base nonlinearity of the Gaussian pathway, see :func:`smooth`.

    Returns:
        A module mapping ``[..., in_features]`` to ``[..., num_units]``.

    Raises:
        OptionError: an unknown kind or smoothing, or a size below one.

    Example:
        >>> stack("linear_mix", 3, 5, depth=2)(torch.zeros(7, 3)).shape
        torch.Size([7, 5])
    """
    build = COMBINATIONS[pathway_kind("kind", kind)]
    checks.positive_int("depth", depth)
    sizes = [checks.positive_int("in_features", in_features)]
    sizes += [checks.positive_int("num_units", num_units)] * (depth - 1)
    return nn.Sequential(*(build(size, num_units, smoothing) for size in sizes))
