"""Training plans: what may be asked for, and what a fit makes of it."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from pyro import poutine

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import ThresholdGate
from bayes_hybrid.inference import (
    HMC,
    PLANS,
    Fit,
    FitOptions,
    Plan,
    PlanStage,
    Rates,
    Variational,
    WarmStart,
    fit,
)
from bayes_hybrid.inference.engine.adam import Adam, Schedule
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.recorder import Recorder, quiet_pyro
from bayes_hybrid.inference.engine.rows import Rows, held_out_score
from bayes_hybrid.inference.guides.ascent import Course
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.svi import svi_schedule, train
from bayes_hybrid.inference.guides.whitening import whiten
from bayes_hybrid.inference.recipe.context import State
from bayes_hybrid.inference.recipe.plans import plans_of
from bayes_hybrid.inference.recipe.relabelling import usage
from bayes_hybrid.inference.recipe.start import prior_draws
from bayes_hybrid.inference.result import StageLog
from bayes_hybrid.inference.saving.storage import read_saved, save_fit
from bayes_hybrid.models import HybridMixture, HybridModel, Target
from bayes_hybrid.models.base import SiteGroup
from bayes_hybrid.models.regularised import Regularised
from tests.inference.linear import problem, warm_started
from tests.models import zoo

_MIXTURE = zoo.MODELS["mixture of 2, relu, input"]
_WEIGHTS = torch.tensor([0.7, 1.3, 0.9], dtype=torch.float64)
_FREE = PlanStage(name="free")


@pytest.fixture
def unrecorded(monkeypatch):
    """Runs what would be recorded: the same sums, without the seconds that recording takes."""

    def run(self, *arguments):
        with quiet_pyro():
            return self._function(*arguments)

    monkeypatch.setattr(Recorder, "__call__", run)
    monkeypatch.setattr(Recorder, "record", lambda self, *_: lambda *given: run(self, *given))


def _rows(model=_MIXTURE, size=20, batch=2, batch_size=None):
    x, y = zoo.rows(size)
    generator = torch.Generator().manual_seed(2)
    return Rows(LogJoint(model, x[:1], batch), x, Target(y), batch_size or size, generator)


def _start(plan: Plan, rows: Rows, **settings: Any) -> tuple[State, StageLog]:
    options = WarmStart(**{"max_steps": 20, "check_every": 5} | settings)
    return warm_started(rows, options, (plan,), 2)


def _options(**settings: Any) -> FitOptions:
    defaults: dict[str, Any] = {
        "num_restarts": 2,
        "warm_start": WarmStart(max_steps=20, check_every=5),
        "variational": Variational(num_steps=10, kl_weights=(0.1,), num_draws=3),
        "sampler": None,
        "compile": "never",
    }
    return FitOptions(**defaults | settings)


def _fit(model: HybridModel = _MIXTURE, **settings: Any) -> Fit:
    x, y = (part.numpy() for part in zoo.rows(20))
    return fit(model, x, y, seed=0, options=_options(**settings))


# What may be asked for


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Rates(gate=-1.0), "gate must be a finite number >= 0"),
        (lambda: PlanStage(name="a", rates=0.1), "rates must be a Rates"),  # type: ignore[arg-type]
        (lambda: PlanStage(name="a", stop="heldout"), "did you mean 'held_out'"),
        (lambda: PlanStage(name="a", budget=0.0), "budget must be"),
        (lambda: PlanStage(name="a", patience=0), "patience must be"),
        (lambda: PlanStage(name="a", load_balance=1.0), "pair of weights"),  # type: ignore[arg-type]
        (lambda: PlanStage(name="a", load_balance=(-1.0, 0.0)), "load_balance must be"),
        (lambda: PlanStage(name="a", load_balance=(1.0, 0.0)), "needs stop='steps'"),
        (lambda: PlanStage(name="a", resumes=True, budget=0.5), "leave cut and budget alone"),
        (lambda: Plan(stages=()), r"different names, got \[\]"),
        (lambda: Plan(stages=(_FREE, _FREE)), "one or more of different names"),
        (lambda: Plan(stages=("free",)), "stages must be a PlanStage"),  # type: ignore[arg-type]
        (lambda: Plan(stages=(_FREE,), kl_warmup=0.6), "at most 0.5"),
        (lambda: Plan(stages=(PlanStage(name="a", resumes=True),)), "no step to resume"),
        (
            lambda: Plan(stages=(PlanStage(name="a", rates=Rates(relu=0.0)),)),
            "the last freezes relu",
        ),
        (
            lambda: Plan(
                stages=(PlanStage(name="a", stop="steps"), PlanStage(name="b", resumes=True))
            ),
            "'b' resumes 'a', which has to be",
        ),
        (lambda: FitOptions(plan="gausian_first"), "did you mean 'gaussian_first'"),
        (lambda: FitOptions(plan=3), "'plain', a Plan, or several of these; got 3"),  # type: ignore[arg-type]
    ],
)
def test_bad_plans_are_named(build, message):
    with pytest.raises(OptionError, match=message):
        build()


def test_the_built_in_plans_end_unregularised():
    names = ["default", "direct", "even_gate", "gaussian_first", "balanced", "plain"]
    assert list(PLANS) == names
    for plan in itertools.chain(*PLANS.values()):
        assert set(plan.final_weights.values()) == {0.0}
        regularised = [s for s in plan.stages if any(map(any, s.penalties.values()))]
        # What a stage leaves behind would be a jump for the next.
        assert all(set(stage.weights(1.0).values()) == {0.0} for stage in regularised[-1:])
    for plan in PLANS["default"] + PLANS["plain"]:
        assert not any(max(s.penalties.values()) > (0.0, 0.0) for s in plan.stages)


def test_a_weight_goes_from_its_first_number_to_its_second():
    stage = PlanStage(name="a", gate_entropy=(2.0, 0.5), stop="steps")
    assert [stage.weights(share)["gate_entropy"] for share in (0.0, 0.5, 1.0)] == [2.0, 1.25, 0.5]


# Regularisers in the recorded log joint


def _plain(joint, theta, x, y, weights):
    theta = theta.clone().requires_grad_()
    values = joint.table.constrain(theta)
    regularised = Regularised(joint.model, dict(zip(joint.regularisers, weights, strict=True)))
    program = poutine.condition(regularised.marginal, data=values)
    trace: Any = poutine.trace(program).get_trace(x, y)
    jacobians = (
        site.transform.log_abs_det_jacobian(
            theta[site.start : site.stop].reshape(site.free_shape), values[site.name]
        ).sum()
        for site in joint.table.sites
    )
    total = trace.log_prob_sum() + sum(jacobians)
    (gradient,) = torch.autograd.grad(total, theta)
    return total.detach(), gradient


@pytest.mark.parametrize("name", ["mixture of 2, linear, constant", "relu, constant"])
def test_recorded_regularisers_are_plain_pyros(name):
    rows = _rows(zoo.MODELS[name])
    joint = rows.joint
    weights = _WEIGHTS[-len(joint.regularisers) :]
    theta = 0.5 * torch.randn(3, joint.table.num_parameters, dtype=torch.float64)
    # Weights are inputs: another set of them needs no other record.
    for factor in (1.0, 2.0):
        value, gradient = joint.value_and_grad(
            theta, rows.x, rows.target, regularised=factor * weights
        )
        for c in range(3):
            expected = _plain(joint, theta[c], rows.x, rows.target, factor * weights)
            # Two orders of summation in float64, of terms up to a few hundred.
            torch.testing.assert_close(value[c], expected[0], rtol=1e-10, atol=1e-9)
            torch.testing.assert_close(gradient[c], expected[1], rtol=1e-10, atol=1e-9)


def test_a_minibatch_is_regularised_for_all_rows(unrecorded):
    rows = _rows(batch_size=5)
    theta = torch.zeros(2, rows.joint.table.num_parameters, dtype=torch.float64)
    nothing, one = torch.zeros(2, 20, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    prior, _ = rows.gradient(theta, nothing, one)
    weights = {"gate_entropy": 1.0, "load_balance": 0.0, "relu_smoothness": 0.0}
    value, _ = rows.regularised(weights).gradient(theta, nothing, one)
    # At zero the gate is even on every row, so each of N = 20 rows has an entropy of log 2.
    torch.testing.assert_close(value - prior, torch.full_like(value, 20 * math.log(2)))


# Stages


@pytest.fixture
def ends(monkeypatch):
    """The points at which the warm start's stages begin and end."""
    seen: list[torch.Tensor] = []

    def spy(rows, theta):
        seen.append(theta.clone())
        return usage(rows, theta)

    monkeypatch.setattr("bayes_hybrid.inference.recipe.start.usage", spy)
    return seen


def _entries(rows, group):
    rates = {name: float(name == group) for name in Rates().by_group}
    return rows.joint.table.by_training(rates, rows.x).bool()


@pytest.mark.parametrize("group", Rates().by_group)
def test_a_frozen_group_does_not_move(unrecorded, ends, group):
    rows = _rows()
    held = PlanStage(name="held", rates=Rates(**{group: 0.0}), stop="steps")
    _start(Plan(stages=(held, _FREE)), rows)
    frozen = _entries(rows, group)
    still = (ends[1] == ends[0]).all(0)
    assert torch.equal(still, frozen)
    assert not bool((ends[2] == ends[1]).all(0).any())


def test_a_slow_group_moves_in_proportion():
    theta, slow = torch.zeros(2, 3), torch.zeros(2, 3)
    gradient = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.5, 0.0]])
    schedule = Schedule(0.1, 10, final=0.1, decay=0.99)
    adam, slowed = Adam([theta], schedule), Adam([slow], schedule)
    rates = torch.tensor([1.0, 0.25, 0.0])
    slowed.rates = [rates]
    for _ in range(3):
        adam.ascend([gradient])
        slowed.ascend([gradient])
    # Rounding of float32 numbers up to 0.3.
    torch.testing.assert_close(slow, rates * theta, rtol=1e-6, atol=1e-7)
    assert torch.equal(slow[:, 0], theta[:, 0])
    slowed.rates = None
    slowed.ascend([gradient])
    # It gathered no moments while it was frozen, and now begins, at the fourth step's correction.
    first, second = 0.1 / (1.0 - 0.9**4), 0.01 / (1.0 - 0.99**4)
    assert float(slow[0, 2]) == pytest.approx(schedule.rate(4) * first / second**0.5, rel=1e-5)


def test_annealing_begins_at_one_end_and_reaches_the_other(unrecorded, monkeypatch):
    rows, seen = _rows(), []
    gradient = Rows.gradient

    def spy(self, *arguments):
        seen.append(None if self.regularisers is None else self.regularisers.tolist())
        return gradient(self, *arguments)

    monkeypatch.setattr(Rows, "gradient", spy)
    ends = {"gate_entropy": (2.0, 0.0), "load_balance": (0.0, 0.0), "relu_smoothness": (1.0, 0.0)}
    stage = dataclasses.replace(PlanStage(name="a", stop="steps", budget=0.25), **ends)
    _, log = _start(Plan(stages=(stage, _FREE)), rows, patience=100)
    assert seen[:5] == [[2.0, 0.0, 1.0], [1.5, 0.0, 0.75], [1.0, 0.0, 0.5], [0.5, 0.0, 0.25], None]
    assert seen[5:] == [None] * 20
    first, second = log.stages
    assert (first.name, first.steps, first.weights) == ("warm start: a", 5, ends)
    assert first.reason == "all its steps are taken"
    assert set(second.weights.values()) == {(0.0, 0.0)}
    assert (len(first.trace), len(second.trace)) == (1, 4)


def test_a_stage_of_steps_is_gone_on_from_though_its_score_is_worse(unrecorded, ends):
    # Smooth at any price: after a good fit, no fit is as good.
    worse = PlanStage(name="worse", relu_smoothness=(1e6, 1e6), stop="steps")
    plan = Plan(stages=(_FREE, worse, dataclasses.replace(_FREE, name="b")))
    rows = _rows()
    started, log = _start(plan, rows, max_steps=200)
    assert log.stages[1].trace[-1] < max(log.stages[0].trace)
    score = held_out_score(rows.log_likelihood(ends[2]), started.folds).nanmedian()
    assert float(score) == log.stages[1].trace[-1]


def test_means_come_first_and_the_next_stage_resumes(unrecorded, ends):
    rows = _rows()
    _, log = _start(PLANS["direct"][0], rows, max_steps=60, patience=2)
    names = [stage.name for stage in log.stages]
    assert names == ["warm start: means first", "warm start: all", "warm start: small steps"]
    assert log.stages[0].steps + log.stages[1].steps <= 60
    slopes = _entries(rows, "noise_slopes")
    assert torch.equal(ends[1][:, slopes], ends[0][:, slopes])
    assert log.stages[0].rates["noise_slopes"] == 0.0
    # A thousandth of a draw from the prior, whose sd is 1: far from 0 once in more than a million.
    assert float(ends[0][:, slopes].abs().max()) < 6e-3


def test_a_stage_that_holds_nothing_back_is_left_out(unrecorded):
    rows = _rows(zoo.MODELS["mixture of 2, relu, constant"])
    _, log = _start(PLANS["direct"][0], rows)
    names = [stage.name for stage in log.stages]
    assert names == ["warm start: all", "warm start: small steps"]


def test_an_even_gate_starts_near_even_and_moves_slowly(unrecorded, ends):
    rows = _rows()
    _start(PLANS["even_gate"][0], rows, max_steps=60)
    drawn = _drawn(rows)
    head = rows.joint.table.mask(SiteGroup.GATE_HEAD)
    assert bool(head.any())
    torch.testing.assert_close(ends[0][:, head], 1e-3 * drawn[:, head])
    others = ~head & ~_entries(rows, "noise_slopes")
    assert torch.equal(ends[0][:, others], drawn[:, others])
    gate = _entries(rows, "gate")
    moved = (ends[1] - ends[0]).abs()
    # Adam's first steps are as large as their rate, whatever the gradient.
    assert float(moved[:, gate].max()) < 0.1 * float(moved[:, _entries(rows, "heads")].max())


# Several plans


def _drawn(rows):
    return prior_draws(rows.joint, rows.x, 2, 0)


def test_plans_share_the_restarts(unrecorded, ends):
    rows = _rows()
    plans = (Plan(stages=(_FREE,), name="one"), Plan(stages=(_FREE,), even_gate=True))
    options = WarmStart(max_steps=20, check_every=5)
    calls = []
    started, log = warm_started(rows, options, plans, 2, lambda *call: calls.append(call))
    assert [stage.name for stage in log.stages] == ["warm start, one: free", "warm start, 2: free"]
    assert torch.equal(ends[0], _drawn(rows)[:1])
    assert [len(points) for points in ends] == [1, 1, 1, 1]
    assert torch.equal(started.theta, torch.cat([ends[2], ends[3]]))
    assert [step for _, step, _ in calls] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert {total for _, _, total in calls} == {40}
    # More plans than restarts: the last ones have none.
    _, log = warm_started(rows, options, plans, 1)
    assert [stage.name for stage in log.stages] == ["warm start, one: free"]


def test_a_plan_of_several_is_taken_apart():
    free = Plan(stages=(_FREE,))
    assert plans_of(free) == (free,)
    assert plans_of(["direct", free]) == (*PLANS["direct"], free)
    assert plans_of("default") == PLANS["direct"] + PLANS["even_gate"]
    for wrong in ((), (free, free), ("default", "direct")):
        with pytest.raises(OptionError, match="different plans"):
            plans_of(wrong)
    slow = PlanStage(name="slow", rates=Rates(gate=0.5))
    for other in (Plan(stages=(slow,)), Plan(stages=(_FREE,), kl_warmup=0.1)):
        with pytest.raises(OptionError, match="end with the same rates"):
            FitOptions(plan=(free, other))
    listed = PlanStage(name="a", load_balance=[1.0, 0.0], stop="steps")
    assert len(plans_of((Plan(stages=(listed, _FREE)), "direct"))) == 2
    with pytest.raises(OptionError, match="different names"):
        plans_of((Plan(stages=(_FREE,), name="a"), Plan(stages=(_FREE, slow), name="a")))
    with pytest.raises(OptionError, match="plan must be"):
        plans_of(3)


def _plans_for(options, model):
    return options.plans_for(model.num_regimes, has_thresholds=model.has_thresholds)


def test_where_no_gate_can_be_even_the_plan_is_left_out():
    options = FitOptions()
    assert _plans_for(options, _MIXTURE) == PLANS["default"]
    threshold = HybridMixture(
        num_features=1,
        experts=(zoo.pathway("relu"), zoo.pathway("gaussian")),
        gate=ThresholdGate(),
    )
    for model in (threshold, zoo.MODELS["relu, constant"]):
        assert _plans_for(options, model) == PLANS["direct"]
        (alone,) = _plans_for(FitOptions(plan="even_gate"), model)
        assert alone == dataclasses.replace(PLANS["even_gate"][0], even_gate=False)


def test_a_fit_takes_several_plans_one_of_them_regularised():
    done = _fit(plan=("direct", "balanced"))
    names = [stage.name for stage in done.training.stages if stage.name.startswith("warm start")]
    assert names[0] == "warm start, direct: means first"
    assert "warm start, balanced: regularised" in names
    assert len(done.posterior.theta) + done.training.num_negligible == 2
    assert np.isfinite(done.restarts.elbo).all()


def test_usage_is_the_mean_responsibility():
    rows = _rows()
    theta = torch.randn(3, rows.joint.table.num_parameters, dtype=torch.float64)
    theta[1] = torch.nan  # a lost restart does not count
    total = np.zeros(2)
    for c in (0, 2):
        values = rows.joint.table.constrain(theta[c])
        regimes = poutine.condition(_MIXTURE.sampled, data=values)(rows.x).regimes
        shares = _MIXTURE.predictive(regimes).log_responsibilities(rows.target.y).exp()
        total += shares.mean(0).numpy() / 2
    np.testing.assert_allclose(usage(rows, theta), total, rtol=1e-12)
    assert np.isnan(usage(rows, theta[1:2])).all()
    assert usage(problem(5)[1], torch.zeros(1, 4)) == (1.0,)


# SVI


def test_the_kl_term_is_warmed_up():
    course = Course(kl_warmup=0.5)
    assert [course.kl_factor(step, 8) for step in (1, 2, 4, 5, 8)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert Course().kl_factor(1, 8) == 1.0


def _guide(kl_weight):
    theta = torch.zeros(2, 4, dtype=torch.float64)
    precision = 2.0 * torch.eye(3, dtype=torch.float64).expand(2, -1, -1)
    whitening = whiten(theta, precision, torch.arange(1, 4), theta.new_full((2,), 0.1))
    return BlockGaussian.start(whitening, kl_weight)


def _svi(rows, course, num_steps=4, kl_weight=0.5):
    guide = _guide(kl_weight)
    trained = train(
        rows,
        guide,
        rows.all_rows(2),
        schedule=svi_schedule(0.05, num_steps),
        generator=torch.Generator().manual_seed(3),
        progress=lambda *_: None,
        course=course,
    )
    return guide, trained


def test_the_first_loss_of_a_warm_up_is_its_formula():
    _, rows = problem(20, batch=2, dtype=torch.float64, slopes_are_features=True)
    _, trained = _svi(rows, Course(kl_warmup=0.5))
    guide = _guide(0.5)
    noise = guide.noise(torch.Generator().manual_seed(3))
    theta = guide.draw(noise)
    data = rows.log_likelihood(theta).sum(-1)
    whole, _ = rows.joint.value_and_grad(
        theta, rows.x, rows.target, feature_weight=guide.feature_weight
    )
    elbo = data + 0.5 * (whole - data + guide.entropy())  # the first of two warm steps
    torch.testing.assert_close(-trained.neg_elbo[0], elbo)
    # From the second step on the KL term is whole: the same formula without its factor.
    assert Course(kl_warmup=0.5).kl_factor(2, 4) == 1.0


def test_svi_takes_the_last_stages_rates_and_weights(monkeypatch):
    taken = []

    def spy(rows, *arguments, **settings):
        taken.append((rows.regularisers, settings["course"]))
        return train(rows, *arguments, **settings)

    monkeypatch.setattr("bayes_hybrid.inference.recipe.variational.train", spy)
    last = PlanStage(name="a", rates=Rates(gate=0.5), load_balance=(0.25, 0.25))
    done = _fit(plan=Plan(stages=(last,), kl_warmup=0.2))
    ((weights, course),) = taken
    assert course.kl_warmup == 0.2
    assert weights.tolist() == [0.0, 0.25, 0.0]
    assert sorted(course.rates.unique().tolist()) == [0.5, 1.0]
    assert "SVI kept load_balance=0.25" in done.training.status
    assert "not that of the stated model" in done.training.status
    record = done.training.stages[-2]
    assert (record.name, record.rates["gate"]) == ("SVI", 0.5)
    assert "the KL term rose over the first 20% of the steps" in record.reason
    assert record.weights["load_balance"] == (0.25, 0.25)
    # HMC is never regularised, nor a fit of the default plan.
    taken.clear()
    whole = _fit()
    assert "stated model" not in whole.training.status
    assert not any("KL term rose" in stage.reason for stage in whole.training.stages)
    assert taken[0][0] is None
    assert taken[0][1].plain


def test_the_guide_takes_rates():
    variational = Variational(num_steps=10, kl_weights=(0.1,), num_draws=3)
    plan = Plan(stages=(PlanStage(name="a", rates=Rates(relu=0.5, heads=0.5)),))
    slow, fast = (_fit(variational=variational, plan=p) for p in (plan, "plain"))
    assert np.isfinite(slow.restarts.elbo).all()
    assert not torch.equal(slow.posterior.theta, fast.posterior.theta)


# The whole fit


def test_direct_is_bit_for_bit_the_plan_built_by_hand():
    by_hand = Plan(
        stages=(
            PlanStage(name="means first", rates=Rates(noise_slopes=0.0), patience=1),
            PlanStage(name="all", resumes=True),
            PlanStage(name="small steps", cut=True),
        )
    )
    one, other, plain = (_fit(plan=plan) for plan in ("direct", by_hand, "plain"))
    assert torch.equal(one.posterior.theta, other.posterior.theta)
    assert (one.restarts.elbo == other.restarts.elbo).all()
    assert not torch.equal(one.posterior.theta, plain.posterior.theta)


@pytest.mark.parametrize("plan", PLANS)
def test_every_built_in_plan_fits_and_is_recorded(tmp_path, plan):
    hmc = HMC(num_warmup=4, num_iterations=5, num_leapfrog=2)
    done = _fit(plan=plan, sampler=hmc)
    several = len(PLANS[plan]) > 1
    planned = [
        (f"warm start, {part.name}: " if several else "warm start: ", stage)
        for part in PLANS[plan]
        for stage in part.stages
    ]
    names = [stage.name for stage in done.training.stages]
    assert names[1:] == [
        *(prefix + stage.name for prefix, stage in planned),
        "SVI",
        "refinement (HMC)",
        "weighing",
    ]
    trained = done.training.stages[1:-1]
    for stage in trained:
        assert stage.reason
        for shares in (stage.usage_before, stage.usage_after):
            assert sum(shares) == pytest.approx(1.0, abs=1e-5)  # float32
    for stage, (_, expected) in zip(done.training.stages[1:-3], planned, strict=True):
        assert stage.rates == expected.rates.by_group
        assert stage.weights == expected.penalties
    for before, after in itertools.pairwise(trained):
        # SVI keeps some of the restarts, and each plan has restarts of its own.
        if after.name != "SVI" and (before.name.split(":")[0] == after.name.split(":")[0]):
            assert after.usage_before == before.usage_after
    save_fit(done, tmp_path / "fit", config={})
    assert read_saved(tmp_path / "fit").fit(_MIXTURE).training.stages == done.training.stages


@pytest.mark.parametrize("name", ["gaussian, input", "relu, constant"])
def test_a_single_pathway_takes_every_plan(name):
    model = zoo.MODELS[name]
    for plan in PLANS:
        done = _fit(model, plan=plan)
        assert np.isfinite(done.restarts.elbo).all()
        expected = {"relu_smoothness"} if name.startswith("relu") else set()
        assert set(done.training.stages[1].weights) == expected


def test_a_plan_may_be_compiled(built):
    # A model of its own: engines are shared, and know what they compiled.
    model = HybridMixture(num_features=2, experts=(zoo.pathway("relu"), zoo.pathway("gaussian")))
    _fit(model, plan="balanced", compile="always")
    # The gradient, the same with regularisers, and SVI's step.
    assert len(built) == 3
