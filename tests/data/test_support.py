"""Outside of the training rows or not; distances and limit are tested with the diagnostics."""

import numpy as np

from bayes_hybrid.data.support import Support, spread_rows


def test_outside_is_beyond_or_far():
    rng = np.random.default_rng(0)
    # Two clusters with a gap between them.
    rows = np.concatenate([centre + rng.standard_normal((50, 2)) for centre in (-10.0, 10.0)])
    points = 12.0 * rng.uniform(-1.0, 1.0, (40, 2))
    support = Support(rows)
    far = support.distance(points) > support.limit
    beyond = support.beyond(points).any(axis=1)
    np.testing.assert_array_equal(support.outside(points), beyond | far)
    assert (far & ~beyond).any()
    assert (beyond & ~far).any()


def test_all_points_or_none_may_be_beyond():
    support = Support(np.arange(9.0)[:, None])
    assert support.outside(np.array([[20.0], [-20.0]])).tolist() == [True, True]
    assert support.outside(np.array([[4.0]])).tolist() == [False]


def test_a_single_row_has_one_place():
    assert Support(np.ones((3, 1))).outside(np.array([[1.0], [1.1]])).tolist() == [False, True]


def test_rows_are_spread_evenly():
    assert spread_rows(5, None).tolist() == [0, 1, 2, 3, 4]
    assert len(set(spread_rows(1001, 1000))) == 1000
