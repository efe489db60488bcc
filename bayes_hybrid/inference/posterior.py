"""The posterior as an object: draws, and what they predict, in the units of the data."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.data import Standardizer
from bayes_hybrid.distributions import RegimeMixture, mixture_quantile
from bayes_hybrid.inference.graph import evaluate_regimes
from bayes_hybrid.inference.silencing import silenced
from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.inference.slopes import regime_slopes
from bayes_hybrid.inference.thresholds import Thresholds, in_units
from bayes_hybrid.models.base import HybridModel, Regimes
from bayes_hybrid.random import seeded, torch_generator

FloatArray = NDArray[np.float64]
# Tensors with an entry for each draw, row and regime hold at most this many numbers at once.
_CHUNK_ENTRIES = 2_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """Equally weighted draws of R restarts with S draws each.

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
    """

    model: HybridModel
    theta: Tensor
    x_scaling: Standardizer
    y_scaling: Standardizer

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
        """A name for each regime."""
        return self.model.regime_names

    @property
    def scale_floor(self) -> FloatArray:
        """The smallest noise scale an expert can have, in y's units, ``[]``, or ``[Q, 1]``."""
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
        names = [site.name for site in self.table.sites if site.name.endswith(".width")]
        if floor is None or not names:
            return None
        return 1.0 + np.concatenate([self.sites[name] for name in names], axis=-1) / floor

    @cached_property
    def thresholds(self) -> Thresholds | None:
        """Where the regimes change; ``None`` where the gate has no parameter for it."""
        found = self.model.boundaries(self.table.constrain(self.theta.double()))
        return None if found is None else in_units(found, self.x_scaling)

    def select(self, restarts: NDArray[np.int64]) -> "Posterior":
        """The posterior of these restarts, by their numbers."""
        return replace(self, theta=self.theta[torch.as_tensor(restarts, device=self.theta.device)])

    # -- per draw

    def log_likelihood(
        self, x: ArrayLike, y: ArrayLike, labels: FloatArray | None = None
    ) -> FloatArray:
        """``log p(y_n | x_n, theta)`` with z summed out, ``[R, S, N]``.

        Given the numbers of regime labels ``[N]``, NaN where there is none, of y and the label.
        """
        target = self._target(y)
        given = None if labels is None else self._label_terms(labels)
        parts = []
        for rows, regimes in self._chunks(x):
            joint = regimes.log_weights + self._predictive(regimes).log_likelihoods(target[rows])
            if given is not None:
                joint = joint + given[:, rows]
            parts.append(torch.logsumexp(joint, dim=-1))
        return self._by_restart(torch.cat(parts, dim=-1)) - self._log_volume(y)

    def cdf_draws(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """``F(y_n | x_n, theta)`` with z summed out, ``[R, S, N]``, or ``[R, S, N, Q]``."""
        target = self._target(y)
        parts = [self._predictive(regimes).cdf(target[rows]) for rows, regimes in self._chunks(x)]
        return self._by_restart(torch.cat(parts, dim=1))

    def regime_probability_draws(
        self, x: ArrayLike, y: ArrayLike | None = None, labels: FloatArray | None = None
    ) -> FloatArray:
        """``p(z = k | x, theta)``, or ``p(z = k | x, y, theta)`` given y, ``[R, S, N, K]``.

        Given the numbers of regime labels ``[N]``, NaN where there is none, also given those.
        """
        target = None if y is None else self._target(y)
        given = None if labels is None else self._label_terms(labels)
        parts = []
        for rows, regimes in self._chunks(x):
            log_probs = regimes.log_weights
            if target is not None:
                log_probs = self._predictive(regimes).log_responsibilities(target[rows])
            if given is not None:
                log_probs = torch.log_softmax(log_probs + given[:, rows], dim=-1)
            parts.append(log_probs.exp())
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
        """Slopes of gate and expert locations along a feature, :func:`.slopes.regime_slopes`.

        Args:
            x: features ``[N, D]``.
            feature: its position.

        Returns:
            ``d p(z = k | x, theta) / d x_j``, ``[R, S, N, K]``, per unit of the feature, and the
            slope of each expert's location, ``[R, S, N, K]`` or ``[R, S, N, Q, K]``, in y's units.
        """
        slopes = (
            regime_slopes(self.model, self.table, flat, inputs, feature)
            for _, flat, inputs in self._inputs(x)
        )
        gate, experts = (
            self._by_restart(torch.cat(part, dim=1)) for part in zip(*slopes, strict=True)
        )
        unit = self.x_scaling.scale[feature]
        return gate / unit, experts * self._per_expert(self.y_scaling.scale) / unit

    def silenced_mean_draws(self, x: ArrayLike) -> Mapping[tuple[str, str], FloatArray]:
        """Means of experts with one kind of unit silenced, ``[R, S, N]``, or ``[R, S, N, Q]``.

        By regime and ``"gaussian"`` or ``"relu"``, of experts whose layers mix both linearly
        (``"linear_mix"``): the mixing weights of these units are set to zero, in every layer.
        """
        found = {}
        for k, regime in enumerate(self.regime_names):
            for kind, theta in silenced(self.table, self.theta, regime).items():
                found[regime, kind] = replace(self, theta=theta).expert_mean_draws(x)[..., k]
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
        parts = [self._predictive(regimes).mean.mean(0) for _, regimes in self._chunks(x)]
        return self._y_units(_numpy(torch.cat(parts)))

    def variance(self, x: ArrayLike) -> FloatArray:
        """Posterior predictive variance: within draws plus between draws, ``[N]``."""
        parts = []
        for _, regimes in self._chunks(x):
            predictive = self._predictive(regimes)
            parts.append(predictive.variance.mean(0) + predictive.mean.var(0, correction=0))
        return _numpy(torch.cat(parts)) * self.y_scaling.scale**2

    def log_density(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """``log mean_s p(y_n | x_n, theta_s)``, in 1 / y's units, ``[N]``."""
        target = self._target(y)
        parts = []
        for rows, regimes in self._chunks(x):
            terms = self._predictive(regimes).log_prob(target[rows])
            parts.append(torch.logsumexp(terms, dim=0) - math.log(terms.shape[0]))
        return _numpy(torch.cat(parts)) - self._log_volume(y)

    def cdf(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Posterior predictive probability of a value up to y, ``[N]``."""
        target = self._target(y)
        parts = [
            self._predictive(regimes).cdf(target[rows]).mean(0) for rows, regimes in self._chunks(x)
        ]
        return _numpy(torch.cat(parts))

    def quantile(self, x: ArrayLike, probs: ArrayLike) -> FloatArray:
        """Exact quantiles of the posterior predictive mixture over draws and regimes, ``[N, L]``.

        With several outputs it is ``[N, Q, L]``.

        Raises:
            OptionError: a probability is not strictly between 0 and 1.
        """
        levels = checks.probabilities(probs)
        parts = []
        for _, regimes in self._chunks(x):
            parts.append(_quantiles(self._predictive(regimes), levels.tolist()))
        standard = np.moveaxis(_numpy(torch.cat(parts)), -1, 0)
        return np.moveaxis(self._y_units(standard), 0, -1)

    def regime_probability(self, x: ArrayLike, y: ArrayLike | None = None) -> FloatArray:
        """``p(z | x)`` averaged over draws, or ``p(z | x, y)``, ``[N, K]``.

        Given y, draws count in proportion to how well they explain it::

            p(z = k | x, y) = sum_s pi_sk(x) p_sk(y | x) / sum_s sum_j pi_sj(x) p_sj(y | x)
        """
        target = None if y is None else self._target(y)
        parts = []
        for rows, regimes in self._chunks(x):
            terms = regimes.log_weights
            if target is not None:
                terms = terms + self._predictive(regimes).log_likelihoods(target[rows])
            parts.append(torch.softmax(torch.logsumexp(terms, dim=0), dim=-1))
        return _numpy(torch.cat(parts))

    def sample(self, x: ArrayLike, num_draws: int, seed: int) -> FloatArray:
        """``num_draws`` posterior predictive draws per row, ``[num_draws, N]``.

        Posterior draws are used in a random order, each as often as any other within one.
        """
        checks.positive_int("num_draws", num_draws)
        total = self.num_restarts * self.num_draws
        generator = torch_generator(seed, self.theta.device)
        rounds = []
        with seeded(seed, self.theta.device):
            # One round after another, so that memory does not grow with num_draws x P.
            for first in range(0, num_draws, total):
                order = torch.randperm(total, generator=generator, device=self.theta.device)
                chunks = self._chunks(x, order[: num_draws - first])
                parts = [self._predictive(regimes).sample() for _, regimes in chunks]
                rounds.append(torch.cat(parts, dim=1))
        return self._y_units(_numpy(torch.cat(rounds)))

    # -- helpers

    def _predictive(self, regimes: Regimes) -> RegimeMixture:
        return self.model.predictive(regimes)

    def _label_terms(self, labels: FloatArray) -> Tensor:
        """What each row's label adds to the log probability of the regimes, ``[R S, N, K]``."""
        head, size = self.model.label_head, self.num_regimes
        if head is None:
            raise ValueError("labels came, but the model has no label head")
        draws = self.table.constrain(self.theta.double().reshape(-1, self.theta.shape[-1]))
        log_confusion = head.noise_free(size, self.theta.double()).expand(1, size, size)
        if "label_confusion" in draws:
            log_confusion = draws["label_confusion"].log()
        known = ~np.isnan(labels)
        index = torch.as_tensor(np.where(known, labels, 0.0).astype(np.int64))
        terms = head.weight * log_confusion[:, :, index.to(self.theta.device)].mT
        return torch.where(torch.as_tensor(known, device=terms.device).unsqueeze(-1), terms, 0.0)

    def _chunks(self, x: ArrayLike, order: Tensor | None = None) -> Iterator[tuple[slice, Regimes]]:
        """Gate and experts of every draw, ``[S', rows, K]``, a chunk of rows at a time."""
        with torch.no_grad():
            for rows, flat, inputs in self._inputs(x, order):
                yield rows, evaluate_regimes(self.model, self.table, flat, inputs)

    def _inputs(
        self, x: ArrayLike, order: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows of a chunk, all draws ``[S', P]``, and the rows' standardised features."""
        scaled = self.x_scaling.transform(np.asarray(x, dtype=np.float64))
        # Draws are float32, sums over them are not: a prediction must not depend on its neighbours.
        inputs = torch.as_tensor(scaled, device=self.theta.device)
        flat = self.theta.double().reshape(-1, self.theta.shape[-1])
        flat = flat if order is None else flat[order]
        # The widest hidden layer counts, not only the K outputs.
        outputs = self.num_regimes * self.model.num_outputs
        width = max(outputs, flat.shape[-1] // max(1, self.model.num_features) // 4)
        size = max(1, _CHUNK_ENTRIES // (flat.shape[0] * max(1, min(width, 64))))
        for start in range(0, len(inputs), size):
            rows = slice(start, min(start + size, len(inputs)))
            yield rows, flat, inputs[rows]

    def _target(self, y: ArrayLike) -> Tensor:
        scaled = self.y_scaling.transform(np.asarray(y, dtype=np.float64))
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


def _quantiles(predictive: RegimeMixture, levels: list[float]) -> Tensor:
    """``[rows, L]`` quantiles of the equal mixture over the draws on the first axis."""

    def cdf(value: Tensor) -> Tensor:
        return predictive.cdf(value).mean(0)

    columns = []
    for level in levels:
        target = torch.full_like(predictive.components[0].mean[0], level)
        # The mixture's quantile lies between the smallest and the largest of its components'.
        parts = torch.stack([part.icdf(target) for part in predictive.components])
        columns.append(mixture_quantile(cdf, target, parts.amin((0, 1)), parts.amax((0, 1))))
    return torch.stack(columns, dim=-1)


def _numpy(value: Tensor) -> FloatArray:
    array: FloatArray = value.detach().cpu().double().numpy()
    return array
