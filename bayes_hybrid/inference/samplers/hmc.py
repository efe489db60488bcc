"""Short Hamiltonian Monte Carlo of all restarts side by side, preconditioned by SVI."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pyro.distributions import constraints
from pyro.ops.dual_averaging import DualAveraging
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.engine.sites import Site
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import Whitening, curvature, whiten
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.samplers.base import Chains, Sampler, kept_iterations
from bayes_hybrid.models.base import SiteGroup

# A trajectory whose energy error exceeds this has left the level set (Stan's threshold).
_DIVERGENCE = 1_000.0
# Steps, as shares of the adapted one.
_SHORTEST, _LONGEST = 0.3, 1.2
# Sizes of single-site steps, in prior sds: from the distance between neighbours among a thousand
# rows to all of the prior.
_SINGLE_STEPS = (0.003, 3.0)
# Sweeps of single-site steps beside a trajectory, at most, and no more than take half its time.
_MAX_SWEEPS = 4
# States of the warm-up's end that are kept to weigh the restarts.
_TOLD = 30
# Steps of this size, in prior sds of the features, move a chain by a twenty-fifth in a trajectory.
_SMALL_STEP = 1e-3


@dataclass(frozen=True, kw_only=True)
class HMC(Sampler):
    """Short Hamiltonian Monte Carlo, all restarts side by side.

    The warm-up sees the rows of the restart's start only, so that the others can tell how far
    restarts are to be trusted (:mod:`~bayes_hybrid.inference.recipe.weighing`).  Step sizes then
    settle on all rows for a fifth of as long.

    Chains start preconditioned by SVI's covariance of heads and scales, and by the features' prior
    sd of one.  Where that leaves the step below :data:`_SMALL_STEP` after a quarter of the warm-up,
    the data pin the features down (next to no noise); then, up to ``max_dense`` parameters,
    the curvature of the whole log joint takes its place, and is measured again half way through the
    warm-up, averaged over two states, because curvature at a mode is not that of the typical set.

    Under a gate with thresholds, random-walk Metropolis steps of single thresholds, sharpnesses and
    scales stand between the trajectories (:meth:`_Run.sweep`): the log joint is nearly a step
    function of a sharp threshold, whose gradient says nothing about what lies beyond the next row,
    and an expert that has lost its rows has a scale as wide as its prior.

    Step sizes adapt per chain.  Each iteration takes a share of it between :data:`_SHORTEST` and
    :data:`_LONGEST`, uniform over the logs, and draws its number of leapfrog steps: no period of
    the target is resonant, and a chain that comes to a place narrower than those its step was
    adapted to can move there.  Where only longer steps diverge, the shorter ones reach what is
    there; an iteration counts as divergent where one of the lower half does.

    Args:
        num_warmup: see :class:`~bayes_hybrid.inference.samplers.base.Sampler`.
        num_iterations: see there.
        budget: see there.
        num_leapfrog: mean number of leapfrog steps of an iteration; each iteration's number is
            drawn between half and one and a half of it.
        target_acceptance: what the step size is adapted to.
        max_dense: most parameters for which the curvature of the whole log joint is measured.

    Example:
        >>> HMC(num_leapfrog=20, budget=None).name
        'HMC'
    """

    num_leapfrog: int = 40
    target_acceptance: float = 0.85
    max_dense: int = 600

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        for name in ("num_leapfrog", "max_dense"):
            checks.positive_int(name, getattr(self, name))
        checks.fraction("target_acceptance", self.target_acceptance)

    @property
    def evaluations(self) -> int:
        """The mean number of leapfrog steps."""
        return self.num_leapfrog

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
        small = guide.whitening.center.shape[-1] <= self.max_dense
        dense = False
        whole, rows = rows, replace(rows, row_weights=row_weights)
        run = _Run(rows, guide.as_whitening(1.0), self, generator)
        single = _single_sites(rows)
        num_sweeps = 0
        if single:
            num_sweeps = min(_MAX_SWEEPS, max(1, self.num_leapfrog // (2 * len(single))))
        single_rates: list[Tensor] = []
        keep = kept_iterations(self.iterations, num_draws)
        settled = self.warmup + self.warmup // 5
        total = settled + self.iterations
        earlier = guide.center
        before: list[Tensor] = []
        kept: list[tuple[Tensor, ...]] = []
        since: list[tuple[Tensor, Tensor]] = []
        for iteration in range(total):
            if iteration == self.warmup // 4:
                dense = small and float(run.step_size.final.median()) < _SMALL_STEP
                earlier = run.theta
                if dense:
                    run.restart(_dense(rows, [earlier]))
            if dense and iteration == self.warmup // 2:
                run.restart(_dense(rows, [run.theta, earlier]))
            if iteration == self.warmup:
                run.give_back(whole)
            adapting = iteration < settled
            rates = [run.sweep(single) for _ in range(num_sweeps)]
            acceptance, diverging, energy = run.iterate(adapting=adapting)
            if self.warmup - _TOLD <= iteration < self.warmup:
                before.append(run.theta)
            if not adapting:
                since.append((acceptance, diverging))
                single_rates += rates
            if iteration - settled in keep:
                # Thinned ones count too: their divergences bias the draws as much.
                shares, flags = (torch.stack(column) for column in zip(*since, strict=True))
                kept.append((run.theta, shares.mean(0), flags.any(0), energy))
                since.clear()
            if iteration % 10 == 9 or iteration == total - 1:
                progress("refinement (HMC)", iteration + 1, total)
        draws, acceptance, diverging, energy = (
            torch.stack(column, dim=1) for column in zip(*kept, strict=True)
        )
        rate = torch.stack(single_rates).mean(0) if single_rates else None
        states = torch.stack(before, dim=1)
        return Chains(
            draws, acceptance, diverging, energy, run.step_size.final, rate, before=states
        )


@dataclass(frozen=True, eq=False)
class _State:
    q: Tensor
    value: Tensor
    gradient: Tensor


class StepSize:
    """Dual averaging of the log step size of each chain (Hoffman and Gelman 2014, section 3.2)."""

    def __init__(self, initial: float, count: int, target: float, like: Tensor) -> None:
        """Start every chain at ``initial``."""
        self._log = self._average = like.new_full((count,), math.log(initial))
        self._averaging = DualAveraging(prox_center=self._log + math.log(10.0))
        self._target = target

    def update(self, acceptance: Tensor) -> None:
        """Move towards the target acceptance probability."""
        self._averaging.step(self._target - acceptance)
        # Outside these bounds a step is either lost to rounding or sure to diverge.
        self._log, self._average = (x.clamp(-14.0, 1.5) for x in self._averaging.get_state())

    @property
    def exploring(self) -> Tensor:
        """The step size of the next warm-up iteration, ``[C]``."""
        return self._log.exp()

    @property
    def final(self) -> Tensor:
        """The averaged step size, ``[C]``."""
        return self._average.exp()


@dataclass(frozen=True, eq=False)
class _Single:
    """An entry of theta to be stepped by itself.

    Args:
        site: the site that it belongs to.
        number: its number in the site.
        scale: unit of its steps: the prior's sd, 1 where that is no fixed Normal.
        constrained: whether the step is one of the constrained value, of which a move of one free
            entry would move several: thresholds are sorted.
    """

    site: Site
    number: int
    scale: float
    constrained: bool

    def moved(self, theta: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """``theta [C, P]`` after a step ``[C]``, and the log ratio of the step's volumes, ``[C]``.

        A constrained value that is none (thresholds out of their order) has no finite theta.
        """
        result, step = theta.clone(), (self.scale * step).to(theta)
        if not self.constrained:
            result[:, self.site.start + self.number] += step
            return result, torch.zeros_like(step)
        entries, transform = slice(self.site.start, self.site.stop), self.site.transform
        before = transform(theta[:, entries])
        after = before.clone()
        after[:, self.number] += step
        result[:, entries] = transform.inv(after)
        volumes = (
            transform.log_abs_det_jacobian(free[:, entries], value).reshape(len(step), -1).sum(-1)
            for free, value in ((theta, before), (result, after))
        )
        return result, next(volumes) - next(volumes)


def _single_sites(rows: Rows) -> list[_Single]:
    """What :meth:`_Run.sweep` steps: thresholds, sharpnesses and scales, under thresholds."""
    if not rows.joint.model.has_thresholds:
        return []
    table = rows.joint.table
    scale = table.fixed_normals(torch.ones(())).scale
    return [
        _Single(
            site,
            number,
            float(scale[site.start + number]),
            constrained=site.transform.codomain is constraints.ordered_vector,
        )
        for site in table.sites
        if site.group in (SiteGroup.SCALES, SiteGroup.THRESHOLDS)
        for number in range(site.stop - site.start)
    ]


def _dense(rows: Rows, states: list[Tensor]) -> Whitening:
    """Whiten every entry by the curvature averaged over ``states``, about the first."""
    block = torch.arange(states[0].shape[-1], device=states[0].device)
    precision = torch.stack([curvature(rows, state, block) for state in states]).mean(0)
    return whiten(states[0], precision, block, states[0].new_ones(len(states[0])))


class _Run:
    """The chains as they stand: position, coordinates, step sizes."""

    def __init__(
        self, rows: Rows, whitening: Whitening, options: HMC, generator: torch.Generator
    ) -> None:
        self._rows, self._options, self._generator = rows, options, generator
        self.restart(whitening)

    def restart(self, whitening: Whitening) -> None:
        """Go on from the whitening's center in its coordinates, with step sizes adapted anew."""
        self._whitening = whitening
        self._state = self._evaluate(torch.zeros_like(whitening.center))
        count = len(whitening.center)
        self.step_size = StepSize(0.02, count, self._options.target_acceptance, whitening.center)

    def give_back(self, rows: Rows) -> None:
        """Go on with these rows from where the chains are."""
        self._rows = rows
        self._state = self._evaluate(self._state.q)

    @property
    def theta(self) -> Tensor:
        """Where the chains are, ``[C, P]``."""
        return self._whitening.color(self._state.q)

    def iterate(self, *, adapting: bool) -> tuple[Tensor, Tensor, Tensor]:
        """One trajectory and its accept step: acceptance probability, divergence and energy."""
        step = self.step_size.exploring if adapting else self.step_size.final
        momentum = self._normal(self._state.q.shape)
        start = 0.5 * momentum.square().sum(-1) - self._state.value
        share = self._uniform(len(step))
        size = step * _SHORTEST * (_LONGEST / _SHORTEST) ** share
        proposal, momentum = self._trajectory(momentum, size.unsqueeze(-1))
        energy = 0.5 * momentum.square().sum(-1) - proposal.value
        error = torch.nan_to_num(energy - start, nan=math.inf, neginf=math.inf)
        acceptance = torch.exp(-error.clamp_min(0.0))
        accepted = self._accept(proposal, acceptance)
        if adapting:
            self.step_size.update(acceptance)
        diverging = (error > _DIVERGENCE) & (share < 0.5)
        return acceptance, diverging, torch.where(accepted, energy, start)

    def sweep(self, singles: Sequence[_Single]) -> Tensor:
        """A Metropolis step of each site in turn: the share that was accepted, ``[C]``.

        ``value_j + scale_j exp(u) eps`` with eps ~ Normal(0, 1) and u ~ Uniform over the logs of
        :data:`_SINGLE_STEPS`: symmetric, and some step has the right size whatever the posterior's
        width.

        Source: Tierney (1994), Annals of Statistics 22, 1701-1728, of kernels in turn.
        """
        smallest, largest = map(math.log, _SINGLE_STEPS)
        accepted = torch.zeros_like(self._state.value)
        for single in singles:
            count = len(accepted)
            size = (smallest + (largest - smallest) * self._uniform(count)).exp()
            noise = self._normal((count,))
            theta, volume = single.moved(self.theta, size * noise)
            proposal = self._evaluate(self._whitening.uncolor(theta))
            gain = proposal.value - self._state.value + volume
            # From a point without a gradient no trajectory would lead on.
            usable = torch.isfinite(gain) & torch.isfinite(proposal.gradient).all(-1)
            gain = torch.where(usable, gain.clamp_max(0.0), -math.inf)
            accepted += self._accept(proposal, gain.exp())
        return accepted / len(singles)

    def _accept(self, proposal: _State, probability: Tensor) -> Tensor:
        """Go to the proposal with this probability ``[C]``: where it was done."""
        accepted = self._uniform(len(probability)) < probability
        column = accepted.unsqueeze(-1)
        self._state = _State(
            torch.where(column, proposal.q, self._state.q),
            torch.where(accepted, proposal.value, self._state.value),
            torch.where(column, proposal.gradient, self._state.gradient),
        )
        return accepted

    def _trajectory(self, momentum: Tensor, size: Tensor) -> tuple[_State, Tensor]:
        """Leapfrog (Neal 2011, equations 5.18 to 5.20) with steps ``[C, 1]``, some of them."""
        length = float(self._uniform(1))
        num_steps = max(1, round(self._options.num_leapfrog * (0.5 + length)))
        proposal = self._state
        momentum = torch.addcmul(momentum, size, proposal.gradient, value=0.5)
        for number in range(num_steps):
            proposal = self._evaluate(torch.addcmul(proposal.q, size, momentum))
            share = 0.5 if number == num_steps - 1 else 1.0
            momentum = torch.addcmul(momentum, size, proposal.gradient, value=share)
        return proposal, momentum

    def _evaluate(self, q: Tensor) -> _State:
        value, gradient = self._rows.full_gradient(self._whitening.color(q))
        return _State(q, value, self._whitening.pull(gradient))

    # In the chains' precision, whatever the caller's default is.

    def _uniform(self, count: int) -> Tensor:
        device, dtype = self._generator.device, self._state.q.dtype
        return torch.rand(count, generator=self._generator, device=device, dtype=dtype)

    def _normal(self, shape: Sequence[int]) -> Tensor:
        device, dtype = self._generator.device, self._state.q.dtype
        return torch.randn(shape, generator=self._generator, device=device, dtype=dtype)
