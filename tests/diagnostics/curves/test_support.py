"""Out of data or not: by brute force, and in cases that can be counted."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import distance

from bayes_hybrid.diagnostics import out_of_data
from bayes_hybrid.errors import DataError
from tests.diagnostics.fakes import healthy


def fit_of(x):
    fit = healthy(restarts=2, draws=2)
    names = tuple(f"f{d}" for d in range(x.shape[1]))
    return dataclasses.replace(fit, x=x, y=np.zeros(len(x)), feature_names=names)


def test_distance_and_limit_by_brute_force():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)) * [10.0, 0.1] + [5.0, 1.0]
    new = rng.standard_normal((20, 2)) * [20.0, 0.2] + [5.0, 1.0]
    found = out_of_data(fit_of(x), new)
    scale = x.std(axis=0)
    between = np.sort(distance.cdist(new / scale, x / scale), axis=1)
    np.testing.assert_allclose(found.distance, between[:, 4], rtol=1e-12)
    own = np.sort(distance.cdist(x / scale, x / scale), axis=1)[:, 5]  # the first is the row itself
    assert found.limit == pytest.approx(np.quantile(own, 0.99), rel=1e-12)
    np.testing.assert_array_equal(found.far, between[:, 4] > found.limit)
    np.testing.assert_array_equal(found.beyond, (new < x.min(0)) | (new > x.max(0)))
    np.testing.assert_array_equal(found.flag, found.far | found.beyond.any(axis=1))
    assert 0 < found.flag.sum() < 20
    frame = found.to_frame()
    assert [*frame] == ["out_of_data", "distance", "limit", "beyond[f0]", "beyond[f1]"]
    np.testing.assert_array_equal(frame["out_of_data"], found.flag)


def test_a_gap_inside_the_ranges_is_out_of_data():
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(9, 10, 50)])[:, None]
    assert out_of_data(fit_of(x), [[0.5], [5.0], [9.5], [10.1]]).flag.tolist() == [
        False,
        True,
        False,
        True,
    ]


def test_one_row_in_a_hundred_of_the_data_is_called_far():
    x = np.random.default_rng(0).standard_normal((1_000, 3))
    found = out_of_data(fit_of(x), x)
    assert not found.beyond.any()
    # A row is itself among its neighbours here, so that fewer than 10 are beyond the limit.
    assert found.far.sum() <= 10


def test_whole_numbers_do_not_make_what_lies_between_them_far():
    x = np.repeat(np.arange(10.0), 30)[:, None]
    assert not out_of_data(fit_of(x), [[2.5], [4.0], [8.9]]).flag.any()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_distinct_rows(count):
    x = np.repeat(np.arange(count, dtype=float), 3)[:, None]
    found = out_of_data(fit_of(x), [[0.0], [50.0]])
    assert found.neighbour == max(1, count - 1)
    assert found.flag.tolist() == [False, True]


@pytest.mark.parametrize("x", [[1.0], [[1.0, 2.0]], [[np.nan]]], ids=["flat", "wide", "nan"])
def test_points_that_are_none_are_refused(x):
    with pytest.raises(DataError, match=r"x must be finite numbers \[M, 1\]"):
        out_of_data(fit_of(np.arange(9.0)[:, None]), x)
