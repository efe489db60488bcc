"""Outside of the training rows or not; distances and limit are tested with the diagnostics."""

import numpy as np

from bayes_hybrid.data.support import Support, spread_rows


def test_outside_is_beyond_or_far():
    # A gap from 9 to 20.
    support = Support(np.concatenate([np.arange(10.0), np.arange(20.0, 30.0)])[:, None])
    points = np.array([[4.5], [15.0], [29.1], [99.0]])
    assert (support.distance(points) > support.limit).tolist() == [False, True, False, True]
    assert support.beyond(points)[:, 0].tolist() == [False, False, True, True]
    assert support.outside(points).tolist() == [False, True, True, True]


def test_all_points_or_none_may_be_beyond():
    support = Support(np.arange(9.0)[:, None])
    assert support.outside(np.array([[20.0], [-20.0]])).tolist() == [True, True]
    assert support.outside(np.array([[4.0]])).tolist() == [False]


def test_a_single_row_has_one_place():
    assert Support(np.ones((3, 1))).outside(np.array([[1.0], [1.1]])).tolist() == [False, True]


def test_rows_are_spread_evenly():
    assert spread_rows(5, None).tolist() == [0, 1, 2, 3, 4]
    assert len(set(spread_rows(1001, 1000))) == 1000
