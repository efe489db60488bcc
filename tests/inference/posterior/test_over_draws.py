"""Draws count by the weights of their restarts, as copies of the restarts would."""

import numpy as np
import pytest

from bayes_hybrid.inference.posterior.over_draws import (
    draw_weights,
    mean_over_draws,
    quantiles_over_draws,
    sd_over_draws,
    weighted_quantiles,
)

COPIES = np.array([0, 1, 1, 1, 2, 2])
WEIGHTS = np.bincount(COPIES) / 6
LEVELS = np.array([0.0, 0.05, 1 / 6, 0.5, 2 / 3, 0.9, 1.0])


@pytest.fixture(scope="module")
def draws():
    # Rounded, so that some are equal.
    return np.random.default_rng(0).normal(size=(3, 20, 4, 2)).round(1)


def test_weights_count_as_copies_would(draws):
    copied = draws[COPIES]
    flat = copied.reshape(-1, 4, 2)
    np.testing.assert_allclose(mean_over_draws(draws, WEIGHTS), flat.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(sd_over_draws(draws, WEIGHTS), flat.std(axis=0), rtol=1e-12)
    weighed = quantiles_over_draws(draws, LEVELS, WEIGHTS)
    np.testing.assert_array_equal(weighed, quantiles_over_draws(copied, LEVELS, np.full(6, 1 / 6)))
    np.testing.assert_array_equal(
        weighed, np.quantile(flat, LEVELS, axis=0, method="averaged_inverted_cdf")
    )


def test_each_column_may_have_weights_of_its_own(draws):
    flat = draws.reshape(-1, 4, 2)
    first, second = draw_weights(WEIGHTS, 20), draw_weights(WEIGHTS[::-1], 20)
    found = weighted_quantiles(flat, LEVELS, np.stack([first, second, first, first], axis=1))
    for column, weights in enumerate((first, second, first)):
        np.testing.assert_array_equal(
            found[:, column], weighted_quantiles(flat[:, column], LEVELS, weights)
        )


def test_quantiles_of_a_large_sample_have_their_probability_below():
    values = np.random.default_rng(0).normal(size=(500, 3))
    shares = np.random.default_rng(1).dirichlet(np.ones(500))
    found = weighted_quantiles(values, [0.1, 0.5], shares)
    for level, row in zip([0.1, 0.5], found, strict=True):
        below = (shares[:, None] * (values <= row)).sum(axis=0)
        # The largest of 500 shares is about a hundredth.
        np.testing.assert_allclose(below, level, atol=shares.max())


def test_a_light_restart_is_not_lost():
    draws = np.array([[[0.0]], [[1.0]]])
    weights = np.array([0.99, 0.01])
    assert mean_over_draws(draws, weights) == pytest.approx(0.01)
    assert quantiles_over_draws(draws, [0.5, 0.98, 0.995], weights)[:, 0].tolist() == [0, 0, 1]


def test_nan_is_no_number_among_others():
    draws = np.array([[[1.0, 1.0], [2.0, np.nan]]])
    found = quantiles_over_draws(draws, 0.5, np.ones(1))
    np.testing.assert_array_equal(found, [[1.5, np.nan]])
