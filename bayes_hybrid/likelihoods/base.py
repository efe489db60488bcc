"""What every likelihood is: an option that makes a density of what experts say of a row."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.priors import LogNormalPrior, NormalPrior

Base = float | tuple[float, ...] | None
"""A number of the training targets, or one for each output; ``None`` before it is known."""


@dataclass(frozen=True, kw_only=True)
class Likelihood(abc.ABC):
    """A choice of density for ``y`` given what one expert says of a row.

    ============  ================================================================================
    number        of whom
    ============  ================================================================================
    location      every expert: what is read off its hidden features.  Families of counts and the
                  like take it as the log of a mean, or as log odds: their link is in the call.
    scale         families that have one (:attr:`has_scale`): the noise, in the units of y; of
                  targets that are not standardised a number of its own, such as a coefficient of
                  variation
    shape         families that have one more number (:attr:`shape_name`): degrees of freedom, the
                  threshold of a Huber density, the concentration of counts.  It is fixed, or has a
                  prior and is learned: a LogNormal one above its floor, or where it has no floor a
                  Normal one.
    ============  ================================================================================
    """

    has_scale: ClassVar[bool] = True
    """Whether it takes a scale."""

    standardises: ClassVar[bool] = True
    """Whether targets are standardised for it; counts and shares are not."""

    support: ClassVar[constraints.Constraint] = constraints.real
    """What targets it is of."""

    takes: ClassVar[str] = "numbers"
    """The same in words."""

    formula: ClassVar[tuple[str, str] | None] = None
    """Its density as LaTeX and in words, for the report."""

    shape_name: ClassVar[str | None] = None
    """What the shape is called, in the option and as a latent site; ``None`` without one."""

    shape_floor: ClassVar[float | None] = 0.0
    """What the shape has to lie above; ``None`` where it may be any number.  Where it is learned,
    what is above has the prior."""

    size_name: ClassVar[str | None] = None
    """What a row's size is called: exposure of a rate, trials of a proportion; ``None`` without
    one.  The option of that name says which column of x it is."""

    plain_size: ClassVar[float] = 1.0
    """The size of a row that nothing has to be said of."""

    @property
    def size_column(self) -> int | str | None:
        """The column of x that holds the rows' sizes; ``None`` without one."""
        return None if self.size_name is None else getattr(self, self.size_name)

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """The same likelihood, with the index of a column in the place of its name.

        Args:
            num_features: D.
            names: names of the D columns; empty where they have none.

        Raises:
            OptionError: the column of the rows' sizes is not there.
        """
        if self.size_name is None or self.size_column is None:
            return self
        index = checks.column(self.size_name, self.size_column, num_features, names)
        return replace(self, **{self.size_name: index})

    def sized(self, numbers: tuple[Tensor, ...], size: Tensor) -> tuple[Tensor, ...]:
        """The numbers that the density takes of rows of these sizes, ``[...]`` each.

        Args:
            numbers: of rows of size one.
            size: of each row.
        """
        raise NotImplementedError(f"{type(self).__name__} has no size_name")

    def require_sizes(self, size: FloatArray, y: FloatArray | None = None) -> None:
        """Refuse sizes that rows cannot have.

        Args:
            size: of each row, ``[N]``.
            y: their targets, ``[N]`` or ``[N, Q]``, where they are known.

        Raises:
            DataError: the first of them.
        """
        del y
        if not (size > 0.0).all():
            raise DataError(
                f"{self.size_name}: expected numbers above 0; got {size[~(size > 0.0)][0]:g}"
            )

    @property
    def shape(self) -> float | LogNormalPrior | NormalPrior | None:
        """The shape's value, its prior where it is learned, or ``None`` without one."""
        return None if self.shape_name is None else getattr(self, self.shape_name)

    @property
    def typical_shape(self) -> float:
        """The shape's value, or one in the middle of its prior; 1 without a shape."""
        shape = self.shape
        if isinstance(shape, LogNormalPrior):
            return (self.shape_floor or 0.0) + shape.median
        if isinstance(shape, NormalPrior):
            return shape.mean
        return 1.0 if shape is None else shape

    def __post_init__(self) -> None:
        """Check the shape, a number above its floor or a prior, and the column of sizes."""
        if self.size_name is not None and self.size_column is not None:
            checks.name_or_index(self.size_name, self.size_column)
        name, floor, shape = self.shape_name, self.shape_floor, self.shape
        if name is None or isinstance(shape, LogNormalPrior):
            return
        if floor is None:
            if not isinstance(shape, NormalPrior):
                checks.finite_float(name, getattr(self, name))
        elif isinstance(shape, NormalPrior):
            raise OptionError(
                f"{name}: a NormalPrior may be below {floor:g}; use a LogNormalPrior, or say "
                "shape_floor = None in the class"
            )
        elif checks.positive_float(name, getattr(self, name)) <= floor:
            raise OptionError(
                f"{name} must be above {floor:g}, or the density has no mean to predict; "
                f"got {shape!r}"
            )

    def _shape(self, given: Tensor | None, like: Tensor) -> Tensor:
        """The shape that came, or the option's own number."""
        if given is not None:
            return given
        if not isinstance(self.shape, float | int):
            raise OptionError(
                f"{self.shape_name}: it has a prior and is learned; expected its value, got none"
            )
        return like.new_full((), self.shape)

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """The same for targets like ``y [N]`` or ``[N, Q]``, before it is fitted.

        Where targets are not standardised, this says what a location of zero means.

        Args:
            y: the targets, NaN where one is missing.
            size: of each row ``[N]``, where the likelihood reads it.
        """
        del y, size
        return self

    @abc.abstractmethod
    def __call__(self, *numbers: Any, **named: Any) -> dist.TorchDistribution:  # noqa: ANN401
        """The density of y, batch shape ``[...]`` of all arguments.

        It does not check its values: torch's switch for that is one for all threads, and a model
        gives values that are right by construction.

        Args:
            numbers: location, then the scale and the shape of families that have them, each
                ``[...]``.  Without a shape the option's own number is taken.
            named: the same by name.

        Raises:
            OptionError: the shape is learned and did not come.
        """


def stated(value: FloatArray) -> float | tuple[float, ...]:
    """A number, or one of each output ``[Q]``, as an option has it.

    Example:
        >>> stated(np.array([1.0, 2.5]))
        (1.0, 2.5)
    """
    return tuple(value.tolist()) if np.ndim(value) else float(value)
