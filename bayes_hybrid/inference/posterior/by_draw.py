"""What each draw of the posterior predicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference.posterior.chunks import Chunks, places_of
from bayes_hybrid.inference.posterior.silencing import silenced
from bayes_hybrid.inference.posterior.slopes import regime_slopes
from bayes_hybrid.random import seeded

__all__ = ["ByDraw"]


@dataclass(frozen=True, eq=False)
class ByDraw:
    """Predictions of R restarts of S draws, in y's units."""

    _chunks: Chunks

    def log_likelihood(
        self, x: ArrayLike, y: ArrayLike, labels: FloatArray | None = None
    ) -> FloatArray:
        """``log p(y_n | x_n, theta)`` with z summed out, ``[R, S, N]``.

        Given the numbers of regime labels ``[N]``, NaN where there is none, of y and the label.
        """
        at = self._chunks
        parts = [at.model.assignment.evidence(*terms) for _, *terms in at.terms(x, y, labels)]
        return at.by_restart(torch.cat(parts, dim=-1)) - at.log_volume(x, y)

    def pit(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """:meth:`.Predictive.pit` under each draw, ``[R, S, N]``, or ``[R, S, N, Q]``."""
        at, target = self._chunks, self._chunks.target(y)
        places = places_of(target)
        parts = [p.pit(target[rows], places[rows]) for rows, p in at.predictive(x)]
        return at.by_restart(torch.cat(parts, dim=1))

    def regime_probability(
        self, x: ArrayLike, y: ArrayLike | None = None, labels: FloatArray | None = None
    ) -> FloatArray:
        """``p(z = k | x, theta)``, or ``p(z = k | x, y, theta)`` given y, ``[R, S, N, K]``.

        With y may come the numbers of regime labels ``[N]``, NaN where there is none: it is then
        given those, too.
        """
        at = self._chunks
        if y is None:
            parts = [weights.exp() for _, weights in at.log_weights(x)]
        else:
            posterior = at.model.assignment.log_responsibilities
            parts = [posterior(*terms).exp() for _, *terms in at.terms(x, y, labels)]
        return at.by_restart(torch.cat(parts, dim=1))

    def expert_mean(self, x: ArrayLike) -> FloatArray:
        """Mean of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""
        return self.gate_and_mean(x)[1]

    def expert_scale(self, x: ArrayLike) -> FloatArray:
        """Standard deviation of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""
        at = self._chunks
        parts = [
            torch.stack([part.variance.sqrt() for part in predictive.components], dim=-1)
            for _, predictive in at.predictive(x)
        ]
        return at.by_restart(torch.cat(parts, dim=1)) * at.scale

    def expert_noise(self, x: ArrayLike) -> FloatArray:
        """Relative noise of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``.

        It is the scale that the likelihood takes, such as the coefficient of variation.
        """
        at = self._chunks
        parts = [
            torch.stack([expert.scale for expert in regimes.experts], dim=-1)
            for _, regimes in at.regimes(x)
        ]
        return at.by_restart(torch.cat(parts, dim=1))

    def gate_and_mean(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """``p(z = k | x, theta)`` and the experts' means in one pass, each as by itself."""
        at, gate, means = self._chunks, [], []
        for _, regimes in at.regimes(x):
            gate.append(regimes.log_weights.exp())
            parts = at.model.predictive(regimes).components
            means.append(torch.stack([part.mean for part in parts], dim=-1))
        mean = at.by_restart(torch.cat(means, dim=1))
        return at.by_restart(torch.cat(gate, dim=1)), mean * at.scale + at.shift

    def slopes(self, x: ArrayLike, feature: int) -> tuple[FloatArray, FloatArray]:
        """Slopes of gate and expert means along a feature, :func:`.slopes.regime_slopes`.

        Args:
            x: features ``[N, D]``.
            feature: its position.

        Returns:
            ``d p(z = k | x, theta) / d x_j``, ``[R, S, N, K]``, per unit of the feature, and the
            slope of each expert's mean, ``[R, S, N, K]`` or ``[R, S, N, Q, K]``, in y's units.
        """
        at = self._chunks
        slopes = (
            regime_slopes(at.model, at.table, at.flat, inputs, feature)
            for _, inputs in at.inputs(x)
        )
        gate, experts = (
            at.in_order(at.by_restart(torch.cat(part, dim=1))) for part in zip(*slopes, strict=True)
        )
        # [N, 1] beside the axis of experts, and an axis for outputs where there are several.
        unit = at.x_scaling.step(np.asarray(x, dtype=np.float64)[:, feature], feature)[:, None]
        scale = at.scale
        return gate / unit, experts * scale / (unit[..., None] if scale.ndim > 1 else unit)

    def unit_mean(self, x: ArrayLike) -> Mapping[tuple[str, str], FloatArray]:
        """What one kind of unit adds to an expert's mean, ``[R, S, N]``, or ``[R, S, N, Q]``.

        By expert and ``"gaussian"`` or ``"relu"``, of experts whose layers mix both linearly
        (``"linear_mix"``): the mean less that with the mixing weights of these units at zero, in
        every layer.
        """
        at, found = replace(self._chunks, order=None), {}
        for k, expert in enumerate(at.model.regime_names):
            for kind, theta in silenced(at.table, at.theta, expert).items():
                with_it, without = (
                    ByDraw(each).expert_mean(x)[..., k] for each in (at, replace(at, theta=theta))
                )
                found[expert, kind] = with_it - without
        return found

    def sample(self, x: ArrayLike, seed: int) -> FloatArray:
        """One predictive draw of y for each posterior draw and row, ``[R, S, N]``."""
        found: FloatArray = self.samples(x, 1, seed)[0]
        return found

    def samples(self, x: ArrayLike, num_rounds: int, seed: int) -> FloatArray:
        """Predictive draws of y, as many for each posterior draw and row, ``[M, R, S, N]``."""
        at = self._chunks
        with seeded(seed, at.theta.device):
            parts = [
                torch.stack([predictive.sample() for _ in range(num_rounds)])
                for _, predictive in at.predictive(x)
            ]
        return at.in_units(np.stack([at.by_restart(each) for each in torch.cat(parts, dim=2)]))
