"""Gate and experts of all draws, a chunk of rows at a time, and units of the data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.data import Standardizer
from bayes_hybrid.distributions import RegimeMixture
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior.evaluation import Evaluation
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.models.base import HybridModel, SiteRole
from bayes_hybrid.models.sampled import Regimes
from bayes_hybrid.random import spawn_seeds

__all__ = ["Chunks", "as_numpy", "filled", "places_of"]

# Numbers that are kept at once: one for each draw, row and regime.
_CHUNK_ENTRIES = 250_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Chunks:
    """R restarts of S draws on rows, as many of these at a time as memory holds.

    Args:
        model: the hybrid model.
        table: where its sites live in ``theta``.
        theta: unconstrained draws ``[R, S, P]``.
        x_scaling: standardisation of the D features.
        y_scaling: standardisation of the target, or of the Q outputs.
        weights: of each restart ``[R]``, which add up to one.
        order: of each restart the expert that serves each regime, ``[R, K]``; ``None`` where
            regimes are experts.
    """

    model: HybridModel
    table: SiteTable
    theta: Tensor
    x_scaling: Standardizer
    y_scaling: Standardizer
    weights: FloatArray
    order: NDArray[np.int64] | None

    @cached_property
    def draw_weights(self) -> Tensor:
        """Of each draw ``[R S]``."""
        each = draw_weights(self.weights, self.theta.shape[1])
        return torch.as_tensor(each, device=self.theta.device)

    @cached_property
    def flat(self) -> Tensor:
        """All draws ``[R S, P]``; float32 as drawn, but no prediction depends on its neighbours."""
        return self.theta.double().reshape(-1, self.theta.shape[-1])

    def evaluation(self, draws: Tensor | None = None) -> Evaluation:
        """Gate and experts as a function of rows, of all draws or of those with these numbers."""
        flat, experts = self.flat, None
        if self.order is not None:
            each = np.repeat(self.order, self.theta.shape[1], axis=0)
            experts = torch.as_tensor(each, device=flat.device)
        if draws is not None:
            flat, experts = flat[draws], None if experts is None else experts[draws]
        return Evaluation(self.model, self.table, flat, experts)

    def inputs(self, x: ArrayLike, size: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """A chunk of rows, and their standardised features."""
        values = np.asarray(x, dtype=np.float64)
        self.model.likelihoods.sizes(values)
        num_draws = self.theta.shape[0] * self.theta.shape[1]
        entries = num_draws * self.model.num_regimes * self.model.num_outputs
        size = size or max(1, _CHUNK_ENTRIES // entries)
        for start in range(0, len(values), size):
            rows = slice(start, min(start + size, len(values)))
            scaled = self.x_scaling.transform(values[rows])
            yield rows, torch.as_tensor(scaled, device=self.theta.device)

    def regimes(self, x: ArrayLike, draws: Tensor | None = None) -> Iterator[tuple[slice, Regimes]]:
        """Gate and experts of every draw, ``[S', rows, K]``."""
        evaluate = self.evaluation(draws)
        for rows, inputs in self.inputs(x):
            yield rows, evaluate(inputs)

    def predictive(
        self, x: ArrayLike, draws: Tensor | None = None
    ) -> Iterator[tuple[slice, RegimeMixture]]:
        """The distribution of y under every draw, batch shape ``[S', rows]``."""
        for rows, regimes in self.regimes(x, draws):
            yield rows, self.model.predictive(regimes)

    def log_weights(self, x: ArrayLike) -> Iterator[tuple[slice, Tensor]]:
        """``log p(z = k | x)`` of every draw."""
        evaluate = self.evaluation()
        return ((rows, evaluate.log_weights(inputs)) for rows, inputs in self.inputs(x))

    def terms(
        self, x: ArrayLike, y: ArrayLike, labels: FloatArray | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """What a sum over regimes is of: ``log p(z = k | x)`` and ``log p(observed | z = k)``.

        Of every draw; observed are targets, and labels where they come.
        """
        target, given = self.target(y), None if labels is None else self._label_terms(labels)
        for rows, regimes in self.regimes(x):
            likelihoods = self.model.predictive(regimes).log_likelihoods(target[rows])
            if given is not None:
                likelihoods = likelihoods + given[:, rows]
            yield rows, regimes.log_weights, likelihoods

    def target(self, y: ArrayLike) -> Tensor:
        """Targets, standardised."""
        values = np.asarray(y, dtype=np.float64)
        self.model.likelihoods.require_supported(values)
        scaled = self.y_scaling.transform(values)
        return torch.as_tensor(scaled, device=self.theta.device)

    def over_draws(self, value: Tensor) -> Tensor:
        """The mean of ``[R S, ...]``."""
        total: Tensor = torch.tensordot(self.draw_weights, value, 1)
        return total

    def by_restart(self, value: Tensor) -> FloatArray:
        """``[R S, ...]`` as ``[R, S, ...]``."""
        return as_numpy(value.reshape(*self.theta.shape[:2], *value.shape[1:]))

    def in_order(self, draws: FloatArray) -> FloatArray:
        """Of experts ``[R, ..., K]``, in the order of the regimes."""
        if self.order is None:
            return draws
        index = self.order.reshape(len(draws), *[1] * (draws.ndim - 2), self.model.num_regimes)
        return np.take_along_axis(draws, index, axis=-1)

    def in_units(self, value: FloatArray) -> FloatArray:
        """Standardised targets ``[..., N]``, or ``[..., N, Q]``, in y's units."""
        return value * self.y_scaling.scale + self.y_scaling.mean

    @property
    def scale(self) -> FloatArray:
        """Units of y in one of the standardised target, with an axis for what is beside outputs."""
        return _beside(self.y_scaling.scale)

    @property
    def shift(self) -> FloatArray:
        """The same of the mean."""
        return _beside(self.y_scaling.mean)

    def log_volume(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Log of the volume that a unit of standardised y has, ``[]``, or ``[N]`` by what is there.

        A density in y's units is one of standardised y over it; a censored row has a probability.
        """
        scale, column = np.log(self.y_scaling.scale), self.model.likelihoods.censored_column
        if column is not None:
            scale = scale * (np.asarray(x, dtype=np.float64)[:, column] == 0.0)
        if not self.y_scaling.scale.ndim:
            return scale
        return np.asarray((~np.isnan(np.asarray(y, dtype=np.float64)) * scale).sum(axis=-1))

    def _label_terms(self, labels: FloatArray) -> Tensor:
        """What each row's label says of its regime, ``[R S, N, K]``."""
        head, size = self.model.label_head, self.model.num_regimes
        if head is None:
            raise ValueError("labels came, but the model has no label head")
        log_confusion = head.noise_free(size, self.flat).expand(1, size, size)
        for site in self.table.having(SiteRole.CONFUSION):
            log_confusion = self.table.constrain(self.flat)[site.name].log()
        return head.terms(torch.as_tensor(labels, device=self.theta.device), log_confusion)


def _beside(value: FloatArray) -> FloatArray:
    return value[..., None] if value.ndim else value


def places_of(target: Tensor) -> Tensor:
    """A number between 0 and 1 for each target, that depends on nothing but its row."""
    # A stream of its own: users' rows come from ``default_rng(0)``, too.
    rng = np.random.default_rng(spawn_seeds(0, 1))
    numbers = rng.random(tuple(target.shape))
    return torch.as_tensor(numbers, device=target.device)


def filled(num_rows: int, parts: Iterable[tuple[slice, FloatArray]]) -> FloatArray:
    """One array of the results of all rows; joining them at the end would take them twice."""
    result = None
    for rows, values in parts:
        if result is None:
            result = np.empty((num_rows, *values.shape[1:]))
        result[rows] = values
    if result is None:
        raise ValueError("expected at least one row")
    return result


def as_numpy(value: Tensor) -> FloatArray:
    """In float64, on the CPU."""
    array: FloatArray = value.detach().cpu().double().numpy()
    return array
