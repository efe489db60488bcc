"""Supports that are a part of the line, stretched to all of it, where quantiles are looked for."""

import abc
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid


class Line(abc.ABC):
    """A rising map between all numbers and the values of a support.

    Quantiles of positive numbers may differ by many powers of ten, which steps of one size do not
    cross, and a moment may overflow.  On the line they are near each other, and always bracketed.
    """

    @abc.abstractmethod
    def places(self, values: Tensor) -> Tensor:
        """From values to the line."""

    @abc.abstractmethod
    def values(self, places: Tensor) -> Tensor:
        """From the line to values."""

    @abc.abstractmethod
    def log_slope(self, places: Tensor) -> Tensor:
        """Log of the derivative of the values."""

    @abc.abstractmethod
    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        """Places between which all values of a dtype lie."""

    @abc.abstractmethod
    def normal(self, mean: Tensor, spread: Tensor, z: Tensor) -> Tensor:
        """The place z standard deviations off the middle, of values with these moments; roughly."""

    def bracket(self, prob: Tensor, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Places below and above every quantile, and one near it.

        Args:
            prob: probabilities.
            mean: of a distribution, which may be infinite.
            spread: its standard deviation, which may be infinite.
        """
        low, high = self.ends(prob.dtype)
        near = self.normal(mean, spread, torch.special.ndtri(prob))
        near = torch.where(near.isfinite(), near, 0.0).clamp(low, high)
        return torch.full_like(near, low), torch.full_like(near, high), near


class _Logs(Line):
    """The logs of positive numbers."""

    def places(self, values: Tensor) -> Tensor:
        return values.clamp(*(math.exp(end) for end in self.ends(values.dtype))).log()

    def values(self, places: Tensor) -> Tensor:
        return places.exp()

    def log_slope(self, places: Tensor) -> Tensor:
        return places

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        kind = torch.finfo(dtype)
        # Just inside, so that an exponential of the end is still a number.
        return math.log(kind.tiny) + 1e-6, math.log(kind.max) - 1e-6

    def normal(self, mean: Tensor, spread: Tensor, z: Tensor) -> Tensor:
        square = torch.log1p((spread / mean).square())
        return mean.log() - 0.5 * square + square.sqrt() * z


class _Odds(Line):
    """The log odds of shares."""

    def places(self, values: Tensor) -> Tensor:
        low, high = self.ends(values.dtype)
        return values.logit().clamp(low, high)

    def values(self, places: Tensor) -> Tensor:
        return places.sigmoid()

    def log_slope(self, places: Tensor) -> Tensor:
        return logsigmoid(places) + logsigmoid(-places)

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        kind = torch.finfo(dtype)
        # The largest number below 1 is 1 - eps / 2.
        return math.log(kind.tiny) + 1e-6, -math.log(0.5 * kind.eps)

    def normal(self, mean: Tensor, spread: Tensor, z: Tensor) -> Tensor:
        return mean.logit() + spread / (mean * (1.0 - mean)) * z


_LINES: Final[Mapping[constraints.Constraint, Line]] = MappingProxyType(
    {constraints.positive: _Logs(), constraints.unit_interval: _Odds()}
)


def line_of(support: constraints.Constraint) -> Line | None:
    """The line of a support, or of each number of an event; ``None`` where it is one already.

    Example:
        >>> line_of(constraints.positive).values(torch.tensor(0.0))
        tensor(1.)
        >>> line_of(constraints.real) is None
        True
    """
    if isinstance(support, constraints.independent):
        support = support.base_constraint
    return _LINES.get(support)
