"""Scores against closed forms, another implementation, and brute force."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import scoringrules
from scipy import integrate, stats

from bayes_hybrid.diagnostics import predictive_scores
from bayes_hybrid.diagnostics.scores.scores import _crps
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import FakePosterior, healthy, make_data, make_posterior
from tests.diagnostics.outputs import several_outputs


def scored(fit, x, y, **options):
    table = predictive_scores(fit, x, y, **({"seed": 0} | options))
    return table.set_index(["regime", "score"])


@pytest.fixture(scope="module")
def fit():
    return healthy(restarts=2, draws=20)


@pytest.fixture(scope="module")
def rows():
    return make_data(30, seed=5)


def mixture(posterior, x):
    """Weights, means and scales ``[N, R S K]`` of the predictive as one mixture of Normals."""
    shape = posterior.by_draw.regime_probability(x).shape
    parts = (
        posterior.by_draw.regime_probability(x) / (shape[0] * shape[1]),
        posterior.by_draw.expert_mean(x),
        posterior.by_draw.expert_scale(x),
    )
    return [np.moveaxis(part, 2, 0).reshape(shape[2], -1) for part in parts]


def test_crps_is_that_of_the_mixture_of_normals(fit, rows):
    x, y = rows
    weights, means, scales = mixture(fit.posterior, x)
    exact = scoringrules.crps_mixnorm(y, means, scales, weights).mean()
    crps = scored(fit, x, y).loc[("all", "crps")]
    error = crps["monte_carlo_error"]
    # Of one row it is about sd / sqrt(1000), and 30 rows have draws of their own.
    assert 0.0 < error < 0.3 / np.sqrt(1_000)
    assert crps["value"] == pytest.approx(exact, abs=4.0 * error)


@pytest.mark.parametrize(("draws", "jitter"), [(10, 0.3), (600, 0.3), (20, 0.02)])
def test_the_monte_carlo_error_is_what_another_seed_changes(rows, draws, jitter):
    # Posterior draws that differ much are given, and no part of it.
    fit = healthy(restarts=2, draws=draws, jitter=jitter)
    x, y = rows[0][:10], rows[1][:10]
    made = [_crps(fit.posterior, x, y[:, None], seed) for seed in range(200)]
    spread = np.std([crps.mean() for crps, _ in made], ddof=1)
    claimed = np.mean([np.linalg.norm(error) / 10 for _, error in made])
    # An sd of 200 values is known to 1 / sqrt(400) = 5%; four of these.
    assert claimed == pytest.approx(spread, rel=0.2)


def test_crps_is_the_integral_of_the_squared_distance_of_the_distribution_functions(fit, rows):
    x, y = rows[0][:3], rows[1][:3]

    def integral(n):
        def inside(t):
            return (fit.posterior.predictive.pit(x[n : n + 1], np.array([t]))[0] - (t >= y[n])) ** 2

        ends = (-8.0, y[n]), (y[n], 8.0)
        return sum(integrate.quad(inside, low, high, limit=200)[0] for low, high in ends)

    crps = scored(fit, x, y).loc[("all", "crps")]
    error = crps["monte_carlo_error"]
    assert crps["value"] == pytest.approx(np.mean([integral(n) for n in range(3)]), abs=5 * error)


def test_the_others_are_their_formulas(fit, rows):
    x, y = rows
    table = scored(fit, x, y, levels=[0.25], probs=[0.8])["value"]["all"]
    low, quarter, high = fit.posterior.predictive.quantile(x, [0.1, 0.25, 0.9]).T
    miss = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    expected = {
        "log_score": -fit.posterior.predictive.log_density(x, y).mean(),
        "interval_score_80": (high - low + 2.0 / 0.2 * miss).mean(),
        "pinball_25": np.where(y < quarter, 0.75 * (quarter - y), 0.25 * (y - quarter)).mean(),
        "rmse": np.sqrt(np.mean((y - fit.posterior.predictive.mean(x)) ** 2)),
        "mae": np.mean(np.abs(y - fit.posterior.predictive.mean(x))),
        "coverage_80": np.mean((low <= y) & (y <= high)),
    }
    assert set(table.index) == {*expected, "crps"}
    for name, value in expected.items():
        assert table[name] == pytest.approx(value, rel=1e-9), name


def test_standard_errors(fit, rows):
    x, y = rows
    table = scored(fit, x, y)["standard_error"]["all"]
    log_score = -fit.posterior.predictive.log_density(x, y)
    assert table["log_score"] == pytest.approx(stats.sem(log_score))
    assert table["coverage_90"] == pytest.approx(np.sqrt(0.9 * 0.1 / 30))
    error = np.abs(y - fit.posterior.predictive.mean(x))
    # The delta method against the bootstrap, which scatters by 1 / sqrt(2 * 4000) = 1%.
    picks = np.random.default_rng(0).integers(0, 30, (4_000, 30))
    assert table["rmse"] == pytest.approx(np.sqrt((error[picks] ** 2).mean(1)).std(), rel=0.1)


def test_rows_belong_to_the_regime_that_x_makes_likeliest(fit):
    x, y = make_data(40, seed=6)
    table = scored(fit, x, y, by_regime=True)
    first = x[:, 0] < 0.3  # where the gate of the fakes switches
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["all", "gaussian", "relu"]
    density = -fit.posterior.predictive.log_density(x, y)
    for regime, mine in {"gaussian": first, "relu": ~first}.items():
        line = table.loc[(regime, "log_score")]
        assert line["num_rows"] == mine.sum()
        assert line["value"] == pytest.approx(density[mine].mean())
    left = scored(fit, x[first], y[first], by_regime=True)
    assert set(left.index.get_level_values(0)) == {"all", "gaussian"}


def test_one_row_has_values_without_errors(fit):
    table = scored(fit, np.array([[0.5]]), np.array([1.0]))
    assert np.isfinite(table["value"]).all()
    assert (
        table["standard_error"]
        .drop(index=[("all", "coverage_50"), ("all", "coverage_90")])
        .isna()
        .all()
    )


def test_several_outputs_are_scored_one_by_one_and_the_row_together():
    fit = several_outputs()
    table: Any = predictive_scores(fit, fit.x, fit.y, seed=0).set_index(["output", "score"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["all", "force", "heat", "glow"]
    assert table.loc["all"].index.tolist() == ["log_score"]
    expected = -fit.posterior.predictive.log_density(fit.x, fit.y).mean()
    assert table.loc[("all", "log_score"), "value"] == pytest.approx(expected)
    there = ~np.isnan(fit.y[:, 1])
    error = fit.y[there, 1] - fit.posterior.predictive.mean(fit.x)[there, 1]
    assert table.loc[("heat", "rmse"), "num_rows"] == 11
    assert table.loc[("heat", "rmse"), "value"] == pytest.approx(np.sqrt((error**2).mean()))
    draws = fit.posterior.predictive.sample(fit.x, 4_000, seed=1)[:, there, 1]
    crps = scoringrules.crps_ensemble(fit.y[there, 1], draws.T, estimator="pwm").mean()
    # Two independent estimates, the second from four times the draws.  Its estimator by moments is
    # that of the pairs, which takes half a minute.
    error = table.loc[("heat", "crps"), "monte_carlo_error"]
    assert table.loc[("heat", "crps"), "value"] == pytest.approx(crps, abs=6.0 * error)


def test_an_output_without_any_value_has_no_scores():
    fit = several_outputs()
    missing = fit.y.copy()
    missing[:, 1] = np.nan
    table = predictive_scores(fit, fit.x, missing, seed=0)
    heat = table[table["output"] == "heat"]
    assert (heat["num_rows"] == 0).all()
    assert heat[["value", "standard_error"]].isna().all(axis=None)
    rest = table[table["output"] != "heat"]
    assert rest[["value", "standard_error"]].notna().all(axis=None)


def test_one_regime():
    posterior = make_posterior(restarts=2, draws=20)
    sites = {n: d[..., :1] if d.ndim == 3 else d for n, d in posterior.sites.items()}

    class One(FakePosterior):
        def _log_joint(self, x, y):
            return super()._log_joint(x, y)[..., :1] if y is None else super()._log_joint(x, y)

        def regime_probability_draws(self, x, y=None, labels=None):
            return np.ones((2, 20, len(x), 1))

        def log_likelihood(self, x, y):
            parts = self.expert_mean_draws(x), self.expert_scale_draws(x)
            return stats.norm.logpdf(y[:, None], *parts)[..., 0]

        def sample_per_draw(self, x, seed):
            noise = np.random.default_rng(seed).standard_normal((2, 20, len(x)))
            return self.expert_mean_draws(x)[..., 0] + self.expert_scale_draws(x)[..., 0] * noise

    x, y = make_data(10)
    one = dataclasses.replace(healthy(), posterior=One(sites=sites, regime_names=("relu",)))
    table = scored(one, x, y, by_regime=True)
    np.testing.assert_array_equal(table.loc["all", "value"], table.loc["relu", "value"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"levels": [0.0]}, "between 0 and 1"), ({"probs": [90]}, "between 0 and 1")],
)
def test_bad_options(fit, rows, options, message):
    with pytest.raises(OptionError, match=message):
        scored(fit, *rows, **options)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 1)), np.array([0.0, np.nan, 1.0]), "y must be finite; row 2"),
        (np.array([[0.0], [np.inf]]), np.zeros(2), "x must be finite; row 2"),
        (np.zeros((3, 2)), np.zeros(3), r"\(rows, 1\)"),
        (np.zeros((3, 1)), np.zeros(2), r"\(3,\)"),
        (np.zeros((0, 1)), np.zeros(0), "rows >= 1"),
    ],
)
def test_bad_rows(fit, x, y, message):
    with pytest.raises(DataError, match=message):
        scored(fit, x, y)
