"""What draws predict of several outputs and labelled rows, by brute force in the data's units."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pyro import poutine
from scipy import special, stats

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior import chunks as chunks_module
from bayes_hybrid.models import HybridMixture, LabelHead
from tests.models import zoo

_R, _S, _N, _Q = 2, 3, 8, 3
# Two orders of evaluation in float64, of numbers up to 1e4.
_EXACT: Any = {"rtol": 1e-9, "atol": 1e-9}


def _posterior(model, x, y):
    table = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES, dtype=torch.float64))
    shape = (_R, _S, table.num_parameters)
    generator = torch.Generator().manual_seed(1)
    return Posterior(
        model=model,
        theta=0.5 * torch.randn(shape, generator=generator, dtype=torch.float64),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y, missing=y.ndim > 1),
    )


@pytest.fixture
def case():
    """Three outputs in units far apart, some of them missing."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_N, zoo.NUM_FEATURES)) * [10.0, 0.1] + [100.0, -3.0]
    y = rng.standard_normal((_N, _Q)) * [1.0, 1e3, 1e-3] + [0.0, 5e3, 2.0]
    y[0, 1] = y[2, :2] = y[5, 2] = np.nan
    return _posterior(zoo.MODELS["mixture of 2, 3 outputs"], x, y), x, y


def _by_hand(posterior, x):
    """Gate ``[R, S, N, 1, K]``, means and scales ``[R, S, N, Q, K]``."""
    gate = posterior.by_draw.regime_probability(x)[..., None, :]
    return gate, posterior.by_draw.expert_mean(x), posterior.by_draw.expert_scale(x)


def _log_joint(posterior, x, y):
    """``log p(z = k) p(y | k)`` by a loop over the outputs, ``[R, S, N, K]``."""
    gate, means, scales = _by_hand(posterior, x)
    total = np.log(gate[..., 0, :])
    for q in range(_Q):
        term = stats.norm.logpdf(y[:, q, None], means[..., q, :], scales[..., q, :])
        total = total + np.where(np.isnan(y[:, q, None]), 0.0, term)
    return total


def test_experts_are_those_of_the_model_in_the_units_of_each_output(case):
    posterior, x, y = case
    model, table = posterior.model, posterior.table
    _, means, scales = _by_hand(posterior, x)
    inputs = torch.as_tensor((x - x.mean(0)) / x.std(0))
    values = table.constrain(posterior.theta[1, 2])
    regimes = poutine.condition(model.sampled, data=values)(inputs).regimes
    unit = np.nanstd(y, axis=0)[:, None]
    center = np.nanmean(y, axis=0)[:, None]
    for k, expert in enumerate(regimes.experts):
        location, scale = (number.numpy() * unit.T for number in expert.numbers)
        np.testing.assert_allclose(means[1, 2, ..., k], location + center.T, **_EXACT)
        np.testing.assert_allclose(scales[1, 2, ..., k], scale, **_EXACT)
    np.testing.assert_allclose(posterior.scale_floor, model.priors.noise_floor * unit, **_EXACT)


def test_shapes(case):
    posterior, x, y = case
    assert posterior.by_draw.sample(x, 0).shape == (_R, _S, _N, _Q)
    assert posterior.predictive.sample(x, 5, 0).shape == (5, _N, _Q)
    assert posterior.by_draw.log_likelihood(x, y).shape == (_R, _S, _N)
    assert posterior.predictive.quantile(x, [0.1, 0.9]).shape == (_N, _Q, 2)
    for by_output in (
        posterior.predictive.mean(x),
        posterior.predictive.variance(x),
        posterior.predictive.pit(x, y),
    ):
        assert by_output.shape == (_N, _Q)


def test_densities_are_joint_over_what_is_there(case):
    posterior, x, y = case
    draws = special.logsumexp(_log_joint(posterior, x, y), axis=-1)
    np.testing.assert_allclose(posterior.by_draw.log_likelihood(x, y), draws, **_EXACT)
    expected = special.logsumexp(draws, axis=(0, 1)) - np.log(_R * _S)
    np.testing.assert_allclose(posterior.predictive.log_density(x, y), expected, **_EXACT)
    # A missing value adds no factor, not even that of its unit.
    alone = np.full_like(y, np.nan)
    np.testing.assert_allclose(posterior.predictive.log_density(x, alone), 0.0, atol=1e-12)


def test_regime_probabilities_are_given_all_outputs_that_are_there(case):
    posterior, x, y = case
    joint = np.exp(_log_joint(posterior, x, y))
    np.testing.assert_allclose(
        posterior.by_draw.regime_probability(x, y), joint / joint.sum(-1, keepdims=True), **_EXACT
    )
    pooled = joint.sum((0, 1))
    np.testing.assert_allclose(
        posterior.predictive.regime_probability(x, y),
        pooled / pooled.sum(-1, keepdims=True),
        **_EXACT,
    )


def test_moments_and_cdf_are_those_of_each_output(case):
    posterior, x, y = case
    gate, means, scales = _by_hand(posterior, x)
    weights = gate / (_R * _S)
    mean = (weights * means).sum((0, 1, 4))
    within = (weights * (scales**2 + (means - mean[..., None]) ** 2)).sum((0, 1, 4))
    np.testing.assert_allclose(posterior.predictive.mean(x), mean, **_EXACT)
    np.testing.assert_allclose(posterior.predictive.variance(x), within, **_EXACT)
    expected = (weights * stats.norm.cdf(y[..., None], means, scales)).sum((0, 1, 4))
    np.testing.assert_allclose(posterior.predictive.pit(x, y), expected, **_EXACT)
    assert np.isnan(posterior.predictive.pit(x, y)).sum() == np.isnan(y).sum() > 0


def test_quantiles_invert_the_cdf_of_each_output(case):
    posterior, x, _ = case
    probs = [0.05, 0.5, 0.99]
    quantiles = posterior.predictive.quantile(x, probs)
    for level, prob in enumerate(probs):
        # The root finder stops at 1e-10 of y or of the probability, whichever comes first.
        np.testing.assert_allclose(
            posterior.predictive.pit(x, quantiles[..., level]), prob, atol=1e-7
        )


def test_samples_follow_each_output_and_share_the_regime(case):
    posterior, x, _ = case
    # One draw: parameters that several share would make outputs covary, whatever the regimes do.
    posterior = replace(posterior, theta=posterior.theta[:1, :1])
    gate, means, _ = _by_hand(posterior, x)
    centred = means - posterior.predictive.mean(x)[..., None]
    covariance = (gate[..., 0, :] * centred[..., 0, :] * centred[..., 1, :]).sum((0, 1, 3))
    sd = np.sqrt(posterior.predictive.variance(x))
    row = np.abs(covariance / (sd[:, 0] * sd[:, 1])).argmax()
    many = np.repeat(x[row : row + 1], 20_000, axis=0)
    (draws,) = posterior.predictive.sample(many, 1, seed=0)
    # A false-alarm rate of 1e-3 for each output.
    uniform = posterior.predictive.pit(many, draws)
    assert min(stats.kstest(column, "uniform").pvalue for column in uniform.T) > 1e-3
    found = np.prod(draws[:, :2] - posterior.predictive.mean(x)[row, :2], axis=1)
    error = found.std() / np.sqrt(len(draws))
    # One mean at four standard errors: one false alarm in 16,000 seeds.
    assert abs(found.mean() - covariance[row]) < 4.0 * error
    # Or outputs drawn with regimes of their own would pass as well.
    assert abs(covariance[row]) > 8.0 * error


@pytest.mark.parametrize("entries", [1, 100])
def test_chunks_do_not_show(case, monkeypatch, entries):
    posterior, x, y = case

    def results():
        return [
            posterior.by_draw.log_likelihood(x, y),
            posterior.predictive.log_density(x, y),
            posterior.predictive.mean(x),
            posterior.predictive.variance(x),
            posterior.predictive.pit(x, y),
            posterior.predictive.quantile(x, [0.1, 0.9]),
            posterior.predictive.regime_probability(x, y),
            *_by_hand(posterior, x),
        ]

    whole = results()
    monkeypatch.setattr(chunks_module, "_CHUNK_ENTRIES", entries)
    for ours, theirs in zip(results(), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, **_EXACT)
    assert posterior.predictive.sample(x, 3, 0).shape == (3, _N, _Q)


def test_another_unit_of_one_output_changes_that_output_alone(case):
    posterior, x, y = case
    factor, shift = np.array([1.0, 1e-3, 1.0]), np.array([0.0, -7.0, 0.0])
    there = factor * y + shift
    moved = replace(posterior, y_scaling=Standardizer.fit(there, missing=True))
    np.testing.assert_allclose(
        moved.predictive.mean(x), factor * posterior.predictive.mean(x) + shift, **_EXACT
    )
    np.testing.assert_allclose(
        moved.predictive.variance(x), factor**2 * posterior.predictive.variance(x), **_EXACT
    )
    volume = np.log(1e-3) * ~np.isnan(y[:, 1])
    np.testing.assert_allclose(
        moved.predictive.log_density(x, there),
        posterior.predictive.log_density(x, y) - volume,
        **_EXACT,
    )


# Labels


@pytest.mark.parametrize("head", [LabelHead(weight=0.5), LabelHead(noise="none")])
@pytest.mark.parametrize("entries", [1, 10_000])
def test_labels_multiply_the_responsibilities(monkeypatch, head, entries):
    monkeypatch.setattr(chunks_module, "_CHUNK_ENTRIES", entries)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((_N, zoo.NUM_FEATURES)), rng.standard_normal((_N, 2))
    model = zoo.MODELS["mixture of 3, 2 outputs, labels"]
    assert isinstance(model, HybridMixture)
    model = replace(model, label_head=head)
    posterior = _posterior(model, x, y)
    labels = np.array([0, 1, 2, np.nan, 2, np.nan, 0, 1])
    confusion = posterior.sites.get("label_confusion", np.broadcast_to(np.eye(3), (_R, _S, 3, 3)))
    expected = posterior.by_draw.regime_probability(x, y)
    for row, label in enumerate(labels):
        if not np.isnan(label):
            expected[:, :, row] *= confusion[..., int(label)] ** head.weight
    expected /= expected.sum(-1, keepdims=True)
    found = posterior.by_draw.regime_probability(x, y, labels)
    np.testing.assert_allclose(found, expected, **_EXACT)


def test_labels_need_a_head(case):
    posterior, x, y = case
    with pytest.raises(ValueError, match="no label head"):
        posterior.by_draw.regime_probability(x, y, np.zeros(_N))
