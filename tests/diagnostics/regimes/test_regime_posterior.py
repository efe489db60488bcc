"""The regime posterior against sums written out by hand."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics import regime_posterior
from bayes_hybrid.diagnostics.evaluation import evaluation
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from tests.diagnostics.fakes import FakeFit, draw_quantiles, healthy
from tests.models import zoo

# The same sums in another order, in float64.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(scope="module")
def fit():
    """Draws that differ enough for the weights to matter."""
    return healthy(restarts=2, draws=30, jitter=0.2)


def zoo_fit(name, *, labels=None, num_outputs=1, seed=0):
    """A fit of one of the package's own models; nothing is trained."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, zoo.NUM_FEATURES))
    y = rng.standard_normal((12, num_outputs) if num_outputs > 1 else 12)
    if num_outputs > 1:
        y[4, 1] = np.nan
        y[7] = np.nan
    model = zoo.MODELS[name]
    size = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES)).num_parameters
    posterior = Posterior(
        model=model,
        theta=0.5 * torch.randn(2, 3, size, generator=torch.Generator().manual_seed(seed)),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y, missing=num_outputs > 1),
    )
    return FakeFit(
        posterior=posterior,  # (one of the package's own)
        x=x,
        y=y,
        labels=labels,
        feature_names=("a", "b"),
    )


def weighted_quantile(values, weights, level):
    """The smallest value at which the cumulated weight reaches the level."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return values[order][np.searchsorted(total, level * total[-1])]


def test_new_rows_without_y(fit):
    x = np.linspace(-1.0, 1.0, 7)[:, None]
    found = regime_posterior(fit, x, prob=0.8)
    draws = fit.posterior.by_draw.regime_probability(x).reshape(-1, 7, 2)
    np.testing.assert_allclose(found.probability, draws.mean(axis=0), **_EXACT)
    np.testing.assert_allclose(found.lower, draw_quantiles(draws, 0.1, axis=0), **_EXACT)
    np.testing.assert_allclose(found.upper, draw_quantiles(draws, 0.9, axis=0), **_EXACT)
    mean = draws.mean(axis=0)
    np.testing.assert_allclose(found.total_entropy, stats.entropy(mean, axis=1), **_EXACT)
    within = stats.entropy(draws, axis=2).mean(axis=0)
    np.testing.assert_allclose(found.ambiguity, within, **_EXACT)
    # The mutual information by its own formula: the mean divergence of a draw from the mean.
    divergence = stats.entropy(draws, mean[None], axis=2).mean(axis=0)
    np.testing.assert_allclose(found.gate_uncertainty, divergence, rtol=1e-8, atol=1e-12)


def test_new_rows_with_y_reweight_the_draws_one_row_at_a_time(fit):
    x, y = fit.x[50:60], fit.y[50:60] + 0.3
    found = regime_posterior(fit, x, y, prob=0.6)
    posterior = fit.posterior
    for n in range(len(x)):
        row, value = x[n : n + 1], y[n : n + 1]
        weights = np.exp(posterior.by_draw.log_likelihood(row, value)).ravel()
        weights /= weights.sum()
        draws = posterior.by_draw.regime_probability(row, value).reshape(-1, 2)
        mean = weights @ draws
        np.testing.assert_allclose(found.probability[n], mean, **_EXACT)
        for ends, level in ((found.lower, 0.2), (found.upper, 0.8)):
            expected = [weighted_quantile(draws[:, k], weights, level) for k in range(2)]
            np.testing.assert_allclose(ends[n], expected, **_EXACT)
        assert found.total_entropy[n] == pytest.approx(stats.entropy(mean), abs=1e-12)
        within = weights @ stats.entropy(draws, axis=1)
        assert found.ambiguity[n] == pytest.approx(within, abs=1e-12)
    np.testing.assert_allclose(
        found.probability, posterior.predictive.regime_probability(x, y), **_EXACT
    )
    # Equal weights would give something else.
    plain = posterior.by_draw.regime_probability(x, y).mean(axis=(0, 1))
    assert np.abs(found.probability - plain).max() > 1e-3


@pytest.mark.parametrize("name", ["mixture of 2, linear, input", "mixture of 3, relu, constant"])
def test_probabilities_are_those_of_the_posterior(name):
    fit = zoo_fit(name)
    for y in (None, fit.y):
        expected = fit.posterior.predictive.regime_probability(fit.x, y)
        found = regime_posterior(fit, fit.x, y)
        np.testing.assert_allclose(found.probability, expected, **_EXACT)
        assert (found.lower <= found.upper).all()
        assert (found.ambiguity <= found.total_entropy).all()
        assert (found.total_entropy <= np.log(fit.posterior.num_regimes) + 1e-12).all()


def test_rows_of_the_fit_count_their_y_once_and_their_label():
    labels = np.full(12, np.nan)
    labels[[2, 5]] = [1.0, 0.0]
    fit = zoo_fit("mixture of 2, labels", labels=labels)
    found = regime_posterior(fit)
    draws = fit.posterior.by_draw.regime_probability(fit.x, fit.y, labels).reshape(-1, 12, 2)
    np.testing.assert_allclose(found.probability, draws.mean(axis=0), **_EXACT)
    np.testing.assert_allclose(found.upper, draw_quantiles(draws, 0.95, axis=0), **_EXACT)
    # A label without noise decides.
    np.testing.assert_allclose(found.probability[[2, 5]], [[0.0, 1.0], [1.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(found.total_entropy[[2, 5]], 0.0, atol=1e-10)


def test_findings_read_the_regimes_of_labelled_rows_with_their_labels():
    labels = np.full(12, np.nan)
    labels[[2, 5]] = [1.0, 0.0]
    fit = zoo_fit("mixture of 2, labels", labels=labels)
    found = evaluate(fit, max_rows=None)
    expected = regime_posterior(fit).probability
    # The same numbers in another order of summation.
    np.testing.assert_allclose(found.responsibilities.mean(axis=0), expected, rtol=1e-9)
    np.testing.assert_allclose(found.usage.mean(axis=(0, 1)), expected.mean(axis=0), rtol=1e-9)


def test_several_outputs_and_a_row_without_any():
    fit = zoo_fit("mixture of 2, 3 outputs", num_outputs=3)
    given, without = regime_posterior(fit, fit.x, fit.y), regime_posterior(fit, fit.x)
    expected = fit.posterior.predictive.regime_probability(fit.x, fit.y)
    np.testing.assert_allclose(given.probability, expected, **_EXACT)
    # Row 7 has no output: nothing was observed.
    np.testing.assert_allclose(given.probability[7], without.probability[7], **_EXACT)
    assert regime_posterior(fit).probability.shape == (12, 2)


def test_one_regime_is_certain():
    found = regime_posterior(zoo_fit("relu, constant"))
    np.testing.assert_array_equal(found.probability, 1.0)
    np.testing.assert_array_equal(found.total_entropy, 0.0)
    assert set(found.regime) == set(zoo.MODELS["relu, constant"].regime_names)


def test_draws_that_contradict_each_other_are_gate_uncertainty_not_ambiguity():
    # Half of the draws switch far below, half far above, each at once.
    fit = healthy(restarts=2, draws=2, jitter=0.0, slope=1e3)
    fit.posterior.sites["switch"][0] = -5.0
    fit.posterior.sites["switch"][1] = 5.0
    found = regime_posterior(fit, [[0.0]])
    assert found.gate_uncertainty == pytest.approx([np.log(2.0)])
    assert found.ambiguity == pytest.approx([0.0], abs=1e-12)
    # And draws that agree on a toss-up are the reverse.
    same = healthy(restarts=2, draws=2, jitter=0.0, switch=0.0)
    found = regime_posterior(same, [[0.0]])
    assert found.ambiguity == pytest.approx([np.log(2.0)])
    assert found.gate_uncertainty == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize("given", ["x", "x and y", "fit"])
def test_chunks_change_nothing(fit, monkeypatch, given):
    rows = {"x": (fit.x,), "x and y": (fit.x, fit.y), "fit": ()}[given]
    whole = regime_posterior(fit, *rows)
    monkeypatch.setattr(evaluation, "_CELLS_PER_CHUNK", 7 * 60 * 2)
    parts = regime_posterior(fit, *rows)
    for field in ("probability", "lower", "upper", "total_entropy", "ambiguity"):
        np.testing.assert_allclose(getattr(parts, field), getattr(whole, field), **_EXACT)


def test_table(fit):
    index = pd.Index([f"row {n}" for n in range(len(fit.x))])
    found = regime_posterior(fit)
    table = found.to_frame(index)
    assert table.index.equals(index)
    assert table["regime"].tolist() == [
        "relu" if p > 0.5 else "gaussian" for p in table["probability[relu]"]
    ]
    np.testing.assert_array_equal(
        table["confidence"], table[["probability[gaussian]", "probability[relu]"]].max(axis=1)
    )
    total = table["ambiguity"] + table["gate_uncertainty"]
    # One rounding of a difference.
    np.testing.assert_allclose(total, table["total_entropy"], rtol=1e-15)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (None, np.zeros(3), "y came without x"),
        (np.zeros(3), None, r"shape \(rows, 1\).*got \(3,\)"),
        (np.zeros((3, 2)), None, r"got \(3, 2\)"),
        (np.zeros((0, 1)), None, "rows >= 1"),
        (np.array([[np.nan]]), None, "x: expected finite"),
        (np.zeros((3, 1)), np.zeros(2), r"y must have the shape \(3,\)"),
        (np.zeros((2, 1)), np.array([0.0, np.nan]), "y: expected finite"),
        (np.zeros((2, 1)), np.array([0.0, np.inf]), "y: expected finite"),
    ],
)
def test_bad_rows_are_refused(fit, x, y, message):
    with pytest.raises(DataError, match=message):
        regime_posterior(fit, x, y)


def test_bad_prob_is_refused(fit):
    with pytest.raises(OptionError, match="prob"):
        regime_posterior(fit, prob=90)


def test_one_row_and_one_draw():
    fit = healthy(restarts=1, draws=1)
    found = regime_posterior(dataclasses.replace(fit, x=fit.x[:1], y=fit.y[:1]))
    np.testing.assert_array_equal(found.lower, found.upper)
    np.testing.assert_allclose(found.gate_uncertainty, 0.0, atol=1e-12)
