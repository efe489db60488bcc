"""What each restart counts."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bayes_hybrid.inference.recipe.weighing import (
    TEMPERATURES,
    _row_densities,
    choose_temperature,
    restart_weights,
    scores,
    truncated_loo,
)
from tests.inference.linear import problem


def test_leave_one_out_of_a_normal_mean_is_its_exact_predictive():
    rng = np.random.default_rng(0)
    y = rng.normal(size=40)
    # The mean of a Normal of sd 1 under a flat prior: all is known in closed form.
    draws = rng.normal(y.mean(), 1.0 / math.sqrt(len(y)), size=(2, 40_000))
    found = truncated_loo(stats.norm.logpdf(y, draws[..., None]))
    others = np.array([np.delete(y, n).mean() for n in range(len(y))])
    exact = stats.norm.logpdf(y, others, math.sqrt(1.0 + 1.0 / (len(y) - 1)))
    # A thousandth of a nat is what chance leaves of 40,000 draws.
    np.testing.assert_allclose(found, [exact, exact], atol=4e-3)


# As many draws of three restarts at once as the engine has places for: one, and two.
@pytest.mark.parametrize("batch", [3, 7])
def test_row_densities_are_those_of_each_draw(batch):
    _, rows = problem(6, batch=batch, dtype=torch.float64)
    draws = torch.randn(3, 5, 4, dtype=torch.float64)
    each = [rows.log_likelihood(draws[:, s]) for s in range(5)]
    np.testing.assert_array_equal(_row_densities(rows, draws), torch.stack(each, dim=1))


def test_a_draw_without_density_is_seen():
    assert np.isnan(truncated_loo(np.array([[[0.0], [-np.inf]]]))).all()


def test_a_score_takes_the_effective_number_of_parameters_off_twice():
    rng = np.random.default_rng(0)
    y = rng.normal(size=40)
    draws = rng.normal(y.mean(), 1.0 / math.sqrt(len(y)), size=(1, 40_000))
    log_likelihood = stats.norm.logpdf(y, draws[..., None])
    exact = stats.norm.logpdf(y, y.mean(), math.sqrt(1.0 + 1.0 / len(y))).sum()
    # Of one mean, the square of a residual of 1 times 1 / N, summed: about one parameter.
    loo = truncated_loo(log_likelihood)
    taken, elpd = exact - scores(log_likelihood, loo).sum(), loo.sum()
    assert taken == pytest.approx(2.0 * (exact - elpd), abs=0.02)
    assert 1.0 < taken < 3.0


def test_weights_are_pseudo_bma_at_a_temperature():
    np.testing.assert_allclose(
        restart_weights(np.array([0.0, -2.0, -np.inf, np.nan]), 2.0),
        np.array([1.0, math.exp(-1.0), 0.0, 0.0]) / (1.0 + math.exp(-1.0)),
    )
    assert restart_weights(np.array([0.0, -50.0, np.nan]), math.inf).tolist() == [0.5, 0.5, 0.0]
    assert restart_weights(np.full(2, np.nan), 6.0).tolist() == [0.5, 0.5]


def _folds(num_restarts, num_rows):
    return (np.arange(num_rows) % 5)[None] == (np.arange(num_restarts) % 5)[:, None]


def _chosen(gain, spread=0.0, num_rows=200):
    """Of 20 restarts whose rows left out are better by ``gain`` for a nat of elpd a row."""
    rng = np.random.default_rng(1)
    score = rng.normal(size=20)
    density = gain * score[:, None] + spread * rng.normal(size=(20, num_rows))
    return choose_temperature(density, 10.0 * score, _folds(20, num_rows))


def test_restarts_that_predict_as_they_explain_are_told_apart():
    assert _chosen(3.0) == TEMPERATURES[0]


def test_restarts_that_predict_the_worse_the_better_they_explain_count_alike():
    assert _chosen(-3.0) == math.inf


@pytest.mark.parametrize("seed", range(5))
def test_chance_does_not_choose(seed):
    rng = np.random.default_rng(seed)
    density = rng.normal(size=(20, 100))
    assert choose_temperature(density, rng.normal(size=20), _folds(20, 100)) == 6.0


def test_nothing_left_out_is_nothing_to_choose_by():
    density = np.zeros((4, 10))
    assert choose_temperature(density, np.zeros(4), np.zeros((4, 10), dtype=bool)) == 6.0
    assert choose_temperature(density[:1], np.zeros(1), np.ones((1, 10), dtype=bool)) == 6.0


def test_lost_restarts_do_not_count():
    density = np.stack([np.full(50, -1.0), np.full(50, -2.0), np.full(50, np.nan)])
    everything = np.ones((3, 50), dtype=bool)
    assert choose_temperature(density, np.array([0.0, -9.0, 5.0]), everything) == TEMPERATURES[0]
