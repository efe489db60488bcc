"""Frequencies of counts: by hand, and over long ranges."""

import numpy as np
import pytest

from bayes_hybrid.diagnostics.scores.rootogram import rootogram
from bayes_hybrid.errors import DataError, OptionError


def test_frequencies_by_hand():
    y = np.array([0.0, 0.0, 0.0, 0.0, 2.0])
    replicated = np.array([[0.0, 1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    roots = rootogram(y, replicated, prob=0.5)
    np.testing.assert_array_equal(roots.edges, [-0.5, 0.5, 1.5, 2.5])
    np.testing.assert_array_equal(roots.observed, [2.0, 0.0, 1.0])
    np.testing.assert_allclose(roots.expected, [0.5, 1.0, np.sqrt(5.0) / 2.0])
    np.testing.assert_allclose(roots.lower, [0.25, 0.5, np.sqrt(5.0) / 4.0])
    np.testing.assert_allclose(roots.hanging, roots.expected - roots.observed)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e3, 1e6])
def test_counts_of_any_size_have_few_bars_and_lose_no_row(size):
    rng = np.random.default_rng(0)
    y, replicated = rng.poisson(size, 200).astype(float), rng.poisson(size, (50, 200)).astype(float)
    roots = rootogram(y, replicated)
    assert len(roots.observed) <= 40
    assert (np.diff(roots.edges) == np.diff(roots.edges)[0]).all()
    assert (roots.edges % 1.0 == 0.5).all()
    assert (roots.observed**2).sum() == pytest.approx(200)


def test_data_of_the_model_stay_in_the_band():
    rng = np.random.default_rng(0)
    replicated = rng.poisson(20.0, (400, 300)).astype(float)
    outside = []
    for y in rng.poisson(20.0, (40, 300)).astype(float):
        roots = rootogram(y, replicated)
        outside += list((roots.observed < roots.lower) | (roots.observed > roots.upper))
    # A tenth, and less where frequencies tie with an end; of some 1,200 bars the share has a
    # standard deviation of 0.009, so that 0.14 is a false alarm of less than one in 10^5.
    assert 0.02 < np.mean(outside) < 0.14


@pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf])
def test_other_than_counts_is_refused(value):
    with pytest.raises(DataError, match="a rootogram is of counts"):
        rootogram(np.array([value, 1.0]), np.ones((3, 2)))
    with pytest.raises(DataError, match="a rootogram is of counts"):
        rootogram(np.ones(2), np.array([[value, 1.0]]))
    with pytest.raises(OptionError, match="prob"):
        rootogram(np.ones(2), np.ones((3, 2)), prob=1.0)
