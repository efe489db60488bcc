"""Maximum a posteriori warm start of all restarts, stopped by held-out density."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid.inference.adam import Adam
from bayes_hybrid.inference.graph import LogJoint, quiet_pyro
from bayes_hybrid.inference.options import WarmStart
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.rows import Rows, held_out_score
from bayes_hybrid.models.base import SiteGroup


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
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), quiet_pyro(), torch.no_grad():
        torch.manual_seed(seed)
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
    weights = rows.folds(num_restarts, options.num_folds)
    ones = theta.new_ones(num_restarts)
    slopes = rows.joint.table.mask(SiteGroup.SCALE_SLOPES).to(theta.device)
    theta[:, slopes] *= 1e-3
    free = torch.where(slopes, 0.0, 1.0).to(theta.dtype)
    adam = Adam(
        [theta],
        learning_rate=options.learning_rate,
        num_steps=options.max_steps,
        final=0.05,
        decay=0.99,
    )
    best, best_step, best_score = theta.clone(), 0, float("-inf")
    scores: list[float] = []
    since = 0
    for step in range(1, options.max_steps + 1):
        _, gradient = rows.gradient(theta, weights, ones)
        adam.ascend([gradient * free])
        if step % options.check_every and step < options.max_steps:
            continue
        progress("warm start", step, options.max_steps)
        score = float(held_out_score(rows.log_likelihood(theta), weights).nanmedian())
        scores.append(score)
        since += 1
        if score > best_score:
            best, best_step, best_score, since = theta.clone(), step, score, 0
        elif bool((free == 0).any()):
            free, since = torch.ones_like(free), 0
        if since >= options.patience:
            return Started(best, weights, best_step, True, tuple(scores))
    return Started(best, weights, best_step, _levelled_off(scores), tuple(scores))


def _levelled_off(scores: list[float]) -> bool:
    """Whether the last tenth of the checks brought less than a hundredth of a nat per row."""
    tail = max(1, len(scores) // 10)
    return len(scores) > tail and max(scores[-tail:]) - max(scores[:-tail]) < 0.01
