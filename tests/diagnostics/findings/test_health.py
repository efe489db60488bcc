"""Findings of the gate's health: constructed fits with known answers."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.evaluation.gate_rows import gate_rows
from bayes_hybrid.diagnostics.evaluation.pathways import (
    layer_shares,
    pathway_findings,
    regime_shares,
    settled_findings,
    unsettled,
    width_findings,
)
from bayes_hybrid.diagnostics.findings.experts import dead_threshold, expert_findings, twin_overlap
from bayes_hybrid.diagnostics.findings.gate_use import gate_misfit, gate_use_findings, saturation
from bayes_hybrid.diagnostics.findings.health import GATE_HEALTH, health_findings, is_gate_health
from tests.diagnostics.fakes import FakePosterior, collapsed, healthy, make_posterior, refined

FLAT = {"intercept": [0.5, 0.5], "weight": [0.0, 0.0], "scale": [1.0, 1.0]}


def findings_of(fit):
    return {f.name: f for f in health_findings(fit, evaluate(fit, max_rows=None))}


def flagged(fit):
    return {name for name, finding in findings_of(fit).items() if finding.severity != "ok"}


def rows_of(gate, given=None, mean=(0.0, 0.0), scale=(1.0, 1.0)):
    """Of gates ``[R, S, N, K]`` and experts that are the same at every row."""
    gate = np.asarray(gate, dtype=float)
    mean, scale = (np.broadcast_to(np.asarray(part, float), gate.shape) for part in (mean, scale))
    given = gate if given is None else given
    return gate_rows(gate, given, mean, scale, np.array(0.0), np.array(1.0))


def test_a_healthy_fit_has_every_finding_and_no_warning():
    fit = healthy()
    assert flagged(fit) == set()
    assert {name.partition("[")[0] for name in findings_of(fit)} == set(GATE_HEALTH) - {
        *("width_floor", "threshold_unidentified")  # no Gaussian units, no thresholds
    }
    assert all(is_gate_health(name) for name in findings_of(fit))


# -- worth of a regime


def test_a_dead_regime_is_found_above_the_threshold_of_usage():
    """The second expert is wide and takes a twentieth of every row, and explains none better."""
    gate = np.tile([0.95, 0.05], (1, 2, 200, 1))
    found = expert_findings(rows_of(gate), 200, ("a", "b"), np.ones(1))
    assert [f.severity for f in found[:2]] == ["warning", "warning"]  # either does for the other
    assert [f.value for f in found[:2]] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_a_rare_regime_that_is_real_is_not_dead():
    """Ten rows of two hundred, far from the other expert."""
    gate = np.tile([0.95, 0.05], (1, 1, 200, 1))
    given = np.zeros_like(gate)
    given[..., 0] = 1.0
    given[:, :, :10] = [0.0, 1.0]
    worth = expert_findings(rows_of(gate, given), 200, ("a", "b"), np.ones(1))[1]
    # Ten rows at the cut of log 1000, and the others each a little more probable without it.
    assert worth.value == pytest.approx(10 * np.log(1e3) + 190 * np.log(0.95))
    assert worth.severity == "ok"
    one_outlier = given.copy()
    one_outlier[:, :, 1:10] = [1.0, 0.0]
    dead = expert_findings(rows_of(gate, one_outlier), 200, ("a", "b"), np.ones(1))[1]
    assert dead.value < dead_threshold(200)
    assert dead.severity == "warning"


def test_worth_counts_rows_that_were_not_read():
    gate = np.tile([0.5, 0.5], (1, 1, 20, 1))
    given = np.tile([0.25, 0.75], (1, 1, 20, 1))
    few, many = (
        expert_findings(rows_of(gate, given), n, ("a", "b"), np.ones(1))[1] for n in (20, 2_000)
    )
    assert few.value == pytest.approx(20 * np.log(2.0))
    assert many.value == pytest.approx(2_000 * np.log(2.0))


def test_a_regime_dead_in_half_of_the_restarts_is_dead():
    gate = np.tile([0.5, 0.5], (4, 1, 100, 1))
    given = gate.copy()
    given[0] = [1e-3, 1.0 - 1e-3]  # worth log(500) in each row
    for alive, severity in ((1, "warning"), (2, "ok")):
        given[:alive] = given[0]
        names = ("a", "b")
        found = expert_findings(rows_of(gate, given), 100, names, np.full(4, 0.25))[1]
        assert found.severity == severity
    # Two light restarts do not outvote two heavy ones.
    light = np.array([0.2, 0.2, 0.3, 0.3])
    assert expert_findings(rows_of(gate, given), 100, names, light)[1].severity == "warning"


# -- twins


def test_equal_experts_are_twins_and_far_ones_are_not():
    gate = np.tile([0.5, 0.5], (2, 3, 50, 1))
    assert twin_overlap(rows_of(gate)) == pytest.approx(1.0)
    assert twin_overlap(rows_of(gate, mean=(0.0, 40.0))) == pytest.approx(0.0, abs=1e-12)
    # Four standard deviations apart: exp(-4^2 / 8).
    assert twin_overlap(rows_of(gate, mean=(0.0, 4.0))) == pytest.approx(np.exp(-2.0))


def test_experts_that_meet_on_a_few_rows_are_no_twins():
    gate = np.tile([1.0, 0.0], (1, 1, 100, 1))
    gate[:, :, :4] = 0.5
    assert twin_overlap(rows_of(gate)) == pytest.approx(0.4)
    gate[:, :, :30] = 0.5
    assert twin_overlap(rows_of(gate)) == pytest.approx(1.0)


def test_twins_are_named_and_not_averaged_away():
    """Each restart has twins, but another pair of them."""
    gate = np.full((2, 1, 50, 3), 1.0 / 3.0)
    mean = np.zeros_like(gate)
    mean[0, ..., 2] = mean[1, ..., 0] = 50.0
    rows = gate_rows(gate, gate, mean, np.ones_like(gate), np.array(0.0), np.array(1.0))
    found = expert_findings(rows, 50, ("a", "b", "c"), np.full(2, 0.5))[-1]
    assert found.value == pytest.approx(1.0)
    assert found.severity == "warning"
    one = expert_findings(rows, 50, ("a", "b", "c"), np.array([0.1, 0.9]))[-1]
    assert "'b' and 'c'" in one.meaning


def test_twin_experts_are_flagged_in_a_fit():
    found = flagged(healthy(slope=0.0, **FLAT))
    assert {"twin_experts", "regime_worth[gaussian]", "regime_worth[relu]"} <= found


# -- the gate's use


def test_a_shut_gate_is_saturated_and_one_that_switches_is_not():
    always = np.tile([1.0 - 1e-6, 1e-6], (1, 3, 40, 1))
    assert saturation(rows_of(always)) == 1.0
    switching = always.copy()
    switching[:, :, 20:] = switching[:, :, 20:, ::-1]
    assert saturation(rows_of(switching)) == 0.5
    one_draw = always.copy()
    one_draw[:, 1] = [0.998, 0.002]  # the mean over the draws is still above 0.999
    assert saturation(rows_of(one_draw)) == 0.0


def test_a_shut_gate_is_flagged():
    assert "gate_saturation" in flagged(collapsed())
    assert "gate_saturation" not in flagged(healthy())


def test_a_gate_that_ignores_its_feature_is_off_by_what_it_misses():
    x = np.arange(1_000.0)[:, None]
    gate = np.full((1, 1_000, 2), 0.5)
    right = np.stack([x[:, 0] < 500, x[:, 0] >= 500], axis=-1)[None].astype(np.float64)
    # Every bin is off by a half; chance makes 0.25 / 100 of its square, seldom above c times that.
    chance = stats.chi2.isf(1e-3 / 2, 10) / 10 * 0.0025
    assert gate_misfit(gate, right, x) == pytest.approx(np.sqrt(0.25 - chance))
    assert gate_misfit(right, right, x) == 0.0
    # Whatever the order of the rows, and beside a feature that says nothing.
    order = np.random.default_rng(0).permutation(1_000)
    wide = np.column_stack([1.0 * order, x[:, 0]])[order]
    chance = stats.chi2.isf(1e-3 / 4, 10) / 10 * 0.0025
    assert gate_misfit(gate, right[:, order], wide) == pytest.approx(np.sqrt(0.25 - chance))


def test_chance_is_no_misfit():
    """Regimes drawn from the gate: above 0 in one set of a thousand, so two in 200 is far off."""
    rng = np.random.default_rng(1)
    x, above = rng.uniform(size=(200, 3)), 0
    for _ in range(200):
        second = (rng.random(200) < 0.5) * 1.0
        given = np.stack([1.0 - second, second], axis=-1)[None]
        above += gate_misfit(np.full((1, 200, 2), 0.5), given, x)[0] > 0.0
    assert above <= 1


def test_few_rows_say_nothing_of_the_gates_form():
    gate = np.full((1, 19, 2), 0.5)
    assert np.isnan(gate_misfit(gate, gate, np.arange(19.0)[:, None])).all()
    found = gate_use_findings(rows_of(gate[None]), gate, np.arange(19.0)[:, None], 0.1, np.ones(1))
    assert [f.name for f in found] == ["gate_saturation"]


def test_a_stuck_gate_is_flagged():
    """The experts see the regimes, the gate gives even odds everywhere."""
    assert flagged(healthy(slope=0.0)) == {"gate_misfit"}


# -- pathways


def test_shares_are_those_of_the_law_of_total_variance():
    rng = np.random.default_rng(2)
    gate = rng.dirichlet([2.0, 1.0], size=30)
    mean, scale = rng.normal(size=(30, 2)), rng.uniform(0.1, 1.0, (30, 2))
    level = (gate * mean).sum(axis=1).mean()
    gates, means, scales = (part[None, None] for part in (gate, mean, scale))
    rows = gate_rows(gates, gates, means, scales, level, np.array(2.0))
    whole = (gate * (mean**2 + scale**2)).sum(axis=1).mean() - level**2
    assert rows.spread.sum() * 4.0 / 30 == pytest.approx(whole)
    first = (gate * ((mean - level) ** 2 + scale**2)).mean(axis=0)[0] / whole
    assert regime_shares(rows.spread)[0, 0, 0] == pytest.approx(first)


def test_a_pathway_without_variance_is_flagged_and_infinite_ones_are_left_out():
    gate = np.tile([1.0 - 1e-4, 1e-4], (1, 2, 10, 1))
    found = pathway_findings(rows_of(gate), ("a", "b"), {}, np.ones(1))
    assert [f.severity for f in found] == ["ok", "warning"]
    assert found[1].value == pytest.approx(1e-4)
    heavy = rows_of(gate, scale=(1.0, np.inf))
    assert pathway_findings(heavy, ("a", "b"), {}, np.ones(1)) == []


class Mixing(FakePosterior):
    """One expert, ``2 sin + x`` of which the sine is Gaussian and the line ReLU."""

    def expert_mean_draws(self, x):
        return np.tile((2.0 * np.sin(x) + x)[None, None], (1, 3, 1, 1))

    def unit_mean_draws(self, x):
        one = np.tile(x[None, None, :, 0], (1, 3, 1))
        return {("linear_mix", "gaussian"): 2.0 * np.sin(one), ("linear_mix", "relu"): one}


def test_units_of_a_layer_share_the_variance_that_they_make():
    posterior: Any = Mixing(
        sites=make_posterior(restarts=1, draws=3).sites, regime_names=("linear_mix",)
    )
    x = np.linspace(-3.0, 3.0, 41)[:, None]
    shares = layer_shares(posterior, x)
    sine, line = (2.0 * np.sin(x)).var(), x.var()
    assert shares["linear_mix.gaussian"] == pytest.approx(sine / (sine + line))
    assert shares["linear_mix.relu"] == pytest.approx(line / (sine + line))
    found = pathway_findings(None, ("linear_mix",), shares, np.ones(1))
    assert [f.name for f in found] == [
        "pathway_share[linear_mix.gaussian]",
        "pathway_share[linear_mix.relu]",
    ]


def test_an_output_without_a_slope_leaves_the_shares_to_the_others():
    class Two(Mixing):
        def expert_mean_draws(self, x):
            one = super().expert_mean_draws(x)
            return np.stack([one, np.ones_like(one)], axis=-2)

        def unit_mean_draws(self, x):
            parts = super().unit_mean_draws(x)
            return {
                name: np.stack([one, np.zeros_like(one)], axis=-1) for name, one in parts.items()
            }

    sites = make_posterior(restarts=1, draws=3).sites
    one: Any = Mixing(sites=sites, regime_names=("linear_mix",))
    two: Any = Two(sites=sites, regime_names=("linear_mix",))
    x = np.linspace(-3.0, 3.0, 41)[:, None]
    for name, share in layer_shares(one, x).items():
        np.testing.assert_allclose(layer_shares(two, x)[name], share)


def test_the_share_between_draws_of_a_linear_model_counts_its_parameters():
    """The exact posterior of p weights: p / N of noise is var / (1 - var) of the prediction."""
    rng = np.random.default_rng(3)
    design = rng.normal(size=(50, 10))
    weights = rng.multivariate_normal(np.zeros(10), np.linalg.inv(design.T @ design), size=20_000)
    mean = (weights @ design.T)[None]
    value = unsettled(mean, 1.0 + mean[0].var(axis=0), np.ones(1))
    # 20,000 draws: the standard error of a variance is a hundredth of it.
    assert value / (1.0 - value) == pytest.approx(10 / 50, rel=0.03)
    (found,) = settled_findings(mean, 1.0 + mean[0].var(axis=0), np.ones(1))
    assert (found.value, found.severity) == (value, "ok")
    assert settled_findings(mean, 2.0 * mean[0].var(axis=0), np.ones(1))[0].severity == "warning"


def test_the_share_between_draws_ignores_what_restarts_differ_by():
    apart = np.array([[[0.0], [0.0]], [[9.0], [9.0]]])
    assert unsettled(apart, np.array([4.0]), np.full(2, 0.5)) == 0.0
    assert np.isnan(unsettled(apart, np.array([np.inf]), np.full(2, 0.5)))
    assert settled_findings(apart, np.array([np.inf]), np.full(2, 0.5)) == []


def test_widths_at_their_floor_are_counted():
    widths = np.full((2, 5, 10), 100.0)
    assert width_findings(widths, np.full(2, 0.5))[0].severity == "ok"
    widths[..., 0] = 1.5
    found = width_findings(widths, np.full(2, 0.5))[0]
    assert found.value == pytest.approx(0.1)
    assert found.severity == "warning"
    assert width_findings(None, np.ones(1)) == []


# -- what applies when


def test_one_regime_has_no_gate_but_pathways():
    sites = make_posterior(restarts=2).sites
    one = {name: draws[..., :1] if draws.ndim > 2 else draws for name, draws in sites.items()}

    class Single(FakePosterior):
        def _log_joint(self, x, y):
            if y is None:
                return np.zeros((2, 100, len(x), 1))
            return stats.norm.logpdf(
                y[:, None], self.expert_mean_draws(x), self.expert_scale_draws(x)
            )

    fit = dataclasses.replace(healthy(), posterior=Single(sites=one, regime_names=("gaussian",)))
    names = set(findings_of(fit))
    assert names == {"unsettled_mean", "seed_dependence"}


def test_after_hmc_r_hat_stands_in_for_seed_dependence():
    assert "seed_dependence" not in findings_of(refined())
    assert "seed_dependence" in findings_of(healthy())


def test_every_finding_names_what_to_do():
    fit = collapsed(switch=3.0, shift=0.5)
    for finding in diagnose(fit):
        if is_gate_health(finding.name) and finding.severity != "ok":
            assert len(finding.advice) > 40
