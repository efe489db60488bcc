"""Experts that are curves of few coefficients: a constant, a line, a polynomial."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Self

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.models.pathway import Pathway

_OF_UNITS: Final = ("num_units", "depth", "smoothing")


class _Hermite(nn.Module):
    """Orthonormal polynomials of each standard Normal feature, ``[..., D]`` to ``[..., D d]``.

    ``He_1 = x``, ``He_(n+1) = x He_n - n He_(n-1)``, each over ``sqrt(n!)``: where features are
    about standardised, coefficients of any degree are of one size.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree

    def forward(self, x: Tensor) -> Tensor:
        before, now = torch.ones_like(x), x
        found = [before[..., :0]]
        factorial = 1.0
        for n in range(1, self.degree + 1):
            factorial *= n
            found.append(now / factorial**0.5)
            before, now = now, x * now - n * before
        return torch.cat(found, dim=-1)


@dataclass(frozen=True, kw_only=True)
class Polynomial(Pathway):
    """An expert whose location is a polynomial of each feature, added up.

    ::

        location(x) = b + v / sqrt(D d) * sum_j sum_(n=1..d) a_jn He_n(x_j)

    There are no hidden units, so ``num_units``, ``depth`` and ``smoothing`` have no meaning here.

    Args:
        degree: d, 2 a parabola, 3 a cubic.
        noise: as of every :class:`Pathway`; here ``"constant"`` by default.

    Raises:
        OptionError: a setting of hidden units.

    Example:
        >>> Polynomial(degree=3).build(2)(torch.zeros(5, 2)).shape
        torch.Size([5, 6])
    """

    kind: str = "polynomial"
    noise: str = "constant"
    degree: int = 2

    least: ClassVar[int] = 2
    formula: ClassVar[tuple[str, str] | None] = (
        r"h(x) = (x_j, \dots, \operatorname{He}_d(x_j))_j",
        "A polynomial of each feature, added up.",
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        name = type(self).__name__
        for setting in _OF_UNITS:
            if getattr(self, setting) != getattr(Pathway, setting):
                raise OptionError(f"{setting}: {name} has no hidden units; leave it alone")
        checks.positive_int("degree", self.degree, minimum=self.least)
        if self.least < 2 and self.degree != self.least:
            raise OptionError(
                f"degree: {name} has degree {self.least}; use Polynomial(degree={self.degree})"
            )

    def sized(self, num_features: int) -> Self:
        """See :meth:`Pathway.sized`; there are no hidden units."""
        del num_features
        return self

    def width(self, num_features: int) -> int:
        """See :meth:`Pathway.width`."""
        return num_features * self.degree

    def build(self, num_features: int) -> nn.Module:
        """See :meth:`Pathway.build`; there are no parameters."""
        del num_features
        return _Hermite(self.degree)


@dataclass(frozen=True, kw_only=True)
class Line(Polynomial):
    """An expert whose location is linear in the features: ``b + v / sqrt(D) a . x``.

    Example:
        >>> Line().kind
        'line'
    """

    kind: str = "line"
    degree: int = 1
    least: ClassVar[int] = 1
    formula: ClassVar[tuple[str, str] | None] = (r"h(x) = x", "A straight line, or plane.")


@dataclass(frozen=True, kw_only=True)
class Constant(Polynomial):
    """An expert whose location is one number: ``b``.

    Example:
        >>> Constant().width(3)
        0
    """

    kind: str = "constant"
    degree: int = 0
    least: ClassVar[int] = 0
    formula: ClassVar[tuple[str, str] | None] = (r"h(x) = ()", "One level, whatever x is.")


CURVES: Final[Mapping[str, type[Polynomial]]] = MappingProxyType(
    {"constant": Constant, "line": Line, "polynomial": Polynomial}
)
"""Each of them by the name of its regimes."""
