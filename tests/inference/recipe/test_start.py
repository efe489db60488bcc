"""The climb to a mode, and when it ends."""

import math

import torch

from bayes_hybrid.inference import PLANS, WarmStart
from tests.inference.linear import closed_form, problem, warm_started


def _start(noise, **settings):
    model, rows = problem(40, dtype=torch.float64, noise=noise)
    options = WarmStart(learning_rate=0.1, check_every=20, **settings)
    return model, rows, *warm_started(rows, options, PLANS["direct"], 5)


def _scores(log):
    return [score for stage in log.stages for score in stage.trace]


def test_restarts_climb_to_the_mode_of_their_own_rows():
    model, rows, started, _ = _start(0.5)
    assert started.settled
    errors = []
    for theta, weights in zip(started.theta, started.folds, strict=True):
        kept = weights > 0
        mean, covariance = closed_form(model, rows.x[kept], rows.target.y[kept])
        errors.append(float(((theta - mean) / covariance.diagonal().sqrt()).abs().max()))
    # Prior draws are some ten posterior sds away.  The climb ends for all when the median restart's
    # held-out density no longer improves, which is near the mode, and one may lag behind.
    assert sorted(errors)[len(errors) // 2] < 1.0
    assert max(errors) < 5.0


def test_a_cut_step_goes_on_from_the_best_point():
    # A step of a tenth cannot settle where the posterior's sd is a thousandth.
    *_, whole = _start(0.005, num_cuts=0, max_steps=400, patience=3)
    *_, cut = _start(0.005, num_cuts=1, max_steps=400, patience=3)
    whole, cut = _scores(whole), _scores(cut)
    assert cut[: len(whole)] == whole
    assert len(cut) > len(whole)
    assert max(cut) >= max(whole)


def test_the_budget_of_steps_is_a_bound_and_is_reported():
    seen = []
    _, rows = problem(40)
    options = WarmStart(max_steps=30, check_every=20, num_cuts=2)
    _, log = warm_started(rows, options, PLANS["direct"], 2, lambda *call: seen.append(call))
    assert [step for _, step, _ in seen] == [20, 30, 50, 60, 80, 90]
    assert {total for _, _, total in seen} == {90}
    assert len(_scores(log)) == 6
    assert not math.isnan(_scores(log)[-1])
