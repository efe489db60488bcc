import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayes_hybrid import HybridRegressor
from bayes_hybrid.data import numeric_column
from bayes_hybrid.data.columns import refuse_names
from bayes_hybrid.errors import DataError, DataTypeError


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint64",
        "float16",
        "float32",
        "float64",
        "object",
        "Int64",
        "Float32",
        "boolean",
        pd.ArrowDtype(pa.int32()),
        pd.ArrowDtype(pa.float64()),
        pd.ArrowDtype(pa.bool_()),
        pd.SparseDtype("float64", 0.0),
    ],
)
def test_numbers_of_every_kind(dtype):
    values = numeric_column(pd.Series([1, 0, 1], name="a").astype(dtype))
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [1.0, 0.0, 1.0])


def test_numbers_as_objects():
    mixed = pd.Series([1, 2.5, True, np.True_, Decimal("0.5"), np.float32(2)], dtype=object)
    np.testing.assert_array_equal(numeric_column(mixed), [1.0, 2.5, 1.0, 1.0, 0.5, 2.0])


def test_decimal_arrow_column():
    kind = pd.ArrowDtype(pa.decimal128(6, 2))
    column = pd.Series([Decimal("1.25"), Decimal("2.50")], dtype=kind)
    np.testing.assert_array_equal(numeric_column(column), [1.25, 2.5])


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_text_names_column_row_and_value(dtype):
    column = pd.Series(["1", "2", "n/a?", "4"], name="age", dtype=dtype)
    message = r"column 'age' holds (text|categories), first in row 3: 'n/a\?'.*one 0/1 column"
    with pytest.raises(DataTypeError, match=message):
        numeric_column(column)


def test_text_after_numbers():
    with pytest.raises(DataTypeError, match="holds text, first in row 3: 'x'"):
        numeric_column(pd.Series([1.5, None, "x"], dtype=object, name="a"))


def test_numbers_as_text_are_told_so():
    with pytest.raises(DataTypeError, match=r"numbers written as text.*'1\.5'.*astype\(float\)"):
        numeric_column(pd.Series(["1.5", "2"], name="a"))


def test_categories_of_numbers_are_refused():
    with pytest.raises(DataTypeError, match="holds categories, first in row 1: 3"):
        numeric_column(pd.Series([3, 4], name="a", dtype="category"))


_DAY = "2024-01-31"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime([_DAY])),
        pd.Series(pd.to_datetime([_DAY], utc=True)),
        pd.Series(pd.PeriodIndex([_DAY], freq="D")),
        pd.Series(pd.to_timedelta([1], unit="D")),
        pd.Series([datetime.date(2024, 1, 31)]),
        pd.Series([datetime.date(2024, 1, 31)], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([np.datetime64(_DAY)], dtype=object),
    ],
    ids=["time", "zone", "period", "difference", "date", "arrow", "object"],
)
def test_dates_are_refused(column):
    with pytest.raises(DataTypeError, match="column 'day' holds dates or times, first in row 1"):
        numeric_column(column.rename("day"))


@pytest.mark.parametrize("dtype", [complex, object])
def test_complex_numbers_are_refused(dtype):
    with pytest.raises(DataTypeError, match="complex values"):
        numeric_column(pd.Series([1j], name="a", dtype=dtype))


@pytest.mark.parametrize("dtype", ["float64", "Float64", "object", pd.ArrowDtype(pa.float64())])
def test_missing_values_are_counted(dtype):
    column = pd.Series([1.0, None, 3.0, None], name="wind", dtype=dtype)
    with pytest.raises(DataError, match=r"column 'wind' has 2 missing values .*first in row 2"):
        numeric_column(column)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_named(bad):
    with pytest.raises(DataError, match="column 'wind' has 1 infinite value, first in row 3"):
        numeric_column(pd.Series([1.0, 2.0, bad], name="wind"))


def test_an_empty_column_is_missing_values_not_text():
    with pytest.raises(DataError, match="2 missing values"):
        numeric_column(pd.Series([None, None], name="a", dtype=object))


@pytest.mark.parametrize(
    "dtype",
    [
        "datetime64[ns]",
        "datetime64[ns, UTC]",
        "timedelta64[ns]",
        "period[D]",
        "timestamp[us][pyarrow]",
        "duration[s][pyarrow]",
        "category",
    ],
)
def test_dates_that_are_all_missing_are_missing(dtype):
    column = pd.Series([None, None], name="day", dtype=dtype)
    with pytest.raises(DataError, match="column 'day' has 2 missing values"):
        numeric_column(column)
    np.testing.assert_array_equal(numeric_column(column, missing=True), [np.nan, np.nan])


def test_a_date_without_words_is_refused():
    far = pd.Series(np.array([2**60], "datetime64[us]"), name="day").dt.tz_localize("UTC")
    with pytest.raises(DataTypeError, match="holds dates or times, first in row 1: a Timestamp;"):
        numeric_column(far)


def test_the_column_is_not_shared():
    column = pd.Series([1.0, 2.0], name="a")
    numeric_column(column)[0] = 5.0
    assert column[0] == 1.0


# Names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0b", "is called 'a\\x00b', which holds a NUL; rename it"),
        ("\x01\x1b", "which holds control characters only; rename it"),
        ("\u200b", "which holds control characters only; rename it"),
        ("a\ud800", "which cannot be written as UTF-8; rename it"),
    ],
)
def test_names_that_cannot_be_shown_are_refused(name, message):
    with pytest.raises(DataError) as caught:
        numeric_column(pd.Series([1.0], name=name))
    assert message in str(caught.value)
    with pytest.raises(DataError, match="column 2 of 2"):
        refuse_names(["a", name], "rows.csv")
    # As objects, because pandas's text is UTF-8.
    names = pd.Index(["x", name], dtype=object)
    table = pd.DataFrame([[1.0, 1.0], [2.0, 2.0], [3.0, 4.0]], columns=names)
    with pytest.raises(DataError, match="rename it"):
        HybridRegressor().fit(table, [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="rename it"):
        HybridRegressor().fit(table[["x"]], table[name])


@pytest.mark.parametrize("name", ["a\x1b[31m", " a", "größe", "\U0001f600", 3, None, ("a", 1)])
def test_other_names_pass(name):
    assert numeric_column(pd.Series([1.0], name=name)).tolist() == [1.0]


def test_a_part_of_a_table_says_where_it_is():
    column = pd.Series([1.0, np.nan], name="a")
    with pytest.raises(DataError, match=r"'a' has a missing value .*, first in row 52;"):
        numeric_column(column, place=lambda position: f"row {position + 51}")
