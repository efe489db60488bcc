"""Maximum a posteriori warm start of all restarts, in the stages of a plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid.inference.adam import Adam, Schedule
from bayes_hybrid.inference.graph import LogJoint
from bayes_hybrid.inference.labels import usage
from bayes_hybrid.inference.options import WarmStart
from bayes_hybrid.inference.plans import Plan, PlanStage
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recorder import quiet_pyro
from bayes_hybrid.inference.result import StageLog
from bayes_hybrid.inference.rows import Rows, held_out_score
from bayes_hybrid.models.base import SiteGroup
from bayes_hybrid.random import seeded

# What a cut leaves of the step.
_CUT: Final = 0.1
_STOPPED: Final = "held-out density stopped improving"
_ALL_STEPS: Final = "all its steps are taken"
_USED_UP: Final = "the budget of steps is used up"


@dataclass(frozen=True, eq=False)
class Started:
    """Where the warm start ended.

    Args:
        theta: starting points ``[C, P]``.
        row_weights: the fold masks ``[C, N]`` that were trained on.
        steps: step that was gone back to.
        settled: whether the held-out density had stopped improving.
        scores: held-out log density per row at each check (median over restarts).
    """

    theta: Tensor
    row_weights: Tensor
    steps: int
    settled: bool
    scores: tuple[float, ...]


def prior_draws(joint: LogJoint, x: Tensor, count: int, seed: int) -> Tensor:
    """``[count, P]`` draws of the unconstrained latents from the prior."""
    draws = []
    with seeded(seed, x.device), quiet_pyro(), torch.no_grad():
        for _ in range(count):
            nodes: Mapping[str, Any] = poutine.trace(joint.model.marginal).get_trace(x[:1]).nodes
            values = {site.name: nodes[site.name]["value"] for site in joint.table.sites}
            draws.append(joint.table.flatten(values))
    return torch.stack(draws)


def warm_start(
    rows: Rows,
    options: WarmStart,
    plan: Plan,
    *,
    num_restarts: int,
    seed: int,
    progress: Progress,
    log: StageLog,
) -> Started:
    """Climb the log joint from prior draws, each restart on all rows but one fold.

    The stages of the plan follow each other, and each adds to the log.  Noise slopes that the first
    one freezes start near zero, so that noise scales do not depend on the features until a later
    stage lets them: a noise scale that is free from the start explains the hard rows away.
    """
    theta = prior_draws(rows.joint, rows.x, num_restarts, seed)
    if plan.stages[0].rates.noise_slopes == 0.0:
        theta[:, rows.joint.table.mask(SiteGroup.SCALE_SLOPES).to(theta.device)] *= 1e-3
    weights = rows.folds(num_restarts, options.num_folds)
    climb = _Climb(rows, theta, weights, options, progress, log)
    runs = list(_runs(plan, options.num_cuts))
    climb.total = sum(climb.budget(stages) for stages, _ in runs)
    settled = True
    for stages, cut in runs:
        settled &= climb.run(stages, cut)
    return Started(climb.best, climb.weights, climb.best_step, settled, tuple(climb.scores))


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
    """The best point so far, and what was tried on the way."""

    def __init__(
        self,
        rows: Rows,
        theta: Tensor,
        weights: Tensor,
        options: WarmStart,
        progress: Progress,
        log: StageLog,
    ) -> None:
        self.weights, self.scores, self.best_step, self.total = weights, list[float](), 0, 0
        self._rows, self._options, self._progress, self._log = rows, options, progress, log
        self.best, self._best_score, self._step = theta, float("-inf"), 0
        self._usage = usage(rows, theta)

    def budget(self, stages: Sequence[PlanStage]) -> int:
        """Most steps of a run."""
        return max(1, round(stages[0].budget * self._options.max_steps))

    def run(self, stages: Sequence[PlanStage], cut: int) -> bool:
        """Climb on from the best point; whether it ended by its own rule, not by its budget."""
        theta, budget, step = self.best.clone(), self.budget(stages), 0
        schedule = Schedule(self._options.learning_rate * _CUT**cut, budget, final=0.05, decay=0.99)
        adam, first, ended = Adam([theta], schedule), len(self.scores), False
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            if following and self._same(stage, following):
                continue
            before, start = len(self.scores), step
            step, ended = self._climb(stage, adam, theta, step, budget)
            if stage.stop == "steps":
                self.best, self.best_step = theta.clone(), self._step
                self._best_score, ended = self.scores[-1], True
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
        self, stage: PlanStage, adam: Adam, theta: Tensor, step: int, budget: int
    ) -> tuple[int, bool]:
        """Climb until the stage's rule; the step that this is, and whether before the budget."""
        rates, options, penalties = self._rates(stage), self._options, None
        adam.rates = None if bool((rates == 1.0).all()) else [rates]
        patience, since, start = stage.patience or options.patience, 0, step
        ones = theta.new_ones(len(theta))
        regularised = stage.regularises(self._rows.joint.model.penalty_names)
        while step < budget:
            if regularised:
                share = (step - start) / max(1, budget - start - 1)
                penalties = penalty_weights(stage.weights(share), self._rows.joint, theta)
            adam.ascend([self._rows.gradient(theta, self.weights, ones, penalties)[1]])
            step += 1
            self._step += 1
            if step % options.check_every and step < budget:
                continue
            self._progress("warm start", self._step, self.total)
            since = 0 if self._check(theta) else since + 1
            if stage.stop == "held_out" and since >= patience:
                return step, True
        return step, False

    def _check(self, theta: Tensor) -> bool:
        """Record the held-out score, and the point if it is the best so far."""
        score = held_out_score(self._rows.log_likelihood(theta), self.weights).nanmedian()
        self.scores.append(float(score))
        better = self.scores[-1] > self._best_score
        if better:
            self.best, self.best_step = theta.clone(), self._step
            self._best_score = self.scores[-1]
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
        acting = self._rows.joint.model.penalty_names
        self._log.add(
            f"warm start: {name}",
            reason,
            steps,
            scores,
            rates=stage.rates.by_group,
            weights={key: stage.penalties[key] for key in acting},
            usage_before=before,
            usage_after=self._usage,
        )


def penalty_weights(weights: Mapping[str, float], joint: LogJoint, like: Tensor) -> Tensor | None:
    """Weights of the regularisers that act on the model, ``None`` where all are zero."""
    acting = [weights[name] for name in joint.model.penalty_names]
    return like.new_tensor(acting) if any(acting) else None


def _levelled_off(scores: list[float]) -> bool:
    """Whether the last tenth of the checks brought less than a hundredth of a nat per row."""
    tail = max(1, len(scores) // 10)
    return len(scores) > tail and max(scores[-tail:]) - max(scores[:-tail]) < 0.01
