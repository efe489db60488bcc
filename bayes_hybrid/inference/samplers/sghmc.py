"""Stochastic gradient Hamiltonian Monte Carlo of all restarts side by side, on minibatches."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.samplers.base import Chains, Sampler, kept_iterations

# What of a step's velocity friction takes, so that one lives for some twenty steps; and what of the
# noise that makes up for it a minibatch brings: much more, and stiff directions become too wide.
_FRICTION: Final = 0.05
_SHARE: Final = 0.1
# Steps that only look at gradients, before the first that moves; and how many a mean square covers.
_STILL: Final = 100
_WINDOW: Final = 200


@dataclass(frozen=True, kw_only=True)
class SGHMC(Sampler):
    """Stochastic gradient Hamiltonian Monte Carlo: each step takes a minibatch of the rows.

    For tables that HMC takes too long for, and not exact.  Chains start at a draw of SVI's guide.

    With g a minibatch's gradient of the log joint, scaled by N / B, in the coordinates that the
    guide whitens, and G the mean square of g, of which N / (N + B) is the minibatch's noise::

        h^2 = 2 a c / G
        v <- (1 - a) v + h^2 g + Normal(0, 2 a h^2 (1 - c N / (N + B)))
        q <- q + v

    with friction a and the share c of its noise that minibatches bring.  G is measured in the
    warm-up, whose iterations are of ``num_leapfrog`` steps as those that are kept.  A direction
    forgets where it was in about ``(1 + N / B) / (2 c)`` steps: with four hundred times as many
    rows as a step takes, that is as long as the default's chain.

    There is no accept step, so draws are the posterior's up to an error that grows with c.  The
    configurational temperature ``-mean(q . g) / P`` is one at the posterior, by the virial theorem,
    above where chains are too wide, and below where they have not spread yet.

    Source: Chen, Fox and Guestrin (2014), Stochastic gradient Hamiltonian Monte Carlo, equation 15;
    steps in proportion to 1 / G are a judgement.

    Args:
        num_warmup: see :class:`~bayes_hybrid.inference.samplers.base.Sampler`.
        num_iterations: see there.
        budget: see there.
        num_leapfrog: steps of an iteration.
        batch_size: rows of one step, all where there are fewer.

    Example:
        >>> SGHMC(batch_size=128).cost(10_000, 10, 1) == SGHMC(batch_size=128).cost(128, 10, 1)
        True
    """

    num_leapfrog: int = 40
    batch_size: int = 512

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        for name in ("num_leapfrog", "batch_size"):
            checks.positive_int(name, getattr(self, name))

    @property
    def evaluations(self) -> int:
        """The steps of an iteration."""
        return self.num_leapfrog

    def cost(self, num_rows: int, num_parameters: int, num_restarts: int) -> float:
        """Of the rows that are taken."""
        return super().cost(min(num_rows, self.batch_size), num_parameters, num_restarts)

    def rows(self, rows: Rows) -> Rows:
        """In batches of its own."""
        return replace(rows, batch_size=min(rows.num_rows, self.batch_size))

    def prepare(self, rows: Rows) -> None:
        """Where SVI took other rows at a time, these are another shape."""
        rows.prepare_batch()

    def run(
        self,
        rows: Rows,
        guide: BlockGaussian,
        *,
        num_draws: int,
        row_weights: Tensor,
        generator: torch.Generator,
        progress: Progress,
    ) -> Chains:
        """One chain per restart."""
        del row_weights  # of minibatches
        whitening = guide.as_whitening(1.0)
        q = whitening.uncolor(guide.draw(guide.noise(generator)))
        velocity, square = torch.zeros_like(q), torch.zeros_like(q)
        weights, ones = rows.all_rows(len(q)), q.new_ones(len(q))
        share = _SHARE * rows.num_rows / (rows.num_rows + rows.batch_size)
        if rows.batch_size >= rows.num_rows:
            share = 0.0
        warmup = self.warmup * self.num_leapfrog
        still = min(_STILL, warmup // 2)
        keep, lost = kept_iterations(self.iterations, num_draws), ones < 0
        total = self.warmup + self.iterations
        kept: list[tuple[Tensor, Tensor]] = []
        heat: list[Tensor] = []
        for iteration in range(total):
            for step in range(iteration * self.num_leapfrog, (iteration + 1) * self.num_leapfrog):
                value, gradient = rows.gradient(whitening.color(q), weights, ones)
                gradient = whitening.pull(gradient)
                # Without a finite density there is no gradient, and the chain goes astray.
                lost = lost | ~torch.isfinite(value)
                if step < warmup:
                    square += (gradient.square() - square) / min(step + 1, _WINDOW)
                    # Nowhere is the log joint flatter than the prior, whose mean square is one.
                    size = 2.0 * _FRICTION * _SHARE / square.clamp_min(1.0)
                    spread = (2.0 * _FRICTION * (1.0 - share) * size).sqrt()
                if step < still:
                    continue
                noise = guide.noise(generator)
                velocity = (1.0 - _FRICTION) * velocity + size * gradient
                velocity = velocity + spread * noise
                if step >= warmup:
                    heat.append(-(q * gradient).mean(-1))
                q = q + velocity
            if iteration - self.warmup in keep:
                kept.append((whitening.color(q), torch.stack(heat).mean(0)))
                heat.clear()
            if iteration % 10 == 9:
                progress("refinement (SGHMC)", iteration + 1, total)
        draws, temperature = (torch.stack(column, dim=1) for column in zip(*kept, strict=True))
        draws[lost] = torch.nan
        return Chains(draws, temperature=temperature)
