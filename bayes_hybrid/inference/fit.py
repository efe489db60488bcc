"""The recipe: warm start, SVI, choice of restarts, and a short HMC where the budget allows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import FitError, OptionError
from bayes_hybrid.inference.ascent import Course
from bayes_hybrid.inference.flow import Flow, autoregressive_class
from bayes_hybrid.inference.graph import log_joint
from bayes_hybrid.inference.guides import BlockGaussian, Guide
from bayes_hybrid.inference.hmc import Chains, refine
from bayes_hybrid.inference.labels import relabel, same_labelling, usage
from bayes_hybrid.inference.low_rank import LowRank
from bayes_hybrid.inference.nuts import refine_by_nuts
from bayes_hybrid.inference.options import GUIDES, FitOptions
from bayes_hybrid.inference.plans import Plan
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.result import Fit, StageLog
from bayes_hybrid.inference.rows import Rows, held_out_score
from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.inference.svi import (
    Trained,
    choose_kl_weight,
    log_ratios,
    train,
    weighted_sample,
)
from bayes_hybrid.inference.warm_start import Started, penalty_weights, warm_start
from bayes_hybrid.inference.whitening import whiten_at
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.random import spawn_seeds, torch_generator

FloatArray = NDArray[np.float64]
# A chain that accepts less than this has not moved: its draws are copies of one point.
_STUCK = 0.05
_KINDS: Final[Mapping[str, type[Guide]]] = {
    "gaussian": BlockGaussian,
    "low_rank": LowRank,
    "flow": Flow,
}
# Restarts evaluated side by side on a CPU: more do not fit its cache, and cost more than in turn.
_BATCH = 8
# Nats by which one ELBO may miss its log evidence by more than another.
_LOWEST_TEMPERATURE = 8.0


def resolve_device(name: str) -> torch.device:
    """The torch device of that name; ``"auto"`` is the GPU where there is one.

    Raises:
        OptionError: torch does not know the name, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"device: expected 'auto', 'cpu' or a device that torch can use, got {name!r} "
            f"({reason})."
        ) from error
    return device


def fit(
    model: HybridModel,
    x: FloatArray,
    y: FloatArray,
    *,
    seed: int,
    options: FitOptions | None = None,
    feature_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    labels: FloatArray | None = None,
    scalings: tuple[Standardizer, Standardizer] | None = None,
    progress: Progress = silent,
) -> Fit:
    """Fit a hybrid model to a table.

    1. A warm start of all candidates in the stages of their :class:`Plan`, stopped by held-out
       density.
    2. The features' KL weight is chosen by held-out density (:class:`Variational`).
    3. SVI with it on all rows; of the candidates that mean the same by a regime as the best does
       (:mod:`~bayes_hybrid.inference.labels`), the R with the largest ELBO are the posterior.
    4. Where the budget allows, a short HMC from SVI's solution, one chain per restart.

    Args:
        model: what to fit; it sees standardised data.
        x: features ``[N, D]``, finite.
        y: targets ``[N]``, finite; ``[N, Q]`` for a model of Q outputs, NaN where missing.
        seed: everything random is derived from it.
        options: how to fit; the defaults are measured in ``benchmarks/quality.py``.
        feature_names: names of the D columns, ``x0, x1, ...`` by default.
        output_names: a name for each output, ``y``, or ``y0, y1, ...``, by default.
        labels: for a model with a label head, the number of each row's regime label ``[N]``, NaN
            where it has none.
        scalings: standardisation of features and targets, where it is not to come from the rows:
            priors are statements about what it makes of them.
        progress: told about the progress of each stage.

    Returns:
        The fit, with a posterior in the units of the data.

    Raises:
        FitError: every restart became non-finite.
        OptionError: an option does not fit the machine.
    """
    options = options or FitOptions()
    device = resolve_device(options.device)
    if GUIDES[options.variational.guide].kind == "flow":
        autoregressive_class()  # not after minutes of work
    x_scaling, y_scaling = scalings or (
        Standardizer.fit(x),
        Standardizer.fit(y, missing=y.ndim > 1),
    )
    inputs = torch.as_tensor(x_scaling.transform(x), dtype=torch.float32, device=device)
    observed = y_scaling.transform(y)
    if labels is not None:
        observed = np.column_stack([observed, labels])
    targets = torch.as_tensor(observed, dtype=torch.float32, device=device)
    outputs = _names("y", output_names, y)
    start_seed, fold_seed, svi_seed, hmc_seed, ratio_seed = spawn_seeds(seed, 5)

    _require_targets(model, y, labels)
    plans = options.plans_for(model)
    log = StageLog()
    size = SiteTable.of(model, inputs[:1]).num_parameters
    refined = options.refinement.wanted(len(inputs), size, options.num_restarts)
    candidates = options.candidates_for(model)
    batch = candidates
    if device.type == "cpu":
        batch = min(_BATCH, candidates)
    calls = _expected_calls(options, candidates, batch, refined)
    joint = log_joint(model, batch, inputs.dtype, device, compiled=options.compiles(calls))
    batch_size = options.rows_per_step(len(inputs))
    rows = Rows(joint, inputs, targets, batch_size, torch_generator(fold_seed, device))
    compiled = joint.prepare(inputs[:batch_size], targets[:batch_size])
    shares = [plan.penalised_share(model.penalty_names) for plan in plans]
    pieces = math.ceil(math.ceil(candidates / len(plans)) / batch)
    penalised = math.ceil(sum(shares) * options.warm_start.max_steps) * pieces
    if compiled and penalised and options.compiles(penalised):
        joint.prepare(inputs[:batch_size], targets[:batch_size], penalised=True)
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
        compiled=compiled,
        generator=generator,
        progress=progress,
        log=log,
    )
    elbo = trained.elbo
    chains: Chains | None = None
    theta, own_ratios = weighted_sample(
        rows, trained.guide, options.variational.num_draws, generator
    )
    ratios = log_ratios(rows, trained.guide, torch_generator(ratio_seed, device))
    variational = Posterior(model=model, theta=theta, x_scaling=x_scaling, y_scaling=y_scaling)
    if refined:
        if compiled:
            rows.prepare()  # where SVI took minibatches, all rows are another shape
        chains, moving = _refine(
            rows, trained.guide, options, torch_generator(hmc_seed, device), progress, log
        )
        theta, elbo, ratios = chains.draws, elbo[moving], ratios[moving]
        sources = sources[moving]
        dropped += int((~moving).sum())
    missing = options.num_restarts - len(theta)
    return Fit(
        posterior=replace(variational, theta=theta),
        variational=variational,
        x=x,
        y=y,
        feature_names=_names("x", feature_names, x),
        target_name=outputs[0] if y.ndim == 1 else "y",
        output_names=outputs,
        status=_status(started, trained, chains, dropped, missing, options.refinement.sampler)
        + _regularised(plans[0], model),
        converged=started.settled and trained.settled,
        method=f"svi+{options.refinement.sampler}" if refined else "svi",
        seed=seed,
        kl_weight=kl_weight,
        kl_scores=kl_scores,
        elbo=elbo.detach().cpu().double().numpy(),
        sources=sources.cpu().numpy(),
        log_ratios=ratios.cpu().double().numpy(),
        variational_log_ratios=own_ratios.cpu().double().numpy(),
        num_restarts_dropped=dropped,
        num_restarts_missing=missing,
        sampler=_sampler(chains),
        stages=tuple(log.stages),
        labels=labels,
        device=str(device),
        compiled=compiled,
    )


def _require_targets(model: HybridModel, y: FloatArray, labels: FloatArray | None) -> None:
    """Refuse targets and labels that are not what the model is of.

    Raises:
        OptionError: another number of outputs, or labels without a label head or the reverse.
    """
    count = 1 if y.ndim == 1 else y.shape[1]
    if y.ndim > 2 or count != model.num_outputs:
        raise OptionError(
            f"y: the model has num_outputs={model.num_outputs}, got targets of shape {y.shape}"
        )
    if (labels is None) != (model.label_head is None):
        came = "no labels came" if labels is None else "labels came"
        raise OptionError(
            f"labels: {came}, and the model has label_head={model.label_head!r}; "
            "give both or neither"
        )


def _names(letter: str, names: Sequence[str] | None, values: FloatArray) -> tuple[str, ...]:
    """The names given, else the letter, numbered by the columns where there are columns."""
    if names is not None:
        return tuple(names)
    if values.ndim == 1:
        return (letter,)
    return tuple(f"{letter}{column}" for column in range(values.shape[1]))


def _expected_calls(options: FitOptions, candidates: int, batch: int, refined: bool) -> int:
    """Gradient calls of a whole fit (the warm start taken at a quarter of its budget)."""
    variational, refinement = options.variational, options.refinement
    every = options.warm_start.max_steps // 4 + variational.num_steps
    calls = every * math.ceil(candidates / batch)
    free = GUIDES[variational.guide].kl_weight is None and len(variational.kl_weights) > 1
    if free:
        trials = len(variational.kl_weights) * options.num_restarts
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
    trials = variational.selection_steps if kl_scores else 0
    log.add("choice of the KL weight", f"{kl_weight:g} has the best held-out density", trials)

    pieces = math.ceil(len(index) / rows.joint.batch)
    # Where the gradient would not compile, nor will the step.
    compiled = compiled and options.compiles_steps(variational.num_steps * pieces)
    trained = train(
        rows,
        _KINDS[family.kind].start(whitening, kl_weight),
        rows.all_rows(len(index)),
        num_steps=variational.num_steps,
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
    score = torch.where(finite, trained.elbo, -torch.inf)
    alike = finite & same_labelling(rows, trained.guide.center, int(score.argmax()))
    weighting = options.weighting_for(rows.joint.model)
    if weighting == "uniform":
        best = _best(score, alike, options.num_restarts)
        kept = f"kept the {len(best)} restarts with the largest ELBO"
    else:
        # On all rows, with many draws of the final guide: the run's own mean is of single draws, in
        # minibatches of a few rows, and a nat of noise is a factor of three.
        exact = log_ratios(rows, trained.guide, generator).mean(dim=-1)
        if bool(torch.isfinite(exact[alike]).any()):  # a point has no density
            score = torch.nan_to_num(exact, nan=-torch.inf)
        scale = 1.0
        if weighting == "tempered":
            scale = _temperature(score[alike], options.num_restarts / 3)
        best = _by_evidence(score / scale, alike, options.num_restarts)
        kept = f"took {len(set(best.tolist()))} different restarts in proportion to exp(ELBO"
        kept += ")" if weighting == "elbo" else f" / {scale:.3g})"
    reason = "the ELBO has settled" if trained.settled else "the budget of steps is used up"
    reason += (
        f"; {kept} of the {int(alike.sum())} that "
        f"label the regimes as the best of all {len(usable)} does"
    )
    guide = trained.guide.select(best)
    log.add(
        "SVI",
        reason,
        variational.num_steps,
        _trace(trained.neg_elbo),
        usage_before=usage(rows, theta[best]),
        usage_after=usage(rows, guide.center),
        **_details(options, rows.joint.model),
    )
    trained = Trained(guide, trained.neg_elbo, trained.elbo[best], trained.settled)
    return trained, index[best], kl_weight, kl_scores, int((~usable).sum() + (~finite).sum())


def _best(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest scores among those allowed, best first."""
    order = torch.where(allowed, score, -torch.inf).argsort(descending=True)
    return order[: min(count, int(allowed.sum()))]


def _temperature(score: Tensor, least: float) -> float:
    """T of weights exp(score / T): the smallest, from 8 on, that leaves ``least`` effective ones.

    The effective number is ``1 / sum_c w_c^2``, at most that of the finite scores.
    """
    finite = score[torch.isfinite(score)].double()
    least = min(least, 0.99 * len(finite))
    temperature = _LOWEST_TEMPERATURE
    while float(torch.softmax(finite / temperature, dim=0).square().sum()) * least > 1.0:
        temperature *= 1.1
    return temperature


def _by_evidence(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """``count`` indices, each about ``count`` times its share of exp(score), best first.

    Systematic resampling: Carpenter, Clifford and Fearnhead (1999), Improved particle filter for
    nonlinear problems.
    """
    shares = torch.softmax(torch.where(allowed, score.double(), -torch.inf), dim=0)
    order = shares.argsort(descending=True)
    middles = (torch.arange(count, dtype=shares.dtype, device=shares.device) + 0.5) / count
    places = torch.searchsorted(shares[order].cumsum(0), middles)
    return order[places.clamp_max(len(order) - 1)]


def _refine(
    rows: Rows,
    guide: Guide,
    options: FitOptions,
    generator: torch.Generator,
    progress: Progress,
    log: StageLog,
) -> tuple[Chains, Tensor]:
    """HMC or NUTS from SVI's solution; chains that never moved are dropped."""
    name = options.refinement.sampler.upper()
    sampler = refine_by_nuts if options.refinement.sampler == "nuts" else refine
    chains = sampler(
        rows,
        guide,
        options.refinement,
        num_draws=options.variational.num_draws,
        generator=generator,
        progress=progress,
    )
    moving = chains.acceptance.mean(-1) > _STUCK
    _require(moving, name)
    index = moving.nonzero()[:, 0]
    kept = chains.select(index)
    share = float(kept.acceptance.mean())
    iterations = options.refinement.num_warmup + options.refinement.num_iterations
    log.add(
        f"refinement ({name})",
        f"acceptance {share:.2f}",
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


def _status(
    started: Started,
    trained: Trained,
    chains: Chains | None,
    dropped: int,
    missing: int,
    sampler: str,
) -> str:
    if not started.settled:
        text = (
            "Budget used up: the warm start was still improving; the fit can be used, and "
            "a larger max_steps in WarmStart may make it better."
        )
    elif not trained.settled:
        text = (
            "Budget used up: the ELBO was still improving when SVI ended; "
            "a larger num_steps in Variational may make the fit better."
        )
    else:
        text = "Converged: every stage ended by its own rule."
    if chains is not None:
        share = float(chains.acceptance.mean())
        text += f" Refined by {sampler.upper()} with acceptance {share:.2f}"
        text += f" and divergent iterations before {int(chains.diverging.sum())} of the "
        text += f"{chains.diverging.numel()} draws."
    if dropped:
        text += f" {dropped} restarts became non-finite or did not move and were dropped."
    if missing > 0:
        text += f" {missing} of the restarts asked for could not be filled."
    return text


def _regularised(plan: Plan, model: HybridModel) -> str:
    """What the status has to say where SVI kept a regulariser."""
    weights = {name: plan.final_weights[name] for name in model.penalty_names}
    kept = ", ".join(f"{name}={weight:g}" for name, weight in weights.items() if weight)
    if not kept:
        return ""
    return (
        f" SVI kept {kept} of the plan's last stage, so its posterior is not that of the stated "
        "model; end the plan with weights of 0 for that."
    )


def _sampler(chains: Chains | None) -> dict[str, FloatArray]:
    if chains is None:
        return {}
    step_size = chains.step_size
    if step_size is not None:
        step_size = step_size.unsqueeze(-1).expand_as(chains.acceptance)
    fields = {
        "acceptance_rate": chains.acceptance,
        "diverging": chains.diverging,
        "energy": chains.energy,
        "step_size": step_size,
    }
    return {
        name: value.detach().cpu().double().numpy()
        for name, value in fields.items()
        if value is not None
    }
