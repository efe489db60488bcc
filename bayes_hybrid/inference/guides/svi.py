"""Stochastic variational inference of all restarts side by side."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.adam import Schedule
from bayes_hybrid.inference.engine.rows import CHUNK, Rows
from bayes_hybrid.inference.guides.ascent import PLAIN, Ascent, CompiledAscent, Course
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.progress import Progress, silent

# The ELBO of a restart is its mean over this last part of the run, where the step is small.
_TAIL = 0.1
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

    guide: BlockGaussian
    neg_elbo: Tensor
    elbo: Tensor
    settled: bool


def svi_schedule(learning_rate: float, num_steps: int) -> Schedule:
    """Steps that decay to a fiftieth, with a second moment of a thousand steps."""
    return Schedule(learning_rate, num_steps, final=0.02, decay=0.999)


def train(
    rows: Rows,
    guide: BlockGaussian,
    row_weights: Tensor,
    *,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
    compiled: bool = False,
    course: Course = PLAIN,
) -> Trained:
    """Climb the ELBO of every restart, in place on ``guide``.

    ::

        ELBO_c = E_q[ w_c . log p(y | x, theta) + log p(heads) + f log p(features) ] + H[q]

    with one reparametrised draw per step and f the guide's KL weight; for a point feature block
    (weight 0) f is 1, so that features sit at the maximum of the ELBO, prior included.  A course
    that is not plain adds what :class:`~bayes_hybrid.inference.recipe.plans.Plan` says; its steps,
    and regularised ones, are not compiled whole.
    """
    num_steps = schedule.num_steps
    ascent: Ascent | CompiledAscent
    if compiled and course.plain and rows.regularisers is None:
        ascent = CompiledAscent(rows, guide, row_weights, schedule)
    else:
        ascent = Ascent(rows, guide, row_weights, schedule, course)
    losses = row_weights.new_empty(num_steps, guide.num_restarts)
    for step in range(num_steps):
        noise = guide.noise(generator)
        losses[step] = ascent.step(noise)[: losses.shape[1]]
        if step % 50 == 49:
            progress(step + 1, num_steps)
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


def exact_elbo(
    rows: Rows, guide: BlockGaussian, generator: torch.Generator, progress: Progress
) -> Tensor:
    """What :func:`train` climbs, on all rows and over many draws of the guide, ``[C]``.

    The run's own losses are of single draws, in minibatches of some rows, and on the way.
    """
    total = torch.zeros_like(guide.kl_weight)
    num_draws = _NUM_RATIOS if rows.num_rows <= CHUNK else _FEWER
    done = 0
    for _, theta in _draws(rows, guide, num_draws, generator):
        value, _ = rows.gradients(theta, guide.feature_weight)
        total += value.sum(0)
        done += len(theta)
        progress("choice of the restarts", done, num_draws)
    entropy = guide.whitened_entropy() + guide.whitening.log_volume(guide.kl_weight)
    return total / num_draws + entropy


def log_ratios(
    rows: Rows, guide: BlockGaussian, generator: torch.Generator, progress: Progress = silent
) -> Tensor:
    """Log importance ratios ``log p(y, theta | x) - log q(theta)``, ``[C, _NUM_RATIOS]``.

    Where features are a point both densities are those of the rest given the features; where
    everything is, there is no density and they are NaN.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Yes, but did it work?, section 3.
    """
    return weighted_sample(rows, guide, _NUM_RATIOS, generator, progress)[1]


def weighted_sample(
    rows: Rows,
    guide: BlockGaussian,
    num_draws: int,
    generator: torch.Generator,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Draws ``[C, S, P]`` of theta from the guide, and their :func:`log_ratios` ``[C, S]``."""
    has_density = guide.whitening.block_size > 0 or bool((guide.kl_weight > 0).any())
    nothing = guide.kl_weight.new_full((guide.num_restarts,), math.nan)
    draws: list[Tensor] = []
    ratios: list[Tensor] = []
    for noises, theta in _draws(rows, guide, num_draws, generator):
        draws += theta
        if has_density:
            values, _ = rows.gradients(theta)
            ratios += [v - guide.log_prob(n) for v, n in zip(values, noises, strict=True)]
        else:
            ratios += [nothing] * len(theta)
        progress("weighing of the guide", len(draws), num_draws)
    return torch.stack(draws, dim=1), torch.stack(ratios, dim=1)


def _draws(
    rows: Rows, guide: BlockGaussian, num_draws: int, generator: torch.Generator
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Standard normal ``[C, P]``, and draws ``[S, C, P]`` of theta, in parts of one engine call."""
    for some in torch.arange(num_draws).split(rows.together(guide.num_restarts)):
        noises = [guide.noise(generator) for _ in some]
        yield noises, torch.stack([guide.draw(noise) for noise in noises])


def sample(guide: BlockGaussian, num_draws: int, generator: torch.Generator) -> Tensor:
    """Draws ``[C, S, P]`` of theta from the guide."""
    draws = [guide.draw(guide.noise(generator)) for _ in range(num_draws)]
    return torch.stack(draws, dim=1)
