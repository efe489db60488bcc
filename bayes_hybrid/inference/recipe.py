"""The recipe: warm start, SVI, choice of restarts, and a short HMC where the budget allows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from bayes_hybrid.errors import FitError
from bayes_hybrid.inference.ascent import Course
from bayes_hybrid.inference.choice import choose_restarts
from bayes_hybrid.inference.flow import Flow
from bayes_hybrid.inference.graph import log_joint
from bayes_hybrid.inference.guides import BlockGaussian, Guide
from bayes_hybrid.inference.hmc import Chains, refine
from bayes_hybrid.inference.labels import relabel, usage
from bayes_hybrid.inference.low_rank import LowRank
from bayes_hybrid.inference.nuts import refine_by_nuts
from bayes_hybrid.inference.options import GUIDES, FitOptions
from bayes_hybrid.inference.plans import Plan
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.result import Stage, StageLog
from bayes_hybrid.inference.rows import Rows, chunk_of, held_out_score
from bayes_hybrid.inference.sghmc import refine_by_sghmc
from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.inference.svi import (
    Trained,
    choose_kl_weight,
    log_ratios,
    train,
    weighted_sample,
)
from bayes_hybrid.inference.threads import suited_threads
from bayes_hybrid.inference.warm_start import Started, penalty_weights, warm_start
from bayes_hybrid.inference.whitening import whiten_at
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.random import spawn_seeds, torch_generator

_KINDS: Final[Mapping[str, type[Guide]]] = {
    "gaussian": BlockGaussian,
    "low_rank": LowRank,
    "flow": Flow,
}
_REFINERS: Final[Mapping[str, Callable[..., Chains]]] = {
    "hmc": refine,
    "sghmc": refine_by_sghmc,
    "nuts": refine_by_nuts,
}
# Restarts evaluated side by side on a CPU: more do not fit its cache, and cost more than in turn.
_BATCH = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What the recipe makes of standardised rows.

    Args:
        theta: draws of the posterior ``[R, S, P]``.
        variational: SVI's own ``[R', S, P]``, R' >= R where HMC lost some.
        elbo: of each restart ``[R]``.
        sources: the candidate that each restart comes from ``[R]``.
        log_ratios: of draws of the guide ``[R, 200]``, see
            :func:`~bayes_hybrid.inference.svi.log_ratios`.
        variational_log_ratios: of ``variational`` ``[R', S]``.
        kl_weight: that of the features.
        kl_scores: held-out log density by KL weight; empty where none was chosen.
        num_dropped: candidates that became non-finite and chains that did not move.
        warm_start_settled: whether the warm start ended by its own rule.
        svi_settled: whether the ELBO had settled.
        chains: what the sampler did, if one ran.
        compiled: whether the gradient was compiled.
        stages: the record of all stages.
    """

    theta: Tensor
    variational: Tensor
    elbo: Tensor
    sources: Tensor
    log_ratios: Tensor
    variational_log_ratios: Tensor
    kl_weight: float
    kl_scores: dict[float, float]
    num_dropped: int
    warm_start_settled: bool
    svi_settled: bool
    chains: Chains | None
    compiled: bool
    stages: tuple[Stage, ...]


def run_recipe(
    model: HybridModel,
    x: Tensor,
    y: Tensor,
    options: FitOptions,
    *,
    seed: int,
    progress: Progress,
) -> Outcome:
    """See :func:`~bayes_hybrid.inference.fit.fit`, which says what the steps are.

    Args:
        model: what to fit.
        x: standardised features ``[N, D]``, on the device to be used.
        y: standardised targets, as the model takes them.
        options: how to fit.
        seed: everything random is derived from it.
        progress: told about the progress of each stage.

    Raises:
        FitError: every restart became non-finite.
    """
    batch = options.candidates_for(model)
    if x.device.type == "cpu":
        # Every plan's share in pieces of one size, none of them filled up with repeats for long.
        share = math.ceil(batch / len(options.plans_for(model)))
        batch = math.ceil(share / math.ceil(share / _BATCH))
    size = SiteTable.of(model, x[:1]).num_parameters
    per_step = options.rows_per_step(len(x))
    most_rows = max(per_step, chunk_of(len(x), per_step, x.device))
    with suited_threads(float(most_rows) * size * batch, x.device):
        return _run(model, x, y, options, batch, size, seed, progress)


def _run(
    model: HybridModel,
    x: Tensor,
    y: Tensor,
    options: FitOptions,
    batch: int,
    size: int,
    seed: int,
    progress: Progress,
) -> Outcome:
    start_seed, fold_seed, svi_seed, hmc_seed, ratio_seed = spawn_seeds(seed, 5)
    device, plans, log = x.device, options.plans_for(model), StageLog()
    candidates = options.candidates_for(model)
    refined = options.refinement.wanted(len(x), size, options.num_restarts)
    calls = _expected_calls(options, candidates, batch, refined=refined)
    joint = log_joint(model, batch, x.dtype, device, compiled=options.compiles(calls))
    batch_size = options.rows_per_step(len(x))
    rows = Rows(joint, x, y, batch_size, torch_generator(fold_seed, device))
    compiled = rows.prepare_batch()
    shares = [plan.penalised_share(model.penalty_names) for plan in plans]
    pieces = math.ceil(math.ceil(candidates / len(plans)) / batch)
    penalised = math.ceil(sum(shares) * options.warm_start.max_steps) * pieces
    if compiled and penalised and options.compiles(penalised):
        joint.prepare(x[:batch_size], y[:batch_size], penalised=True)
    log.add("recording", "compiled" if compiled else "recorded", 0)

    started = warm_start(
        rows,
        options.warm_start,
        plans,
        num_restarts=candidates,
        seed=start_seed,
        progress=progress,
        log=log,
    )
    generator = torch_generator(svi_seed, device)
    trained, sources, kl_weight, kl_scores, dropped = _variational(
        rows,
        started,
        options,
        _course(plans[0], rows),
        num_steps=options.variational.steps(refined=refined),
        compiled=compiled,
        generator=generator,
        progress=progress,
        log=log,
    )
    elbo, chains = trained.elbo, None
    variational, own_ratios = weighted_sample(
        rows, trained.guide, options.variational.num_draws, generator
    )
    ratios = log_ratios(rows, trained.guide, torch_generator(ratio_seed, device), progress)
    theta = variational
    if refined:
        by_minibatch = options.refinement.sampler == "sghmc"
        if by_minibatch:
            rows = replace(rows, batch_size=min(len(x), options.refinement.batch_size))
        # Where SVI took other rows at a time, these are another shape.
        if compiled and by_minibatch:
            rows.prepare_batch()
        elif compiled:
            rows.prepare()
        chains, moving = _refine(
            rows, trained.guide, options, torch_generator(hmc_seed, device), progress, log
        )
        theta, elbo, ratios = chains.draws, elbo[moving], ratios[moving]
        sources = sources[moving]
        dropped += int((~moving).sum())
    return Outcome(
        theta=theta,
        variational=variational,
        elbo=elbo,
        sources=sources,
        log_ratios=ratios,
        variational_log_ratios=own_ratios,
        kl_weight=kl_weight,
        kl_scores=kl_scores,
        num_dropped=dropped,
        warm_start_settled=started.settled,
        svi_settled=trained.settled,
        chains=chains,
        compiled=compiled,
        stages=tuple(log.stages),
    )


def _expected_calls(options: FitOptions, candidates: int, batch: int, *, refined: bool) -> int:
    """Gradient calls of a whole fit (the warm start taken at a quarter of its budget)."""
    variational, refinement = options.variational, options.refinement
    every = options.warm_start.max_steps // 4 + variational.steps(refined=refined)
    calls = every * math.ceil(candidates / batch)
    free = GUIDES[variational.guide].kl_weight is None and len(variational.kl_weights) > 1
    if free:
        trials = 2 * options.num_restarts  # more of them only where a larger weight is better
        calls += variational.selection_steps * math.ceil(trials / batch)
    if refined:
        iterations = refinement.num_warmup + refinement.num_iterations
        calls += iterations * refinement.num_leapfrog * math.ceil(options.num_restarts / batch)
    return calls


def _course(plan: Plan, rows: Rows) -> Course:
    """SVI goes on with the last stage's rates and weights, which all plans share."""
    rates = rows.joint.table.by_training(plan.stages[-1].rates.by_group, rows.x)
    return Course(
        kl_warmup=plan.kl_warmup,
        rates=None if bool((rates == 1.0).all()) else rates,
        penalties=penalty_weights(plan.final_weights, rows.joint, rows.x),
    )


def _details(options: FitOptions, model: HybridModel) -> dict[str, Any]:
    """What SVI's record says of rates and regularisers."""
    plan = options.plans_for(model)[0]
    weights = plan.final_weights
    return {
        "rates": plan.stages[-1].rates.by_group,
        "weights": {name: (weights[name], weights[name]) for name in model.penalty_names},
    }


def _variational(
    rows: Rows,
    started: Started,
    options: FitOptions,
    course: Course,
    *,
    num_steps: int,
    compiled: bool,
    generator: torch.Generator,
    progress: Progress,
    log: StageLog,
) -> tuple[Trained, Tensor, float, dict[float, float], int]:
    """Choose the KL weight, train every candidate with it, and keep the best that label alike.

    The second result are the candidates' numbers, of which the same may occur more than once.
    """
    variational = options.variational
    usable = torch.isfinite(started.theta).all(dim=-1)
    _require(usable, "the warm start")
    index = usable.nonzero()[:, 0]
    theta = started.theta[index]
    score = held_out_score(rows.log_likelihood(theta), started.row_weights[index])
    theta = relabel(rows, theta, int(score.argmax()))
    family = GUIDES[variational.guide]
    if family.kl_weight is not None:
        variational = replace(variational, kl_weights=(family.kl_weight,))
    heads = ~rows.joint.table.feature_mask.to(theta.device)
    blocks = {"heads": heads, "all": torch.ones_like(heads), "none": torch.zeros_like(heads)}
    whitening = whiten_at(rows, theta, blocks[family.block], generator)
    some = torch.arange(min(len(index), options.num_restarts), device=index.device)
    kl_weight, kl_scores = choose_kl_weight(
        rows,
        whitening.select(some),
        started.row_weights[index[some]],
        variational,
        generator=generator,
        progress=progress,
        course=course,
    )
    trials = variational.selection_steps * max(0, len(kl_scores) - 1)
    log.add("choice of the KL weight", f"{kl_weight:g} has the best held-out density", trials)

    pieces = math.ceil(len(index) / rows.joint.batch)
    # Where the gradient would not compile, nor will the step.
    compiled = compiled and options.compiles_steps(num_steps * pieces)
    trained = train(
        rows,
        _KINDS[family.kind].start(whitening, kl_weight),
        rows.all_rows(len(index)),
        num_steps=num_steps,
        # At a rate of zero the run still measures the ELBO.
        learning_rate=variational.learning_rate if family.trains else 0.0,
        generator=generator,
        stage="SVI",
        progress=progress,
        compiled=compiled,
        course=course,
    )
    finite = torch.isfinite(trained.elbo) & torch.isfinite(trained.guide.center).all(dim=-1)
    _require(finite, "SVI")
    choice = choose_restarts(
        rows,
        trained.guide,
        torch.where(finite, trained.elbo, -torch.inf),
        weighting=options.weighting_for(rows.joint.model),
        count=options.num_restarts,
        generator=generator,
        progress=progress,
    )
    reason = "the ELBO has settled" if trained.settled else "the budget of steps is used up"
    if course.kl_warmup > 0.0:
        reason += f"; the KL term rose over the first {course.kl_warmup:.0%} of the steps"
    reason += f"; {choice.words}, of the {int(choice.allowed.sum())}"
    if rows.joint.model.names_regimes:
        reason += " candidates"
    else:
        reason += f" that label the regimes as the best of all {len(usable)} does"
    best = choice.index
    guide = trained.guide.select(best)
    log.add(
        "SVI",
        reason,
        num_steps,
        _trace(trained.neg_elbo),
        usage_before=usage(rows, theta[best]),
        usage_after=usage(rows, guide.center),
        **_details(options, rows.joint.model),
    )
    trained = Trained(guide, trained.neg_elbo, trained.elbo[best], trained.settled)
    return trained, index[best], kl_weight, kl_scores, int((~usable).sum() + (~finite).sum())


def _refine(
    rows: Rows,
    guide: Guide,
    options: FitOptions,
    generator: torch.Generator,
    progress: Progress,
    log: StageLog,
) -> tuple[Chains, Tensor]:
    """A sampler from SVI's solution; chains that never moved are dropped."""
    name = options.refinement.sampler.upper()
    chains = _REFINERS[options.refinement.sampler](
        rows,
        guide,
        options.refinement,
        num_draws=options.variational.num_draws,
        generator=generator,
        progress=progress,
    )
    moving = chains.moving
    _require(moving, name)
    index = moving.nonzero()[:, 0]
    kept = chains.select(index)
    iterations = options.refinement.num_warmup + options.refinement.num_iterations
    log.add(
        f"refinement ({name})",
        kept.words,
        iterations,
        usage_before=log.stages[-1].usage_after,
        usage_after=usage(rows, kept.draws[:, -1]),
    )
    return kept, moving


def _require(usable: Tensor, stage: str) -> None:
    if not bool(usable.any()):
        raise FitError(
            f"Every one of the {len(usable)} restarts became non-finite in {stage}, so there is no "
            "posterior. Look for extreme values in the data; try a smaller learning rate or "
            "another seed."
        )


def _trace(losses: Tensor) -> list[float]:
    values: list[float] = losses.nanmedian(dim=-1).values.tolist()
    return values
