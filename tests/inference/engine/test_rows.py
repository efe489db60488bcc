"""Folds, minibatches and chunks."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from bayes_hybrid.inference.engine import rows as rows_module
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.rows import Rows, held_out_score, pooled_score
from tests.inference.linear import problem

# Two orders of summation in float64.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-9}


@pytest.mark.parametrize(("size", "num_folds"), [(4, 5), (7, 5), (30, 5), (30, 2)])
def test_folds_leave_each_row_out_once(size, num_folds):
    _, rows = problem(size)
    count = min(num_folds, size)
    weights = rows.folds(2 * count, num_folds)
    assert set(weights.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(weights[:count], weights[count:])
    left_out = (weights[:count] == 0).sum(0)
    assert bool((left_out == 1).all())
    sizes = (weights[:count] == 0).sum(1)
    assert int(sizes.max() - sizes.min()) <= 1


@pytest.mark.parametrize("size", [1, 3])
def test_too_few_rows_are_all_trained_on(size):
    _, rows = problem(size)
    assert bool((rows.folds(4, 5) == 1).all())


def test_minibatch_gradient_is_unbiased():
    _, whole = problem(6, batch=1, dtype=torch.float64)
    part = Rows(whole.joint, whole.x, whole.target, 2, torch.Generator().manual_seed(0))
    theta = torch.randn(1, 4, dtype=torch.float64)
    weights = torch.rand(1, 6, dtype=torch.float64)
    ones = theta.new_ones(1)
    value, gradient = whole.gradient(theta, weights, ones)
    drawn = [part.gradient(theta, weights, ones) for _ in range(3_000)]
    values = torch.stack([pair[0] for pair in drawn])
    gradients = torch.stack([pair[1] for pair in drawn])
    # Five standard errors of the Monte Carlo mean, on five numbers: a false alarm in 300,000.
    for sampled, expected in ((values, value), (gradients, gradient)):
        error = sampled.std(0) / len(drawn) ** 0.5
        assert bool(((sampled.mean(0) - expected).abs() < 5 * error).all())


@pytest.mark.parametrize("size", [4, 9, 12])
def test_chunks_do_not_show(monkeypatch, size):
    _, rows = problem(size, batch=2, dtype=torch.float64, slopes_are_features=True)
    theta = torch.randn(3, 4, dtype=torch.float64)
    weight = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)

    def everything():
        plain, weighted = rows.full_gradient(theta), rows.full_gradient(theta, weight)
        return *plain, *weighted, rows.log_likelihood(theta)

    whole = everything()
    monkeypatch.setattr(rows_module, "CHUNK", 4)
    chunked = everything()
    for ours, theirs in zip(chunked, whole, strict=True):
        torch.testing.assert_close(ours, theirs, **_EXACT)


def test_many_rows_are_taken_by_the_minibatch(monkeypatch):
    """Its graph is there already, and compiled if any is."""
    _, rows = problem(12, batch=2, batch_size=5, dtype=torch.float64)
    theta = torch.randn(3, 4, dtype=torch.float64)
    whole = *rows.full_gradient(theta), rows.log_likelihood(theta)
    assert rows.chunk == 12
    monkeypatch.setattr(rows_module, "CHUNK", 8)
    assert rows.chunk == 8  # five are too few to be worth it
    monkeypatch.setattr(rows_module, "_SMALLEST_CHUNK", 3)
    assert rows.chunk == 5
    rows = dataclasses.replace(rows, joint=LogJoint(rows.joint.model, rows.x[:1], 2))
    rows.batch(rows.all_rows(3))
    by_parts = *rows.full_gradient(theta), rows.log_likelihood(theta)
    for ours, theirs in zip(by_parts, whole, strict=True):
        torch.testing.assert_close(ours, theirs, **_EXACT)
    shapes = {tuple(shape) for key in rows.joint._evaluate._records for shape, *_ in key[4:5]}
    assert shapes == {(5, 3)}
    assert not rows.joint._log_likelihood._records


@pytest.mark.parametrize("chunk", [4, 100])
def test_some_rows_stand_for_all(monkeypatch, chunk):
    _, rows = problem(40, batch=2, dtype=torch.float64)
    monkeypatch.setattr(rows_module, "CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    assert rows.some(40, generator) is rows
    theta = torch.randn(3, 4, dtype=torch.float64)
    value, gradient = rows.full_gradient(theta)
    drawn = [rows.some(10, generator) for _ in range(400)]
    assert {(part.num_rows, part.stands_for) for part in drawn} == {(10, 4.0)}
    found = [part.full_gradient(theta) for part in drawn]
    for number, expected in ((0, value), (1, gradient)):
        sampled = torch.stack([pair[number] for pair in found])
        error = sampled.std(0) / len(drawn) ** 0.5
        # Five standard errors of the Monte Carlo mean, on fifteen numbers.
        assert bool(((sampled.mean(0) - expected).abs() < 5 * error + 1e-9).all())


@pytest.mark.parametrize("batch", [1, 3, 6, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_at_many_points_are_those_at_each(batch, weighted):
    _, rows = problem(6, batch=batch, dtype=torch.float64, slopes_are_features=True)
    if weighted:
        rows = dataclasses.replace(rows, row_weights=torch.rand(3, 6, dtype=torch.float64))
    theta = torch.randn(5, 3, 4, dtype=torch.float64)
    weight = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    for given in (None, weight):
        found = rows.gradients(theta, given)
        each = [rows.full_gradient(points, given) for points in theta]
        for ours, theirs in zip(found, zip(*each, strict=True), strict=True):
            torch.testing.assert_close(ours, torch.stack(theirs), **_EXACT)


def test_full_gradient_ignores_the_batch_size():
    _, rows = problem(9, batch=2, dtype=torch.float64)
    theta = torch.randn(2, 4, dtype=torch.float64)
    small = Rows(rows.joint, rows.x, rows.target, 2, torch.Generator().manual_seed(0))
    for ours, theirs in zip(small.full_gradient(theta), rows.full_gradient(theta), strict=True):
        assert torch.equal(ours, theirs)


def test_held_out_score():
    log_likelihood = torch.tensor([[1.0, 2.0, 6.0], [1.0, 2.0, 6.0]])
    weights = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    # Of the rows left out; of all rows where none is.
    assert held_out_score(log_likelihood, weights).tolist() == [1.5, 3.0]


def test_pooled_score():
    density = torch.tensor([[0.1, 0.2, 0.4], [0.3, 0.6, 0.5], [0.5, math.nan, 0.5]])
    weights = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    # Row 1 was left out by the first two, row 2 by the first; the third restart is lost, and with
    # it row 3, which only it left out.
    expected = 0.5 * (math.log((0.1 + 0.3) / 2) + math.log(0.2))
    assert pooled_score(density.log(), weights) == pytest.approx(expected, rel=1e-6)
    # Where nothing was left out, every row counts, under all restarts.
    expected = sum(math.log((a + b) / 2) for a, b in density[:2].T.tolist()) / 3
    assert pooled_score(density[:2].log(), torch.ones(2, 3)) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(pooled_score(torch.full((2, 3), math.nan), weights[:2]))


def test_optimisers_get_finite_gradients():
    _, rows = problem(5, batch=2)
    theta = torch.zeros(2, 4)
    theta[0] = math.nan
    value, gradient = rows.gradient(theta, rows.all_rows(2), torch.ones(2))
    assert torch.isnan(value).tolist() == [True, False]
    assert bool(torch.isfinite(gradient).all())
    assert bool(gradient[1].any())
