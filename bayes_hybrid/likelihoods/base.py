"""What every likelihood is: an option that makes a density of a location and a scale."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.priors import LogNormalPrior, NormalPrior


@dataclass(frozen=True, kw_only=True)
class Likelihood(abc.ABC):
    """A choice of density for ``y`` given one expert's location and scale.

    A family may have one more number, its shape: degrees of freedom, the threshold of a
    Huber density, the ratio of two scales.  It is fixed, or has a prior and is learned: a LogNormal
    one above its floor, or where it has no floor a Normal one.
    """

    shape_name: ClassVar[str | None] = None
    """What the shape is called, in the option and as a latent site; ``None`` without one."""

    shape_floor: ClassVar[float | None] = 0.0
    """What the shape has to lie above; ``None`` where it may be any number.  Where it is learned,
    what is above has the prior."""

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
        """Check the shape: a number above its floor, or a prior."""
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

    @abc.abstractmethod
    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """The density about ``location``, batch shape ``[...]`` of all arguments.

        It does not check its values: torch's switch for that is one for all threads, and a model
        gives values that are right by construction.

        Args:
            location: ``[...]``, in the units of y.
            scale: ``[...]``, positive, in the units of y.
            shape: ``[...]``; ``None`` takes the option's own number, and families without a shape
                do not look at it.

        Raises:
            OptionError: the shape is learned and did not come.
        """
