"""Predictive checks against other implementations, and on data that the model did not make."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayes_hybrid.diagnostics import predictive_checks
from bayes_hybrid.diagnostics.scores.pit import loo_pit
from bayes_hybrid.diagnostics.scores.statistics import (
    STATISTICS,
    statistic_values,
    tail_probability,
)
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import healthy, make_data
from tests.diagnostics.outputs import several_outputs


@pytest.fixture(scope="module")
def fit():
    return healthy()


def test_statistics_are_their_formulas():
    rng = np.random.default_rng(0)
    values, predicted, order = rng.standard_normal((5, 20)), np.linspace(0, 1, 20), rng.random(20)
    found = statistic_values(values, predicted, order)
    assert tuple(found) == STATISTICS
    residuals = (values - predicted)[:, np.argsort(order)]
    np.testing.assert_allclose(found["skewness"], stats.skew(values, axis=-1))
    np.testing.assert_allclose(found["sd"], values.std(axis=-1))
    np.testing.assert_array_equal(found["max"], values.max(axis=-1))
    changes = [np.mean(np.diff(np.sign(row)) != 0) for row in residuals]
    np.testing.assert_allclose(found["sign_changes"], changes)
    centred = residuals - residuals.mean(axis=-1, keepdims=True)
    lagged = [np.sum(row[1:] * row[:-1]) / np.sum(row**2) for row in centred]
    np.testing.assert_allclose(found["lag_1"], lagged)


# The mean of 0.1 three times is not 0.1 in floating point.
@pytest.mark.parametrize(
    "values",
    [np.zeros(5), np.full(3, 0.1), np.arange(2.0)],
    ids=["constant", "rounded", "two rows"],
)
def test_statistics_that_are_not_defined_are_nan_and_quiet(values):
    found = statistic_values(values, np.zeros(len(values)), values)
    several = statistic_values(np.tile(values, (4, 1)), np.zeros(len(values)), values)
    assert {each.shape for each in several.values()} == {(4,)}
    assert np.isnan(found["skewness"])
    assert np.isnan(found["lag_1"])
    assert np.isnan(tail_probability(np.zeros(3), float(found["lag_1"])))


def test_p_values_of_data_that_the_model_made_are_spread_out(fit):
    p_values = []
    for seed in range(60):
        x, y = make_data(80, seed=100 + seed)
        table = predictive_checks(fit, x, y, seed=seed, num_replicates=200).statistics()
        p_values.append(table["p_value"].to_numpy())
    # Each statistic has uniform p-values; one in a thousand for each of seven.
    for name, found in zip(STATISTICS, np.transpose(p_values), strict=True):
        assert stats.kstest(found, "uniform").pvalue > 1e-3, name


def test_a_bend_that_the_mean_misses_shows_along_the_feature(fit):
    x, y = make_data(120, seed=3)
    table = predictive_checks(fit, x, y + 0.4 * np.sin(4.0 * x[:, 0]), seed=0).to_frame()
    p_values = table[table["regime"] == "all"].set_index("check")["p_value"]
    assert p_values["lag_1"] < 0.01
    assert p_values["sign_changes"] > 0.99
    shuffled = np.random.default_rng(0).permutation(120)
    again = predictive_checks(fit, x[shuffled], (y + 0.4 * np.sin(4.0 * x[:, 0]))[shuffled], seed=0)
    observed = again.statistics().set_index("statistic")["observed"]
    lines = table[table["regime"] == "all"].set_index("check")["observed"]
    assert observed["lag_1"] == pytest.approx(lines["lag_1"])


def test_an_outlier_shows_in_the_maximum_of_its_regime_only(fit):
    x, y = make_data(120, seed=3)
    y[np.flatnonzero(x[:, 0] < -0.5)[0]] = 9.0
    made = predictive_checks(fit, x, y, seed=0)
    table: Any = made.to_frame().set_index(["regime", "check"])
    assert table.loc[("gaussian", "max"), "p_value"] == 0.0
    assert table.loc[("all", "max"), "p_value"] == 0.0
    assert 0.02 < table.loc[("relu", "max"), "p_value"] < 0.98


def test_rows_of_the_training_data_are_left_out_one_by_one(fit):
    made = predictive_checks(fit, seed=0)
    pit, k = loo_pit(fit.posterior, fit.x, fit.y)
    np.testing.assert_array_equal(made.pit, pit)
    np.testing.assert_array_equal(made.pareto_k, k)
    assert not made.held_out
    x, y = make_data(20, seed=9)
    held_out = predictive_checks(fit, x, y, seed=0)
    np.testing.assert_allclose(held_out.pit, fit.posterior.predictive.pit(x, y))
    assert held_out.pareto_k.size == 0
    assert held_out.held_out


def test_coverage_counts_rows_inside_their_intervals(fit):
    x, y = make_data(60, seed=9)
    made = predictive_checks(fit, x, y, seed=0)
    table = made.coverage(levels=[0.5, 0.9])
    for level, coverage in zip(table["level"], table["coverage"], strict=True):
        low, high = fit.posterior.predictive.quantile(x, [0.5 - level / 2, 0.5 + level / 2]).T
        assert coverage == np.mean((low <= y) & (y <= high))
    assert table["lower"].tolist() == [stats.binom.ppf(0.05, 60, p) / 60 for p in (0.5, 0.9)]
    relu = made.coverage("relu", levels=[0.9])
    assert relu["num_rows"][0] == (x[:, 0] > 0.3).sum()


def test_replicated_data_come_from_the_predictive(fit):
    made = predictive_checks(fit, seed=0, num_replicates=400)
    assert made.replicated.shape == (400, 120)
    error = np.sqrt(fit.posterior.predictive.variance(fit.x) / 400)
    # 120 rows: four and a half standard errors.
    assert (
        np.abs(made.replicated.mean(0) - fit.posterior.predictive.mean(fit.x)) < 4.5 * error
    ).all()
    other = predictive_checks(fit, seed=1).replicated
    assert (other != made.replicated).all()


def test_the_frame_has_every_check_of_every_group(fit):
    table = predictive_checks(fit, seed=0, num_replicates=50).to_frame()
    assert list(dict.fromkeys(table["regime"])) == ["all", "gaussian", "relu"]
    expected = [*STATISTICS, *(f"coverage_{p}" for p in (50, 80, 90, 95)), "pit_ecdf"]
    for _, part in table.groupby("regime"):
        assert part["check"].tolist() == expected
    assert table.drop(columns=["lower", "upper"]).notna().all(axis=None)


def test_one_row_and_a_constant_target_are_quiet(fit):
    table: Any = predictive_checks(fit, np.zeros((1, 1)), np.zeros(1), seed=0).to_frame()
    assert table.set_index("check").loc["lag_1", "p_value"].isna().all()
    constant = dataclasses.replace(fit, y=np.ones_like(fit.y))
    predictive_checks(constant, seed=0).to_frame()


def test_max_rows(fit):
    made = predictive_checks(fit, seed=0, max_rows=8)
    np.testing.assert_array_equal(made.y, fit.y[[0, 17, 34, 51, 68, 85, 102, 119]])


@pytest.mark.parametrize("output", [1, "heat"])
def test_one_of_several_outputs(output):
    fit = several_outputs(num_draws=20)
    made = predictive_checks(fit, output=output, feature="other", seed=0)
    assert (made.output, made.feature) == ("heat", "other")
    there = ~np.isnan(fit.y[:, 1])
    np.testing.assert_array_equal(made.y, fit.y[there, 1])
    np.testing.assert_array_equal(made.along, fit.x[there, 1])
    assert made.replicated.shape == (40, 11)
    pit, _ = loo_pit(fit.posterior, fit.x, fit.y)
    np.testing.assert_allclose(made.pit, pit[there, 1])
    made.to_frame()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": 1}, r"output must be a name or lie in 0\.\.0"),
        ({"feature": "dosis"}, "did you mean 'dose'"),
        ({"num_replicates": 0}, "num_replicates"),
        ({"max_rows": 0}, "max_rows"),
    ],
)
def test_bad_options(fit, options, message):
    with pytest.raises(OptionError, match=message):
        predictive_checks(fit, seed=0, **options)


def test_bad_rows(fit):
    with pytest.raises(DataError, match="belong together"):
        predictive_checks(fit, fit.x, seed=0)
    with pytest.raises(DataError, match="25 draws; there are 20"):
        predictive_checks(healthy(restarts=2, draws=10), seed=0)
    with pytest.raises(OptionError, match="regime must be one of 'all', 'gaussian', 'relu'"):
        predictive_checks(fit, seed=0).statistics("rellu")
    several = several_outputs(num_draws=20)
    missing = several.y.copy()
    missing[:, 2] = np.nan
    with pytest.raises(DataError, match="no row has a value of 'glow'"):
        predictive_checks(several, several.x, missing, output="glow", seed=0)
