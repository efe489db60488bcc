"""Findings about the approximation: planted faults, each seen by its own finding alone."""

import dataclasses
import math

import numpy as np
import pytest

from bayes_hybrid.diagnostics.evaluation.approximation import (
    approximation_findings,
    between_restarts,
    mean_disagreement,
    optimiser_findings,
    pareto_k,
)
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate, row_chunks, spread_rows
from tests.diagnostics.fakes import FakePosterior, healthy, refined, spread_ratios, told


def findings_of(fit):
    found = optimiser_findings(fit) + approximation_findings(evaluate(fit, max_rows=None))
    return {finding.name: finding for finding in found}


def flagged(findings):
    return {name: f.severity for name, f in findings.items() if f.severity != "ok"}


def test_a_healthy_fit_has_no_warning():
    findings = findings_of(healthy())
    assert flagged(findings) == {}
    assert set(findings) == {
        "converged",
        "restarts_dropped",
        "guide_k",
        "mean_disagreement",
    }


def test_where_a_sampler_ran_its_chains_say_whether_they_have_arrived():
    assert "converged" not in findings_of(told(refined(), converged=False))


def test_a_fit_that_ran_out_of_budget_is_flagged_in_its_own_words():
    fit = told(healthy(), converged=False, status="Stopped at 3,000 steps.")
    findings = findings_of(fit)
    assert flagged(findings) == {"converged": "warning"}
    assert findings["converged"].meaning == "Stopped at 3,000 steps."


@pytest.mark.parametrize(("dropped", "severity"), [(1, "ok"), (2, "warning")])
def test_dropped_restarts(dropped, severity):
    fit = told(healthy(restarts=4), num_dropped=dropped)
    finding = findings_of(fit)["restarts_dropped"]
    assert finding.severity == severity
    assert finding.value == pytest.approx(dropped / (4 + dropped))


@pytest.mark.parametrize(("scale", "severity"), [(0.5, "ok"), (20.0, "warning")])
def test_a_guide_far_from_the_posterior_is_flagged(scale, severity):
    fit = dataclasses.replace(healthy(), known={"log_ratios": spread_ratios(scale)})
    assert findings_of(fit)["guide_k"].severity == severity


def test_a_guide_without_ratios_is_flagged():
    fit = dataclasses.replace(healthy(), known={"log_ratios": np.full((2, 200), np.nan)})
    finding = findings_of(fit)["guide_k"]
    assert finding.severity == "warning"
    assert math.isnan(finding.value)


def test_no_restart_left_is_an_error():
    empty = FakePosterior(sites={"scale": np.empty((0, 0, 2))})
    fit = told(dataclasses.replace(healthy(), posterior=empty), num_dropped=8)
    assert flagged({f.name: f for f in optimiser_findings(fit)}) == {
        "restarts_dropped": "error",
    }


def test_restarts_that_predict_different_means_are_flagged():
    findings = findings_of(healthy(shift=0.4))
    assert findings["mean_disagreement"].severity == "warning"
    one = findings_of(healthy(restarts=1))
    assert "mean_disagreement" not in one


def test_mean_disagreement_of_a_known_case():
    rng = np.random.default_rng(0)
    centers = np.array([-1.0, 0.0, 1.0])[:, None, None]
    noise = rng.standard_normal((3, 50, 20))
    mean = centers + noise - noise.mean(axis=1, keepdims=True)
    assert mean_disagreement(mean, np.full(20, 4.0), np.full(3, 1.0 / 3.0)) == pytest.approx(0.5)


def test_restarts_differ_by_their_weight():
    draws = np.random.default_rng(0).normal(size=(3, 10, 4))
    means = draws.mean(axis=1)
    third, half = np.full(3, 1.0 / 3.0), np.full(2, 0.5)
    np.testing.assert_allclose(between_restarts(draws, third), means.var(axis=0, ddof=1))
    # A restart of no weight is none.
    light = between_restarts(draws, np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(light, between_restarts(draws[:2], half))
    # The mean square of half the difference of two restarts, by the weights of the pairs.
    weights = np.array([0.5, 0.3, 0.2])
    pairs = np.outer(weights, weights)[..., None] * (means[:, None] - means) ** 2
    square = 0.5 * pairs.sum(axis=(0, 1)) / (1.0 - np.square(weights).sum())
    np.testing.assert_allclose(between_restarts(draws, weights), square)


def test_an_influential_row_has_a_large_k():
    fit = healthy()
    y = fit.y.copy()
    y[60] += 8.0
    k = pareto_k(fit.posterior.by_draw.log_likelihood(fit.x, y), fit.posterior.restart_weights)
    assert k.argmax() == 60
    assert k[60] > 0.7


def test_k_of_rows_that_do_not_vary_or_are_not_finite():
    logs = np.random.default_rng(0).standard_normal((2, 50, 3))
    logs[..., 1] = -3.0
    logs[0, 7, 2] = -np.inf
    k = pareto_k(logs, np.full(2, 0.5))
    assert np.isfinite(k[0])
    assert k[1] == -np.inf
    assert np.isnan(k[2])


@pytest.mark.parametrize("num_low", [1, 15, 50])
def test_k_of_ties_gives_no_numerical_warning_and_no_alarm(num_low):
    """A bounded ratio has a finite variance, whatever its ties."""
    logs = np.zeros((1, 100, 1))
    logs[0, :num_low, 0] = -1.0
    assert not pareto_k(logs, np.ones(1))[0] > 0.5


def test_a_floor_that_binds_is_flagged():
    assert findings_of(healthy(scale_floor=0.01))["scale_floor"].severity == "ok"
    fit = healthy(scale_floor=0.01)
    sites = dict(fit.posterior.sites)
    sites["scale"] = sites["scale"].copy()
    # The prior keeps a scale from the floor itself.
    sites["scale"][..., 0] = 0.03
    bound = dataclasses.replace(fit, posterior=FakePosterior(sites=sites, scale_floor=0.01))
    finding = findings_of(bound)["scale_floor"]
    assert finding.severity == "warning"
    # The first regime carries about half of the rows.
    assert 0.4 < finding.value < 0.6


def test_rows_in_chunks_give_the_same_answer(monkeypatch):
    fit = healthy()
    whole = evaluate(fit, max_rows=None)
    monkeypatch.setattr(
        "bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", 7 * 4 * 100 * 2
    )
    parts = evaluate(fit, max_rows=None)
    # Sums in another order.
    for name in ("usage", "responsibilities", "log_likelihood"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)


def test_means_and_variances_are_those_of_the_predictive():
    fit = healthy(num_rows=40)
    evaluation = evaluate(fit, max_rows=None)
    np.testing.assert_allclose(
        evaluation.mean.mean(axis=(0, 1)), fit.posterior.predictive.mean(fit.x)
    )
    np.testing.assert_allclose(evaluation.variance, fit.posterior.predictive.variance(fit.x))


def test_chunks_cover_every_row_once():
    seen = np.concatenate([np.arange(10**4)[part] for part in row_chunks(10**4, 2**14)])
    np.testing.assert_array_equal(seen, np.arange(10**4))
    assert spread_rows(5, None).tolist() == [0, 1, 2, 3, 4]
    assert len(set(spread_rows(1001, 1000))) == 1000


def test_an_infinite_variance_hides_no_disagreement():
    mean = np.array([[[0.0, 1.0]], [[9.0, 1.0]]])
    assert math.isnan(mean_disagreement(mean, np.array([1.0, np.inf]), np.full(2, 0.5)))
