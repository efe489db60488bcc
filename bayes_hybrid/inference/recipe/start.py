"""Maximum a posteriori warm start of all restarts, in the stages of their plans."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.inference.engine.adam import Adam, Schedule
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.recorder import quiet_pyro
from bayes_hybrid.inference.engine.rows import Rows, held_out_score
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recipe.context import Context, State, require_usable
from bayes_hybrid.inference.recipe.plans import Plan, PlanStage
from bayes_hybrid.inference.recipe.relabelling import usage
from bayes_hybrid.inference.recipe.segments import SEGMENTS, segmented
from bayes_hybrid.inference.result import StageLog
from bayes_hybrid.models.base import SiteGroup
from bayes_hybrid.random import seeded

# What a cut leaves of the step.
_CUT: Final = 0.1
# What starts near zero is this much of a draw from its prior.
_ALMOST_NOTHING: Final = 1e-3
_STOPPED: Final = "held-out density stopped improving"
_ALL_STEPS: Final = "all its steps are taken"
_USED_UP: Final = "the budget of steps is used up"


def prior_draws(joint: LogJoint, x: Tensor, count: int, seed: int) -> Tensor:
    """``[count, P]`` draws of the unconstrained latents from the prior."""
    draws = []
    with seeded(seed, x.device), quiet_pyro(), torch.no_grad():
        for _ in range(count):
            nodes: Mapping[str, Any] = poutine.trace(joint.model.marginal).get_trace(x[:1]).nodes
            values = {site.name: nodes[site.name]["value"] for site in joint.table.sites}
            draws.append(joint.table.flatten(values))
    return torch.stack(draws)


def started(rows: Rows, num_restarts: int, num_folds: int, seed: int) -> State:
    """Restarts at draws from the prior, each with a fold of the rows left out."""
    theta = prior_draws(rows.joint, rows.x, num_restarts, seed)
    return State(
        theta=theta,
        folds=rows.folds(num_restarts, num_folds),
        sources=torch.arange(num_restarts, device=theta.device),
    )


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Maximum a posteriori start of every restart, stopped by held-out density.

    Each restart leaves out one fold of the rows.  Every ``check_every`` steps the median over the
    restarts of their held-out log density is recorded; when it has not improved for ``patience``
    checks, training goes back to the best check.  It goes on from there at a tenth of the step,
    ``num_cuts`` times, and then stops: with next to no noise most of the fit is gained then.
    That is the plan ``direct``; another :class:`~bayes_hybrid.inference.recipe.plans.Plan` may have
    other stages.

    Args:
        max_steps: most Adam steps at each size of the step.
        learning_rate: largest step, decayed along a cosine to a twentieth.
        num_cuts: times that the step is cut to a tenth.
        num_folds: folds of the rows; restart r leaves out fold r modulo ``num_folds``.
        check_every: steps between checks.
        patience: checks without improvement before the stop.
        segments: ``"levels"`` or ``"lines"`` starts the thresholds of three restarts in four where
            least squares put them between levels, or lines, of the target along the feature of a
            :class:`~bayes_hybrid.ThresholdGate`
            (:func:`~bayes_hybrid.inference.recipe.segments.segmented`); ``None`` at draws from
            their prior, as all others do.
    """

    max_steps: int = 6_000
    learning_rate: float = 0.03
    num_folds: int = 5
    check_every: int = 50
    patience: int = 10
    num_cuts: int = 1
    segments: str | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("max_steps", "check_every", "patience"):
            checks.positive_int(name, getattr(self, name))
        checks.positive_int("num_cuts", self.num_cuts, minimum=0)
        checks.positive_int("num_folds", self.num_folds, minimum=2)
        checks.positive_float("learning_rate", self.learning_rate)
        if self.segments is not None:
            checks.choice("segments", self.segments, SEGMENTS)

    def calls(self, num_restarts: int, batch: int) -> int:
        """Gradient calls, of a batch of restarts each, at a quarter of the budget."""
        return self.max_steps // 4 * math.ceil(num_restarts / batch)

    def __call__(self, state: State, context: Context) -> State:
        """Climb the log joint from prior draws, each restart on all rows but one fold.

        The plans take turns, so that any run of restarts has some of each.  A plan's stages follow
        each other, and each adds to the log.  Noise slopes that the first one freezes start near
        zero, so that noise scales do not depend on the features until a later stage lets them: a
        noise scale that is free from the start explains the hard rows away.
        """
        rows, plans, theta = context.rows, context.plans, state.theta.clone()
        if self.segments is not None:
            theta = segmented(theta, rows, state.folds, self.segments)
        table, climbs = rows.joint.table, list[tuple[slice, _Climb]]()
        for number, plan in enumerate(plans[: len(theta)]):
            share = slice(number, None, len(plans))
            # Copies: compiled code is made for one layout of memory.
            start, folds = theta[share].clone(), state.folds[share].contiguous()
            if plan.stages[0].rates.noise_slopes == 0.0:
                start[:, table.mask(SiteGroup.SCALE_SLOPES).to(theta.device)] *= _ALMOST_NOTHING
            if plan.even_gate:
                gate = table.mask(SiteGroup.GATE_HEAD, SiteGroup.THRESHOLDS)
                start[:, gate.to(theta.device)] *= _ALMOST_NOTHING
            name = f"warm start, {plan.name or number + 1}" if len(plans) > 1 else "warm start"
            climbs.append((share, _Climb(rows, start, folds, plan, self, context.log, name)))
        total, done, settled = sum(climb.most_steps for _, climb in climbs), 0, True
        for share, climb in climbs:
            settled &= climb.run(context.progress, done, total)
            done += climb.most_steps
            theta[share] = climb.best
        kept = require_usable(
            torch.isfinite(theta).all(dim=-1), "became non-finite in the warm start"
        )
        return replace(state, theta=theta, settled=settled).select(kept)


def _runs(plan: Plan, num_cuts: int) -> Iterator[tuple[list[PlanStage], int]]:
    """Stages that share an optimiser, and how often their step has been cut."""
    run: list[PlanStage] = []
    for stage in plan.stages:
        if run and not stage.resumes:
            yield run, 0
            run = []
        if stage.cut:
            for cut in range(1, num_cuts + 1):
                yield [stage], cut
        else:
            run.append(stage)
    if run:
        yield run, 0


class _Climb:
    """A plan's climb: the best point so far, and what was tried on the way."""

    def __init__(
        self,
        rows: Rows,
        theta: Tensor,
        weights: Tensor,
        plan: Plan,
        options: WarmStart,
        log: StageLog,
        name: str,
    ) -> None:
        self.best, self.scores = theta, list[float]()
        self._rows, self._weights, self._options = rows, weights, options
        self._log, self._name = log, name
        self._runs = list(_runs(plan, options.num_cuts))
        self._best_score, self._step = float("-inf"), 0
        self._usage = usage(rows, theta)

    @property
    def most_steps(self) -> int:
        """Steps of all runs, at most."""
        return sum(self._budget(stages) for stages, _ in self._runs)

    def run(self, progress: Progress, done: int, total: int) -> bool:
        """Climb in all stages; whether every run ended by its own rule, not by its budget.

        Args:
            progress: told of this climb's steps, after ``done`` and of ``total``.
            done: see ``progress``.
            total: see ``progress``.
        """

        def report() -> None:
            progress("warm start", done + self._step, total)

        ended = [self._run(stages, cut, report) for stages, cut in self._runs]
        return all(ended)

    def _budget(self, stages: Sequence[PlanStage]) -> int:
        """Most steps of a run."""
        return max(1, round(stages[0].budget * self._options.max_steps))

    def _run(self, stages: Sequence[PlanStage], cut: int, report: Callable[[], None]) -> bool:
        """Climb on from the best point; whether it ended by its own rule, not by its budget."""
        theta, budget, step = self.best.clone(), self._budget(stages), 0
        schedule = Schedule(self._options.learning_rate * _CUT**cut, budget, final=0.05, decay=0.99)
        adam, first, ended = Adam([theta], schedule), len(self.scores), False
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            if following and self._same(stage, following):
                continue
            before, start = len(self.scores), step
            step, ended = self._climb(stage, adam, theta, step, budget, report)
            if stage.stop == "steps":
                self.best, self._best_score, ended = theta.clone(), self.scores[-1], True
            reason = _ALL_STEPS if stage.stop == "steps" else _STOPPED if ended else _USED_UP
            end = theta if following else self.best
            name = f"{stage.name}, cut {cut}" if cut > 1 else stage.name
            self._record(stage, name, reason, step - start, self.scores[before:], end)
        return ended or _levelled_off(self.scores[first:])

    def _same(self, stage: PlanStage, following: PlanStage) -> bool:
        """Whether a stage holds nothing back, in this model, that the one resuming it lets go."""
        alike = torch.equal(self._rates(stage), self._rates(following))
        return alike and stage.penalties == following.penalties

    def _rates(self, stage: PlanStage) -> Tensor:
        return self._rows.joint.table.by_training(stage.rates.by_group, self.best)

    def _climb(
        self,
        stage: PlanStage,
        adam: Adam,
        theta: Tensor,
        step: int,
        budget: int,
        report: Callable[[], None],
    ) -> tuple[int, bool]:
        """Climb until the stage's rule; the step that this is, and whether before the budget."""
        rates, options = self._rates(stage), self._options
        adam.rates = None if bool((rates == 1.0).all()) else [rates]
        patience, since, start = stage.patience or options.patience, 0, step
        ones = theta.new_ones(len(theta))
        while step < budget:
            weights = stage.weights((step - start) / max(1, budget - start - 1))
            rows = self._rows.regularised(weights)
            adam.ascend([rows.gradient(theta, self._weights, ones)[1]])
            step += 1
            self._step += 1
            if step % options.check_every and step < budget:
                continue
            report()
            since = 0 if self._check(theta) else since + 1
            if stage.stop == "held_out" and since >= patience:
                return step, True
        return step, False

    def _check(self, theta: Tensor) -> bool:
        """Record the held-out score, and the point if it is the best so far."""
        score = held_out_score(self._rows.log_likelihood(theta), self._weights).nanmedian()
        self.scores.append(float(score))
        better = self.scores[-1] > self._best_score
        if better:
            self.best, self._best_score = theta.clone(), self.scores[-1]
        return better

    def _record(
        self,
        stage: PlanStage,
        name: str,
        reason: str,
        steps: int,
        scores: Sequence[float],
        end: Tensor,
    ) -> None:
        before, self._usage = self._usage, usage(self._rows, end)
        self._log.add(
            f"{self._name}: {name}",
            reason,
            steps,
            scores,
            rates=stage.rates.by_group,
            weights={key: stage.penalties[key] for key in self._rows.joint.regularisers},
            usage_before=before,
            usage_after=self._usage,
        )


def _levelled_off(scores: list[float]) -> bool:
    """Whether the last tenth of the checks brought less than a hundredth of a nat per row."""
    tail = max(1, len(scores) // 10)
    return len(scores) > tail and max(scores[-tail:]) - max(scores[:-tail]) < 0.01
