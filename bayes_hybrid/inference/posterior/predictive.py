"""The posterior predictive: what is predicted over all draws and regimes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions import RegimeMixture, pooled_quantiles
from bayes_hybrid.inference.posterior.chunks import Chunks, as_numpy, filled, places_of
from bayes_hybrid.inference.posterior.over_draws import weighted_quantiles
from bayes_hybrid.models.sampled import Regimes
from bayes_hybrid.random import seeded, torch_generator

__all__ = ["Predictive"]

# In the search for quantiles, a number for each draw, row, regime and level.
_QUANTILE_ENTRIES = 1_000_000
# Rows at once, where nothing of a draw is kept.
_CHUNK_ROWS = 10_000
# Draws of a few sets of parameters at once: one after another, calling takes most of the time.
_SAMPLED = 256


@dataclass(frozen=True, eq=False)
class Predictive:
    """Predictions averaged over draws, which count by their restart's weight, in y's units."""

    _chunks: Chunks

    def mean(self, x: ArrayLike) -> FloatArray:
        """Posterior predictive mean, ``[N]``."""
        at, evaluate = self._chunks, self._chunks.evaluation()
        parts = (
            (rows, as_numpy(evaluate.mean_over_draws(inputs, at.draw_weights, self._mean_of)))
            for rows, inputs in at.inputs(x, _CHUNK_ROWS)
        )
        return at.in_units(filled(len(np.asarray(x)), parts))

    def variance(self, x: ArrayLike) -> FloatArray:
        """Posterior predictive variance: within draws plus between draws, ``[N]``."""
        at = self._chunks

        def of(regimes: Regimes, _: slice) -> FloatArray:
            predictive = at.model.predictive(regimes)
            about = at.over_draws(predictive.square_about(at.over_draws(predictive.mean)))
            return as_numpy(about) * at.y_scaling.scale**2

        return self._each(x, of)

    def log_density(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """``log mean_s p(y_n | x_n, theta_s)``, in 1 / y's units, ``[N]``."""
        at, target = self._chunks, np.asarray(y, dtype=np.float64)
        volume = np.broadcast_to(at.log_volume(x, target), len(target))

        def of(regimes: Regimes, rows: slice) -> FloatArray:
            terms = at.model.predictive(regimes).log_prob(at.target(target[rows]))
            pooled = torch.logsumexp(terms + at.draw_weights.log().unsqueeze(-1), dim=0)
            return as_numpy(pooled) - volume[rows]

        return self._each(x, of)

    def pit(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Posterior predictive probability of a value up to y, ``[N]``.

        Whole numbers have ties: theirs is a random place between the probability of less than y and
        that of y, the same at every call (:meth:`.RegimeMixture.pit`).
        """
        at, target = self._chunks, self._chunks.target(y)
        places = places_of(target)

        def of(regimes: Regimes, rows: slice) -> FloatArray:
            below = at.model.predictive(regimes).pit(target[rows], places[rows])
            return as_numpy(at.over_draws(below))

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
        at, levels = self._chunks, checks.probabilities(probs)

        def of(regimes: Regimes, _: slice) -> FloatArray:
            mean = at.in_units(as_numpy(at.over_draws(self._mean_of(regimes))))
            return np.concatenate([mean[..., None], self._quantile(regimes, levels)], axis=-1)

        both = self._each(x, of)
        return both[..., 0], both[..., 1:]

    def regime_probability(self, x: ArrayLike, y: ArrayLike | None = None) -> FloatArray:
        """``p(z | x)`` averaged over draws, or ``p(z | x, y)``, ``[N, K]``.

        Given y, draws count in proportion to how well they explain it::

            p(z = k | x, y) = sum_s pi_sk(x) p_sk(y | x) / sum_s sum_j pi_sj(x) p_sj(y | x)
        """
        at = self._chunks
        if y is None:
            evaluate = at.evaluation()
            parts = (
                (rows, as_numpy(evaluate.regime_probabilities(inputs, at.draw_weights)))
                for rows, inputs in at.inputs(x, _CHUNK_ROWS)
            )
        else:
            parts = ((rows, self._responsibilities(*terms)) for rows, *terms in at.terms(x, y))
        return filled(len(np.asarray(x)), parts)

    def regime_summary(self, x: ArrayLike, levels: ArrayLike) -> FloatArray:
        """``p(z | x)`` averaged over draws, then its quantiles over draws, ``[N, 1 + L, K]``."""
        wanted = np.asarray(levels, dtype=np.float64)
        shares = as_numpy(self._chunks.draw_weights)

        def of(draws: FloatArray) -> FloatArray:
            quantiles = weighted_quantiles(draws, wanted, shares)
            # A sum of shares may round to more than one.
            return np.stack([np.tensordot(shares, draws, 1).clip(0.0, 1.0), *quantiles], axis=1)

        parts = ((rows, of(as_numpy(part.exp()))) for rows, part in self._chunks.log_weights(x))
        return filled(len(np.asarray(x)), parts)

    def sample(self, x: ArrayLike, num_draws: int, seed: int) -> FloatArray:
        """``num_draws`` posterior predictive draws per row, ``[num_draws, N]``.

        Posterior draws are used in a random order, each as often as its weight demands within one.
        """
        checks.positive_int("num_draws", num_draws)
        at, total = self._chunks, len(self._chunks.draw_weights)
        generator = torch_generator(seed, at.theta.device)
        rounds = [
            self._random_draws(min(total, num_draws - first), generator)
            for first in range(0, num_draws, total)
        ]
        samples = []
        with seeded(seed, at.theta.device):
            # Some at a time, so that memory does not grow with num_draws x P.
            for draws in torch.cat(rounds).split(max(total, _SAMPLED)):
                parts = [predictive.sample() for _, predictive in at.predictive(x, draws)]
                samples.append(torch.cat(parts, dim=1))
        return at.in_units(as_numpy(torch.cat(samples)))

    def _each(self, x: ArrayLike, of: Callable[[Regimes, slice], FloatArray]) -> FloatArray:
        """``of`` each chunk of rows, whose result has the rows first, put together."""
        parts = ((rows, of(regimes, rows)) for rows, regimes in self._chunks.regimes(x))
        return filled(len(np.asarray(x)), parts)

    def _mean_of(self, regimes: Regimes) -> Tensor:
        return self._chunks.model.predictive(regimes).mean

    def _tile(self, regimes: Regimes, draws: slice, rows: slice | Tensor) -> RegimeMixture:
        return self._chunks.model.predictive(regimes.map(itemgetter((draws, rows))))

    def _quantile(self, regimes: Regimes, levels: FloatArray) -> FloatArray:
        """``[N, L]`` or ``[N, Q, L]``, as many rows at a time as a cache holds."""
        at = self._chunks
        probs = torch.as_tensor(levels, device=at.theta.device)
        num_draws, num_rows, num_regimes = regimes.log_weights.shape
        entries = num_draws * num_regimes * at.model.num_outputs * len(levels)
        size = max(1, _QUANTILE_ENTRIES // entries)
        tiles = []
        for start in range(0, num_rows, size):
            tile = regimes.map(itemgetter((slice(None), slice(start, start + size))))
            tiles.append(pooled_quantiles(partial(self._tile, tile), probs, at.draw_weights))
        standard = np.moveaxis(as_numpy(torch.cat(tiles, dim=1)), 0, -1)
        return standard * at.scale + at.shift

    def _responsibilities(self, log_weights: Tensor, log_likelihoods: Tensor) -> FloatArray:
        """Of a chunk of rows, each draw by how well it explains the row, ``[N, K]``."""
        terms, assignment = (log_weights, log_likelihoods), self._chunks.model.assignment
        log_shares = assignment.evidence(*terms) + self._chunks.draw_weights.log().unsqueeze(-1)
        shares = torch.softmax(log_shares, dim=0).unsqueeze(-1)
        found = (shares * assignment.log_responsibilities(*terms).exp()).sum(0)
        return as_numpy(found / found.sum(-1, keepdim=True))

    def _random_draws(self, count: int, generator: torch.Generator) -> Tensor:
        """Numbers of ``count`` draws in random order, by systematic resampling.

        Source: Carpenter, Clifford and Fearnhead (1999), Improved particle filter for nonlinear
        problems.
        """
        weights = self._chunks.draw_weights
        device = weights.device
        order = torch.randperm(len(weights), generator=generator, device=device)
        ends = weights[order].cumsum(0)
        offset = torch.rand(1, generator=generator, device=device, dtype=ends.dtype)
        places = (torch.arange(count, device=device) + offset) / count
        chosen: Tensor = order[torch.searchsorted(ends, places).clamp_max(len(ends) - 1)]
        shuffled: Tensor = chosen[torch.randperm(count, generator=generator, device=device)]
        return shuffled
