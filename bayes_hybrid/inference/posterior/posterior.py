"""The posterior as an object: draws, and what they predict, in the units of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior.by_draw import ByDraw
from bayes_hybrid.inference.posterior.chunks import Chunks, as_numpy
from bayes_hybrid.inference.posterior.predictive import Predictive
from bayes_hybrid.inference.posterior.thresholds import Thresholds, in_units
from bayes_hybrid.inference.readings import reading_names
from bayes_hybrid.models.base import HybridModel, SiteRole


@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """Draws of R restarts, S of each, which count by the restart's weight.

    :attr:`predictive` averages over them, :attr:`by_draw` does not.  Everything is in the units of
    ``x`` and ``y`` as they came, except :attr:`sites`, which are the model's own (standardised).
    Work is chunked over rows: memory does not grow with N S.

    With Q > 1 outputs ``y`` is ``[N, Q]``, NaN where a value is missing.  Mean, variance, cdf,
    quantiles and draws then have an axis Q behind that of the rows and are those of each output by
    itself; densities and regime probabilities are the row's, of all outputs that are there.

    Args:
        model: the hybrid model.
        theta: unconstrained draws ``[R, S, P]``.
        x_scaling: standardisation of the D features.
        y_scaling: standardisation of the target, or of the Q outputs.
        weights: of each restart ``[R]``, which add up to one; equal ones where nothing is said.
        order: of each restart the expert that serves each regime, ``[R, K]``; ``None`` where
            regimes are experts.
    """

    model: HybridModel
    theta: Tensor
    x_scaling: Standardizer
    y_scaling: Standardizer
    weights: FloatArray | None = None
    order: NDArray[np.int64] | None = None

    @cached_property
    def restart_weights(self) -> FloatArray:
        """Of each restart ``[R]``, which add up to one."""
        equal = np.full(self.num_restarts, 1.0 / self.num_restarts)
        return equal if self.weights is None else self.weights

    @property
    def num_restarts(self) -> int:
        """R."""
        return self.theta.shape[0]

    @property
    def num_draws(self) -> int:
        """S, draws per restart."""
        return self.theta.shape[1]

    @property
    def num_regimes(self) -> int:
        """K."""
        return self.model.num_regimes

    @property
    def regime_names(self) -> tuple[str, ...]:
        """A name for each regime: the model's, or letters where experts differ between restarts."""
        return self.model.regime_names if self.order is None else reading_names(self.model)

    @property
    def expert_names(self) -> tuple[str, ...]:
        """A name for each of the model's experts."""
        return self.model.regime_names

    @property
    def service(self) -> FloatArray:
        """Share of the posterior in which expert j serves regime k, ``[K, K]`` as ``[k, j]``."""
        every = np.arange(self.num_regimes)
        order = np.tile(every, (self.num_restarts, 1)) if self.order is None else self.order
        serves = (order[..., None] == every).astype(np.float64)
        return np.asarray(np.tensordot(self.restart_weights, serves, 1))

    @property
    def scale_floor(self) -> FloatArray | None:
        """The smallest noise scale an expert can have, in y's units, ``[]``, or ``[Q, 1]``.

        Of relative noise it is in none.  ``None`` where likelihoods have no scale.
        """
        if not self.model.likelihoods.has_noise:
            return None
        return np.asarray(self.model.priors.noise_floor * self._chunks.scale)

    @cached_property
    def table(self) -> SiteTable:
        """Where each site lives in ``theta``."""
        return SiteTable.of(self.model, self.theta.new_zeros(1, self.model.num_features))

    @cached_property
    def sites(self) -> Mapping[str, FloatArray]:
        """Constrained draws of every latent site, ``[R, S, *shape]``."""
        values = self.table.constrain(self.theta)
        return {name: as_numpy(value) for name, value in values.items()}

    @cached_property
    def widths_over_floor(self) -> FloatArray | None:
        """Smoothing widths of the Gaussian units over the smallest allowed, ``[R, S, U]``.

        ``None`` where there are none.
        """
        widths = [self.sites[site.name] for site in self.table.having(SiteRole.WIDTH)]
        if not widths:
            return None
        return 1.0 + np.concatenate(widths, axis=-1) / self.model.priors.width_floor

    @cached_property
    def thresholds(self) -> Thresholds | None:
        """Where the regimes change; ``None`` where the gate has no parameter for it."""
        found = self.model.boundaries(self.table.constrain(self.theta.double()))
        return None if found is None else in_units(found, self.x_scaling)

    @cached_property
    def predictive(self) -> Predictive:
        """What is predicted over all draws and regimes."""
        return Predictive(self._chunks)

    @cached_property
    def by_draw(self) -> ByDraw:
        """What each draw predicts."""
        return ByDraw(self._chunks)

    @cached_property
    def _chunks(self) -> Chunks:
        return Chunks(
            model=self.model,
            table=self.table,
            theta=self.theta,
            x_scaling=self.x_scaling,
            y_scaling=self.y_scaling,
            weights=self.restart_weights,
            order=self.order,
        )

    def with_draws(self, theta: Tensor) -> "Posterior":
        """The same with other draws ``[R, S, P]``."""
        return self._with(theta=theta)

    def select(self, restarts: NDArray[np.int64]) -> "Posterior":
        """The posterior of these restarts, by their numbers; weights keep their proportions."""
        weights = self.restart_weights[restarts]
        return self._with(
            theta=self.theta[torch.as_tensor(restarts, device=self.theta.device)],
            weights=weights / weights.sum(),
            order=None if self.order is None else self.order[restarts],
        )

    def in_order(self, order: NDArray[np.int64]) -> "Posterior":
        """The same with regimes served by these experts, ``[R, K]``, if they are letters then."""
        fixed = reading_names(self.model) == self.model.regime_names
        return self if fixed else self._with(order=order)

    def _with(self, **changes: Any) -> "Posterior":  # noqa: ANN401 (any field)
        other = replace(self, **changes)
        vars(other)["table"] = self.table
        return other
