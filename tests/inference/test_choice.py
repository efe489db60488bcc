"""Which candidates make up the posterior."""

import math

import pytest
import torch

from bayes_hybrid.inference import choice as choice_module
from bayes_hybrid.inference.choice import (
    best_of,
    by_evidence,
    choose_restarts,
    temperature_of,
)
from bayes_hybrid.inference.guides import BlockGaussian
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.whitening import whiten_at
from tests.inference.linear import problem

_EVERY = torch.ones(24, dtype=torch.bool)


def _effective(score, temperature):
    return 1.0 / float(torch.softmax(score.double() / temperature, 0).square().sum())


def test_restarts_enter_by_their_share_of_the_evidence():
    score = torch.tensor([0.0, math.log(3.0), -50.0, 9.0])
    allowed = torch.tensor([True, True, True, False])
    taken = by_evidence(score, allowed, 8)
    # Three quarters and one quarter of eight; the best first, what is not allowed never.
    assert taken.tolist() == [1] * 6 + [0] * 2


def test_the_best_are_kept_in_order():
    score = torch.tensor([0.0, 2.0, 5.0, 1.0])
    assert best_of(score, torch.tensor([True, True, False, True]), 2).tolist() == [1, 3]
    assert best_of(score, torch.tensor([True, True, False, True]), 9).tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("score", "count", "low", "high"),
    [
        # R nats where that leaves neither too few nor too many.
        (-2.0 * torch.arange(24.0), 16, 16.0, 16.0),
        # Up, until all but four of R are in effect, or half of few; down, until R are.
        (-500.0 * torch.arange(24.0), 16, 500.0, math.inf),
        (-500.0 * torch.arange(24.0), 4, 400.0, math.inf),
        (-1.0 * torch.arange(24.0), 4, 0.0, 4.0),
    ],
)
def test_the_temperature_keeps_the_effective_number_near_all(score, count, low, high):
    found = temperature_of(score, count)
    assert low <= found <= high
    # A step of a tenth in T is at most that in the effective number.
    least = {16: 12.0, 4: 2.0}[count]
    assert least <= _effective(score, found) <= count
    if found > count:
        assert _effective(score, found / 1.1) < least
    assert int(by_evidence(score / found, _EVERY, count)[0]) == 0


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_of_many_have_the_best(count):
    score = torch.randn(24, generator=torch.Generator().manual_seed(count)) * 8.0
    taken = by_evidence(score / temperature_of(score, count), _EVERY, count)
    assert int(score.argmax()) in taken.tolist()
    # And no one far from it.
    assert float(score.max() - score[taken].min()) < 12.0


def test_what_is_not_finite_or_alone_needs_no_temperature_of_its_own():
    lost = torch.tensor([0.0, -1.0, -math.inf, math.nan])
    assert temperature_of(lost, 4) == 4.0
    assert temperature_of(torch.zeros(1), 16) == 16.0
    equal = temperature_of(torch.zeros(24), 4)
    assert 0.0 < equal < 0.01
    # Of few, half are enough: they need not be made equal.
    apart = torch.tensor([0.0, -1e3, -2e3, -4e3])
    shares = torch.softmax(apart.double() / temperature_of(apart, 16), 0)
    assert float(shares.max()) > 0.5


def _choose(monkeypatch, exact, weighting, count, elbo=None):
    """Of four candidates that label alike."""
    _, rows = problem(dtype=torch.float64)
    monkeypatch.setattr(choice_module, "exact_elbo", lambda *_: torch.tensor(exact))
    heads = ~rows.joint.table.feature_mask
    theta = torch.zeros(4, 4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    guide = BlockGaussian.start(whiten_at(rows, theta, heads, generator), 0.0)
    monkeypatch.setattr(
        choice_module, "same_labelling", lambda _, theta, best: torch.arange(len(theta)) != 3 - best
    )
    elbo = torch.tensor([0.0, 1.0, 2.0, -math.inf] if elbo is None else elbo)
    return choose_restarts(
        rows,
        guide,
        elbo,
        weighting=weighting,
        count=count,
        generator=generator,
        progress=silent,
    )


def test_equal_weights_go_by_the_run_itself(monkeypatch):
    found = _choose(monkeypatch, [9.0, 0.0, 0.0, 0.0], "uniform", 2)
    # The reference is candidate 2, which candidate 1 does not label like; candidate 3 is lost.
    assert found.index.tolist() == [2, 0]
    assert found.allowed.tolist() == [True, False, True, False]
    assert found.words == "kept the 2 restarts with the largest ELBO"


@pytest.mark.parametrize("weighting", ["tempered", "elbo"])
def test_weights_go_by_the_exact_elbo(monkeypatch, weighting):
    found = _choose(monkeypatch, [500.0, 400.0, math.nan, 900.0], weighting, 3)
    # What was lost in the run stays lost, and what has no finite ELBO is never taken.
    assert found.allowed.tolist() == [True, True, True, False]
    assert set(found.index.tolist()) <= {0, 1}
    assert found.index[0] == 0
    assert "in proportion to exp(ELBO" in found.words
    infinite = _choose(monkeypatch, [500.0, -math.inf, math.inf, 0.0], weighting, 3)
    assert infinite.index.tolist() == [0, 0, 0]


def test_where_no_exact_elbo_is_finite_the_run_says_who_is_better(monkeypatch):
    found = _choose(monkeypatch, [math.nan] * 4, "elbo", 2)
    assert found.index.tolist() == [2, 2]
