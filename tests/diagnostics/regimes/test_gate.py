"""Findings about the gate: hand-made responsibilities with known answers."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation, evaluate
from bayes_hybrid.diagnostics.regimes.gate import (
    effective_regimes,
    gate_entropy,
    gate_findings,
    regime_distance,
)
from bayes_hybrid.inference.readings import unused_threshold
from tests.diagnostics.fakes import FakePosterior, collapsed, healthy


def findings_of(fit):
    evaluation = evaluate(fit, max_rows=None)
    return {f.name: f for f in gate_findings(evaluation, fit.posterior.regime_names)}


def flagged(findings):
    return {name for name, finding in findings.items() if finding.severity != "ok"}


def made_of(responsibilities, usage=None):
    """An evaluation with the responsibilities ``[R, N, K]``, and their mean as usage."""
    means = responsibilities.mean(axis=1)[:, None] if usage is None else usage
    return Evaluation(
        rows=np.arange(responsibilities.shape[1]),
        usage=means,
        responsibilities=responsibilities,
        log_likelihood=np.zeros((*means.shape[:2], responsibilities.shape[1])),
        mean=np.zeros((*means.shape[:2], 1)),
        variance=np.ones(1),
        at_floor=None,
        weights=np.full(len(responsibilities), 1.0 / len(responsibilities)),
        numbers=10 * np.arange(len(responsibilities)),
    )


def test_a_healthy_gate_has_no_warning():
    findings = findings_of(healthy())
    assert flagged(findings) == set()
    assert set(findings) == {
        "usage[gaussian]",
        "usage[relu]",
        "dominant_regime",
        "effective_regimes",
        "gate_entropy",
        "regime_disagreement",
    }


def test_a_collapsed_gate_is_flagged_as_a_warning():
    findings = findings_of(collapsed(switch=3.0))
    assert flagged(findings) == {"usage[relu]", "dominant_regime", "effective_regimes"}
    assert {findings[name].severity for name in flagged(findings)} == {"warning"}
    assert "nobody" in findings["usage[relu]"].meaning
    assert "gaussian" in findings["dominant_regime"].advice


def test_a_gate_that_is_exactly_shut_is_flagged_without_a_numerical_warning():
    assert "usage[relu]" in flagged(findings_of(collapsed(switch=500.0)))


def test_a_regime_that_takes_all_is_found_where_it_is_another_in_each_restart():
    # All rows below a threshold in one restart, all above it in the other.
    sure = np.tile([[1.0, 0.0]], (50, 1))
    findings = gate_findings(made_of(np.stack([sure, sure[:, ::-1]])), ("a", "b"))
    found = {finding.name: finding for finding in findings}
    assert found["dominant_regime"].value == 1.0
    assert found["effective_regimes"].value == pytest.approx(1.0)
    assert {"dominant_regime", "effective_regimes", "regime_disagreement"} <= flagged(found)


def test_usage_has_the_interval_of_its_draws():
    usage = np.stack([np.linspace(0.2, 0.4, 101), np.linspace(0.8, 0.6, 101)], axis=-1)[None]
    evaluation = made_of(np.full((1, 50, 2), 0.5), usage)
    first = gate_findings(evaluation, ("a", "b"))[0]
    assert first.value == pytest.approx(0.3)
    assert first.interval == pytest.approx((0.21, 0.39))


def test_restarts_with_swapped_regimes_disagree():
    fit = healthy(restarts=2)
    sites = {name: draws.copy() for name, draws in fit.posterior.sites.items()}
    for name in ("intercept", "weight", "scale"):
        sites[name][1] = sites[name][1, :, ::-1]
    sites["slope"][1] *= -1.0
    swapped = dataclasses.replace(fit, posterior=FakePosterior(sites=sites))
    findings = findings_of(swapped)
    # Each restart is sure, and says the opposite of the other.
    assert findings["regime_disagreement"].value > 0.95
    assert findings["gate_entropy"].value > 0.95
    assert flagged(findings) == {"regime_disagreement", "gate_entropy"}


def test_the_odd_restart_is_named():
    responsibilities = np.tile([0.9, 0.1], (4, 50, 1))
    responsibilities[2] = [0.1, 0.9]
    finding = gate_findings(made_of(responsibilities), ("a", "b"))[-1]
    # 3 of the 6 pairs are 0.8 apart.
    assert finding.value == pytest.approx(0.4)
    assert "restart 20 differs" in finding.meaning  # by the number of its start


def test_experts_that_say_the_same_leave_the_gate_undecided():
    findings = findings_of(
        healthy(slope=0.0, intercept=[0.5, 0.5], weight=[0.0, 0.0], scale=[1.0, 1.0])
    )
    assert flagged(findings) == {"gate_entropy"}


def test_one_unused_regime_of_three_does_not_mean_that_one_dominates():
    responsibilities = np.tile([0.5, 0.5, 0.0], (2, 50, 1))
    findings = {f.name: f for f in gate_findings(made_of(responsibilities), ("a", "b", "c"))}
    assert flagged(findings) == {"usage[c]"}


def test_one_restart_cannot_disagree_and_one_regime_has_no_gate():
    names = {f.name for f in gate_findings(made_of(np.full((1, 9, 2), 0.5)), ("a", "b"))}
    assert "regime_disagreement" not in names
    assert gate_findings(made_of(np.ones((2, 9, 1))), ("relu",)) == []


@pytest.mark.parametrize("num_rows", [10, 199, 200, 201, 10_000])
def test_the_thresholds_of_two_regimes_say_the_same(num_rows):
    """Just below and just above disuse, all three findings change together."""
    threshold = unused_threshold(num_rows, 2)
    for share, expected in ((0.99 * threshold, 3), (1.01 * threshold, 0)):
        evaluation = made_of(np.tile([1.0 - share, share], (1, num_rows, 1)))
        findings = {f.name: f for f in gate_findings(evaluation, ("a", "b"))}
        assert len(flagged(findings)) == expected


@pytest.mark.parametrize("num_regimes", [2, 3, 5])
def test_a_gate_that_is_used_evenly_passes_however_few_rows_are_read(num_regimes):
    names = tuple("abcde"[:num_regimes])
    for num_rows in (1, 2, 3, 8):
        even = made_of(np.full((1, num_rows, num_regimes), 1.0 / num_regimes))
        found = {f.name: f for f in gate_findings(even, names)}
        assert flagged(found) == {"gate_entropy"}


def test_entropy_and_number_of_regimes_of_known_cases():
    even = np.full((7, 4), 0.25)
    assert gate_entropy(even) == pytest.approx(1.0)
    assert effective_regimes(even[0]) == pytest.approx(4.0)
    sure = np.eye(4)
    assert gate_entropy(sure) == 0.0
    assert effective_regimes(sure[0]) == 1.0


def test_distance_is_a_metric_on_a_known_case():
    rows = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], size=(5, 30))
    distance = regime_distance(rows)
    np.testing.assert_array_equal(distance, distance.T)
    np.testing.assert_array_equal(np.diag(distance), 0.0)
    by_hand = 0.5 * np.abs(rows[1] - rows[4]).sum(axis=1).mean()
    assert distance[1, 4] == pytest.approx(by_hand)
    assert distance[0, 2] <= distance[0, 1] + distance[1, 2]
