"""Draws from the prior are those of Pyro's Predictive, and quantities are what they say."""

from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import Predictive
from scipy import special, stats

from bayes_hybrid.gates import LinearGate, ObliqueGate, ThresholdGate
from bayes_hybrid.models import HybridMixture, Pathway
from bayes_hybrid.validation.prior import as_they_are, simulate_prior, spread_features
from bayes_hybrid.validation.quantities import quantities

LINE = Pathway(kind="gaussian", smoothing="identity", num_units=1, noise="constant")
MODEL = HybridMixture(num_features=1, experts=(LINE, LINE), gate=ThresholdGate())


@pytest.fixture(autouse=True)
def _own_generator():
    with torch.random.fork_rng():
        pyro.set_rng_seed(0)
        yield


def test_the_prior_is_that_of_predictive():
    x = spread_features(5, 1, seed=0)
    count = 400
    predictive = Predictive(MODEL.marginal, num_samples=count, parallel=True)
    expected = predictive(torch.as_tensor(x, dtype=torch.float32))
    draws = [simulate_prior(MODEL, x, seed) for seed in range(count)]
    for name, values in expected.items():
        if name == "y":
            ours = np.array([y for _, y in draws])
        else:
            ours = np.array([truth.sites[name][0, 0].ravel() for truth, _ in draws])
        theirs = values.numpy().reshape(count, -1)
        assert ours.shape == theirs.shape
        for column in range(ours.shape[1]):
            # Some fifteen columns, each wrongly refused once in a thousand seeds.
            assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3, name


def test_the_targets_belong_to_the_parameters():
    x = spread_features(4_000, 1, seed=0)
    for seed in range(5):
        truth, y = simulate_prior(MODEL, x, seed)
        # Of the right parameters the distribution function at y is uniform.
        assert stats.kstest(truth.predictive.pit(x, y), "uniform").pvalue > 1e-3


def test_one_seed_one_draw_and_the_global_generator_is_left_alone():
    x = spread_features(7, 1, seed=0)
    before = torch.random.get_rng_state()
    # A model that has run before, and one that has not.
    fresh = replace(MODEL)
    (first, y), (again, same), (_, other) = (
        simulate_prior(model, x, seed) for model, seed in ((fresh, 1), (fresh, 1), (MODEL, 2))
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.theta, again.theta)
    np.testing.assert_array_equal(y, same)
    assert not np.array_equal(y, other)


def test_features_are_standardised_and_float32():
    x = spread_features(100_000, 2, seed=0)
    # The standard errors are 0.003 and 0.001.
    np.testing.assert_allclose(x.mean(0), 0.0, atol=0.015)
    np.testing.assert_allclose(x.std(0), 1.0, atol=0.01)
    np.testing.assert_array_equal(x, x.astype(np.float32))


def test_quantities_of_a_threshold_by_hand():
    x = spread_features(20, 1, seed=3)
    truth, y = simulate_prior(MODEL, x, seed=4)
    found = quantities(truth, x, y)
    sites = {name: values[0, 0] for name, values in truth.sites.items()}
    location, sharpness = sites["gate.location"][0], sites["gate.sharpness"][0]
    assert found["threshold[gaussian_1 to gaussian_2]"].item() == pytest.approx(location, rel=1e-6)
    width = 2.0 * np.log(9.0) / sharpness
    assert found["width[gaussian_1 to gaussian_2]"].item() == pytest.approx(width, rel=1e-6)
    for point in (-1, 0, 1):
        share = special.expit(sharpness * (point - location))
        # The draws are float32.
        assert found[f"p[gaussian_2](x={point})"].item() == pytest.approx(share, rel=1e-4)
        mean = truth.predictive.mean(np.array([[float(point)]])).item()
        assert found[f"mean(x={point})"].item() == pytest.approx(mean, rel=1e-6)
    density = truth.predictive.log_density(x, y).sum()
    assert found["log_likelihood"].item() == pytest.approx(density, rel=1e-6)
    variance = truth.by_draw.expert_scale(np.zeros((1, 1)))[0, 0, 0] ** 2
    scales = [found[f"scale[gaussian_{k}]"].item() for k in (1, 2)]
    np.testing.assert_allclose(np.square(scales), variance, rtol=1e-6)


@pytest.mark.parametrize("gate", [LinearGate(), ObliqueGate()], ids=["linear", "oblique"])
def test_without_an_order_the_names_of_the_regimes_do_not_matter(gate):
    model = HybridMixture(num_features=2, experts=(LINE, LINE), gate=gate)
    x = spread_features(20, 2, seed=3)
    truth, y = simulate_prior(model, x, seed=5)
    table = truth.table
    swapped = model.relabelled(table.constrain(truth.theta[0, 0]), (1, 0))
    renamed = type(truth)(
        model=model,
        theta=table.flatten(swapped).reshape(1, 1, -1),
        x_scaling=truth.x_scaling,
        y_scaling=truth.y_scaling,
    )
    assert not torch.allclose(renamed.theta, truth.theta)
    before, after = quantities(truth, x, y), quantities(renamed, x, y)
    assert [*before] == [
        "mean(x=-1)",
        "mean(x=0)",
        "mean(x=1)",
        "log_likelihood",
        "smallest scale",
        "largest scale",
        "largest p(x=-1)",
        "largest p(x=0)",
        "largest p(x=1)",
    ]
    for name in before:
        # Relabelling goes through float32 once more.
        np.testing.assert_allclose(after[name], before[name], rtol=1e-5)


def test_nothing_is_standardised():
    of_x, of_y = as_they_are(2)
    table = np.array([[3.0, -4.0]])
    np.testing.assert_array_equal(of_x.transform(table), table)
    np.testing.assert_array_equal(of_y.transform(table[0]), table[0])
