"""The recipe: warm start, SVI, a sampler where the budget allows, and the restarts' weights."""

import math
from functools import partial
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.graph import log_joint
from bayes_hybrid.inference.engine.rows import Rows, chunk_of
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.engine.threads import flushed, suited_threads
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recipe.context import Context, Step
from bayes_hybrid.inference.recipe.options import SMALL_TABLE, FitOptions
from bayes_hybrid.inference.recipe.record import recorded
from bayes_hybrid.inference.recipe.sampling import sampling
from bayes_hybrid.inference.recipe.start import started
from bayes_hybrid.inference.recipe.weighing import weighing
from bayes_hybrid.inference.result import Drawn, StageLog
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.target import Target
from bayes_hybrid.random import stream_seed, torch_generator

__all__ = ["run_recipe"]

# Restarts evaluated side by side on a CPU, of a small table and of others.
_BATCHES: Final = (16, 8)
# Rows x parameters up to which sixteen take little longer than one: calling operations takes most.
_TINY_TABLE: Final = 20_000


def run_recipe(
    model: HybridModel,
    x: Tensor,
    target: Target,
    options: FitOptions,
    *,
    seed: int,
    progress: Progress,
) -> Drawn:
    """See :func:`~bayes_hybrid.inference.fit.fit`, which says what the steps are.

    Args:
        model: what to fit.
        x: standardised features ``[N, D]``, on the device to be used.
        target: standardised, what is observed of them.
        options: how to fit.
        seed: everything random is derived from it.
        progress: told about the progress of each stage.

    Raises:
        FitError: every restart became non-finite.
    """
    size = SiteTable.of(model, x[:1]).num_parameters
    per_step = options.rows_per_step(len(x))
    most_rows = max(per_step, chunk_of(len(x), per_step, x.device))
    batch = _batch(model, options, len(x) * size, most_rows * size, x.device)
    with suited_threads(float(most_rows) * size * batch, x.device), flushed():
        context = _context(model, x, target, options, batch, size, seed, progress)
        state = started(
            context.rows,
            context.num_restarts,
            options.warm_start.num_folds,
            stream_seed(seed, "start"),
        )
        steps: list[Step] = [options.warm_start, options.variational]
        if context.sampler is not None:
            steps.append(partial(sampling, sampler=context.sampler))
        for step in (*steps, weighing):
            state = step(state, context)
        return recorded(state, context)


def _batch(
    model: HybridModel, options: FitOptions, size: int, per_step: int, device: torch.device
) -> int:
    """Restarts evaluated side by side; rows x parameters of a fit, and of one step."""
    restarts = options.restarts(size)
    if device.type != "cpu":
        return restarts
    if per_step <= _TINY_TABLE:
        return _BATCHES[0]
    # Every plan's share in pieces of one size, none of them filled up with repeats for long.
    plans = options.plans_for(model.num_regimes, has_thresholds=model.has_thresholds)
    share = math.ceil(restarts / len(plans))
    most = _BATCHES[0] if per_step <= SMALL_TABLE else _BATCHES[1]
    return math.ceil(share / math.ceil(share / most))


def _context(
    model: HybridModel,
    x: Tensor,
    target: Target,
    options: FitOptions,
    batch: int,
    size: int,
    seed: int,
    progress: Progress,
) -> Context:
    """Record the gradient, and compile it where that pays."""
    log = StageLog()
    plans = options.plans_for(model.num_regimes, has_thresholds=model.has_thresholds)
    restarts = options.restarts(len(x) * size)
    sampler = options.sampler and options.sampler.suited(len(x), size, restarts)
    calls = options.warm_start.calls(restarts, batch)
    calls += options.variational.calls(len(x), restarts, batch, refined=sampler is not None)
    calls += sampler.calls(restarts, batch) if sampler else 0
    joint = log_joint(model, batch, x.dtype, x.device, compiled=options.compiles(calls))
    batch_size = options.rows_per_step(len(x))
    rows = Rows(joint, x, target, batch_size, torch_generator(stream_seed(seed, "folds"), x.device))
    compiled = rows.prepare_batch()
    shares = [plan.regularised_share(joint.regularisers) for plan in plans]
    pieces = math.ceil(math.ceil(restarts / len(plans)) / batch)
    regularised = math.ceil(sum(shares) * options.warm_start.max_steps) * pieces
    if compiled and regularised and options.compiles(regularised):
        joint.prepare(x[:batch_size], target[:batch_size], regularised=True)
    log.add("recording", "compiled" if compiled else "recorded", 0)
    return Context(
        rows=rows,
        plans=plans,
        num_restarts=restarts,
        sampler=sampler,
        seed=seed,
        compiled=compiled,
        compiles_steps=options.compiles_steps,
        progress=progress,
        log=log,
    )
