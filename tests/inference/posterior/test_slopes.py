"""Slopes of gate and experts against central differences, for every model of the family."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior import chunks as chunks_module
from tests.models import zoo

# Cut-off error h^2 and rounding error 1e-16 / h are both below it for a step of 1e-6.
TOLERANCE = 1e-6


def of_model(name, num_rows=9):
    """A posterior of 2 x 3 draws in float64, in units far from 1, and its rows."""
    rng = np.random.default_rng(0)
    model = zoo.MODELS[name]
    x = rng.standard_normal((num_rows, zoo.NUM_FEATURES)) * [10.0, 0.1] + [100.0, -3.0]
    if model.likelihoods.size_column is not None:
        x[:, model.likelihoods.size_column] = np.abs(x[:, model.likelihoods.size_column])
    y = rng.standard_normal((num_rows, model.num_outputs)) * 1e3 + 5e3
    size = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES)).num_parameters
    generator = torch.Generator().manual_seed(1)
    posterior = Posterior(
        model=model,
        theta=0.5 * torch.randn(2, 3, size, generator=generator, dtype=torch.float64),
        x_scaling=Standardizer.fit(x).leaving(model.likelihoods.size_column),
        y_scaling=Standardizer.fit(y if model.num_outputs > 1 else y[:, 0]),
    )
    return posterior, x


@pytest.mark.parametrize("name", zoo.MODELS)
@pytest.mark.parametrize("feature", range(zoo.NUM_FEATURES))
def test_slopes_are_the_limit_of_differences(name, feature):
    posterior, x = of_model(name)
    slopes = posterior.by_draw.slopes(x, feature)
    step = np.zeros(zoo.NUM_FEATURES)
    step[feature] = 1e-6 * posterior.x_scaling.scale[feature]
    above, below = (
        posterior.by_draw.gate_and_mean(x + step),
        posterior.by_draw.gate_and_mean(x - step),
    )
    for slope, high, low in zip(slopes, above, below, strict=True):
        difference = (high - low) / (2.0 * step[feature])
        size = max(1.0, np.abs(high).max()) / posterior.x_scaling.scale[feature]
        np.testing.assert_allclose(slope / size, difference / size, atol=TOLERANCE)
    assert slopes[0].shape == (2, 3, len(x), posterior.num_regimes)
    assert slopes[1].shape == above[1].shape


def test_both_in_one_pass_are_what_each_is_by_itself():
    posterior, x = of_model("mixture of 2, 3 outputs")
    gate, means = posterior.by_draw.gate_and_mean(x)
    np.testing.assert_array_equal(gate, posterior.by_draw.regime_probability(x))
    np.testing.assert_array_equal(means, posterior.by_draw.expert_mean(x))


def test_slopes_do_not_depend_on_the_chunks(monkeypatch):
    posterior, x = of_model("mixture of 2, relu, input")
    whole = posterior.by_draw.slopes(x, 0)
    monkeypatch.setattr(chunks_module, "_CHUNK_ENTRIES", 1)
    for slope, chunked in zip(whole, posterior.by_draw.slopes(x, 0), strict=True):
        np.testing.assert_allclose(chunked, slope, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["mixture of 2, relu, input", "mixture of 2, 3 outputs"])
def test_slopes_along_a_feature_whose_logarithm_is_read(name):
    posterior, x = of_model(name)
    logged = replace(posterior, x_scaling=replace(posterior.x_scaling, log=np.array([0, 1]) > 0))
    rows = np.column_stack([x[:, 0], np.exp(x[:, 1])])
    plain = posterior.by_draw.slopes(x, 1)
    for slope, expected in zip(logged.by_draw.slopes(rows, 1), plain, strict=True):
        # d f / d x = d f / d log x / x
        size = rows[:, 1].reshape(-1, *[1] * (slope.ndim - 3))
        np.testing.assert_allclose(slope, expected / size, rtol=1e-7, atol=1e-9)
