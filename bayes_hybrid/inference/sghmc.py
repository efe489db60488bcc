"""Stochastic gradient Hamiltonian Monte Carlo of all restarts side by side, on minibatches."""

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import Guide
from bayes_hybrid.inference.hmc import Chains, kept_iterations
from bayes_hybrid.inference.options import Refinement
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.rows import Rows

# Springenberg et al.'s.  A momentum lives for some twenty steps.
_STEP: Final = 0.01
_FRICTION: Final = 0.05
# Steps that only look at gradients, before the first that moves; and how many a mean square covers.
_STILL: Final = 100
_WINDOW: Final = 200


def refine_by_sghmc(
    rows: Rows,
    guide: Guide,
    options: Refinement,
    *,
    num_draws: int,
    generator: torch.Generator,
    progress: Progress,
) -> Chains:
    """Run one chain per restart from SVI's solution, each step on ``options.batch_size`` rows.

    With g a minibatch's gradient of the log joint, scaled by N / B, in the coordinates that the
    guide whitens, and G the mean square of g::

        h^2 = eps^2 / sqrt(G)
        v <- (1 - a) v + h^2 g + Normal(0, a (2 - a) h^2 - eps^4 N / (N + B))
        q <- q + v

    The last term leaves room for the noise that the minibatch brings.  G is measured in the
    warm-up, whose iterations are of ``num_leapfrog`` steps as those that are kept.

    There is no accept step, so draws are those of the posterior up to an error that grows with the
    step; and where the minibatch's noise is more than there is room for, chains are too hot.  The
    kinetic temperature ``mean(v^2 / h^2)`` is one where they are not.

    Source: Chen, Fox and Guestrin (2014), Stochastic gradient Hamiltonian Monte Carlo; its adaptive
    form is that of Springenberg, Klein, Falkner and Hutter (2016), Bayesian optimization with
    robust Bayesian neural networks, section 4.
    """
    rows = replace(rows, batch_size=min(rows.num_rows, rows.batch_size, options.batch_size))
    if rows.joint.compiled:
        rows.joint.prepare(rows.x[: rows.batch_size], rows.y[: rows.batch_size])
    whitening = guide.as_whitening(1.0)
    q = torch.zeros_like(whitening.center)
    velocity, square, size = torch.zeros_like(q), torch.zeros_like(q), torch.ones_like(q)
    weights, ones = rows.all_rows(len(q)), q.new_ones(len(q))
    noise = rows.num_rows / (rows.num_rows + rows.batch_size)
    if rows.batch_size == rows.num_rows:
        noise = 0.0
    warmup = options.num_warmup * options.num_leapfrog
    still = min(_STILL, warmup // 2)
    keep, lost = kept_iterations(options.num_iterations, num_draws), ones < 0
    total = options.num_warmup + options.num_iterations
    kept: list[tuple[Tensor, Tensor]] = []
    heat: list[Tensor] = []
    for iteration in range(total):
        for step in range(iteration * options.num_leapfrog, (iteration + 1) * options.num_leapfrog):
            value, gradient = rows.gradient(whitening.color(q), weights, ones)
            gradient = whitening.pull(gradient)
            # Without a finite density there is no gradient, and a chain that goes on goes astray.
            lost = lost | ~torch.isfinite(value)
            if step < warmup:
                square += (gradient.square() - square) / min(step + 1, _WINDOW)
            if step < still:
                continue
            # Nowhere is the log joint flatter than the prior, whose mean square is one.
            size = _STEP**2 * square.clamp_min(1.0).rsqrt()
            spread = _FRICTION * (2.0 - _FRICTION) * size - noise * _STEP**4
            random = torch.randn(
                q.shape, generator=generator, device=generator.device, dtype=q.dtype
            )
            velocity = (1.0 - _FRICTION) * velocity + size * gradient
            velocity = velocity + spread.clamp_min(0.0).sqrt() * random
            q = q + velocity
        if iteration >= options.num_warmup:
            heat.append((velocity.square() / size).mean(-1))
        if iteration - options.num_warmup in keep:
            kept.append((whitening.color(q), torch.stack(heat).mean(0)))
            heat.clear()
        if iteration % 10 == 9:
            progress("refinement (SGHMC)", iteration + 1, total)
    draws, temperature = (torch.stack(column, dim=1) for column in zip(*kept, strict=True))
    draws[lost] = torch.nan
    return Chains(draws, temperature=temperature, step_size=size.sqrt().mean(-1))
