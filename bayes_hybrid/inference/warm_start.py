"""Maximum a posteriori warm start of all restarts, stopped by held-out density."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid.inference.adam import Adam, Schedule
from bayes_hybrid.inference.graph import LogJoint
from bayes_hybrid.inference.options import WarmStart
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recorder import quiet_pyro
from bayes_hybrid.inference.rows import Rows, held_out_score
from bayes_hybrid.models.base import SiteGroup
from bayes_hybrid.random import seeded

# What a cut leaves of the step.
_CUT = 0.1


@dataclass(frozen=True, eq=False)
class Started:
    """Where the warm start ended.

    Args:
        theta: starting points ``[C, P]``.
        row_weights: the fold masks ``[C, N]`` that were trained on.
        steps: step that was gone back to.
        settled: whether the held-out density had stopped improving.
        scores: held-out log density per row at each check (median over restarts).
    """

    theta: Tensor
    row_weights: Tensor
    steps: int
    settled: bool
    scores: tuple[float, ...]


def prior_draws(joint: LogJoint, x: Tensor, count: int, seed: int) -> Tensor:
    """``[count, P]`` draws of the unconstrained latents from the prior."""
    draws = []
    with seeded(seed, x.device), quiet_pyro(), torch.no_grad():
        for _ in range(count):
            nodes: Mapping[str, Any] = poutine.trace(joint.model.marginal).get_trace(x[:1]).nodes
            values = {site.name: nodes[site.name]["value"] for site in joint.table.sites}
            draws.append(joint.table.flatten(values))
    return torch.stack(draws)


def warm_start(
    rows: Rows, options: WarmStart, *, num_restarts: int, seed: int, progress: Progress
) -> Started:
    """Climb the log joint from prior draws, each restart on all rows but one fold.

    Means come first: until the first check that brings no improvement, noise scales do not depend
    on the features, because a noise scale that is free from the start explains the hard rows away.
    """
    theta = prior_draws(rows.joint, rows.x, num_restarts, seed)
    climb = _Climb(rows, theta, rows.folds(num_restarts, options.num_folds), options, progress)
    settled = climb.run(options.learning_rate)
    for cut in range(1, options.num_cuts + 1):
        settled &= climb.run(options.learning_rate * _CUT**cut)
    return Started(climb.best, climb.weights, climb.best_step, settled, tuple(climb.scores))


class _Climb:
    """The best point so far, and what was tried on the way."""

    def __init__(
        self, rows: Rows, theta: Tensor, weights: Tensor, options: WarmStart, progress: Progress
    ) -> None:
        self.weights, self.scores, self.best_step = weights, list[float](), 0
        self._rows, self._options, self._progress = rows, options, progress
        slopes = rows.joint.table.mask(SiteGroup.SCALE_SLOPES).to(theta.device)
        theta[:, slopes] *= 1e-3
        self.best, self._best_score, self._step = theta, float("-inf"), 0
        self._free = torch.where(slopes, 0.0, 1.0).to(theta.dtype)

    def run(self, learning_rate: float) -> bool:
        """Climb on from the best point; whether held-out density stopped improving in time."""
        options, theta, since = self._options, self.best.clone(), 0
        ones = theta.new_ones(len(theta))
        adam = Adam([theta], Schedule(learning_rate, options.max_steps, final=0.05, decay=0.99))
        first = len(self.scores)
        for step in range(1, options.max_steps + 1):
            gradient = self._rows.gradient(theta, self.weights, ones)[1]
            adam.ascend([gradient * self._free])
            self._step += 1
            if step % options.check_every and step < options.max_steps:
                continue
            total = options.max_steps * (1 + options.num_cuts)
            self._progress("warm start", self._step, total)
            since = 0 if self._check(theta) else since + 1
            if since and bool((self._free == 0).any()):
                self._free, since = torch.ones_like(self._free), 0
            if since >= options.patience:
                return True
        return _levelled_off(self.scores[first:])

    def _check(self, theta: Tensor) -> bool:
        """Record the held-out score, and the point if it is the best so far."""
        score = held_out_score(self._rows.log_likelihood(theta), self.weights).nanmedian()
        self.scores.append(float(score))
        better = self.scores[-1] > self._best_score
        if better:
            self.best, self.best_step = theta.clone(), self._step
            self._best_score = self.scores[-1]
        return better


def _levelled_off(scores: list[float]) -> bool:
    """Whether the last tenth of the checks brought less than a hundredth of a nat per row."""
    tail = max(1, len(scores) // 10)
    return len(scores) > tail and max(scores[-tail:]) - max(scores[:-tail]) < 0.01
