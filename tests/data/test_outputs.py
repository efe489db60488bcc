"""Several targets and regime labels at the door."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid.data import is_several, regime_numbers, require_outputs
from bayes_hybrid.errors import DataError, DataTypeError

REGIMES = ("gaussian", "relu")


@pytest.mark.parametrize(
    ("y", "several"),
    [
        ([[1.0, 2.0]], True),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), True),
        (np.zeros((3, 2)), True),
        (np.zeros((3, 1)), False),
        (pd.DataFrame({"a": [1.0]}), False),
        (np.zeros(3), False),
        (pd.Series([1.0, 2.0]), False),
        (3.0, False),
        (np.zeros((2, 2, 2)), False),
        ([[1.0], [1.0, 2.0]], False),
        ([np.ma.array([1.0, 2.0], mask=[True, False])], True),
        ([1.0, np.ma.masked], False),
    ],
)
def test_what_counts_as_several(y, several):
    assert is_several(y) == several


def test_rows_and_columns_need_values():
    nan = np.nan
    require_outputs(np.array([[1.0, nan], [nan, 1.0], [2.0, 2.0]]))
    with pytest.raises(DataError, match="y, row 2: every output is missing"):
        require_outputs(np.array([[1.0, 2.0], [nan, nan], [1.0, 2.0]]))
    with pytest.raises(DataError, match="y, column 2: 1 of 3 values are there"):
        require_outputs(np.array([[1.0, nan], [2.0, nan], [3.0, 3.0]]))


# Labels

_NA = pd.NA


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        # Names of regimes stand for these, whatever the alphabet or the order says.
        (["relu", None, "gaussian"], [1, None, 0], REGIMES),
        (["relu", "", "relu"], [1, None, 1], REGIMES),
        ([None, np.nan, ""], [None, None, None], REGIMES),
        # Others stand for the regimes in their own order.
        (["wet", "dry", None], [1, 0, None], ("dry", "wet")),
        ([True, None, False], [1, None, 0], (False, True)),
        ([0.0, 1.0, np.nan], [0, 1, None], (0.0, 1.0)),
        ([20, 10, None], [1, 0, None], (10, 20)),
        (np.array([2.5, -1.0, np.nan], dtype=np.float32), [1, 0, None], (-1.0, 2.5)),
        (np.array([["b"], ["a"], ["b"]]), [1, 0, 1], ("a", "b")),
        (pd.Series(["b", _NA, "a"], dtype="string", index=[7, 8, 9]), [1, None, 0], ("a", "b")),
        (pd.Series([True, _NA, False], dtype="boolean"), [1, None, 0], (False, True)),
        (pd.Series([3, _NA, 2], dtype="Int64"), [1, None, 0], (2, 3)),
        # The order of a categorical's categories is not looked at.
        (pd.Categorical(["b", None, "a"], categories=["b", "a"]), [1, None, 0], ("a", "b")),
    ],
    ids=repr,
)
def test_labels_become_numbers_of_regimes(labels, numbers, names):
    found, found_names = regime_numbers(labels, 3, REGIMES)
    np.testing.assert_array_equal(found, np.array(numbers, dtype=float))
    assert found_names == names
    # Objects of Python, which a saved fit can hold.
    assert all(type(name) in (str, bool, int, float) for name in found_names)


def test_no_labels_are_no_labels():
    assert regime_numbers(None, 3, REGIMES) == (None, ())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], r"each of 3 rows, got shape \(2,\)"),
        ("relu", r"each of 3 rows, got shape \(\)"),
        (np.full((3, 2), "a"), r"each of 3 rows, got shape \(3, 2\)"),
        (["a", "a", None], r"1 different label, \['a'\], for 2 regimes"),
        (["a", "b", "c"], "3 different labels"),
        (["a", 1, 2], "cannot be put in an order"),
        # With an order of their own these would swap the regimes, and nobody would know.
        (["relu", "smooth", None], "'relu' is the name of a regime and 'smooth' is not"),
        (["relu", "gausian", None], "did you mean 'gaussian'"),
        (["ReLU", "Gaussian", None], "'Gaussian' differs.*by capitals only.*mean 'gaussian'"),
        (["RELU", "smooth", None], "'RELU' differs.*by capitals only.*mean 'relu'"),
    ],
)
def test_labels_that_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        regime_numbers(labels, 3, REGIMES)


@pytest.mark.parametrize("label", [datetime.date(2020, 1, 1), pd.Timestamp("2020"), {}, 1j, b"a"])
def test_other_objects_are_refused(label):
    with pytest.raises(DataTypeError, match=r"row 2: .* expected text, a number or a boolean"):
        regime_numbers([None, label, "b"], 3, REGIMES)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([["a", "b"]] * 3), r"each of 6 rows, got shape \(3, 2\)"),
        ([1.0, math.inf, 1.0, 2.0, 2.0, 1.0], "row 2: inf is no label"),
        (["a", "b\ud800", "a", "a", "a", "a"], "row 2: .* cannot be written as UTF-8; rename it"),
        (["a", "b\0", "a", "a", "a", "a"], "row 2: the label .* holds a NUL; rename it"),
    ],
)
def test_labels_that_are_no_column_or_no_number(labels, message):
    with pytest.raises(DataError, match=message):
        regime_numbers(labels, 6, ("gaussian", "relu"))


@pytest.mark.parametrize(
    "labels",
    [
        np.ma.array(["wet", "?", "dry"], mask=[False, True, False]),
        np.ma.array([1, 0, 0], mask=[False, True, False]),
        np.ma.array([True, False, False], mask=[False, True, False]),
        ["wet", np.ma.masked, "dry"],
        pd.Series(["wet", None, "dry"], dtype="string"),
        pd.array([1, None, 0], dtype="Int64"),
    ],
    ids=range(6),
)
def test_masked_labels_are_missing(labels):
    numbers, _ = regime_numbers(labels, 3, REGIMES)
    np.testing.assert_array_equal(numbers, [1.0, math.nan, 0.0])
