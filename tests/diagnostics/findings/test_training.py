"""Stages and restarts of a fit, by hand."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import restart_report, training_report
from bayes_hybrid.inference import Stage
from tests.diagnostics.fakes import healthy, make_posterior
from tests.diagnostics.findings.test_guide import trained
from tests.diagnostics.outputs import several_outputs


def stage(name, trace, **details):
    return Stage(name=name, reason="done", steps=200, seconds=2.0, trace=tuple(trace), **details)


def test_mean_drift_and_noise_of_the_last_fifth():
    rng = np.random.default_rng(0)
    # SVI keeps its loss: an ELBO that still rises by 0.1 a point.
    noise = rng.standard_normal(200)
    loss = 50.0 - 0.1 * np.arange(200) + noise
    table = training_report(trained(healthy(), stages=(stage("SVI", loss),)))
    row = table.iloc[0]
    tail = -loss[-40:]
    slope, _ = np.polyfit(np.arange(40), tail, 1)
    assert row["objective"] == "ELBO"
    assert row["first"] == -loss[0]
    assert row["last"] == pytest.approx(tail.mean())
    assert row["drift"] == pytest.approx(39 * slope)
    assert row["drift"] == pytest.approx(3.9, abs=3 * row["drift_se"])
    left = tail - np.polyval(np.polyfit(np.arange(40), tail, 1), np.arange(40))
    assert row["noise"] == pytest.approx(np.sqrt((left**2).sum() / 38))
    # The textbook's standard error of a slope, times the length of the tail.
    assert row["drift_se"] == pytest.approx(39 * row["noise"] / np.sqrt(40 * (40**2 - 1) / 12))


def test_stages_without_a_trace_have_no_figures_and_all_have_their_words():
    stages = (
        stage("recording", ()),
        stage(
            "warm start: all",
            [-2.0, np.nan, -1.0, -1.0, -1.0, -1.0],
            usage_before=(0.5, 0.5),
            usage_after=(0.62, 0.38),
            weights={"load_balance": (1.0, 0.0), "gate_entropy": (0.0, 0.0)},
        ),
        stage("choice", [-1.0, -0.5]),
    )
    table = training_report(trained(healthy(), stages=stages))
    assert table["stage"].tolist() == ["recording", "warm start: all", "choice"]
    assert table["objective"].tolist() == ["", *["held-out log density"] * 2]
    assert np.isnan(table["last"][0])
    assert (table["first"][1], table["last"][1], table["noise"][1]) == (-2.0, -1.0, 0.0)
    assert table["usage_after"][1] == "62%, 38%"
    assert table["weights"][1] == "load_balance 1 to 0"
    assert table["last"][2] == -0.75
    assert np.isnan(table["drift"][2])


def test_restarts_by_hand():
    posterior = make_posterior(shift=0.3)
    fit = trained(healthy(), posterior=posterior, elbo=np.array([1.0, 2.0, 3.0, 4.0]))
    table = restart_report(fit)
    assert table["elbo"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert table["weight"].tolist() == [0.25] * 4
    assert table["reading"].tolist() == [0] * 4
    logs = posterior.by_draw.log_likelihood(fit.x, fit.y)
    np.testing.assert_allclose(table["log_likelihood"], logs.mean(axis=(1, 2)))
    means = (
        posterior.by_draw.regime_probability(fit.x) * posterior.by_draw.expert_mean(fit.x)
    ).sum(-1)
    rmse = [np.sqrt(np.mean((fit.y - one.mean(0)) ** 2)) for one in means]
    np.testing.assert_allclose(table["rmse"], rmse)
    shares = posterior.by_draw.regime_probability(fit.x, fit.y).mean(1)
    np.testing.assert_allclose(table["usage[relu]"], shares[..., 1].mean(1))
    first = [0.5 * np.abs(shares[0] - other).sum(-1).mean() for other in shares[1:]]
    assert table["distance"][0] == pytest.approx(np.mean(first))


def test_errors_of_several_outputs_are_in_units_of_their_sd():
    fit = several_outputs()
    y = fit.y.copy()
    y[:, 2] = 7.0  # a constant output keeps its own unit
    table = restart_report(trained(dataclasses.replace(fit, y=y), elbo=np.zeros(2)))
    gate, experts = fit.posterior.by_draw.gate_and_mean(fit.x)
    means = (gate[:, :, :, None] * experts).sum(-1).mean(1)
    scale = np.array([np.nanstd(y[:, 0]), np.nanstd(y[:, 1]), 1.0])
    for restart in range(2):
        away = ((means[restart] - y) / scale).ravel()
        expected = np.sqrt(np.mean(away[~np.isnan(away)] ** 2))
        assert table["rmse"][restart] == pytest.approx(expected)


def test_one_restart_has_no_distance():
    fit = trained(healthy(), posterior=make_posterior(restarts=1), elbo=np.zeros(1))
    assert restart_report(fit)["distance"].isna().all()
