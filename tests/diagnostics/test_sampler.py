"""Findings about Hamiltonian Monte Carlo."""

import math

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.evaluation import evaluate
from bayes_hybrid.diagnostics.mixing import worst_mixing
from bayes_hybrid.diagnostics.sampler import sampler_findings
from tests.diagnostics.fakes import healthy, refined

NAMES = {"divergences", "acceptance_rate", "r_hat", "ess_bulk"}


def findings_of(fit):
    found = sampler_findings(fit.sampler, evaluate(fit, max_rows=None))
    return {finding.name: finding for finding in found}


def flagged(fit):
    return {name for name, finding in findings_of(fit).items() if finding.severity != "ok"}


def test_chains_that_agree_have_no_warning():
    findings = findings_of(refined())
    assert set(findings) == NAMES
    assert flagged(refined()) == set()
    # Independent draws: the ESS is their number, within a few of its standard errors.
    assert findings["ess_bulk"].value > 150


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"diverging": 0.1}, {"divergences"}),
        ({"rate": 0.2}, {"acceptance_rate"}),
        ({"shift": 0.3}, set()),  # restarts are modes, which no chain leaves
        ({"restarts": 1}, {"ess_bulk"}),
    ],
)
def test_each_fault_is_seen_by_its_own_finding(options, expected):
    assert flagged(refined(**options)) == expected


def test_a_chain_that_drifts_is_seen():
    draws = np.random.default_rng(0).normal(size=(4, 60, 3))
    r_hat, ess = worst_mixing(draws)
    assert r_hat < 1.05
    assert ess > 100
    drifting = draws + np.linspace(0.0, 3.0, 60)[:, None]
    assert worst_mixing(drifting)[0] > 1.1
    apart = draws + np.arange(4.0)[:, None, None] * 9.0
    np.testing.assert_allclose(worst_mixing(apart), (r_hat, ess))
    assert math.isnan(worst_mixing(draws[:, :3])[0])
    assert math.isnan(worst_mixing(np.ones((2, 8, 1)))[1])


def test_the_slowest_chain_is_named():
    fit = refined()
    rates = fit.sampler["acceptance_rate"].copy()
    rates[2] = 0.1
    found = sampler_findings({"acceptance_rate": rates}, evaluate(fit, max_rows=9))
    assert found[0].value == pytest.approx(0.1)
    assert "restart 2" in found[0].meaning


def test_statistics_that_were_not_recorded_are_not_judged():
    fit = refined()
    found = sampler_findings({"energy": fit.sampler["energy"]}, evaluate(fit, max_rows=9))
    assert {finding.name for finding in found} == {"r_hat", "ess_bulk"}


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
