"""Stochastic variational inference of all restarts side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayes_hybrid.inference.adam import Schedule
from bayes_hybrid.inference.ascent import PLAIN, Ascent, CompiledAscent, Course
from bayes_hybrid.inference.guides import BlockGaussian, Guide
from bayes_hybrid.inference.options import Variational
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.rows import CHUNK, Rows, pooled_score
from bayes_hybrid.inference.whitening import Whitening

# The ELBO of a restart is its mean over this last part of the run, where the step is small.
_TAIL = 0.1
_SCORE_DRAWS = 16
# A tail of a fifth of them is enough to tell a Pareto k below 0.7 from one above.
_NUM_RATIOS = 200
# Where a pass over all rows is dear, and ELBOs lie far apart.
_FEWER = 32


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run of SVI left behind.

    Args:
        guide: the fitted guide of C restarts.
        neg_elbo: loss per step and restart, ``[steps, C]``, in nats; with the KL term's factor, if
            that is warmed up.
        elbo: mean ELBO over the last tenth of the run, ``[C]``.
        settled: whether the last tenth's mean improved by less than its own noise, or a thousandth.
    """

    guide: Guide
    neg_elbo: Tensor
    elbo: Tensor
    settled: bool


def train(
    rows: Rows,
    guide: Guide,
    row_weights: Tensor,
    *,
    num_steps: int,
    learning_rate: float,
    generator: torch.Generator,
    stage: str,
    progress: Progress,
    compiled: bool = False,
    course: Course = PLAIN,
) -> Trained:
    """Climb the ELBO of every restart, in place on ``guide``.

    ::

        ELBO_c = E_q[ w_c . log p(y | x, theta) + log p(heads) + f log p(features) ] + H[q]

    with one reparametrised draw per step and f the guide's KL weight; for a point feature block
    (weight 0) f is 1, so that features sit at the maximum of the ELBO, prior included.  A course
    that is not plain adds what :class:`~bayes_hybrid.inference.plans.Plan` says; its steps are not
    compiled whole.
    """
    schedule = Schedule(learning_rate, num_steps, final=0.02, decay=0.999)
    ascent: Ascent | CompiledAscent
    if compiled and course.plain and isinstance(guide, BlockGaussian):
        ascent = CompiledAscent(rows, guide, row_weights, schedule)
    else:
        ascent = Ascent(rows, guide, row_weights, schedule, course)
    losses = row_weights.new_empty(num_steps, guide.num_restarts)
    for step in range(num_steps):
        noise = guide.noise(generator)
        losses[step] = ascent.step(noise)[: losses.shape[1]]
        if step % 50 == 49:
            progress(stage, step + 1, num_steps)
    ascent.finish()
    volume = guide.whitening.log_volume(guide.kl_weight)
    factors = [course.kl_factor(step, num_steps) for step in range(1, num_steps + 1)]
    losses -= losses.new_tensor(factors).unsqueeze(-1) * volume
    tail = losses[-max(1, math.ceil(_TAIL * num_steps)) :]
    return Trained(guide, losses, -tail.mean(0), _settled(losses))


def _settled(losses: Tensor) -> bool:
    """Whether the median loss fell by less than two se, or a thousandth, in the last tenth."""
    size = max(2, losses.shape[0] // 10)
    if losses.shape[0] < 2 * size:
        return False
    trace = losses.nanmedian(dim=-1).values
    before, after = trace[-2 * size : -size], trace[-size:]
    error = torch.sqrt((before.var() + after.var()) / size)
    gain = before.mean() - after.mean()
    return bool(gain <= torch.maximum(2.0 * error, 1e-3 * after.mean().abs()))


def choose_kl_weight(
    rows: Rows,
    whitening: Whitening,
    row_weights: Tensor,
    options: Variational,
    *,
    generator: torch.Generator,
    progress: Progress,
    course: Course = PLAIN,
) -> tuple[float, dict[float, float]]:
    """The features' KL weight with the best held-out log density, and the scores of those tried.

    The two smallest are tried side by side, and a larger one only while the largest so far is the
    best.  Trials are trained for ``selection_steps`` on the folds' training rows and with noise of
    their own, and scored as they will be used, as one posterior: a row's density is the mean over
    the draws of all the restarts that did not see it (:func:`pooled_score`).  Restarts judged one
    by one, or a few of them, ask for more regularisation than their mixture needs.  The trials'
    guide is :class:`BlockGaussian`, whatever family the fit goes on with.
    """
    weights, scores = sorted(options.kl_weights), dict[float, float]()
    if len(weights) == 1:
        return weights[0], scores
    for some in (weights[:2], *([weight] for weight in weights[2:])):
        before = len(scores) * options.selection_steps

        def report(
            stage: str, done: int, _total: int, before: int = before, count: int = len(some)
        ) -> None:
            progress(stage, before + count * done, len(weights) * options.selection_steps)

        scores |= _trial_scores(
            rows, whitening, row_weights, some, options, generator, report, course
        )
        finite = {weight: score for weight, score in scores.items() if math.isfinite(score)}
        best = max(finite, key=finite.__getitem__) if finite else None
        if best is not None and best != some[-1]:
            break
    return weights[0] if best is None else best, scores


def _trial_scores(
    rows: Rows,
    whitening: Whitening,
    row_weights: Tensor,
    kl_weights: Sequence[float],
    options: Variational,
    generator: torch.Generator,
    progress: Progress,
    course: Course,
) -> dict[float, float]:
    """Held-out log density under each of the KL weights, trained side by side."""
    candidates = whitening.center.new_tensor(kl_weights)
    each, count = len(whitening.center), len(candidates)
    restarts = torch.arange(each, device=candidates.device).repeat(count)
    trained = train(
        rows,
        BlockGaussian.start(whitening.select(restarts), candidates.repeat_interleave(each)),
        row_weights[restarts],
        num_steps=options.selection_steps,
        learning_rate=options.learning_rate,
        generator=generator,
        stage="choice of the KL weight",
        progress=progress,
        course=course,
    )
    draws = sample(trained.guide, _SCORE_DRAWS, generator)
    total = rows.log_likelihood(draws[:, 0])
    for number in range(1, _SCORE_DRAWS):
        total = torch.logaddexp(total, rows.log_likelihood(draws[:, number]))
    density = (total - math.log(_SCORE_DRAWS)).split(each)
    return {
        kl_weight: pooled_score(part, row_weights)
        for kl_weight, part in zip(kl_weights, density, strict=True)
    }


def exact_elbo(rows: Rows, guide: Guide, generator: torch.Generator, progress: Progress) -> Tensor:
    """What :func:`train` climbs, on all rows and over many draws of the guide, ``[C]``.

    The run's own losses are of single draws, in minibatches of some rows, and on the way.
    """
    total = torch.zeros_like(guide.kl_weight)
    num_draws = _NUM_RATIOS if rows.num_rows <= CHUNK else _FEWER
    for number in range(num_draws):
        noise = guide.noise(generator)
        value, _ = rows.full_gradient(guide.draw(noise), guide.feature_weight)
        total += value + guide.whitened_entropy(noise)
        progress("choice of the restarts", number + 1, num_draws)
    return total / num_draws + guide.whitening.log_volume(guide.kl_weight)


def log_ratios(
    rows: Rows, guide: Guide, generator: torch.Generator, progress: Progress = silent
) -> Tensor:
    """Log importance ratios ``log p(y, theta | x) - log q(theta)``, ``[C, _NUM_RATIOS]``.

    Where features are a point both densities are those of the rest given the features; where
    everything is, there is no density and they are NaN.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Yes, but did it work?, section 3.
    """
    return weighted_sample(rows, guide, _NUM_RATIOS, generator, progress)[1]


def weighted_sample(
    rows: Rows,
    guide: Guide,
    num_draws: int,
    generator: torch.Generator,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Draws ``[C, S, P]`` of theta from the guide, and their :func:`log_ratios` ``[C, S]``."""
    has_density = guide.whitening.block_size > 0 or bool((guide.kl_weight > 0).any())
    nothing = guide.kl_weight.new_full((guide.num_restarts,), math.nan)
    draws, ratios = [], []
    for number in range(num_draws):
        noise = guide.noise(generator)
        theta = guide.draw(noise)
        draws.append(theta)
        ratios.append(
            rows.full_gradient(theta)[0] - guide.log_prob(noise) if has_density else nothing
        )
        progress("weighing of the guide", number + 1, num_draws)
    return torch.stack(draws, dim=1), torch.stack(ratios, dim=1)


def sample(guide: Guide, num_draws: int, generator: torch.Generator) -> Tensor:
    """Draws ``[C, S, P]`` of theta from the guide."""
    draws = [guide.draw(guide.noise(generator)) for _ in range(num_draws)]
    return torch.stack(draws, dim=1)
