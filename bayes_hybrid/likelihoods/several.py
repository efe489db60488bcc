"""The likelihoods of K regimes, and what they say of the model's targets and rows together."""

import numpy as np
import torch
from torch.distributions import constraints

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.likelihoods.base import Likelihood
from bayes_hybrid.likelihoods.censored import Censorable


class Likelihoods(tuple[Likelihood, ...]):
    """One likelihood for each of K regimes, which share a target."""

    __slots__ = ()

    @property
    def has_noise(self) -> bool:
        """Whether regimes have noise scales of their own; the spread of counts is their mean's."""
        return any(each.has_scale for each in self)

    @property
    def has_relative_noise(self) -> bool:
        """Whether noise scales are numbers of their own, such as coefficients of variation.

        The standard deviation in units of y then says how large y is, and nothing of the noise.
        """
        return self.has_noise and not self.standardises

    @property
    def standardises(self) -> bool:
        """Whether targets are standardised before the model sees them."""
        return all(each.standardises for each in self)

    @property
    def size_column(self) -> int | None:
        """The column of x with the rows' sizes, which gate and experts do not see, if there is one.

        It is not standardised.
        """
        column = self[0].size_column
        return column if isinstance(column, int) else None

    @property
    def censored_column(self) -> int | None:
        """The column of x that says which rows are censored, if one does."""
        return self.size_column if isinstance(self[0], Censorable) else None

    def num_inputs(self, num_features: int) -> int:
        """Columns of x that gate and experts see, of D features."""
        return num_features - (self.size_column is not None)

    def require_one_target(self, num_features: int) -> None:
        """Refuse likelihoods that cannot share a target, or the rows' sizes.

        Args:
            num_features: D.

        Raises:
            OptionError: they differ in the targets that they take; or the column of sizes is not in
                x, or is its only one.
        """
        likelihood = self[0].resolved(num_features, ())
        if self.num_inputs(num_features) < 1:
            raise OptionError(
                f"{likelihood.size_name}: expected a feature beside the sizes of the rows, which "
                "gate and experts do not see; x has one column"
            )
        if len({(each.standardises, each.takes, each.size_column) for each in self}) > 1:
            raise OptionError(
                "experts: the regimes share a target, and these likelihoods are not of one: "
                + ", ".join(f"{type(one).__name__} ({one.takes})" for one in self)
            )

    def sizes(self, x: FloatArray, y: FloatArray | None = None) -> FloatArray | None:
        """The rows' sizes ``[N]``, if there are any.

        Args:
            x: features ``[N, D]`` in the units of the data.
            y: targets, where they are known.

        Raises:
            DataError: sizes that rows cannot have.
        """
        if self.size_column is None:
            return None
        size = x[:, self.size_column]
        self[0].require_sizes(size, y)
        return size

    def require_supported(self, y: FloatArray) -> None:
        """Refuse targets that one of the likelihoods is not of; NaN is a missing one.

        Raises:
            DataError: the first of them.
        """
        for likelihood in dict.fromkeys(self):
            if likelihood.support is constraints.real:
                continue
            wrong = ~likelihood.support.check(torch.as_tensor(y)).numpy() & ~np.isnan(y)
            if wrong.any():
                raise DataError(
                    f"y: {type(likelihood).__name__} is a likelihood of {likelihood.takes}; got "
                    f"{y[wrong][0]:g}. Take another likelihood, or other rows"
                )
