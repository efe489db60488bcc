"""Findings about Hamiltonian Monte Carlo."""

import dataclasses
import math

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.findings.mixing import mixing
from bayes_hybrid.diagnostics.findings.sampler import sampler_findings
from tests.diagnostics.fakes import healthy, refined

NAMES = {"divergences", "acceptance_rate", "r_hat", "mcse"}


def findings_of(fit):
    found = sampler_findings(fit.restarts.sampler, evaluate(fit, max_rows=None))
    return {finding.name: finding for finding in found}


def flagged(fit):
    return {name for name, finding in findings_of(fit).items() if finding.severity != "ok"}


def test_chains_that_agree_have_no_warning():
    findings = findings_of(refined())
    assert set(findings) == NAMES
    assert flagged(refined()) == set()
    # Independent draws: a row's share of the usage is known to a hundredth of what matters.
    assert findings["mcse"].value < 0.1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"diverging": 0.1}, {"divergences"}),
        ({"rate": 0.15}, {"acceptance_rate"}),
    ],
)
def test_each_fault_is_seen_by_its_own_finding(options, expected):
    assert flagged(refined(**options)) == expected


def test_restarts_are_modes_which_no_chain_leaves():
    assert "r_hat" not in flagged(refined(shift=0.3))


def test_chains_that_drift_are_seen_and_chains_apart_are_not():
    draws, equal = np.random.default_rng(0).normal(size=(4, 60, 3)), np.full(4, 0.25)
    r_hat, ess = mixing(draws, equal).worst
    assert r_hat < 1.05
    assert 100 < ess < 500
    drifting = draws + np.linspace(0.0, 3.0, 60)[:, None]
    assert mixing(drifting, equal).worst[0] > 1.1
    # Chains that do not change places say the same in either half, and how well they say it is
    # their own affair: the spread between them is no error.
    apart = draws + np.arange(4.0)[:, None, None] * 9.0
    assert mixing(apart, equal).worst[0] < 1.01
    np.testing.assert_allclose(mixing(apart, equal).mcse, mixing(draws, equal).mcse)
    assert np.isnan(mixing(draws[:, :3], equal).r_hat).all()
    assert math.isnan(mixing(np.ones((4, 8, 1)), equal).worst[1])


def test_the_error_is_that_of_the_weighted_mean():
    rng, weights = np.random.default_rng(1), np.array([0.7, 0.2, 0.1])
    runs = rng.normal(size=(400, 3, 200, 1)) * np.array([1.0, 2.0, 5.0])[:, None, None]
    means = np.tensordot(weights, runs.mean(axis=2), (0, 1))[:, 0]
    told = np.mean([mixing(run, weights).mcse[0] for run in runs[:40]])
    # An sd of 400 values has a standard error of one part in 28.
    assert told == pytest.approx(means.std(), rel=0.12)


def test_the_slowest_chain_is_named():
    fit = refined()
    rates = fit.restarts.sampler["acceptance_rate"].copy()
    rates[2] = 0.1
    found = sampler_findings({"acceptance_rate": rates}, evaluate(fit, max_rows=9))
    assert found[0].value == pytest.approx(0.1)
    assert "restart 2" in found[0].meaning


def test_divergences_count_by_the_weight_of_their_chain():
    fit = refined(restarts=2)
    weights = np.array([0.1, 0.9])
    fit = dataclasses.replace(fit, posterior=dataclasses.replace(fit.posterior, weights=weights))
    diverging = np.zeros((2, 100))
    diverging[0] = 1.0
    found = sampler_findings({"diverging": diverging}, evaluate(fit, max_rows=9))
    assert found[0].value == pytest.approx(0.1)


def test_statistics_that_were_not_recorded_are_not_judged():
    fit = refined()
    found = sampler_findings({"energy": fit.restarts.sampler["energy"]}, evaluate(fit, max_rows=9))
    assert {finding.name for finding in found} == {"r_hat", "mcse"}


def test_only_a_sampler_is_judged_as_one():
    assert not NAMES & {finding.name for finding in diagnose(healthy())}
    assert {finding.name for finding in diagnose(refined())} >= NAMES


@pytest.mark.parametrize(
    ("heat", "severity", "said"),
    [(1.05, "ok", "too wide"), (1.3, "warning", "too wide"), (0.6, "warning", "not spread")],
)
def test_the_chain_farthest_from_its_temperature_is_named(heat, severity, said):
    fit = refined()
    temperature = np.ones((3, 20))
    temperature[1] = heat
    found = sampler_findings({"temperature": temperature}, evaluate(fit, max_rows=9))
    assert (found[0].name, found[0].severity) == ("temperature", severity)
    assert found[0].value == pytest.approx(abs(heat - 1.0))
    assert "restart 1" in found[0].meaning
    assert said in found[0].meaning
