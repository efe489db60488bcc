"""Thresholds of a posterior, in the units of the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.gates import THRESHOLD_GATES
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from tests.models import zoo

_SCALING = Standardizer(mean=np.array([100.0, -3.0]), scale=np.array([10.0, 0.1]))


def _posterior(gate, num_regimes=3):
    model = zoo.MODELS[f"mixture of {num_regimes}, {gate}, constant"]
    table = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(2, 4, table.num_parameters, generator=generator, dtype=torch.float64)
    y_scaling = Standardizer(mean=np.array(0.0), scale=np.array(1.0))
    return Posterior(model=model, theta=theta, x_scaling=_SCALING, y_scaling=y_scaling)


@pytest.mark.parametrize("num_regimes", [2, 3])
@pytest.mark.parametrize("gate", THRESHOLD_GATES)
def test_neighbours_are_equally_probable_at_a_threshold(gate, num_regimes):
    posterior = _posterior(gate, num_regimes)
    found = posterior.thresholds
    assert found.location.shape == found.width.shape == (2, 4, num_regimes - 1)
    assert (np.diff(found.location) > 0).all()
    for restart, draw in np.ndindex(2, 4):
        location = found.location[restart, draw]
        x = np.tile(_SCALING.mean, (num_regimes - 1, 1))
        if found.coefficients is None:
            x[:, found.feature] = location
        else:
            # The nearest point to the means at which the combination has that value.
            direction = found.coefficients[restart, draw]
            x += location[:, None] * direction / (direction @ direction)
        probs = posterior.by_draw.regime_probability(x)[restart, draw]
        for k in range(num_regimes - 1):
            # Rounding of x, of size 100 in units of 10, times a slope of up to some hundreds.
            assert probs[k, k] == pytest.approx(probs[k, k + 1], rel=1e-8)


def test_values_of_one_feature():
    posterior = _posterior("threshold")
    found, sites = posterior.thresholds, posterior.sites
    assert found.feature == 1
    np.testing.assert_allclose(found.location, -3.0 + 0.1 * sites["gate.location"], rtol=1e-14)
    width = 0.1 * 2.0 * np.log(9.0) / sites["gate.sharpness"]
    np.testing.assert_allclose(found.width, width, rtol=1e-14)


def test_coefficients_are_per_unit_of_their_feature():
    found = _posterior("oblique").thresholds
    lengths = np.linalg.norm(found.coefficients * _SCALING.scale, axis=-1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-14)
    np.testing.assert_array_equal(found.origin, _SCALING.mean)


@pytest.mark.parametrize("gate", THRESHOLD_GATES)
def test_thresholds_on_a_logarithm_are_those_of_a_column_of_logarithms(gate):
    plain = _posterior(gate)
    logged = replace(plain, x_scaling=replace(_SCALING, log=np.array([True, True])))
    expected, found = plain.thresholds, logged.thresholds
    if expected.coefficients is None:
        np.testing.assert_allclose(found.location, np.exp(expected.location), rtol=1e-12)
        with np.errstate(over="ignore"):  # of a wide transition
            ends = [np.exp(expected.location + side * expected.width / 2.0) for side in (-1, 1)]
        np.testing.assert_allclose(found.width, ends[1] - ends[0], rtol=1e-9)
    else:
        np.testing.assert_array_equal(found.coefficients, expected.coefficients)
        rows = np.array([[90.0, 0.04], [110.0, 0.06]])
        np.testing.assert_array_equal(found.centred(rows), expected.centred(np.log(rows)))


@pytest.mark.parametrize("name", ["mixture of 2, relu, constant", "relu, constant"])
def test_other_models_have_none(name):
    model = zoo.MODELS[name]
    table = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES))
    y_scaling = Standardizer(mean=np.array(0.0), scale=np.array(1.0))
    posterior = Posterior(
        model=model,
        theta=torch.zeros(1, 1, table.num_parameters),
        x_scaling=_SCALING,
        y_scaling=y_scaling,
    )
    assert posterior.thresholds is None
