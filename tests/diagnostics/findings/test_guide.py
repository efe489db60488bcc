"""The guide against the posterior, where both are normal; reweighted draws by hand."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hybrid.diagnostics import correction_report, guide_report
from bayes_hybrid.diagnostics.evaluation.chains import psis_weights
from bayes_hybrid.diagnostics.findings.guide import importance_weights
from bayes_hybrid.errors import DataError
from tests.diagnostics.fakes import FakeFit, FakePosterior, healthy, make_posterior, refined, told

LOG_EVIDENCE = -7.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained(FakeFit):
    variational: FakePosterior = field(default_factory=make_posterior)
    variational_log_ratios: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def trained(fit, *, stages=None, **changes):
    """A fit with what training leaves behind, of its restarts too."""
    known = {name: changes.pop(name) for name in ("elbo", "log_ratios") if name in changes}
    if "log_ratios" in known:
        known["sources"] = np.arange(len(known["log_ratios"]))
    fields = vars(fit) | {"known": {**fit.known, **known}} | changes
    full = Trained(**fields)
    return full if stages is None else told(full, stages=stages)


def ratios(sd, size, seed=0):
    """Draws of q = Normal(0, 1), and log ratios of exp(-7) Normal(0, sd) over it."""
    draws = np.random.default_rng(seed).standard_normal(size)
    return draws, LOG_EVIDENCE + stats.norm.logpdf(draws, 0.0, sd) - stats.norm.logpdf(draws)


def kl(sd):
    """KL(Normal(0, 1) | Normal(0, sd))."""
    return np.log(sd) + 0.5 / sd**2 - 0.5


def test_elbo_and_evidence_of_normal_densities():
    # A guide that is too wide can be corrected, one that is right has nothing to correct.
    _, wide = ratios(0.8, 20_000)
    _, right = ratios(1.0, 20_000)
    table = guide_report(trained(healthy(), log_ratios=np.stack([wide, right])))
    assert table["restart"].tolist() == [0, 1]
    first, second = table.iloc[0], table.iloc[1]
    assert first["elbo"] == pytest.approx(LOG_EVIDENCE - kl(0.8), abs=4 * first["elbo_se"])
    # Ratios of a narrower target are bounded; theirs to a Monte Carlo error of 0.4 / sqrt(20,000).
    assert first["iw_elbo"] == pytest.approx(LOG_EVIDENCE, abs=0.01)
    assert first["gap"] == pytest.approx(first["iw_elbo"] - first["elbo"])
    # log w is 0.5 z^2 (1 - 1 / 0.64) and a constant: its sd is 0.28125 sqrt(2).
    assert first["log_ratio_sd"] == pytest.approx(0.28125 * np.sqrt(2.0), rel=0.03)
    assert first["pareto_k"] < 0.2
    # E[w]^2 / E[w^2] of this ratio is sd sqrt(2 - sd^2).
    assert first["ess"] / 20_000 == pytest.approx(0.8 * np.sqrt(2.0 - 0.64), rel=0.02)
    assert second["gap"] == pytest.approx(0.0, abs=1e-9)
    assert second["ess"] == pytest.approx(20_000)


def test_a_guide_that_is_too_narrow_has_a_large_k():
    _, narrow = ratios(2.0, 2_000)
    # The tail of these ratios has k = 1 - 1 / 4.
    shape = guide_report(trained(healthy(), log_ratios=narrow[None]))["pareto_k"].item()
    assert shape == pytest.approx(0.75, abs=0.2)


def test_a_guide_without_a_density_has_no_figures():
    table = guide_report(trained(healthy(), log_ratios=np.full((2, 200), np.nan)))
    assert table.drop(columns=["restart", "num_draws"]).isna().all(axis=None)


def test_weights_correct_a_moment_where_they_can():
    draws, logs = ratios(0.8, 20_000)
    weights, shapes = importance_weights(logs[None])
    assert shapes.item() < 0.5
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ draws**2 == pytest.approx(0.64, abs=0.02)
    assert np.mean(draws**2) == pytest.approx(1.0, abs=0.03)


def test_weights_stay_equal_where_ratios_cannot_be_trusted():
    _, good = ratios(0.8, 1_000)
    _, bad = ratios(6.0, 1_000)
    weights, shapes = importance_weights(np.stack([good, bad, np.full(1_000, np.nan)]))
    assert shapes[0] < 0.7 < shapes[1]
    np.testing.assert_allclose(weights[1:], 1.0 / 3_000, rtol=1e-12)
    assert np.ptp(weights[0]) > 0.0
    np.testing.assert_allclose(weights.sum(axis=1), 1.0 / 3.0)
    few, shapes = importance_weights(good[None, :24])
    assert np.isnan(shapes).all()
    np.testing.assert_allclose(few, 1.0 / 24.0)


def test_smoothing_leaves_all_but_the_tail_as_it_was():
    _, logs = ratios(0.8, 1_000)
    smoothed, _ = psis_weights(-logs)
    plain = np.exp(logs) / np.exp(logs).sum()
    body = np.argsort(plain)[:700]
    np.testing.assert_allclose(smoothed[body] / smoothed[body[0]], plain[body] / plain[body[0]])
    equal, shape = psis_weights(np.zeros(50))
    assert shape == -np.inf
    np.testing.assert_allclose(equal, 0.02)


def test_the_correction_by_hand():
    fit = refined()
    draws = fit.posterior.num_restarts, fit.posterior.num_draws
    variational = make_posterior(jitter=0.05, seed=9)
    logs = 0.3 * np.random.default_rng(1).standard_normal(draws)
    full = trained(fit, variational=variational, variational_log_ratios=logs)
    table = correction_report(full, x_test=fit.x[:7], y_test=fit.y[:7])
    assert table["posterior"].tolist() == ["svi", "svi, reweighted", "svi+hmc"]
    assert table["num_reweighted"].tolist() == [0, 4, 0]
    plain, reweighted, hmc = table["log_density"]
    x, y = fit.x[:7], fit.y[:7]
    assert plain == pytest.approx(variational.predictive.log_density(x, y).mean())
    assert hmc == pytest.approx(fit.posterior.predictive.log_density(x, y).mean())
    weights, _ = importance_weights(logs)
    terms = np.exp(variational.by_draw.log_likelihood(x, y))
    by_hand = np.log((weights[..., None] * terms).sum(axis=(0, 1))).mean()
    assert reweighted == pytest.approx(by_hand)
    away = (variational.predictive.mean(x) - fit.posterior.predictive.mean(x)) / np.sqrt(
        fit.posterior.predictive.variance(x)
    )
    assert table["mean_difference"][0] == pytest.approx(np.sqrt(np.mean(away**2)))
    assert table["mean_difference"][2] == 0.0


def test_without_refinement_svi_itself_is_reweighted():
    fit = healthy()
    logs = np.zeros((fit.posterior.num_restarts, fit.posterior.num_draws))
    full = trained(fit, variational=fit.posterior, variational_log_ratios=logs)
    table = correction_report(full)
    assert table["posterior"].tolist() == ["svi", "svi, reweighted"]
    assert table["log_density"][0] == pytest.approx(table["log_density"][1])


def test_chunks_of_rows_change_nothing(monkeypatch):
    fit = healthy()
    logs = 0.3 * np.random.default_rng(1).standard_normal((4, 100))
    full = trained(fit, variational=fit.posterior, variational_log_ratios=logs)
    whole = correction_report(full)
    monkeypatch.setattr("bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", 800 * 7)
    # The same sums of each row; their mean over rows in another order of memory.
    pd.testing.assert_frame_equal(correction_report(full), whole, rtol=1e-12)


def test_one_draw_is_not_reweighted():
    fit = healthy(draws=1)
    full = trained(fit, variational=fit.posterior, variational_log_ratios=np.zeros((4, 1)))
    table = correction_report(full)
    assert table["num_reweighted"].tolist() == [0, 0]
    assert table["log_density"][0] == pytest.approx(table["log_density"][1])


def test_beside_an_infinite_variance_no_difference_is_small():
    class Heavy(FakePosterior):
        def variance(self, x):
            return np.full(len(x), np.inf)

    fit = healthy(draws=30)
    logs = np.zeros((4, 30))
    heavy = trained(
        fit,
        posterior=Heavy(sites=fit.posterior.sites),
        variational=fit.posterior,
        variational_log_ratios=logs,
    )
    assert correction_report(heavy)["mean_difference"].isna().all()


def test_what_cannot_be_corrected_is_refused():
    fit = healthy()
    with pytest.raises(DataError, match="no importance ratios"):
        correction_report(trained(fit))
    logs = np.zeros((4, 100))
    with pytest.raises(DataError, match="2 outputs"):
        correction_report(
            trained(fit, y=np.column_stack([fit.y, fit.y]), variational_log_ratios=logs)
        )
    with pytest.raises(DataError, match="x_test came without y_test"):
        correction_report(trained(fit, variational_log_ratios=logs), x_test=fit.x)
