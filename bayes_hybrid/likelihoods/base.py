"""What every likelihood is: an option that makes a density of a location and a scale."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from bayes_hybrid.priors import LogNormalPrior


@dataclass(frozen=True, kw_only=True)
class Likelihood(abc.ABC):
    """A choice of density for ``y`` given one expert's location and scale.

    A family may have one more number, its shape: degrees of freedom, or the threshold of a Huber
    density.  It is fixed, or has a LogNormal prior and is learned.
    """

    shape_name: ClassVar[str | None] = None
    """What the shape is called, in the option and as a latent site; ``None`` without one."""

    @property
    def shape(self) -> float | LogNormalPrior | None:
        """The shape's value, its prior where it is learned, or ``None`` without one."""
        return None if self.shape_name is None else getattr(self, self.shape_name)

    @abc.abstractmethod
    def __call__(
        self, location: Tensor, scale: Tensor, shape: Tensor | None = None
    ) -> dist.TorchDistribution:
        """The density about ``location``, batch shape ``[...]`` of all arguments.

        Args:
            location: ``[...]``, in the units of y.
            scale: ``[...]``, positive, in the units of y.
            shape: ``[...]``; ``None`` takes the option's own number, and families without a shape
                do not look at it.

        Raises:
            OptionError: the shape is learned and did not come.
        """
