"""What a set of draws predicts, by the formulas and by brute force."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior import chunks as chunks_module
from tests.models import zoo

_R, _S, _N = 2, 4, 9
_NAMES = ("relu, constant", "mixture of 2, linear, input", "mixture of 3, relu, constant")
# Two orders of evaluation in float64.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-12}


def _data(seed=0):
    """A table in units of its own."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((_N, zoo.NUM_FEATURES)) * [10.0, 0.1] + [100.0, -3.0]
    return x, 1e3 * rng.standard_normal(_N) + 5e3


def _posterior(name, x, y, *, dtype=torch.float64):
    model = zoo.MODELS[name]
    table = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    shape = (_R, _S, table.num_parameters)
    theta = 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return Posterior(
        model=model,
        theta=theta.to(dtype),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y),
    )


@pytest.fixture(params=_NAMES)
def case(request):
    x, y = _data()
    return _posterior(request.param, x, y), x, y


def _by_hand(posterior, x):
    """Weights, means and scales of the R S K components of every row, in y's units."""
    weights = posterior.by_draw.regime_probability(x)
    means = posterior.by_draw.expert_mean(x)
    scales = posterior.by_draw.expert_scale(x)
    return weights, means, scales


def test_shapes(case):
    posterior, x, y = case
    count = posterior.num_regimes
    assert (posterior.num_restarts, posterior.num_draws) == (_R, _S)
    assert len(posterior.regime_names) == count
    for draws in (*_by_hand(posterior, x), posterior.by_draw.regime_probability(x, y)):
        assert draws.shape == (_R, _S, _N, count)
        assert draws.dtype == np.float64
    assert posterior.by_draw.log_likelihood(x, y).shape == (_R, _S, _N)
    assert posterior.by_draw.sample(x, 0).shape == (_R, _S, _N)
    assert posterior.predictive.regime_probability(x).shape == (_N, count)
    assert posterior.predictive.quantile(x, [0.1, 0.5, 0.9]).shape == (_N, 3)
    assert posterior.predictive.sample(x, 5, 0).shape == (5, _N)
    for row_wise in (
        posterior.predictive.mean(x),
        posterior.predictive.variance(x),
        posterior.predictive.log_density(x, y),
    ):
        assert row_wise.shape == (_N,)
    assert posterior.predictive.mean(x[:1]).shape == (1,)


def test_sites_are_constrained_draws(case):
    posterior, _, _ = case
    for site in posterior.table.sites:
        values = posterior.sites[site.name]
        assert values.shape == (_R, _S, *site.shape)
    np.testing.assert_allclose(
        posterior.sites["noise"],
        np.exp(posterior.theta[..., 0].numpy()),
        **_EXACT,
    )


def test_log_likelihood_is_the_mixtures_log_density(case):
    posterior, x, y = case
    weights, means, scales = _by_hand(posterior, x)
    terms = np.log(weights) + stats.norm.logpdf(y[:, None], means, scales)
    expected = special.logsumexp(terms, axis=-1)
    np.testing.assert_allclose(posterior.by_draw.log_likelihood(x, y), expected, rtol=1e-8)


def test_log_density_is_the_log_mean_over_draws(case):
    posterior, x, y = case
    draws = posterior.by_draw.log_likelihood(x, y).reshape(-1, _N)
    expected = special.logsumexp(draws, axis=0) - np.log(_R * _S)
    np.testing.assert_allclose(posterior.predictive.log_density(x, y), expected, **_EXACT)


def test_log_density_integrates_to_one(case):
    posterior, x, _ = case
    row = x[:1]
    low, high = posterior.predictive.quantile(row, [1e-7, 1 - 1e-7])[0]
    # A grid of 20,001 points over all but 2e-7 of the mass; the rule's own error is far less.
    grid = np.linspace(low, high, 20_001)
    density = np.exp(posterior.predictive.log_density(np.repeat(row, len(grid), axis=0), grid))
    assert integrate.simpson(density, x=grid) == pytest.approx(1.0, abs=1e-5)


def test_moments_are_averages_over_draws_and_regimes(case):
    posterior, x, _ = case
    weights, means, scales = _by_hand(posterior, x)
    weights = weights / (_R * _S)
    mean = (weights * means).sum((0, 1, 3))
    second = (weights * (scales**2 + means**2)).sum((0, 1, 3))
    np.testing.assert_allclose(posterior.predictive.mean(x), mean, rtol=1e-9)
    # A difference of squares loses two digits.
    np.testing.assert_allclose(posterior.predictive.variance(x), second - mean**2, rtol=1e-7)


def test_cdf_and_quantile_invert_each_other(case):
    posterior, x, y = case
    weights, means, scales = _by_hand(posterior, x)
    expected = (weights * stats.norm.cdf(y[:, None], means, scales)).sum(-1).mean((0, 1))
    np.testing.assert_allclose(posterior.predictive.pit(x, y), expected, rtol=1e-8, atol=1e-12)
    probs = [1e-4, 0.05, 0.5, 0.9, 0.9999]
    quantiles = posterior.predictive.quantile(x, probs)
    assert (np.diff(quantiles, axis=1) > 0).all()
    for column, prob in enumerate(probs):
        # The root finder stops at 1e-10 of y or of the probability, whichever comes first.
        np.testing.assert_allclose(
            posterior.predictive.pit(x, quantiles[:, column]), prob, atol=1e-7
        )


def test_bad_probabilities_are_refused(case):
    posterior, x, _ = case
    for bad in ([0.0], [1.0], [-0.1], [np.nan]):
        with pytest.raises(OptionError):
            posterior.predictive.quantile(x, bad)


def test_regime_probabilities(case):
    posterior, x, y = case
    weights, means, scales = _by_hand(posterior, x)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(
        posterior.predictive.regime_probability(x), weights.mean((0, 1)), **_EXACT
    )
    joint = weights * stats.norm.pdf(y[:, None], means, scales)
    np.testing.assert_allclose(
        posterior.by_draw.regime_probability(x, y), joint / joint.sum(-1, keepdims=True), atol=1e-9
    )
    # Draws count in proportion to how well they explain y.
    pooled = joint.sum((0, 1))
    found = posterior.predictive.regime_probability(x, y)
    np.testing.assert_allclose(found, pooled / pooled.sum(-1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-12)


def test_samples_follow_the_predictive_distribution(case):
    posterior, x, _ = case
    draws = posterior.predictive.sample(x, 4_000, seed=3)
    for row in range(3):
        rows = np.repeat(x[row : row + 1], len(draws), axis=0)
        # Draws are dealt out evenly, which only helps; a false-alarm rate of 1e-3 for each row.
        uniform = posterior.predictive.pit(rows, draws[:, row])
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    error = np.sqrt(posterior.predictive.variance(x) / len(draws))
    # Nine means at four standard errors: one false alarm in 1,700 seeds.
    assert (np.abs(draws.mean(0) - posterior.predictive.mean(x)) < 4 * error).all()


def test_sample_per_draw_follows_each_draw(case):
    posterior, x, _ = case
    rows = np.repeat(x[:1], 2_000, axis=0)
    draws = posterior.by_draw.sample(rows, seed=0)
    weights, means, scales = _by_hand(posterior, rows)
    cdf = (weights * stats.norm.cdf(draws[..., None], means, scales)).sum(-1)
    # A false-alarm rate of 1e-4 for each of eight draws.
    assert min(stats.kstest(row, "uniform").pvalue for row in cdf.reshape(-1, 2_000)) > 1e-4


def test_each_posterior_draw_is_used_as_often_as_any_other():
    x, y = _data()
    posterior = _posterior("relu, constant", x, y)
    # Without noise a sample is its posterior draw's location.
    quiet = posterior.table.constrain(posterior.theta)
    quiet["noise"] = torch.full_like(quiet["noise"], 1e-30)
    theta = posterior.table.flatten(quiet, batch_dims=2)
    still = Posterior(
        model=posterior.model,
        theta=theta,
        x_scaling=posterior.x_scaling,
        y_scaling=posterior.y_scaling,
    )
    locations = still.by_draw.expert_mean(x[:1]).ravel()
    nearest = np.abs(still.predictive.sample(x[:1], 20, seed=0) - locations).argmin(1)
    counts = np.bincount(nearest, minlength=_R * _S)
    assert counts.sum() == 20
    assert counts.max() - counts.min() == 1  # twenty over eight: two or three times each


def test_samples_are_seeded_and_leave_the_global_generator_alone(case):
    posterior, x, _ = case
    state = torch.random.get_rng_state()
    first, again, other = (posterior.predictive.sample(x, 3, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    per_draw = [posterior.by_draw.sample(x, seed) for seed in (0, 0, 1)]
    assert (per_draw[0] == per_draw[1]).all()
    assert (per_draw[0] != per_draw[2]).any()
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("entries", [1, 40, 100])
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
            posterior.predictive.regime_probability(x),
            posterior.predictive.regime_probability(x, y),
            *_by_hand(posterior, x),
        ]

    whole = results()
    monkeypatch.setattr(chunks_module, "_CHUNK_ENTRIES", entries)
    for ours, theirs in zip(results(), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    assert posterior.predictive.sample(x, 3, 0).shape == (3, _N)
    assert posterior.by_draw.sample(x, 0).shape == (_R, _S, _N)


def test_everything_is_in_the_units_of_y(case):
    posterior, x, y = case
    factor, shift = 1_000.0, -7.0
    moved = Posterior(
        model=posterior.model,
        theta=posterior.theta,
        x_scaling=posterior.x_scaling,
        y_scaling=Standardizer.fit(factor * y + shift),
    )
    there = factor * y + shift
    same: Any = {"rtol": 1e-8, "atol": 1e-8}
    np.testing.assert_allclose(
        moved.predictive.mean(x), factor * posterior.predictive.mean(x) + shift, **same
    )
    np.testing.assert_allclose(
        moved.predictive.variance(x), factor**2 * posterior.predictive.variance(x), **same
    )
    probs = [0.05, 0.5, 0.95]
    np.testing.assert_allclose(
        moved.predictive.quantile(x, probs),
        factor * posterior.predictive.quantile(x, probs) + shift,
        **same,
    )
    np.testing.assert_allclose(
        moved.predictive.sample(x, 3, 0),
        factor * posterior.predictive.sample(x, 3, 0) + shift,
        **same,
    )
    np.testing.assert_allclose(
        moved.predictive.log_density(x, there),
        posterior.predictive.log_density(x, y) - np.log(factor),
        **same,
    )
    np.testing.assert_allclose(
        moved.by_draw.log_likelihood(x, there),
        posterior.by_draw.log_likelihood(x, y) - np.log(factor),
        **same,
    )
    np.testing.assert_allclose(
        moved.predictive.pit(x, there), posterior.predictive.pit(x, y), **same
    )
    np.testing.assert_allclose(
        moved.predictive.regime_probability(x, there),
        posterior.predictive.regime_probability(x, y),
        **same,
    )
    np.testing.assert_allclose(
        moved.by_draw.expert_mean(x), factor * posterior.by_draw.expert_mean(x) + shift, **same
    )
    np.testing.assert_allclose(
        moved.by_draw.expert_scale(x), factor * posterior.by_draw.expert_scale(x), **same
    )
    assert moved.scale_floor == pytest.approx(factor * posterior.scale_floor)


def test_units_of_x_do_not_matter(case):
    posterior, x, _ = case
    scaled = 1e-6 * x + 4.0
    moved = Posterior(
        model=posterior.model,
        theta=posterior.theta,
        x_scaling=Standardizer.fit(scaled),
        y_scaling=posterior.y_scaling,
    )
    # Adding 4 to numbers of 1e-6 loses ten of sixteen digits.
    np.testing.assert_allclose(
        moved.predictive.mean(scaled), posterior.predictive.mean(x), rtol=1e-5
    )


def test_float32_draws_agree_with_float64(case):
    posterior, x, y = case
    name = next(name for name in _NAMES if zoo.MODELS[name] == posterior.model)
    single = _posterior(name, x, y, dtype=torch.float32)
    # Rounding of float32, enlarged by slopes and by residuals of several scales.
    np.testing.assert_allclose(single.predictive.mean(x), posterior.predictive.mean(x), rtol=1e-4)
    np.testing.assert_allclose(
        single.predictive.log_density(x, y), posterior.predictive.log_density(x, y), rtol=1e-3
    )
    probs = [0.05, 0.5, 0.95]
    np.testing.assert_allclose(
        single.predictive.quantile(x, probs), posterior.predictive.quantile(x, probs), rtol=1e-3
    )
    np.testing.assert_allclose(
        single.predictive.pit(x, single.predictive.quantile(x, [0.05])[:, 0]), 0.05, atol=1e-5
    )


def _weighed(posterior):
    """Restart 0 three times as heavy as restart 1; and the same with copies that count alike."""
    repeated = dataclasses.replace(posterior.select(np.array([0, 0, 0, 1])), weights=None)
    return dataclasses.replace(posterior, weights=np.array([0.75, 0.25])), repeated


_ASKED = {
    "mean": lambda p, x, y: p.predictive.mean(x),
    "variance": lambda p, x, y: p.predictive.variance(x),
    "density": lambda p, x, y: p.predictive.log_density(x, y),
    "pit": lambda p, x, y: p.predictive.pit(x, y),
    "quantiles": lambda p, x, y: p.predictive.quantile(x, [0.05, 0.5, 0.9]),
    "both": lambda p, x, y: p.predictive.mean_and_quantile(x, [0.1])[1],
    "gate": lambda p, x, y: p.predictive.regime_probability(x),
    "regime": lambda p, x, y: p.predictive.regime_probability(x, y),
    "summary": lambda p, x, y: p.predictive.regime_summary(x, [0.05, 0.5]),
}


@pytest.mark.parametrize("what", _ASKED)
def test_weights_count_as_copies_would(case, what):
    posterior, x, y = case
    weighed, repeated = _weighed(posterior)
    ask = _ASKED[what]
    # Quantiles stop at a hundred-thousandth of the level, and a step later.
    np.testing.assert_allclose(ask(weighed, x, y), ask(repeated, x, y), rtol=1e-9, atol=1e-9)


def test_samples_count_by_weight(case):
    posterior, x, _ = case
    weighed, _ = _weighed(posterior)
    draws = weighed.predictive.sample(x[:1], 10_000, 0)
    cdf = np.sort(weighed.predictive.pit(np.repeat(x[:1], 10_000, axis=0), draws[:, 0]))
    # Kolmogorov's distance of 10,000 draws exceeds 0.02 once in 3,000.
    assert np.abs(cdf - np.linspace(0.0, 1.0, 10_000)).max() < 0.02


def test_an_order_moves_regimes_and_no_prediction():
    x, y = _data()
    posterior = _posterior("mixture of 3, relu, constant", x, y)
    order = np.array([[2, 0, 1], [0, 1, 2]])
    moved = dataclasses.replace(posterior, order=order)
    assert moved.regime_names == ("A", "B", "C")
    for ask in ("mean", "variance"):
        after, before = (getattr(each.predictive, ask)(x) for each in (moved, posterior))
        np.testing.assert_allclose(after, before, **_EXACT)
    np.testing.assert_allclose(
        moved.predictive.log_density(x, y), posterior.predictive.log_density(x, y), **_EXACT
    )
    for ask in (
        lambda p: p.by_draw.regime_probability(x, y),
        lambda p: p.by_draw.expert_mean(x),
        lambda p: p.by_draw.expert_scale(x),
        lambda p: p.by_draw.gate_and_mean(x)[0],
        lambda p: p.by_draw.slopes(x, 0)[0],
        lambda p: p.by_draw.slopes(x, 0)[1],
    ):
        before, after = ask(posterior), ask(moved)
        for restart in range(_R):
            expected = before[restart][..., order[restart]]
            np.testing.assert_allclose(after[restart], expected, **_EXACT)
    assert moved.service.tolist() == [[0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
