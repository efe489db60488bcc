"""Targets that are constant: nothing is trained for them, and every draw predicts the constant."""

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.recipe.options import FitOptions
from bayes_hybrid.inference.result import Drawn, Restarts, Stage, Training
from bayes_hybrid.models.base import HybridModel, SiteRole

__all__ = ["CONSTANT_STATUS", "pinned", "untrained"]

CONSTANT_STATUS: Final = (
    "The target is constant, so there was nothing to train: every draw predicts the constant."
)


def untrained(model: HybridModel, x: Tensor, options: FitOptions) -> Drawn:
    """Draws that are all 0, where every expert's location is 0: the mean of the target.

    Args:
        model: what would be fitted.
        x: standardised features ``[N, D]``.
        options: how many restarts and draws there are to be.
    """
    num_parameters = SiteTable.of(model, x[:1]).num_parameters
    restarts, draws = options.restarts(len(x) * num_parameters), options.variational.num_draws
    theta = x.new_zeros(restarts, draws, num_parameters)
    reason = "the target is constant, so there is nothing to train"
    return Drawn(
        theta=theta,
        weights=np.full(restarts, 1.0 / restarts),
        variational=theta,
        variational_log_ratios=np.zeros((restarts, draws)),
        restarts=Restarts(
            sources=np.arange(restarts),
            elbo=np.zeros(restarts),
            elpd=np.zeros(restarts),
            log_ratios=np.zeros((restarts, 0)),
        ),
        training=Training(
            status=CONSTANT_STATUS,
            converged=True,
            method="none",
            stages=(Stage(name="none", reason=reason, steps=0, seconds=0.0),),
            device=str(x.device),
        ),
    )


def pinned(table: SiteTable, done: Drawn, outputs: NDArray[np.bool_]) -> Drawn:
    """The same with draws under which experts differ in no constant output: location 0, one scale.

    These outputs were missing in training.  Their parameters are then those of the prior, and what
    differs between experts would move ``p(z | x, y)`` without a reason.

    Args:
        table: where the sites live.
        done: what the recipe made of the outputs that vary.
        outputs: which of the Q > 1 outputs are constant, ``[Q]``.
    """
    draws = [done.theta.clone(), done.variational.clone()]
    for theta in draws:
        which = torch.as_tensor(outputs, device=theta.device)
        for site in table.having(SiteRole.BY_OUTPUT):
            rows = theta[..., site.start : site.stop].unflatten(-1, (len(which), -1))
            rows[..., which, :] = 0.0
    return replace(done, theta=draws[0], variational=draws[1])
