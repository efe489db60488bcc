"""Stochastic gradient HMC: for rows too many to look at all of them at every step."""

from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import Guide
from bayes_hybrid.inference.hmc import Chains, kept_iterations
from bayes_hybrid.inference.options import Refinement
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.rows import Rows

# Share of the momentum that a step loses.
_FRICTION: Final = 0.1
# Largest step, in the guide's sds: with that friction a walk across one takes some twenty steps.
_LARGEST_STEP: Final = 0.1
# Minibatches whose gradients at the start say how noisy gradients are.
_NUM_TRIALS: Final = 50


def refine_by_sghmc(
    rows: Rows,
    guide: Guide,
    options: Refinement,
    *,
    num_draws: int,
    generator: torch.Generator,
    progress: Progress,
) -> Chains:
    """Run one chain per restart on minibatches, from the guide and in its coordinates.

    ::

        v <- (1 - a) v + e^2 g(q) + Normal(0, 2 a e^2 - e^4 V)
        q <- q + v

    with friction a = 0.1, the gradient g of the log joint on a minibatch, and its variance V over
    minibatches, which is measured at the start.  An entry's step is ``e = min(0.1, sqrt(a / V))``,
    so that the minibatches bring at most half of the noise, and what they bring is not added again.
    There is no accept step: what is left of the bias goes with e.  An iteration is
    ``num_leapfrog`` steps.

    Source: Chen, Fox and Guestrin (2014), Stochastic gradient Hamiltonian Monte Carlo, equation 15.
    """
    whitening = guide.as_whitening(1.0)
    count = guide.num_restarts
    weights, ones = rows.all_rows(count), whitening.center.new_ones(count)

    def gradient(q: Tensor) -> Tensor:
        return whitening.pull(rows.gradient(whitening.color(q), weights, ones)[1])

    q = torch.zeros_like(whitening.center)
    variance = torch.stack([gradient(q) for _ in range(_NUM_TRIALS)]).var(0)
    square = (_FRICTION / variance).clamp_max(_LARGEST_STEP**2)
    noise_sd = (2.0 * _FRICTION * square - square.square() * variance).sqrt()
    velocity = torch.zeros_like(q)
    keep = kept_iterations(options.num_iterations, num_draws)
    total = options.num_warmup + options.num_iterations
    draws = []
    for iteration in range(total):
        for _ in range(options.num_leapfrog):
            noise = torch.randn(
                q.shape, generator=generator, device=generator.device, dtype=q.dtype
            )
            velocity = (1.0 - _FRICTION) * velocity + square * gradient(q) + noise_sd * noise
            q = q + velocity
        if iteration - options.num_warmup in keep:
            draws.append(whitening.color(q))
        if iteration % 10 == 9:
            progress("refinement (SGHMC)", iteration + 1, total)
    found = torch.stack(draws, dim=1)
    # A chain that has left for infinity counts as one that accepts nothing.
    broken = ~torch.isfinite(found).all(-1)
    return Chains(found, 1.0 - broken.to(found.dtype), broken, None, None)
