"""SVI of all restarts, and the weight of the features' KL term."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.rows import Rows, held_out_score, pooled_score
from bayes_hybrid.inference.guides.ascent import PLAIN, Course
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.svi import (
    log_ratios,
    sample,
    svi_schedule,
    train,
    weighted_sample,
)
from bayes_hybrid.inference.guides.whitening import Whitening, whiten_at
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recipe.context import Approximation, Context, State, require_usable
from bayes_hybrid.inference.recipe.plans import Plan
from bayes_hybrid.inference.recipe.relabelling import relabel, usage

__all__ = ["GUIDES", "Variational", "choose_kl_weight"]

_STEPS: Final = 1_500
# A sampler needs a start and coordinates, which are there before the ELBO has settled; but of many
# rows its chains do not come far, and end no better than they began.
_STEPS_TO_START: Final = 200
_FEW_ROWS: Final = 500
# Restarts that the features' KL weight is chosen by, and draws of each.
_TRIALS: Final = 16
_SCORE_DRAWS: Final = 16


@dataclass(frozen=True)
class Family:
    """What sets one variational family apart.

    Args:
        block: which entries have a joint distribution: ``"heads"``, ``"all"`` or ``"none"``.
        kl_weight: weight of the other entries' KL term; ``None`` leaves it to be chosen.
        trains: whether SVI changes it.
    """

    block: str
    kl_weight: float | None
    trains: bool = True


GUIDES: Final[MappingProxyType[str, Family]] = MappingProxyType(
    {
        "block": Family("heads", None),
        "full_rank": Family("all", 1.0),
        "mean_field": Family("none", 1.0),
        "laplace": Family("all", 1.0, trains=False),
        "point": Family("none", 0.0),
    }
)


@dataclass(frozen=True, kw_only=True)
class Variational:
    """SVI: by default a full-rank Gaussian over heads and scales, a mean-field one over features.

    ================  ===========================================================
    ``guide``         the variational family
    ================  ===========================================================
    ``"block"``       full rank over heads and scales; features independent, with
                      the KL weight of ``kl_weights`` that predicts best
    ``"full_rank"``   one full-rank Gaussian over everything
    ``"mean_field"``  independent Normals
    ``"laplace"``     the full-rank Gaussian of the curvature at the warm start,
                      as it is
    ``"point"``       the maximum of the log joint, without a spread
    ================  ===========================================================

    Args:
        guide: the variational family; the others are for comparison.
        num_steps: Adam steps of the final run.  ``None`` takes 1,500, and 200 where a sampler goes
            on from there and there are at most 500 rows.
        learning_rate: largest step, in whitened coordinates (posterior sds), decayed to a fiftieth.
        kl_weights: candidates for the weight of the features' KL term; 0 leaves the features at
            the maximum of the ELBO, without a spread.  The one with the best held-out density wins;
            from the third smallest on they are tried only while the largest before is the best.
            Where a sampler goes on from there, the smallest is taken.
        selection_steps: steps of each candidate's trial run, on the folds' training rows.
        num_draws: posterior draws per restart.
    """

    guide: str = "block"
    num_steps: int | None = None
    learning_rate: float = 0.03
    kl_weights: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    selection_steps: int = 200
    num_draws: int = 50

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.choice("guide", self.guide, tuple(GUIDES))
        for name in ("selection_steps", "num_draws"):
            checks.positive_int(name, getattr(self, name))
        if self.num_steps is not None:
            checks.positive_int("num_steps", self.num_steps)
        checks.positive_float("learning_rate", self.learning_rate)
        checks.instance("kl_weights", self.kl_weights, tuple, list)
        if not self.kl_weights or len(set(self.kl_weights)) < len(self.kl_weights):
            raise OptionError(
                f"kl_weights: expected one or more different weights, got {self.kl_weights!r}."
            )
        for weight in self.kl_weights:
            checks.fraction("kl_weights", weight, closed=True)

    def steps(self, num_rows: int, *, refined: bool) -> int:
        """Adam steps of a final run that a sampler goes on from, or does not."""
        if self.num_steps is not None:
            return self.num_steps
        return _STEPS_TO_START if refined and num_rows <= _FEW_ROWS else _STEPS

    def __call__(self, state: State, context: Context) -> State:
        """Put alike experts in one order, choose the KL weight and train every restart with it."""
        generator, refined = context.generator("svi"), context.sampler is not None
        weights = context.plans[0].final_weights
        context = replace(context, rows=context.rows.regularised(weights))
        rows = context.rows
        score = held_out_score(rows.log_likelihood(state.theta), state.folds)
        best = int(torch.nan_to_num(score, nan=-math.inf).argmax())
        theta = relabel(rows, state.theta, best)
        course, family = _course(context.plans[0], rows), GUIDES[self.guide]
        heads = ~rows.joint.table.feature_mask.to(theta.device)
        blocks = {"heads": heads, "all": torch.ones_like(heads), "none": torch.zeros_like(heads)}
        whitening = whiten_at(rows, theta, blocks[family.block], generator)
        kl_weight, kl_scores = self._kl_weight(whitening, state.folds, context, course, generator)
        num_steps = self.steps(rows.num_rows, refined=refined)
        pieces = math.ceil(len(theta) / rows.joint.batch)
        trained = train(
            rows,
            BlockGaussian.start(whitening, kl_weight),
            rows.all_rows(len(theta)),
            # At a rate of zero the run still measures the ELBO.
            schedule=svi_schedule(self.learning_rate if family.trains else 0.0, num_steps),
            generator=generator,
            progress=partial(context.progress, "SVI"),
            # Where the gradient would not compile, nor will the step.
            compiled=context.compiled and context.compiles_steps(num_steps * pieces),
            course=course,
        )
        finite = torch.isfinite(trained.elbo) & torch.isfinite(trained.guide.center).all(dim=-1)
        kept = require_usable(finite, "became non-finite in SVI")
        guide = trained.guide.select(kept)
        reason = "the ELBO has settled" if trained.settled else "the budget of steps is used up"
        if course.kl_warmup > 0.0:
            reason += f"; the KL term rose over the first {course.kl_warmup:.0%} of the steps"
        last = context.plans[0].stages[-1].rates.by_group
        context.log.add(
            "SVI",
            reason,
            num_steps,
            trained.neg_elbo.nanmedian(dim=-1).values.tolist(),
            rates=last,
            weights={name: (weights[name],) * 2 for name in rows.joint.regularisers},
            usage_before=usage(rows, theta[kept]),
            usage_after=usage(rows, guide.center),
        )
        draws, draw_ratios = weighted_sample(rows, guide, self.num_draws, generator)
        approximation = Approximation(
            guide=guide,
            elbo=trained.elbo[kept],
            draws=draws,
            draw_ratios=draw_ratios,
            log_ratios=log_ratios(rows, guide, context.generator("ratios"), context.progress),
            kl_weight=kl_weight,
            kl_scores=kl_scores,
            settled=trained.settled,
        )
        return replace(state.select(kept), approximation=approximation)

    def _kl_weight(
        self,
        whitening: Whitening,
        folds: Tensor,
        context: Context,
        course: Course,
        generator: torch.Generator,
    ) -> tuple[float, dict[float, float]]:
        """The features' KL weight, and the scores of those tried, if one has to be chosen."""
        family = GUIDES[self.guide]
        if family.kl_weight is not None:
            return family.kl_weight, {}
        if context.sampler is not None or len(self.kl_weights) == 1:
            # A sampler finds the features' spread by itself.
            return min(self.kl_weights), {}
        some = torch.arange(min(len(folds), _TRIALS), device=folds.device)
        weight, scores = choose_kl_weight(
            context.rows,
            whitening.select(some),
            folds[some],
            self,
            generator=generator,
            progress=context.progress,
            course=course,
        )
        trials = self.selection_steps * (len(scores) - 1)
        context.log.add(
            "choice of the KL weight", f"{weight:g} has the best held-out density", trials
        )
        return weight, scores

    def calls(self, num_rows: int, num_restarts: int, batch: int, *, refined: bool) -> int:
        """Gradient calls, of a batch of restarts each."""
        every = self.steps(num_rows, refined=refined) * math.ceil(num_restarts / batch)
        chosen = GUIDES[self.guide].kl_weight is None and len(self.kl_weights) > 1
        if not chosen or refined:
            return every
        trials = 2 * min(num_restarts, _TRIALS)  # more only where a larger weight is better
        return every + self.selection_steps * math.ceil(trials / batch)


def _course(plan: Plan, rows: Rows) -> Course:
    """SVI goes on with the last stage's rates and weights, which all plans share."""
    rates = rows.joint.table.by_training(plan.stages[-1].rates.by_group, rows.x)
    return Course(
        kl_warmup=plan.kl_warmup,
        rates=None if bool((rates == 1.0).all()) else rates,
    )


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
    for some in (weights[:2], *([weight] for weight in weights[2:])):
        before = len(scores) * options.selection_steps

        def report(done: int, _total: int, before: int = before, count: int = len(some)) -> None:
            total = len(weights) * options.selection_steps
            progress("choice of the KL weight", before + count * done, total)

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
    progress: Callable[[int, int], None],
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
        schedule=svi_schedule(options.learning_rate, options.selection_steps),
        generator=generator,
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
