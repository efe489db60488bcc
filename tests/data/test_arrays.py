from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from bayes_hybrid.data import numeric_array, unmasked
from bayes_hybrid.errors import DataError, DataTypeError

NUMBERS = np.array([[0.5, 1.0], [2.0, -3.0]])
STAMP = pd.Timestamp("2020-01-01")


class Foreign:
    """An array of another library."""

    def __array__(self, dtype=None, copy=None):
        return NUMBERS.copy()


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        NUMBERS.tolist(),
        tuple(map(tuple, NUMBERS)),
        list(NUMBERS),
        NUMBERS.astype(object),
        NUMBERS.astype(np.longdouble),
        NUMBERS.astype(np.float16),
        NUMBERS.astype(">f4"),
        np.asfortranarray(NUMBERS),
        np.repeat(NUMBERS, 2, axis=0)[::2],
        np.asmatrix(NUMBERS),
        memoryview(NUMBERS.data),
        np.ma.array(NUMBERS),
        np.ma.array(NUMBERS, mask=False),
        [[Decimal("0.5"), True], [2, Fraction(-3)]],
        pd.DataFrame(NUMBERS).astype("Float64"),
        pd.DataFrame(NUMBERS).astype("double[pyarrow]"),
        pd.DataFrame(NUMBERS).astype(pd.SparseDtype(float, 0.0)),
        pd.DataFrame(NUMBERS, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
    ],
    ids=range(19),
)
def test_numbers_of_every_kind_are_read(values):
    read = numeric_array("X", values)
    np.testing.assert_array_equal(np.asarray(read), NUMBERS)
    assert np.asarray(read).dtype == np.float64


def test_a_table_of_another_library_keeps_its_names():
    foreign = Foreign()
    assert numeric_array("X", foreign) is foreign


@pytest.mark.parametrize(
    "values",
    [None, 3.0, "abc", np.array(3.0), [[1.0], [1.0, 2.0]], sparse.eye_array(2), object()],
    ids=range(7),
)
def test_what_is_no_array_is_left_to_scikit_learn(values):
    assert numeric_array("X", values) is values


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.int64])
def test_whole_numbers_are_read(dtype):
    info = [0, 1] if dtype is bool else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    read = numeric_array("y", np.array(info, dtype=dtype))
    assert read.tolist() == [float(value) for value in info]


MASK = [[False, False], [False, True]]
MISSING = [
    np.array([[0.5, 1.0], [2.0, np.nan]]),
    np.array([[0.5, 1.0], [2.0, None]], dtype=object),
    [[0.5, 1.0], [2.0, pd.NA]],
    np.ma.array([[0.5, 1.0], [2.0, -999.0]], mask=MASK),
    np.ma.array([[1, 0], [0, 1]], mask=MASK),
    np.ma.array([[True, True], [False, True]], mask=MASK),
    np.ma.array([[0.5, 1], [2, "?"]], mask=MASK, dtype=object),
    [[0.5, 1.0], np.ma.array([2.0, -999.0], mask=[False, True])],
    ([0.5, 1.0], [2.0, np.ma.masked]),
]


@pytest.mark.parametrize("values", MISSING, ids=range(len(MISSING)))
def test_missing_and_masked_values_are_refused_or_nan(values):
    message = r"^X has 1 missing value \(NaN, None or masked\), first in row 2, column 2; expected"
    with pytest.raises(DataError, match=message):
        numeric_array("X", values)
    read = numeric_array("X", values, missing=True)
    np.testing.assert_array_equal(np.isnan(read), MASK)
    with pytest.raises(DataError, match=r"y has 1 missing value .*first in row 2;"):
        numeric_array("y", np.ma.array([1.0, -999.0, 2.0], mask=[False, True, False]))


def test_missing_values_of_series_and_pandas_arrays():
    for values in (pd.array([1.0, None], dtype="Float64"), pd.Index([1.0, np.nan])):
        with pytest.raises(DataError, match="column 'y' has 1 missing value"):
            numeric_array("y", values)
        read = numeric_array("y", values, missing=True)
        np.testing.assert_array_equal(read, [1.0, np.nan])


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([[1.0, np.inf]], DataError, "X has 1 infinite value, first in row 1, column 2"),
        (np.array([["1e4000"]], dtype=np.longdouble), DataError, "X has 1 infinite value"),
        ([[Decimal("1e999")]], DataError, "X has 1 infinite value"),
        ([[1.0], [10**400]], DataError, "X, row 2, column 1: int too large to convert"),
        ([[Decimal("sNaN")]], DataError, "X, row 1, column 1: cannot convert signaling NaN"),
        (NUMBERS.astype(complex), DataError, "Complex data not supported: X has dtype complex128"),
        ([[1.0, 1j]], DataError, "Complex data not supported"),
        (np.array([[1j]], dtype=object), DataTypeError, "row 1, column 1: .* not 'complex'"),
        ([[1.0, {}]], DataTypeError, "X, row 1, column 2: argument must be .* not 'dict'"),
        (np.zeros(2, dtype=[("a", float)]), DataTypeError, "X holds records"),
        (np.ma.zeros(2, dtype=[("a", float)]), DataTypeError, "X holds records"),
        (np.array(["1"], dtype=np.dtypes.StringDType()), DataTypeError, "X holds text"),
        (torch.zeros(2, requires_grad=True), DataTypeError, "cannot be read as an array"),
        (pd.DataFrame(NUMBERS, columns=["a", 1]), DataTypeError, "names columns by int and str"),
        (pd.DataFrame(NUMBERS, columns=["a", "a"]), DataError, "names columns .* twice"),
        (pd.Series([10**400, 1]), DataError, "column 'X', row 1: int too large"),
        (pd.Series([1, Decimal("sNaN")]), DataError, "column 'X', row 2: cannot convert signaling"),
        (pd.MultiIndex.from_arrays([[1.0], [2.0]]), DataTypeError, "X is a MultiIndex; .*to_frame"),
        (pd.Series(np.array(["1e4000"], np.longdouble)), DataError, "has 1 infinite value"),
    ],
    ids=range(19),
)
def test_everything_else_is_refused_in_one_sentence(values, error, message):
    with pytest.raises(error, match=message) as caught:
        numeric_array("X", values)
    assert "\n" not in str(caught.value)


def test_names_of_two_kinds_are_said_to_be_those_of_y():
    with pytest.raises(DataTypeError, match=r"set y\.columns = y\.columns\.astype"):
        numeric_array("y", pd.DataFrame(NUMBERS, columns=["a", 1]))


def test_unmasked_leaves_everything_else_as_it_is():
    for values in (NUMBERS, NUMBERS.tolist(), None, "a", pd.Series([1.0])):
        assert unmasked(values) is values
    labels = np.ma.array(["wet", "dry"], mask=[True, False])
    assert unmasked(labels).tolist() == [None, "dry"]
    assert unmasked([labels[0], "dry"]) == [None, "dry"]


@pytest.mark.parametrize("spell", [str, lambda value: str(value).encode()], ids=["str", "bytes"])
def test_text_is_refused_in_whatever_it_comes(spell):
    rows = [[spell(value) for value in row] for row in NUMBERS.tolist()]
    for values in (rows, tuple(map(tuple, rows)), np.array(rows), rows[0]):
        with pytest.raises(DataTypeError, match=r"X holds text .*expected numbers: .*astype"):
            numeric_array("X", values)
    mixed = NUMBERS.astype(object)
    mixed[1, 0] = rows[1][0]
    with pytest.raises(DataTypeError, match=r"X holds text, first in row 2, column 1: b?'2\.0'"):
        numeric_array("X", mixed)
    with pytest.raises(DataTypeError, match=r"y holds text, first in row 1: b?'0\.5'"):
        numeric_array("y", np.array(rows[0], dtype=object))


@pytest.mark.parametrize(
    "value", [STAMP, STAMP.to_pydatetime(), date(2020, 1, 1), timedelta(1), pd.Period("2020")]
)
def test_dates_among_objects_are_refused(value):
    for values in ([[1.0, value]], np.array([[1.0, value]], dtype=object)):
        with pytest.raises(
            DataTypeError, match=r"X holds dates or times, first in row 1, column 2: .*days since"
        ):
            numeric_array("X", values)


def test_typed_dates_are_refused():
    days = pd.date_range("2020-01-01", periods=2).to_numpy()
    with pytest.raises(DataTypeError, match=r"y holds dates \(dtype datetime64.*days since"):
        numeric_array("y", days)
    with pytest.raises(DataTypeError, match="y holds durations"):
        numeric_array("y", [days[1] - days[0]])
