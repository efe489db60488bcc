"""Rows of a regime that fall into two groups: found where they do, silent where they do not."""

import dataclasses
import math

import numpy as np
import pytest

from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.evaluation.more_regimes import (
    Realised,
    group_gains,
    join_rows,
    more_regimes_finding,
    normal_scores,
    realised,
    two_groups,
)
from tests.diagnostics.fakes import FakeFit, healthy, make_posterior


def finding_of(fit):
    evaluation = evaluate(fit, max_rows=None)
    assert evaluation.realised is not None
    return more_regimes_finding(fit, evaluation.realised, fit.x[evaluation.rows])


# -- two groups


def by_hand(values):
    """The largest gain of a cut that no neighbour beats, with variances and no valley asked for."""
    values, n = np.sort(values), len(values)
    gains = []
    for cut in range(1, n):
        within = (cut * values[:cut].var() + (n - cut) * values[cut:].var()) / n
        shares = np.array([cut, n - cut]) / n
        gain = 0.5 * n * np.log(values.var() / within) + n * (shares * np.log(shares)).sum()
        gains.append(gain - 1.5 * np.log(n))
    least = max(5, math.ceil(0.1 * n))
    peaks = [i for i in range(1, n - 2) if gains[i] >= max(gains[i - 1], gains[i + 1])]
    return max((gains[i] for i in peaks if least <= i + 1 <= n - least), default=0.0)


def test_the_gain_is_that_of_the_best_cut():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20, 60)) + 8.0 * (rng.random((20, 60)) < 0.3)
    holes = np.where(rng.random((20, 60)) < 0.2, np.nan, values)
    expected = [by_hand(row[~np.isnan(row)]) for row in holes]
    assert min(expected) > 10.0
    assert two_groups(holes) == pytest.approx(expected)
    assert two_groups(-1e6 * holes + 5.0) == pytest.approx(expected)


def test_groups_without_a_valley_are_none():
    rng = np.random.default_rng(1)
    skewed = rng.exponential(size=(50, 400))
    assert np.mean([by_hand(row) > 10.0 for row in skewed]) > 0.2  # a Normal is that wrong
    assert (two_groups(skewed) == 0.0).all()


def test_a_few_outliers_are_no_group():
    values = np.concatenate([np.linspace(-1.0, 1.0, 90), np.full(9, 30.0)])
    assert two_groups(values[None]) == 0.0
    assert two_groups(np.append(values, np.full(2, 30.0))[None]) > 100.0
    few = np.concatenate([np.linspace(-1.0, 1.0, 10), np.full(4, 30.0)])
    assert two_groups(few[None]) == 0.0


def test_too_few_values_and_equal_ones_have_no_groups():
    for values in (
        np.ones((2, 30)),
        np.full((2, 30), np.nan),
        np.arange(9.0)[None],
        np.ones((1, 1)),
    ):
        assert (two_groups(values) == 0.0).all()


def test_scores_have_the_ranks_of_the_values_and_a_normal_shape():
    values = np.random.default_rng(2).exponential(size=(1, 999))
    scores = normal_scores(values)
    np.testing.assert_array_equal(scores.argsort(), values.argsort())
    assert (np.median(scores), scores.std()) == pytest.approx((0.0, 1.0), abs=1e-2)


NOISE = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "laplace": lambda rng, size: rng.laplace(size=size),
    "t": lambda rng, size: rng.standard_t(3, size=size),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("num_rows", [50, 200])
def test_noise_of_one_regime_is_hardly_ever_two_groups(noise, num_rows):
    """What the docstring says, of one draw and regime of two; 4,000 data sets, 3 features."""
    rng = np.random.default_rng(3)
    values = NOISE[noise](rng, (4_000, num_rows))
    values = np.where(rng.random(values.shape) < 0.5, values, np.nan)
    gains = np.stack([gain for _, gain in group_gains(values, rng.random((num_rows, 3)))])
    alarms = (gains.max(axis=0) > math.log(20.0 * 2.0 * len(gains))).mean()
    assert alarms <= 0.0025  # ten of 4,000, where 2 in 1,000 would be eight


def test_skewed_noise_is_two_groups_in_no_part_of_the_rows():
    """Parts are seen by normal scores; their values as such would do it in one set of twenty."""
    rng = np.random.default_rng(12)
    values = rng.exponential(size=(300, 400))
    gains = np.stack([gain for _, gain in group_gains(values, rng.random((400, 3)))])
    assert (gains.max(axis=0) > math.log(20.0 * 2.0 * len(gains))).mean() < 0.01


@pytest.mark.parametrize(("share", "apart"), [(0.5, 5.0), (0.3, 5.0), (0.15, 6.0)])
def test_groups_are_found_in_nine_samples_of_ten(share, apart):
    rng = np.random.default_rng(4)
    values = rng.standard_normal((500, 100)) + apart * (rng.random((500, 100)) < share)
    assert (two_groups(values) > math.log(40.0)).mean() > 0.9


def test_groups_whose_distance_varies_show_along_the_feature():
    rng = np.random.default_rng(5)
    x = rng.random((400, 2))
    second = (rng.random((20, 400)) < 0.5) - 0.5
    values = rng.standard_normal((20, 400)) + 20.0 * x[:, 1] * second
    found = {None: 0.0, 0: 0.0, 1: 0.0}
    for column, gain in group_gains(values, x):
        found[column] = max(found[column], float(np.median(gain)))
    assert found[1] > 50.0
    assert max(found[None], found[0]) < math.log(20.0)


# -- regimes and residuals that are drawn


def test_regimes_are_drawn_with_their_probabilities():
    rng = np.random.default_rng(6)
    given = np.broadcast_to([0.2, 0.5, 0.3], (2, 50, 1_000, 3))
    mean = np.broadcast_to([0.0, 10.0, 20.0], given.shape)
    scale = np.broadcast_to([1.0, 2.0, 4.0], given.shape)
    drawn = realised(given, mean, scale, np.full(1_000, 30.0), np.array([0.75, 0.25]), rng)
    shares = np.bincount(drawn.regimes.ravel()) / drawn.regimes.size
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=5e-3)  # three standard errors of 100,000
    residuals = np.array([30.0, 10.0, 2.5])
    np.testing.assert_array_equal(drawn.residuals[..., 0], residuals[drawn.regimes])
    assert drawn.weights == pytest.approx(np.repeat([0.75, 0.25], 50) / 50)


def test_a_shut_regime_is_never_drawn_and_chunks_change_nothing():
    rng = np.random.default_rng(7)
    given = np.zeros((1, 300, 40, 3))
    given[..., 1] = 1.0
    flat = np.zeros_like(given)
    drawn = realised(given, flat, flat + 1.0, np.zeros(40), np.ones(1), rng)
    assert (drawn.regimes == 1).all()
    assert drawn.regimes.shape == (100, 40)
    given = np.full((1, 10, 40, 2), 0.5)
    flat = np.zeros_like(given)
    whole = realised(given, flat, flat + 1.0, np.zeros(40), np.ones(1), np.random.default_rng(8))
    rng, half = np.random.default_rng(8), flat[:, :, :20]
    parts = [
        realised(given[:, :, :20], half, half + 1.0, np.zeros(20), np.ones(1), rng)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(join_rows(parts).regimes, whole.regimes)


def test_residuals_without_a_scale_are_those_of_the_mean():
    given = np.full((1, 5, 6, 2), 0.5)
    scale = np.full_like(given, np.inf)
    drawn = realised(
        given, 0.0 * given, scale, np.arange(6.0), np.ones(1), np.random.default_rng(9)
    )
    np.testing.assert_array_equal(drawn.residuals[..., 0], np.tile(np.arange(6.0), (5, 1)))


# -- the finding


@pytest.mark.parametrize("num_features", [1, 3])
def test_healthy_fakes_are_silent(num_features):
    """Each with data of its own; one alarm in 200 would be twice what the docstring allows."""
    rng, alarms = np.random.default_rng(10), 0
    for seed in range(100):
        fit = healthy(num_features=num_features, restarts=2, draws=20, seed=seed)
        z = fit.x[:, 0] > 0.3
        y = np.where(z, 2.0 - fit.x[:, 0], 0.5 * fit.x[:, 0])
        y += np.where(z, 0.3, 0.2) * rng.standard_normal(len(y))
        alarms += finding_of(dataclasses.replace(fit, y=y)).severity != "ok"
    assert alarms == 0


def third(apart, share=0.5, num_rows=200, seed=0):
    """The second regime has two branches, and its expert between them, with wide noise."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-2.0, 2.0, (num_rows, 1)), axis=0)
    upper = rng.random(num_rows) < share
    y = np.where(x[:, 0] > 0.3, 2.0 - x[:, 0] + apart * (upper - share), 0.5 * x[:, 0])
    y += 0.2 * rng.standard_normal(num_rows)
    wide = math.hypot(0.2, apart * math.sqrt(share * (1.0 - share)))
    posterior = make_posterior(scale=[0.2, wide], seed=seed)
    return FakeFit(posterior=posterior, x=x, y=y)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_third_regime_is_found(share):
    found = [finding_of(third(1.4, share, seed=seed)) for seed in range(20)]
    assert [each.severity for each in found] == ["warning"] * 20
    assert all("regime 'relu' fall into two groups" in each.meaning for each in found)
    low, high = found[0].interval
    assert low <= found[0].value <= high
    assert found[0].value > found[0].threshold


def test_regimes_that_are_not_apart_are_one():
    assert {finding_of(third(0.4, seed=seed)).severity for seed in range(20)} == {"ok"}


def test_the_bound_rises_with_what_is_looked_at():
    one, three = (healthy(num_features=d, num_rows=100) for d in (1, 3))
    # All rows and four parts along each feature, of two regimes.
    assert finding_of(one).threshold == pytest.approx(math.log(20.0 * 4))
    assert finding_of(three).threshold == pytest.approx(math.log(20.0 * 8))


def test_draws_count_by_their_weights():
    apart = np.concatenate([np.linspace(-1.0, 1.0, 20), np.linspace(9.0, 11.0, 20)])
    residuals = np.stack([apart, np.linspace(-1.0, 1.0, 40)])[..., None]
    fit = healthy(num_rows=40)
    for weights, severity in (([0.6, 0.4], "warning"), ([0.4, 0.6], "ok")):
        rows = Realised(
            regimes=np.zeros((2, 40), dtype=np.intp), residuals=residuals, weights=np.array(weights)
        )
        assert more_regimes_finding(fit, rows, fit.x).severity == severity


def test_each_of_several_outputs_is_looked_at():
    rng = np.random.default_rng(11)
    residuals = rng.standard_normal((10, 100, 2))
    residuals[..., 1] += 8.0 * (rng.random(100) < 0.5)
    residuals[:, :10, 1] = np.nan
    rows = Realised(
        regimes=np.ones((10, 100), dtype=np.intp), residuals=residuals, weights=np.full(10, 0.1)
    )
    fit = dataclasses.replace(healthy(num_rows=100), output_names=("calm", "heat"))
    found = more_regimes_finding(fit, rows, fit.x)
    assert found.severity == "warning"
    assert "two groups in 'heat'" in found.meaning
