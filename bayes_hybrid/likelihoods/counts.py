"""Counts and events: no noise scale, and a link between the location and the mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions import Bernoulli as BernoulliDensity
from bayes_hybrid.distributions import Binomial as BinomialDensity
from bayes_hybrid.distributions import NegativeBinomial as NegativeBinomialDensity
from bayes_hybrid.distributions import Poisson as PoissonDensity
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.likelihoods.base import Base, Likelihood, stated
from bayes_hybrid.priors import LogNormalPrior

_CONCENTRATION: Final = LogNormalPrior(median=3.0, spread=1.5)


@dataclass(frozen=True, kw_only=True)
class _Counts(Likelihood):
    """What families without a noise scale share: a mean that a location of zero stands for."""

    has_scale: ClassVar[bool] = False
    standardises: ClassVar[bool] = False
    support: ClassVar[constraints.Constraint] = constraints.nonnegative_integer
    takes: ClassVar[str] = "whole numbers from 0 on"
    base: Base = None

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """With the mean of ``y``, half a count more in none of them, where nothing is stated.

        Where rows have a size, the mean is that of one unit of size.
        """
        if self.base is not None:
            return self
        sizes = np.ones(len(y)) if size is None else size
        there = ~np.isnan(y)
        units = (there.T * sizes).sum(axis=-1)
        return replace(self, base=stated(self._off_the_ends(np.nansum(y, axis=0), units)))

    def _off_the_ends(self, total: FloatArray, units: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(total, 0.5) / units)

    def _from_base(self, location: Tensor) -> Tensor:
        """The location, counted from the log of the base; that of one where none is stated."""
        return location if self.base is None else location + location.new_tensor(self.base).log()


@dataclass(frozen=True, kw_only=True)
class _Rates(_Counts):
    """What counts per unit of an exposure share: their mean grows with it in proportion."""

    size_name: ClassVar[str | None] = "exposure"
    exposure: int | str | None = None

    def sized(self, numbers: tuple[Tensor, ...], size: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Likelihood.sized`: the log of the size, added to the location."""
        return (numbers[0] + size.log(), *numbers[1:])


@dataclass(frozen=True, kw_only=True)
class Poisson(_Rates):
    """``y ~ Poisson(exposure * base * exp(location))``: counts with a variance equal to their mean.

    Args:
        base: mean count at a location of zero, of one unit of exposure, one for each output;
            ``None`` takes the mean of the training targets.
        exposure: column of x, by name or index, that says how long or how much each row was
            watched; pathways and gate do not see it.  ``None``: all rows alike.

    Example:
        >>> import torch
        >>> Poisson(base=4.0)(torch.zeros(2)).mean
        tensor([4., 4.])
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu) = \frac{\lambda^y e^{-\lambda}}{y!}, \quad \lambda = b \, e^{\mu}",
        "Poisson counts: the variance is the mean.",
    )

    def __call__(self, location: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return PoissonDensity(self._from_base(location))


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial(_Rates):
    """``y ~ NegativeBinomial(m, c)``, ``m = base * exp(location)``: variance ``m + m**2 / c``.

    Args:
        base: mean count at a location of zero, see :class:`Poisson`.
        exposure: see :class:`Poisson`.
        concentration: c, a positive number, or a prior from which each regime's is learned.

    Example:
        >>> import torch
        >>> NegativeBinomial(base=2.0, concentration=4.0)(torch.tensor(0.0)).variance
        tensor(3.)
    """

    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu) \propto (\frac{m}{m + c})^y (\frac{c}{m + c})^c, \quad m = b \, e^{\mu}",
        "Negative binomial counts: their variance exceeds the mean m by m² / c.",
    )
    shape_name: ClassVar[str | None] = "concentration"
    concentration: float | LogNormalPrior = _CONCENTRATION

    def __call__(self, location: Tensor, shape: Tensor | None = None) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return NegativeBinomialDensity(self._from_base(location), self._shape(shape, location))


@dataclass(frozen=True, kw_only=True)
class _Events(_Counts):
    """What happens or does not: the base is a probability."""

    def _odds(self, location: Tensor) -> Tensor:
        return location if self.base is None else location + location.new_tensor(self.base).logit()

    def _off_the_ends(self, total: FloatArray, units: FloatArray) -> FloatArray:
        return np.asarray((total + 0.5) / (units + 1.0))


@dataclass(frozen=True, kw_only=True)
class Bernoulli(_Events):
    """``y ~ Bernoulli(p)``, ``logit p = logit base + location``: whether something happened.

    Args:
        base: probability at a location of zero, see :class:`Poisson`.

    Example:
        >>> import torch
        >>> Bernoulli(base=0.25)(torch.tensor(0.0)).mean
        tensor(0.2500)
    """

    support: ClassVar[constraints.Constraint] = constraints.boolean
    takes: ClassVar[str] = "0 and 1"
    formula: ClassVar[tuple[str, str] | None] = (
        r"f(1; \mu) = p, \quad \log \frac{p}{1 - p} = \log \frac{b}{1 - b} + \mu",
        "Events that happen with probability p.",
    )

    def __call__(self, location: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return BernoulliDensity(self._odds(location))


@dataclass(frozen=True, kw_only=True)
class Binomial(_Events):
    """``y ~ Binomial(trials, p)``, ``logit p = logit base + location``: how many of them happened.

    Args:
        trials: column of x, by name or index, with the number of trials of each row; pathways and
            gate do not see it.
        base: probability at a location of zero; ``None`` takes that of the training targets.

    Raises:
        OptionError: when a model is built, no column was said.

    Example:
        >>> import torch
        >>> Binomial(trials=1, base=0.25)(torch.tensor(0.0), torch.tensor(8.0)).mean
        tensor(2.)
    """

    takes: ClassVar[str] = "whole numbers from 0 to the number of trials"
    size_name: ClassVar[str | None] = "trials"
    formula: ClassVar[tuple[str, str] | None] = (
        r"f(y; \mu) = \binom{m}{y} p^y (1 - p)^{m - y}, \quad "
        r"\log \frac{p}{1 - p} = \log \frac{b}{1 - b} + \mu",
        "How many of m trials happen, each with probability p.",
    )
    trials: int | str | None = None

    def resolved(self, num_features: int, names: Sequence[str]) -> Self:
        """See :meth:`Likelihood.resolved`; there has to be a column of trials."""
        if self.trials is None:
            raise OptionError(
                "trials: expected the column with the number of trials, as in "
                "Binomial(trials='shots'), or on the command line --trials shots"
            )
        return super().resolved(num_features, names)

    def sized(self, numbers: tuple[Tensor, ...], size: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Likelihood.sized`: the trials are a number of the density, a whole one."""
        return (*numbers, size.round().expand_as(numbers[0]))

    def require_sizes(self, size: FloatArray, y: FloatArray | None = None) -> None:
        """See :meth:`Likelihood.require_sizes`; without targets a fraction of a trial may be."""
        super().require_sizes(size)
        if y is None:
            return
        wrong = size != np.floor(size)
        if wrong.any():
            raise DataError(f"trials: expected whole numbers from 1 on; got {size[wrong][0]:g}")
        most = np.nanmax(y.reshape(len(y), -1), axis=1, initial=0.0)
        if (most > size).any():
            row = int(np.argmax(most > size))
            raise DataError(
                f"y: expected at most as many as there are trials; got {most[row]:g} of "
                f"{size[row]:g} in row {row + 1}"
            )

    def __call__(self, location: Tensor, trials: Tensor) -> dist.TorchDistribution:
        """See :meth:`Likelihood.__call__`."""
        return BinomialDensity(self._odds(location), trials)
