"""Points along a feature."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid.diagnostics.curves.lines import line_along, position
from bayes_hybrid.errors import OptionError
from tests.diagnostics.fakes import healthy


@pytest.fixture(scope="module")
def fit():
    return healthy(restarts=1, draws=2, num_features=3)


def test_one_feature_runs_over_its_range_and_the_others_rest_at_their_medians(fit):
    points = line_along(fit, 1, 5)
    np.testing.assert_array_equal(points[[0, -1], 1], [fit.x[:, 1].min(), fit.x[:, 1].max()])
    np.testing.assert_allclose(np.diff(points[:, 1]), np.ptp(fit.x[:, 1]) / 4)
    np.testing.assert_array_equal(points[:, [0, 2]], np.tile(np.median(fit.x, 0)[[0, 2]], (5, 1)))


@pytest.mark.parametrize(
    "at",
    [
        [1.0, 9.0, 3.0],
        {"dose": 1.0, "other 2": 3.0},
        pd.Series({"other 2": 3.0, "dose": 1.0}),
        pd.Series([3.0, 9.0, 1.0], index=["other 2", "other 1", "dose"]),
    ],
)
def test_the_others_rest_where_it_is_said(fit, at):
    points = line_along(fit, 1, 4, at=at)
    np.testing.assert_array_equal(points[:, [0, 2]], np.tile([1.0, 3.0], (4, 1)))
    assert points[0, 1] == fit.x[:, 1].min()


def test_what_is_not_named_rests_at_its_median(fit):
    assert line_along(fit, 1, 2, at={"dose": 1.0})[0, 2] == np.median(fit.x[:, 2])


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ([1.0, 2.0], r"at must be 3 numbers"),
        (5.0, r"at must be 3 numbers"),
        ({"dosis": 1.0}, "did you mean 'dose'"),
        ({"dose": np.nan}, "expected a finite number for 'dose'; got nan"),
        ([1.0, "high", 2.0], "expected a finite number for 'other 1'; got 'high'"),
        (np.ma.array([1.0, 2.0, 3.0], mask=[False, False, True]), "number for 'other 2'; got None"),
        ([1.0, np.inf, 2.0], "expected a finite number for 'other 1'; got inf"),
    ],
)
def test_a_bad_at_is_refused(fit, at, message):
    with pytest.raises(OptionError, match=message):
        line_along(fit, 0, 2, at=at)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(2, r"0\.\.1; got 2"), (-1, r"0\.\.1"), (True, "type bool"), (0.0, "type float")],
)
def test_a_position_that_is_none_is_refused(wanted, message):
    with pytest.raises(OptionError, match=message):
        position("feature", wanted, ("a", "b"))


def test_a_constant_column_stays_where_it_is_without_a_margin(fit):
    constant = dataclasses.replace(fit, x=np.ones_like(fit.x))
    np.testing.assert_array_equal(line_along(constant, 0, 3)[:, 0], 1.0)
    np.testing.assert_allclose(line_along(constant, 0, 3, margin=0.1)[:, 0], [0.9, 1.0, 1.1])
