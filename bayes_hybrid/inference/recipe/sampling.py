"""A sampler goes on from SVI's guide."""

from dataclasses import replace

from bayes_hybrid.inference.recipe.context import Context, State, require_usable
from bayes_hybrid.inference.recipe.relabelling import usage
from bayes_hybrid.inference.samplers import Sampler

__all__ = ["sampling"]


def sampling(state: State, context: Context, *, sampler: Sampler) -> State:
    """Run a sampler; chains that did not move are left out."""
    approximation = state.approximated
    rows = sampler.rows(context.rows)
    if context.compiled:
        sampler.prepare(rows)
    chains = sampler.run(
        rows,
        approximation.guide,
        num_draws=approximation.draws.shape[1],
        row_weights=state.folds,
        generator=context.generator("sampler"),
        progress=context.progress,
    )
    kept = require_usable(
        chains.moving,
        f"became non-finite or did not move in {sampler.name}",
        "Let it adapt for longer (num_warmup=...), or fit without a sampler (sampler=None).",
    )
    chains = chains.select(kept)
    state = replace(state.select(kept), chains=chains)
    context.log.add(
        f"refinement ({sampler.name})",
        chains.words,
        sampler.warmup + sampler.iterations,
        usage_before=context.log.stages[-1].usage_after,
        usage_after=usage(rows, state.draws[:, -1]),
    )
    return state
