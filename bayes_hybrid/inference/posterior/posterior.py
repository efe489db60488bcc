"""The posterior as an object: draws, and what they predict, in the units of the data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.data import Standardizer
from bayes_hybrid.distributions import RegimeMixture, pooled_quantiles
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior.evaluation import Evaluation
from bayes_hybrid.inference.posterior.over_draws import draw_weights, weighted_quantiles
from bayes_hybrid.inference.posterior.silencing import silenced
from bayes_hybrid.inference.posterior.slopes import regime_slopes
from bayes_hybrid.inference.posterior.thresholds import Thresholds, in_units
from bayes_hybrid.likelihoods.base import require_supported
from bayes_hybrid.models.base import HybridModel, Regimes, SiteRole
from bayes_hybrid.random import seeded, spawn_seeds, torch_generator

# Numbers that are kept at once: one for each draw, row and regime, and in the search for quantiles
# one for each of those and each level.
_CHUNK_ENTRIES = 250_000
_QUANTILE_ENTRIES = 1_000_000
# Rows at once, where nothing of a draw is kept.
_CHUNK_ROWS = 10_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """Draws of R restarts, S of each, which count by the restart's weight.

    Everything is in the units of ``x`` and ``y`` as they came, except :attr:`sites`, which are the
    model's own (standardised).  Work is chunked over rows: memory does not grow with N S.

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

    @cached_property
    def _draw_weights(self) -> Tensor:
        """Of each draw ``[R S]``."""
        each = draw_weights(self.restart_weights, self.num_draws)
        return torch.as_tensor(each, device=self.theta.device)

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
        return self.model.regime_names if self.order is None else self.model.reading_names

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
    def has_noise(self) -> bool:
        """See :attr:`.HybridModel.has_noise`."""
        return self.model.has_noise

    @property
    def has_relative_noise(self) -> bool:
        """See :attr:`.HybridModel.has_relative_noise`."""
        return self.model.has_relative_noise

    @property
    def scale_floor(self) -> FloatArray | None:
        """The smallest noise scale an expert can have, in y's units, ``[]``, or ``[Q, 1]``.

        Of relative noise it is in none.  ``None`` where likelihoods have no scale.
        """
        if not self.has_noise:
            return None
        return np.asarray(self.model.noise_floor * self._per_expert(self.y_scaling.scale))

    @cached_property
    def table(self) -> SiteTable:
        """Where each site lives in ``theta``."""
        return SiteTable.of(self.model, self.theta.new_zeros(1, self.model.num_features))

    @cached_property
    def sites(self) -> Mapping[str, FloatArray]:
        """Constrained draws of every latent site, ``[R, S, *shape]``."""
        values = self.table.constrain(self.theta)
        return {name: _numpy(value) for name, value in values.items()}

    @cached_property
    def widths_over_floor(self) -> FloatArray | None:
        """Smoothing widths of the Gaussian units over the smallest allowed, ``[R, S, U]``.

        ``None`` where there are none.
        """
        floor = self.model.width_floor
        widths = [self.sites[site.name] for site in self.table.having(SiteRole.WIDTH)]
        if floor is None or not widths:
            return None
        return 1.0 + np.concatenate(widths, axis=-1) / floor

    @cached_property
    def thresholds(self) -> Thresholds | None:
        """Where the regimes change; ``None`` where the gate has no parameter for it."""
        found = self.model.boundaries(self.table.constrain(self.theta.double()))
        return None if found is None else in_units(found, self.x_scaling)

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
        fixed = self.model.reading_names == self.model.regime_names
        return self if fixed else self._with(order=order)

    def _with(self, **changes: Any) -> "Posterior":  # noqa: ANN401 (any field)
        other = replace(self, **changes)
        vars(other)["table"] = self.table
        return other

    # -- per draw

    def log_likelihood(
        self, x: ArrayLike, y: ArrayLike, labels: FloatArray | None = None
    ) -> FloatArray:
        """``log p(y_n | x_n, theta)`` with z summed out, ``[R, S, N]``.

        Given the numbers of regime labels ``[N]``, NaN where there is none, of y and the label.
        """
        parts = [self.model.assignment.evidence(*terms) for _, *terms in self._terms(x, y, labels)]
        return self._by_restart(torch.cat(parts, dim=-1)) - self._log_volume(y)

    def pit_draws(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """:meth:`pit` under each draw, ``[R, S, N]``, or ``[R, S, N, Q]``."""
        target = self._target(y)
        places = _places(target)
        parts = [
            self._predictive(regimes).pit(target[rows], places[rows])
            for rows, regimes in self._chunks(x)
        ]
        return self._by_restart(torch.cat(parts, dim=1))

    def regime_probability_draws(
        self, x: ArrayLike, y: ArrayLike | None = None, labels: FloatArray | None = None
    ) -> FloatArray:
        """``p(z = k | x, theta)``, or ``p(z = k | x, y, theta)`` given y, ``[R, S, N, K]``.

        With y may come the numbers of regime labels ``[N]``, NaN where there is none: it is then
        given those, too.
        """
        if y is None:
            parts = [weights.exp() for _, weights in self._gate(x)]
        else:
            parts = [
                self.model.assignment.log_responsibilities(*terms).exp()
                for _, *terms in self._terms(x, y, labels)
            ]
        return self._by_restart(torch.cat(parts, dim=1))

    def expert_mean_draws(self, x: ArrayLike) -> FloatArray:
        """Mean of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""
        return self.gate_and_mean_draws(x)[1]

    def expert_scale_draws(self, x: ArrayLike) -> FloatArray:
        """Standard deviation of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""
        parts = [
            torch.stack([p.variance.sqrt() for p in self._predictive(regimes).components], dim=-1)
            for _, regimes in self._chunks(x)
        ]
        return self._by_restart(torch.cat(parts, dim=1)) * self._per_expert(self.y_scaling.scale)

    def expert_noise_draws(self, x: ArrayLike) -> FloatArray:
        """Relative noise of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``.

        It is the scale that the likelihood takes, such as the coefficient of variation.
        """
        parts = [
            torch.stack([expert.scale for expert in regimes.experts], dim=-1)
            for _, regimes in self._chunks(x)
        ]
        return self._by_restart(torch.cat(parts, dim=1))

    def gate_and_mean_draws(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """``p(z = k | x, theta)`` and the experts' means in one pass, each as by itself."""
        gate, means = [], []
        for _, regimes in self._chunks(x):
            gate.append(regimes.log_weights.exp())
            parts = self._predictive(regimes).components
            means.append(torch.stack([part.mean for part in parts], dim=-1))
        mean_draws = self._by_restart(torch.cat(means, dim=1))
        scale, mean = self._per_expert(self.y_scaling.scale), self._per_expert(self.y_scaling.mean)
        return self._by_restart(torch.cat(gate, dim=1)), mean_draws * scale + mean

    def slope_draws(self, x: ArrayLike, feature: int) -> tuple[FloatArray, FloatArray]:
        """Slopes of gate and expert means along a feature, :func:`.slopes.regime_slopes`.

        Args:
            x: features ``[N, D]``.
            feature: its position.

        Returns:
            ``d p(z = k | x, theta) / d x_j``, ``[R, S, N, K]``, per unit of the feature, and the
            slope of each expert's mean, ``[R, S, N, K]`` or ``[R, S, N, Q, K]``, in y's units.
        """
        slopes = (
            regime_slopes(self.model, self.table, self._flat(), inputs, feature)
            for _, inputs in self._inputs(x)
        )
        gate, experts = (
            self._in_order(self._by_restart(torch.cat(part, dim=1)))
            for part in zip(*slopes, strict=True)
        )
        # [N, 1] beside the axis of experts, and an axis for outputs where there are several.
        unit = self.x_scaling.step(np.asarray(x, dtype=np.float64)[:, feature], feature)[:, None]
        scale = self._per_expert(self.y_scaling.scale)
        return gate / unit, experts * scale / (unit[..., None] if scale.ndim > 1 else unit)

    def unit_mean_draws(self, x: ArrayLike) -> Mapping[tuple[str, str], FloatArray]:
        """What one kind of unit adds to an expert's mean, ``[R, S, N]``, or ``[R, S, N, Q]``.

        By expert and ``"gaussian"`` or ``"relu"``, of experts whose layers mix both linearly
        (``"linear_mix"``): the mean less that with the mixing weights of these units at zero, in
        every layer.
        """
        found, experts = {}, self._with(order=None)
        for k, expert in enumerate(self.model.regime_names):
            for kind, theta in silenced(self.table, self.theta, expert).items():
                means = (
                    each.expert_mean_draws(x)[..., k]
                    for each in (experts, experts.with_draws(theta))
                )
                found[expert, kind] = next(means) - next(means)
        return found

    def sample_per_draw(self, x: ArrayLike, seed: int) -> FloatArray:
        """One predictive draw of y for each posterior draw and row, ``[R, S, N]``."""
        parts = []
        with seeded(seed, self.theta.device):
            for _, regimes in self._chunks(x):
                parts.append(self._predictive(regimes).sample())
        return self._y_units(self._by_restart(torch.cat(parts, dim=1)))

    # -- averaged over draws

    def mean(self, x: ArrayLike) -> FloatArray:
        """Posterior predictive mean, ``[N]``."""
        evaluate, weights = self._evaluation(), self._draw_weights
        parts = (
            (rows, _numpy(evaluate.mean_over_draws(inputs, weights, self._mean_of)))
            for rows, inputs in self._inputs(x, _CHUNK_ROWS)
        )
        return self._y_units(_filled(len(np.asarray(x)), parts))

    def variance(self, x: ArrayLike) -> FloatArray:
        """Posterior predictive variance: within draws plus between draws, ``[N]``."""

        def of(regimes: Regimes, _: slice) -> FloatArray:
            predictive = self._predictive(regimes)
            about = self._over_draws(predictive.square_about(self._over_draws(predictive.mean)))
            return _numpy(about) * self.y_scaling.scale**2

        return self._each(x, of)

    def log_density(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """``log mean_s p(y_n | x_n, theta_s)``, in 1 / y's units, ``[N]``."""
        target = np.asarray(y, dtype=np.float64)

        def of(regimes: Regimes, rows: slice) -> FloatArray:
            terms = self._predictive(regimes).log_prob(self._target(target[rows]))
            pooled = torch.logsumexp(terms + self._draw_weights.log().unsqueeze(-1), dim=0)
            return _numpy(pooled) - self._log_volume(target[rows])

        return self._each(x, of)

    def pit(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Posterior predictive probability of a value up to y, ``[N]``.

        Of whole numbers, which have ties, it is a place between that of less than y and that of y,
        the same at every call (:meth:`.RegimeMixture.pit`).
        """
        target = self._target(y)
        places = _places(target)

        def of(regimes: Regimes, rows: slice) -> FloatArray:
            below = self._predictive(regimes).pit(target[rows], places[rows])
            return _numpy(self._over_draws(below))

        return self._each(x, of)

    def quantile(self, x: ArrayLike, probs: ArrayLike) -> FloatArray:
        """Exact quantiles of the posterior predictive mixture over draws and regimes, ``[N, L]``.

        With several outputs it is ``[N, Q, L]``.

        Raises:
            OptionError: a probability is not between 1e-12 and 1 - 1e-12.
        """
        levels = checks.probabilities(probs)
        return self._each(x, lambda regimes, _: self._quantile(regimes, levels))

    def mean_and_quantile(self, x: ArrayLike, probs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """:meth:`mean` and :meth:`quantile` in one pass, each as by itself.

        Raises:
            OptionError: a probability is not between 1e-12 and 1 - 1e-12.
        """
        levels = checks.probabilities(probs)

        def of(regimes: Regimes, _: slice) -> FloatArray:
            mean = self._mean(self._predictive(regimes))
            return np.concatenate([mean[..., None], self._quantile(regimes, levels)], axis=-1)

        both = self._each(x, of)
        return both[..., 0], both[..., 1:]

    def regime_probability(self, x: ArrayLike, y: ArrayLike | None = None) -> FloatArray:
        """``p(z | x)`` averaged over draws, or ``p(z | x, y)``, ``[N, K]``.

        Given y, draws count in proportion to how well they explain it::

            p(z = k | x, y) = sum_s pi_sk(x) p_sk(y | x) / sum_s sum_j pi_sj(x) p_sj(y | x)
        """
        if y is None:
            evaluate = self._evaluation()
            parts = (
                (rows, _numpy(evaluate.regime_probabilities(inputs, self._draw_weights)))
                for rows, inputs in self._inputs(x, _CHUNK_ROWS)
            )
        else:
            parts = ((rows, self._responsibilities(*terms)) for rows, *terms in self._terms(x, y))
        return _filled(len(np.asarray(x)), parts)

    def regime_summary(self, x: ArrayLike, levels: ArrayLike) -> FloatArray:
        """``p(z | x)`` averaged over draws, then its quantiles over draws, ``[N, 1 + L, K]``."""
        wanted, shares = np.asarray(levels, dtype=np.float64), _numpy(self._draw_weights)

        def of(draws: FloatArray) -> FloatArray:
            quantiles = weighted_quantiles(draws, wanted, shares)
            # A sum of shares may round to more than one.
            return np.stack([np.tensordot(shares, draws, 1).clip(0.0, 1.0), *quantiles], axis=1)

        parts = ((rows, of(_numpy(part.exp()))) for rows, part in self._gate(x))
        return _filled(len(np.asarray(x)), parts)

    def sample(self, x: ArrayLike, num_draws: int, seed: int) -> FloatArray:
        """``num_draws`` posterior predictive draws per row, ``[num_draws, N]``.

        Posterior draws are used in a random order, each as often as its weight demands within one.
        """
        checks.positive_int("num_draws", num_draws)
        total = self.num_restarts * self.num_draws
        generator = torch_generator(seed, self.theta.device)
        rounds = []
        with seeded(seed, self.theta.device):
            # One round after another, so that memory does not grow with num_draws x P.
            for first in range(0, num_draws, total):
                count = min(total, num_draws - first)
                chunks = self._chunks(x, self._random_draws(count, generator))
                parts = [self._predictive(regimes).sample() for _, regimes in chunks]
                rounds.append(torch.cat(parts, dim=1))
        return self._y_units(_numpy(torch.cat(rounds)))

    # -- helpers

    def _predictive(self, regimes: Regimes) -> RegimeMixture:
        return self.model.predictive(regimes)

    def _random_draws(self, count: int, generator: torch.Generator) -> Tensor:
        """Numbers of ``count`` draws in random order, by systematic resampling.

        Source: Carpenter, Clifford and Fearnhead (1999), Improved particle filter for nonlinear
        problems.
        """
        device = self.theta.device
        order = torch.randperm(len(self._draw_weights), generator=generator, device=device)
        ends = self._draw_weights[order].cumsum(0)
        offset = torch.rand(1, generator=generator, device=device, dtype=ends.dtype)
        places = (torch.arange(count, device=device) + offset) / count
        chosen: Tensor = order[torch.searchsorted(ends, places).clamp_max(len(ends) - 1)]
        shuffled: Tensor = chosen[torch.randperm(count, generator=generator, device=device)]
        return shuffled

    def _over_draws(self, value: Tensor) -> Tensor:
        """The mean of ``[R S, ...]``."""
        total: Tensor = torch.tensordot(self._draw_weights, value, 1)
        return total

    def _predictive_of(self, regimes: Regimes, draws: slice, rows: slice | Tensor) -> RegimeMixture:
        return self._predictive(regimes.map(itemgetter((draws, rows))))

    def _mean_of(self, regimes: Regimes) -> Tensor:
        return self._predictive(regimes).mean

    def _mean(self, predictive: RegimeMixture) -> FloatArray:
        return self._y_units(_numpy(self._over_draws(predictive.mean)))

    def _quantile(self, regimes: Regimes, levels: FloatArray) -> FloatArray:
        """``[N, L]`` or ``[N, Q, L]``, as many rows at a time as a cache holds."""
        probs = torch.as_tensor(levels, device=self.theta.device)
        num_draws, num_rows, num_regimes = regimes.log_weights.shape
        entries = num_draws * num_regimes * self.model.num_outputs * len(levels)
        size = max(1, _QUANTILE_ENTRIES // entries)
        tiles = []
        for start in range(0, num_rows, size):
            tile = regimes.map(itemgetter((slice(None), slice(start, start + size))))
            pooled = pooled_quantiles(partial(self._predictive_of, tile), probs, self._draw_weights)
            tiles.append(pooled)
        standard = np.moveaxis(_numpy(torch.cat(tiles, dim=1)), 0, -1)
        return standard * self._per_expert(self.y_scaling.scale) + self._per_expert(
            self.y_scaling.mean
        )

    def _responsibilities(self, log_weights: Tensor, log_likelihoods: Tensor) -> FloatArray:
        """Of a chunk of rows, each draw by how well it explains the row, ``[N, K]``."""
        terms, assignment = (log_weights, log_likelihoods), self.model.assignment
        log_shares = assignment.evidence(*terms) + self._draw_weights.log().unsqueeze(-1)
        shares = torch.softmax(log_shares, dim=0).unsqueeze(-1)
        found = (shares * assignment.log_responsibilities(*terms).exp()).sum(0)
        return _numpy(found / found.sum(-1, keepdim=True))

    def _label_terms(self, labels: FloatArray) -> Tensor:
        """What each row's label says of its regime, ``[R S, N, K]``."""
        head, size = self.model.label_head, self.num_regimes
        if head is None:
            raise ValueError("labels came, but the model has no label head")
        log_confusion = head.noise_free(size, self.theta.double()).expand(1, size, size)
        for site in self.table.having(SiteRole.CONFUSION):
            log_confusion = self.table.constrain(self._flat())[site.name].log()
        return head.terms(torch.as_tensor(labels, device=self.theta.device), log_confusion)

    def _in_order(self, draws: FloatArray) -> FloatArray:
        """Of experts ``[R, ..., K]``, in the order of the regimes."""
        if self.order is None:
            return draws
        index = self.order.reshape(len(draws), *[1] * (draws.ndim - 2), self.num_regimes)
        return np.take_along_axis(draws, index, axis=-1)

    def _each(self, x: ArrayLike, of: Callable[[Regimes, slice], FloatArray]) -> FloatArray:
        """``of`` each chunk of rows, whose result has the rows first, put together."""
        parts = ((rows, of(regimes, rows)) for rows, regimes in self._chunks(x))
        return _filled(len(np.asarray(x)), parts)

    def _gate(self, x: ArrayLike) -> Iterator[tuple[slice, Tensor]]:
        """``log p(z = k | x)`` of every draw, a chunk of rows at a time."""
        evaluate = self._evaluation()
        return ((rows, evaluate.log_weights(inputs)) for rows, inputs in self._inputs(x))

    def _terms(
        self, x: ArrayLike, y: ArrayLike, labels: FloatArray | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """What a sum over regimes is of: ``log p(z = k | x)`` and ``log p(observed | z = k)``.

        Of every draw, a chunk of rows at a time; observed are targets, and labels where they come.
        """
        target, given = self._target(y), None if labels is None else self._label_terms(labels)
        for rows, regimes in self._chunks(x):
            likelihoods = self._predictive(regimes).log_likelihoods(target[rows])
            if given is not None:
                likelihoods = likelihoods + given[:, rows]
            yield rows, regimes.log_weights, likelihoods

    def _chunks(self, x: ArrayLike, order: Tensor | None = None) -> Iterator[tuple[slice, Regimes]]:
        """Gate and experts of every draw, ``[S', rows, K]``, a chunk of rows at a time."""
        evaluate = self._evaluation(order)
        for rows, inputs in self._inputs(x):
            yield rows, evaluate(inputs)

    def _evaluation(self, order: Tensor | None = None) -> Evaluation:
        flat, experts = self._flat(), None
        if self.order is not None:
            each = np.repeat(self.order, self.num_draws, axis=0)
            experts = torch.as_tensor(each, device=flat.device)
        if order is not None:
            flat, experts = flat[order], None if experts is None else experts[order]
        return Evaluation(self.model, self.table, flat, experts)

    def _flat(self) -> Tensor:
        """All draws ``[R S, P]``; float32 as drawn, but no prediction depends on its neighbours."""
        return self.theta.double().reshape(-1, self.theta.shape[-1])

    def _inputs(self, x: ArrayLike, size: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """A chunk of rows, and their standardised features."""
        values = np.asarray(x, dtype=np.float64)
        self.model.sizes(values)
        entries = self.num_restarts * self.num_draws * self.num_regimes * self.model.num_outputs
        size = size or max(1, _CHUNK_ENTRIES // entries)
        for start in range(0, len(values), size):
            rows = slice(start, min(start + size, len(values)))
            scaled = self.x_scaling.transform(values[rows])
            yield rows, torch.as_tensor(scaled, device=self.theta.device)

    def _target(self, y: ArrayLike) -> Tensor:
        values = np.asarray(y, dtype=np.float64)
        require_supported(self.model.likelihoods, values)
        scaled = self.y_scaling.transform(values)
        return torch.as_tensor(scaled, device=self.theta.device)

    def _y_units(self, value: FloatArray) -> FloatArray:
        return value * self.y_scaling.scale + self.y_scaling.mean

    @staticmethod
    def _per_expert(value: FloatArray) -> FloatArray:
        """A number for each output beside an axis of experts."""
        return value[..., None] if value.ndim else value

    def _log_volume(self, y: ArrayLike) -> FloatArray:
        """Log of the volume that a unit of standardised y has, ``[]``, or ``[N]`` by what is there.

        A density in y's units is one of standardised y over it.
        """
        scale = np.log(self.y_scaling.scale)
        if not scale.ndim:
            return scale
        return np.asarray((~np.isnan(np.asarray(y, dtype=np.float64)) * scale).sum(axis=-1))

    def _by_restart(self, value: Tensor) -> FloatArray:
        return _numpy(value.reshape(self.num_restarts, self.num_draws, *value.shape[1:]))


def _places(target: Tensor) -> Tensor:
    """A number between 0 and 1 for each target, that depends on nothing but its row."""
    # A stream of its own: users' rows come from ``default_rng(0)``, too.
    rng = np.random.default_rng(spawn_seeds(0, 1))
    numbers = rng.random(tuple(target.shape))
    return torch.as_tensor(numbers, device=target.device)


def _filled(num_rows: int, parts: Iterable[tuple[slice, FloatArray]]) -> FloatArray:
    """One array of the results of all rows; joining them at the end would take them twice."""
    result = None
    for rows, values in parts:
        if result is None:
            result = np.empty((num_rows, *values.shape[1:]))
        result[rows] = values
    if result is None:
        raise ValueError("expected at least one row")
    return result


def _numpy(value: Tensor) -> FloatArray:
    array: FloatArray = value.detach().cpu().double().numpy()
    return array
