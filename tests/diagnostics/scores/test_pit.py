"""PIT values against brute force, and the simultaneous band against ArviZ's and simulation."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from arviz_stats import ecdf_utils
from scipy import stats

from bayes_hybrid.diagnostics import diagnose, pit_ecdf
from bayes_hybrid.diagnostics.evaluation.approximation import pareto_k
from bayes_hybrid.diagnostics.evaluation.chains import psis_weights
from bayes_hybrid.diagnostics.scores.pit import loo_pit, pit_finding
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import FakePosterior, healthy
from tests.diagnostics.outputs import several_outputs


@pytest.mark.parametrize("num_rows", [2, 30, 400])
@pytest.mark.parametrize("prob", [0.8, 0.95])
def test_the_band_holds_its_share_of_uniform_samples(num_rows, prob):
    rng = np.random.default_rng(1)
    inside = np.mean([pit_ecdf(u, prob=prob).inside for u in rng.random((2_000, num_rows))])
    # Counts are whole, so a band of few rows holds more than it has to; four standard errors of
    # the two simulations.
    error = np.sqrt(prob * (1 - prob) * (1 / 2_000 + 1 / 4_000))
    assert inside > prob - 4.0 * error
    if num_rows > 2:
        assert inside < prob + 0.03


def test_the_band_is_that_of_arviz():
    mine = pit_ecdf(np.random.default_rng(0).random(80))
    rng = np.random.default_rng(5)
    theirs = np.array(ecdf_utils.ecdf_pit(np.linspace(0, 1, 80), 0.95, 4_000, rng=rng))
    # ArviZ 1 adds the points 0 and 1.
    points, _, lower, upper = theirs[:, (theirs[0] > 0.0) & (theirs[0] < 1.0)]
    np.testing.assert_allclose(mine.points, points)
    # Both simulate the tail probability: ends may differ by a count or two of 80.
    np.testing.assert_allclose(mine.lower + points, lower, atol=2.01 / 80)
    np.testing.assert_allclose(mine.upper + points, upper, atol=2.01 / 80)


def test_the_difference_is_that_of_the_ecdf():
    values = np.random.default_rng(0).random(300)
    ecdf = pit_ecdf(values)
    assert ecdf.num_rows == 300
    assert len(ecdf.points) == 99
    expected = [(values <= u).mean() - u for u in ecdf.points]
    np.testing.assert_allclose(ecdf.difference, expected, atol=1e-12)
    assert list(ecdf.to_frame().columns) == ["point", "difference", "lower", "upper"]


def test_the_p_value_is_never_zero():
    worst = pit_ecdf(np.zeros(50))
    assert 0.0 < worst.p_value < 1e-3


def test_the_p_value_is_uniform_for_uniform_samples_and_agrees_with_the_band():
    rng = np.random.default_rng(2)
    made = [pit_ecdf(u, prob=0.9) for u in rng.random((500, 150))]
    p_values = np.array([ecdf.p_value for ecdf in made])
    # A chance of one in a thousand, and ties make the p-values a little too large.
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    inside = np.array([ecdf.inside for ecdf in made])
    # The level of the band is the lower of two neighbours among 4,000 simulated ones.
    assert (inside == (p_values > 0.1)).mean() > 0.99


@pytest.mark.parametrize("pit", [[0.5], [], [[0.1, 0.2]], [0.2, 1.2], [0.2, np.nan]])
def test_what_is_no_pit_is_refused(pit):
    with pytest.raises(DataError, match="two or more values in"):
        pit_ecdf(np.array(pit))


def test_a_band_of_no_probability_is_refused():
    with pytest.raises(OptionError, match="prob"):
        pit_ecdf(np.linspace(0.0, 1.0, 9), prob=95)


def test_loo_pit_of_flat_ratios_is_the_distribution_function():
    fit = healthy(restarts=2, draws=20, jitter=0.0)
    pit, k = loo_pit(fit.posterior, fit.x, fit.y)
    np.testing.assert_allclose(pit, fit.posterior.predictive.pit(fit.x, fit.y), rtol=1e-12)
    assert (k == -np.inf).all()


def test_loo_pit_is_the_ratio_of_sums():
    """Draws of a conjugate Normal mean, whose leave-one-out predictive is known."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(12)
    total, num_rows = y.sum(), len(y)

    class Conjugate(FakePosterior):
        def _parts(self, y):
            return y - self.sites["mean"][..., None]

        def log_likelihood(self, x, y):
            return stats.norm.logpdf(self._parts(y))

        def pit_draws(self, x, y):
            return stats.norm.cdf(self._parts(y))

    # Prior N(0, 1), noise 1: the posterior is N(total / (N + 1), 1 / (N + 1)).
    draws = total / (num_rows + 1) + rng.standard_normal((4, 25_000)) / np.sqrt(num_rows + 1)
    posterior: Any = Conjugate(sites={"mean": draws, "scale": np.ones((4, 25_000, 2))})
    pit, k = loo_pit(posterior, np.zeros((num_rows, 1)), y)
    exact = stats.norm.cdf(y, (total - y) / num_rows, np.sqrt(1.0 + 1.0 / num_rows))
    # 1 / sqrt(100,000) is 0.003 for values of up to one half.
    np.testing.assert_allclose(pit, exact, atol=0.004)
    assert np.abs(pit - posterior.by_draw.pit(None, y).mean((0, 1))).max() > 0.015
    np.testing.assert_allclose(
        k, pareto_k(posterior.by_draw.log_likelihood(None, y), posterior.restart_weights)
    )


def test_restarts_count_by_their_weight():
    """Where all draws explain a row alike, leaving it out changes nothing."""
    fit = healthy(restarts=2, draws=20)
    posterior = dataclasses.replace(fit.posterior, weights=np.array([0.2, 0.8]))
    pit, _ = loo_pit(posterior, fit.x, fit.y, np.zeros((2, 20, len(fit.y))))
    np.testing.assert_allclose(pit, posterior.predictive.pit(fit.x, fit.y), rtol=1e-12)


def test_weights_without_a_tail_are_the_ratios_as_they_are():
    """The largest ratios are all equal, so that no Pareto distribution can be fitted."""
    weights, k = psis_weights(np.repeat([0.0, 1.0], 20))
    ratios = np.repeat([1.0, np.exp(-1.0)], 20)
    np.testing.assert_allclose(weights, ratios / ratios.sum(), rtol=1e-12)
    assert k == -np.inf


def test_chunks_do_not_change_it(monkeypatch):
    fit = healthy(restarts=2, draws=20)
    whole, k = loo_pit(fit.posterior, fit.x, fit.y)
    monkeypatch.setattr("bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", 40 * 7)
    parts, k_parts = loo_pit(fit.posterior, fit.x, fit.y)
    # Forty products may be added in another order.
    np.testing.assert_allclose(parts, whole, rtol=1e-14)
    np.testing.assert_array_equal(k_parts, k)


def test_several_outputs_share_the_weights_of_their_row():
    fit = several_outputs(num_draws=20)
    pit, k = loo_pit(fit.posterior, fit.x, fit.y)
    assert pit.shape == (12, 3)
    np.testing.assert_array_equal(np.isnan(pit), np.isnan(fit.y))
    assert k.shape == (12,)
    cdf = fit.posterior.by_draw.pit(fit.x, fit.y).reshape(40, 12, 3)
    np.testing.assert_allclose(cdf.mean(0), fit.posterior.predictive.pit(fit.x, fit.y))
    names = [f.name for f in diagnose(fit) if f.name.startswith("pit")]
    assert names == [f"pit_uniformity[{name}]" for name in ("force", "heat", "glow")]


# The finding


def finding(fit):
    return {f.name: f for f in diagnose(fit)}.get("pit_uniformity")


def test_a_healthy_fit_passes():
    found = finding(healthy())
    assert found.severity == "ok"
    assert found.value == 0.0


@pytest.mark.parametrize("factor", [0.3, 3.0], ids=["too narrow", "too wide"])
def test_a_noise_scale_that_is_off_is_found(factor):
    scale = np.array([0.2, 0.3]) * factor
    found = finding(healthy(scale=scale))
    assert found.severity == "warning"
    assert found.value > 0.0
    assert "leaves its 95% simultaneous band" in found.meaning


def test_its_value_is_the_distance_beyond_the_band():
    pit = np.concatenate([np.linspace(0.0, 0.25, 200), np.linspace(0.25, 1.0, 200)])
    ecdf, found = pit_ecdf(pit), pit_finding(pit, np.zeros(400))
    assert found.value == pytest.approx((ecdf.difference - ecdf.upper).max())
    assert "400 rows leaves" in found.meaning
    assert "50% of the rows lie below the 25% quantile" in found.meaning


def test_rows_that_lean_on_few_draws_are_told_of():
    k = np.where(np.arange(50) < 5, 0.9, 0.1)
    k[-1] = np.nan
    assert "50 rows (12% of them lean on few draws" in pit_finding((k > 0) * 0.5, k).meaning


def test_misses_of_less_than_two_points_do_not_matter():
    rows, k = (np.arange(200_000) + 0.5) / 200_000, np.zeros(200_000)
    near = rows + 0.015 * np.sin(np.pi * rows)
    assert not pit_ecdf(near).inside
    assert pit_finding(near, k).severity == "ok"
    assert pit_finding(rows + 0.03 * np.sin(np.pi * rows), k).severity == "warning"


def test_few_draws_give_no_finding_and_nan_gives_a_warning():
    assert finding(healthy(restarts=2, draws=12)) is None
    fit = healthy()
    weight = np.full_like(fit.posterior.sites["weight"], np.nan)
    broken = FakePosterior(sites={**fit.posterior.sites, "weight": weight})
    assert finding(dataclasses.replace(fit, posterior=broken)).severity == "warning"
