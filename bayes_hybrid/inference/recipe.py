"""The recipe: warm start, SVI, a short HMC where the budget allows, and the restarts' weights."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from bayes_hybrid.errors import FitError
from bayes_hybrid.inference.ascent import Course
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
    exact_elbo,
    log_ratios,
    train,
    weighted_sample,
)
from bayes_hybrid.inference.threads import suited_threads
from bayes_hybrid.inference.warm_start import Started, penalty_weights, warm_start
from bayes_hybrid.inference.weighing import (
    choose_temperature,
    restart_weights,
    scores,
    truncated_loo,
)
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
# Restarts that the features' KL weight is chosen by.
_TRIALS: Final = 16
# Restarts whose weights add up to no more than this are left out: they predict nothing.
_NEGLIGIBLE: Final = 0.005


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What the recipe makes of standardised rows.

    Args:
        theta: draws of the posterior ``[R, S, P]``, of the restarts that count.
        weights: of each restart ``[R]``.
        sources: the start that each restart comes from ``[R]``.
        elpd: leave-one-out log density of each restart in nats ``[R]``.
        temperature: of the weights, in nats.
        variational: SVI's own ``[R, S, P]``.
        elbo: of each restart ``[R]``.
        log_ratios: of draws of the guide ``[R, 200]``, see
            :func:`~bayes_hybrid.inference.svi.log_ratios`.
        variational_log_ratios: of ``variational`` ``[R', S]``.
        kl_weight: that of the features.
        kl_scores: held-out log density by KL weight; empty where none was chosen.
        num_dropped: restarts that became non-finite and chains that did not move.
        num_negligible: restarts left out because next to nothing of the weight is theirs.
        warm_start_settled: whether the warm start ended by its own rule.
        svi_settled: whether the ELBO had settled, or a sampler went on from there.
        chains: what the sampler did, if one ran.
        compiled: whether the gradient was compiled.
        stages: the record of all stages.
    """

    theta: Tensor
    weights: NDArray[np.float64]
    sources: NDArray[np.int64]
    elpd: NDArray[np.float64]
    temperature: float
    variational: Tensor
    elbo: Tensor
    log_ratios: Tensor
    variational_log_ratios: Tensor
    kl_weight: float
    kl_scores: dict[float, float]
    num_dropped: int
    num_negligible: int
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
    batch = options.num_restarts
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
    candidates = options.num_restarts
    shape = len(x), size, options.num_restarts
    options = replace(options, refinement=options.refinement.sized(*shape))
    refined = options.refinement.wanted(*shape)
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
    trained, index, kl_weight, kl_scores = _variational(
        rows,
        started,
        options,
        _course(plans[0], rows),
        refined=refined,
        compiled=compiled,
        generator=generator,
        progress=progress,
        log=log,
    )
    chains, guide, folds = None, trained.guide, started.row_weights[index]
    variational, own_ratios = weighted_sample(rows, guide, options.variational.num_draws, generator)
    ratios = log_ratios(rows, guide, torch_generator(ratio_seed, device), progress)
    theta, moving = variational, torch.ones_like(trained.elbo, dtype=torch.bool)
    if refined:
        by_minibatch = options.refinement.sampler == "sghmc"
        if by_minibatch:
            rows = replace(rows, batch_size=min(len(x), options.refinement.batch_size))
        # Where SVI took other rows at a time, these are another shape.
        if compiled and by_minibatch:
            rows.prepare_batch()
        elif compiled:
            rows.prepare()
        chains = _refine(
            rows, guide, folds, options, torch_generator(hmc_seed, device), progress, log
        )
        theta, moving = chains.draws, chains.moving
    densities = _row_densities(rows, theta)
    loo = truncated_loo(densities)
    elpd = np.asarray(loo.sum(axis=1))
    # Rows that a start or a warm-up has not seen; SVI has seen all of them.
    states = started.theta[index].unsqueeze(1)
    if chains is not None and chains.before is not None:
        states = chains.before
    temperature = _temperature(rows, states, folds)
    score = np.where(moving.cpu().numpy(), scores(densities, loo).sum(axis=1), np.nan)
    if chains is None:
        exact = exact_elbo(rows, guide, torch_generator(ratio_seed, device), progress)
        score = exact.cpu().double().numpy()
    weights = restart_weights(score, temperature)
    kept = _that_count(weights, moving.cpu().numpy())
    log.add("weighing", _weighed(weights[kept], temperature), 0)
    which = torch.as_tensor(kept, device=device)
    return Outcome(
        theta=theta[which],
        weights=weights[kept] / weights[kept].sum(),
        sources=index.cpu().numpy()[kept],
        elpd=elpd[kept],
        temperature=temperature,
        variational=variational[which],
        elbo=trained.elbo[which],
        log_ratios=ratios[which],
        variational_log_ratios=own_ratios[which],
        kl_weight=kl_weight,
        kl_scores=kl_scores,
        num_dropped=candidates - len(index) + int((~moving).sum()),
        num_negligible=int(moving.sum()) - len(kept),
        warm_start_settled=started.settled,
        svi_settled=trained.settled or refined,
        chains=None if chains is None else chains.select(which),
        compiled=compiled,
        stages=tuple(log.stages),
    )


def _row_densities(rows: Rows, theta: Tensor) -> NDArray[np.float64]:
    """``log p(y_n | x_n, theta)``, ``[R, S, N]``."""
    each = [rows.log_likelihood(states) for states in theta.unbind(1)]
    densities: NDArray[np.float64] = torch.stack(each, dim=1).cpu().double().numpy()
    return densities


def _temperature(rows: Rows, states: Tensor, folds: Tensor) -> float:
    """That of the weights, by ``states [R, W, P]`` that have seen the rows of ``folds [R, N]``."""
    densities, left_out = _row_densities(rows, states), folds.cpu().numpy() == 0.0
    seen = (~left_out).sum(axis=1)
    each = np.where(left_out, 0.0, scores(densities, truncated_loo(densities)))
    score = each.sum(axis=1) * (left_out.shape[1] / seen)
    pooled = logsumexp(densities, axis=1) - math.log(states.shape[1])
    return choose_temperature(pooled, score, left_out)


def _that_count(weights: NDArray[np.float64], moving: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of the restarts that make up nearly all of the weight, in order."""
    order = np.argsort(-weights, kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(weights[order]), 1.0 - _NEGLIGIBLE))
    kept = order[:count]
    return np.sort(kept[moving[kept]])


def _weighed(weights: NDArray[np.float64], temperature: float) -> str:
    """What came of it, for the record."""
    effective = weights.sum() ** 2 / np.square(weights).sum()
    rule = (
        "equal"
        if math.isinf(temperature)
        else f"in proportion to exp((elpd - p) / {temperature:g})"
    )
    return f"{len(weights)} restarts, {rule}: {effective:.1f} in effect"


def _expected_calls(options: FitOptions, candidates: int, batch: int, *, refined: bool) -> int:
    """Gradient calls of a whole fit (the warm start taken at a quarter of its budget)."""
    variational, refinement = options.variational, options.refinement
    every = options.warm_start.max_steps // 4 + variational.steps(refined=refined)
    calls = every * math.ceil(candidates / batch)
    free = GUIDES[variational.guide].kl_weight is None and len(variational.kl_weights) > 1
    if free and not refined:
        trials = 2 * min(candidates, _TRIALS)  # more only where a larger weight is better
        calls += variational.selection_steps * math.ceil(trials / batch)
    if refined:
        iterations = refinement.warmup + refinement.iterations
        calls += iterations * refinement.num_leapfrog * math.ceil(candidates / batch)
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
    refined: bool,
    compiled: bool,
    generator: torch.Generator,
    progress: Progress,
    log: StageLog,
) -> tuple[Trained, Tensor, float, dict[float, float]]:
    """Choose the KL weight and train every restart with it; the second result are their numbers."""
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
    elif refined:
        # The sampler finds the features' spread by itself.
        variational = replace(variational, kl_weights=(min(variational.kl_weights),))
    heads = ~rows.joint.table.feature_mask.to(theta.device)
    blocks = {"heads": heads, "all": torch.ones_like(heads), "none": torch.zeros_like(heads)}
    whitening = whiten_at(rows, theta, blocks[family.block], generator)
    some = torch.arange(min(len(index), _TRIALS), device=index.device)
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
    if trials:
        log.add("choice of the KL weight", f"{kl_weight:g} has the best held-out density", trials)

    pieces = math.ceil(len(index) / rows.joint.batch)
    num_steps = variational.steps(refined=refined)
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
    reason = "the ELBO has settled" if trained.settled else "the budget of steps is used up"
    if course.kl_warmup > 0.0:
        reason += f"; the KL term rose over the first {course.kl_warmup:.0%} of the steps"
    kept = finite.nonzero()[:, 0]
    guide = trained.guide.select(kept)
    log.add(
        "SVI",
        reason,
        num_steps,
        _trace(trained.neg_elbo),
        usage_before=usage(rows, theta[kept]),
        usage_after=usage(rows, guide.center),
        **_details(options, rows.joint.model),
    )
    trained = Trained(guide, trained.neg_elbo, trained.elbo[kept], trained.settled)
    return trained, index[kept], kl_weight, kl_scores


def _refine(
    rows: Rows,
    guide: Guide,
    folds: Tensor,
    options: FitOptions,
    generator: torch.Generator,
    progress: Progress,
    log: StageLog,
) -> Chains:
    """A sampler from SVI's solution, at least one chain of which has moved."""
    name = options.refinement.sampler.upper()
    chains = _REFINERS[options.refinement.sampler](
        rows,
        guide,
        options.refinement,
        row_weights=folds,
        num_draws=options.variational.num_draws,
        generator=generator,
        progress=progress,
    )
    _require(chains.moving, name)
    kept = chains.select(chains.moving.nonzero()[:, 0])
    iterations = options.refinement.warmup + options.refinement.iterations
    log.add(
        f"refinement ({name})",
        kept.words,
        iterations,
        usage_before=log.stages[-1].usage_after,
        usage_after=usage(rows, kept.draws[:, -1]),
    )
    return chains


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
