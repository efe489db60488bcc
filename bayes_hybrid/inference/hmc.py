"""Short Hamiltonian Monte Carlo of all restarts side by side, preconditioned by SVI's covariance."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import Whitening
from bayes_hybrid.inference.options import Refinement
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.rows import Rows

# A trajectory whose energy error exceeds this has left the level set (Stan's threshold).
_DIVERGENCE = 1_000.0


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of C chains and how the sampler did.

    Args:
        draws: ``[C, S, P]``.
        acceptance: acceptance probability of each kept iteration, ``[C, S]``.
        diverging: whether the energy error exceeded 1,000, ``[C, S]``.
        energy: negative log joint plus kinetic energy, ``[C, S]``.
        step_size: final step size of each chain, ``[C]``.
    """

    draws: Tensor
    acceptance: Tensor
    diverging: Tensor
    energy: Tensor
    step_size: Tensor


@dataclass(frozen=True, eq=False)
class _State:
    q: Tensor
    value: Tensor
    gradient: Tensor


class StepSize:
    """Dual averaging of the log step size of each chain (Hoffman and Gelman 2014, section 3.2)."""

    def __init__(self, initial: float, count: int, target: float, like: Tensor) -> None:
        """Start every chain at ``initial``."""
        self._log = like.new_full((count,), math.log(initial))
        self._center = self._log + math.log(10.0)
        self._average = self._log.clone()
        self._error = torch.zeros_like(self._log)
        self._target, self._count = target, 0

    def update(self, acceptance: Tensor) -> None:
        """Move towards the target acceptance probability."""
        self._count += 1
        weight = 1.0 / (self._count + 10.0)
        self._error = (1.0 - weight) * self._error + weight * (self._target - acceptance)
        self._log = self._center - math.sqrt(self._count) / 0.05 * self._error
        # Outside these bounds a step is either lost to rounding or sure to diverge.
        self._log = self._log.clamp(-14.0, 1.5)
        decay = self._count**-0.75
        self._average = decay * self._log + (1.0 - decay) * self._average

    @property
    def exploring(self) -> Tensor:
        """The step size of the next warm-up iteration, ``[C]``."""
        return self._log.exp()

    @property
    def final(self) -> Tensor:
        """The averaged step size, ``[C]``."""
        return self._average.exp()


def refine(
    rows: Rows,
    whitening: Whitening,
    options: Refinement,
    *,
    num_draws: int,
    generator: torch.Generator,
    progress: Progress,
) -> Chains:
    """Run one chain per restart from the whitening's center.

    Step sizes adapt per chain; each iteration jitters the step by a fifth and draws its number of
    leapfrog steps, so that no period of the target is resonant.
    """
    count = whitening.center.shape[0]
    step_size = StepSize(0.01, count, options.target_acceptance, whitening.center)
    state = _evaluate(rows, whitening, torch.zeros_like(whitening.center))
    total = options.num_warmup + options.num_iterations
    keep = _kept(options.num_iterations, num_draws)
    kept: list[tuple[Tensor, ...]] = []
    for iteration in range(total):
        warm = iteration < options.num_warmup
        step = step_size.exploring if warm else step_size.final
        state, acceptance, diverging, energy = _iterate(
            rows, whitening, state, step, options.num_leapfrog, generator
        )
        if warm:
            step_size.update(acceptance)
        elif iteration - options.num_warmup in keep:
            kept.append((whitening.color(state.q), acceptance, diverging, energy))
        if iteration % 10 == 9:
            progress("refinement (HMC)", iteration + 1, total)
    draws, acceptance, diverging, energy = (
        torch.stack(column, dim=1) for column in zip(*kept, strict=True)
    )
    return Chains(draws, acceptance, diverging, energy, step_size.final)


def _kept(num_iterations: int, num_draws: int) -> frozenset[int]:
    """Which iterations are kept: evenly spaced, the last one included."""
    count = min(num_draws, num_iterations)
    return frozenset((i + 1) * num_iterations // count - 1 for i in range(count))


def _evaluate(rows: Rows, whitening: Whitening, q: Tensor) -> _State:
    value, gradient = rows.full_gradient(whitening.color(q))
    return _State(q, value, whitening.pull(gradient))


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _iterate(
    rows: Rows,
    whitening: Whitening,
    state: _State,
    step: Tensor,
    num_leapfrog: int,
    generator: torch.Generator,
) -> tuple[_State, Tensor, Tensor, Tensor]:
    """One leapfrog trajectory and its accept step (Neal 2011, section 5.3)."""
    momentum = torch.randn(
        state.q.shape, generator=generator, device=generator.device, dtype=state.q.dtype
    )
    jitter, length = _uniform(generator, 2).tolist()
    size = (step * (0.8 + 0.4 * jitter)).unsqueeze(-1)
    num_steps = max(1, round(num_leapfrog * (0.5 + length)))
    start_energy = 0.5 * momentum.square().sum(-1) - state.value
    proposal = state
    momentum = momentum + 0.5 * size * proposal.gradient
    for number in range(num_steps):
        proposal = _evaluate(rows, whitening, proposal.q + size * momentum)
        last = number == num_steps - 1
        momentum = momentum + (0.5 * size if last else size) * proposal.gradient
    energy = 0.5 * momentum.square().sum(-1) - proposal.value
    error = torch.nan_to_num(energy - start_energy, nan=math.inf, neginf=math.inf)
    acceptance = torch.exp(-error.clamp_min(0.0))
    accepted = _uniform(generator, len(acceptance)).to(acceptance) < acceptance
    column = accepted.unsqueeze(-1)
    chosen = _State(
        torch.where(column, proposal.q, state.q),
        torch.where(accepted, proposal.value, state.value),
        torch.where(column, proposal.gradient, state.gradient),
    )
    return chosen, acceptance, error > _DIVERGENCE, torch.where(accepted, energy, start_energy)
