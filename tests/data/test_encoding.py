"""What a table's columns become: by hand, by scikit-learn's encoders, and refused by name."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from bayes_hybrid.data.codes import Dates, Gaps, Numbers, Truths
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.learning import MAX_LEVELS, learned_encoding
from bayes_hybrid.data.levels import FEW_ROWS, Levels
from bayes_hybrid.errors import DataError, DataTypeError, OptionError

TABLE = pd.DataFrame(
    {
        "age": [40.0, np.nan, 42.0, 1.0],
        "colour": ["red", "blue", " red ", ""],
        "on": [True, None, False, True],
        "day": ["2024-01-31", None, "2024-02-01T12:00", "2024-01-31"],
        "plain": [1, 2, 3, 4],
    }
)


def learned(column, **settings):
    return learned_encoding(pd.DataFrame({"odd": column}), **settings)


def test_every_kind_by_hand():
    encoding = learned_encoding(TABLE)
    expected = {
        "age": [40, 40, 42, 1],
        "age is missing": [0, 1, 0, 0],
        "colour=red": [1, 0, 1, 0],
        "colour is missing": [0, 0, 0, 1],
        "on": [1, 1, 0, 1],
        "on is missing": [0, 1, 0, 0],
        "day (days since 2024-01-31)": [0, 0, 1.5, 0],
        "day is missing": [0, 1, 0, 0],
        "plain": [1, 2, 3, 4],
    }
    pd.testing.assert_frame_equal(encoding.encode(TABLE), pd.DataFrame(expected, dtype=float))
    assert encoding.names == tuple(expected)
    assert encoding.sources == tuple(TABLE.columns)
    assert encoding.words() == [
        "age: 1 of 4 missing, the median 40 in their place, and the indicator 'age is missing'",
        "colour: 2 levels, blue, red; a 0/1 column for each but blue; 1 of 4 missing, with the "
        "indicator 'colour is missing'",
        "on: true is 1, false is 0; 1 of 4 missing, the median 1 in their place, and the "
        "indicator 'on is missing'",
        "day: days since 2024-01-31, UTC; 1 of 4 missing, the median 0 (2024-01-31) in their "
        "place, and the indicator 'day is missing'",
    ]


@given(
    st.lists(st.sampled_from("aaabbcde"), min_size=10, max_size=30),
    st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=30, max_size=30),
)
def test_the_encoders_of_scikit_learn_agree(letters, numbers):
    table = pd.DataFrame({"word": letters, "number": numbers[: len(letters)]}, dtype=object)
    if table["number"].isna().all():
        table.loc[0, "number"] = 1
    table["number"] = table["number"].astype(float)
    encoding = learned_encoding(table)
    least = FEW_ROWS if encoding.columns[0].pooled else None
    encoder = OneHotEncoder(drop="first", sparse_output=False, min_frequency=least)
    ones = encoder.fit_transform(table[["word"]])
    filled = SimpleImputer(strategy="median", add_indicator=True).fit_transform(table[["number"]])
    encoded = encoding.encode(table)
    np.testing.assert_array_equal(encoded.to_numpy(), np.hstack([ones, filled]))


def test_numbers_alone_need_no_encoding():
    plain = pd.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": pd.array([1, 2], "Int8")})
    assert learned_encoding(plain) is None
    assert learned_encoding(plain.astype(object)) is not None  # true and false are no numbers
    assert learned_encoding(plain[["a", "c"]].astype(object)) is None


def test_levels_are_in_order():
    assert learned(["b", "a"] * 3).columns[0].levels == ("a", "b")
    assert learned(pd.Categorical([10, 9, 10, 9])).columns[0].levels == ("9", "10")
    assert learned(["true", "FALSE", "true"]).columns == (Truths(name="odd"),)


def test_rare_levels_are_pooled():
    cities = [*["Rome"] * 5, *["Bern"] * 3, "Oslo", "Oslo", "Nice", " Nice", "Ulm", None]
    encoding = learned(cities)
    assert encoding.columns[0].levels == ("Bern", "Rome")
    assert encoding.names == ("odd=Rome", "odd=other", "odd is missing")
    assert encoding.words() == [
        "odd: 2 levels, Bern, Rome; a 0/1 column for each but Bern, and 'odd=other' for 3 more "
        "with fewer than 3 rows each and for new ones; 1 of 14 missing, with the indicator 'odd "
        "is missing'"
    ]
    rows = pd.DataFrame({"odd": ["Rome", "Oslo", "Bern", "Lyon", None]})
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(encoding.encode(rows), expected)
    assert msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding) == encoding


@pytest.mark.parametrize(
    ("counts", "levels", "pooled"),
    [
        ({"a": 3, "b": 3, "c": 2}, ("a", "b", "c"), 0),  # one column less would be none
        ({"a": 3, "b": 2, "c": 2}, ("a", "b", "c"), 0),  # most rows are of rare levels
        ({"a": 4, "b": 2, "c": 2}, ("a",), 2),
        ({"a": 4, "other": 4, "c": 2, "d": 2}, ("a",), 3),
        ({"other": 4, "c": 2, "d": 2}, ("c", "d", "other"), 0),
        ({"a": 40, **{f"n{k}x": 1 for k in range(40)}}, ("a",), 40),
    ],
)
def test_which_levels_are_pooled(counts, levels, pooled):
    column = learned([level for level, count in counts.items() for _ in range(count)]).columns[0]
    assert (column.levels, column.pooled) == (levels, pooled)


def test_json_and_back():
    encoding = learned_encoding(TABLE)
    assert msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding) == encoding
    with pytest.raises(AttributeError):
        encoding.num_rows = 3


@pytest.mark.parametrize(
    "code",
    [
        {"type": "levels", "name": "a", "levels": ["u", "u"]},
        {"type": "levels", "name": "a", "levels": []},
        {"type": "levels", "name": "a", "levels": ["u", "v"], "pooled": -1},
        {"type": "levels", "name": "a", "levels": ["u", "other"], "pooled": 2},
        {"type": "levels", "name": "a", "levels": ["u\0", "u\0v"]},
        {"type": "dates", "name": "a", "origin": "2024-13-01"},
        {"type": "dates", "name": "a", "origin": "__import__"},
        {"type": "numbers", "name": "a", "gaps": {"count": 0, "median": 1.0}},
        {"type": "numbers", "name": "a", "gaps": {"count": 1, "median": "1"}},
        {"type": "numbers", "name": "a", "more": 1},
        {"type": "pickle", "name": "a"},
    ],
)
def test_what_was_tampered_with_is_refused(code):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"columns": [code], "num_rows": 2}, Encoding)


# New rows


def test_an_unseen_level_is_named():
    rows = pd.DataFrame({"odd": ["u", "pink"]})
    with pytest.raises(DataError, match=r"column 'odd' has the level 'pink' in row 2, .*'u', 'v'"):
        learned(["u", "v"] * 3).encode(rows)
    with pytest.raises(DataError, match="in line 9, which no"):
        learned(["u", "v"] * 3).encode(rows, place=lambda row: f"line {row + 8}")


@pytest.mark.parametrize("column", [["u", "v"], [1.0, 2.0], ["2024-01-31", "2024-02-01"]])
def test_a_gap_where_there_was_none_is_refused(column):
    encoding = learned_encoding(pd.DataFrame({"odd": column * 3, "text": ["a", "b"] * 3}))
    rows = pd.DataFrame({"odd": [column[0], None, None], "text": "a"})
    expected = r"column 'odd' has 2 missing values \(NaN\), first in row 2; .*the fit had none"
    with pytest.raises(DataError, match=expected):
        encoding.encode(rows)


def test_another_kind_than_in_the_fit_is_refused():
    encoding = learned_encoding(TABLE)
    for name, value, message in [
        ("age", "old", "column 'age' holds text, first in row 1: 'old'"),
        ("day", "soon", "column 'day', row 1: 'soon' is no date"),
        ("plain", np.inf, "column 'plain' has 4 infinite values"),
    ]:
        with pytest.raises((DataError, DataTypeError), match=message):
            encoding.encode(TABLE.assign(**{name: value}))


# Training tables that are refused


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ([None] * 4, DataError, "column 'odd' has no value in any of 4 rows; leave it out"),
        ([" "] * 4, DataError, "column 'odd' has only blanks in 4 rows; leave it out"),
        (["u"] * 4, DataError, "every feature is the same in all rows .'odd'"),
        (list("abcdefgh"), DataError, "8 levels in 8 rows, such as 'a'; expected two rows of"),
        (
            [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(MAX_LEVELS + 1)] * 3,
            DataError,
            f"has 65 levels in 195 rows, such as 'aa'; expected {MAX_LEVELS} at most",
        ),
        (["1", "2", "x"], DataTypeError, "holds text, first in row 3: 'x'.*most cells are words"),
        (["1,5", "2,5"], DataTypeError, "a number with a decimal comma, first in row 1: '1,5'"),
        (["31/12/24"] * 2, DataTypeError, "holds a date, .*dates where all are written as 2024-01"),
        (["2024-13-01"] * 2, DataError, "row 1: '2024-13-01' is no date"),
        ([pd.Timedelta("1D")] * 2, DataTypeError, "holds dates or times"),
        (["a", 1, "b"], DataTypeError, "holds text, first in row 1: 'a'"),
        (["a\0", "b"] * 2, DataError, r"the level 'a\\x00', which holds a NUL"),
        ([1j, 2j], DataTypeError, "column 'odd' holds complex"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(column, error, message):
    with pytest.raises(error, match=message):
        learned(column)


@pytest.mark.parametrize("name", TABLE.columns[:4])
def test_gaps_may_be_refused(name):
    with pytest.raises(DataError, match=f"column {name!r} has 1 missing value .*'refuse'"):
        learned_encoding(TABLE[[name]], missing=False)


def test_two_columns_of_one_name_are_refused():
    table = pd.DataFrame({"colour": ["red", "blue"] * 2, "colour=red": [1.0, 0.0] * 2})
    with pytest.raises(DataError, match=r"called 'colour=red', one of column 'colour' and one of"):
        learned_encoding(table)
    columns = (Levels(name="a", levels=("", "b=c")), Levels(name="a=b", levels=("", "c")))
    with pytest.raises(DataError, match="'a=b=c'"):
        Encoding(columns=columns, num_rows=2)


# Logarithms


def test_a_column_whose_logarithm_is_read():
    table = TABLE.assign(age=[40.0, np.nan, 42.0, 0.5])
    encoding = learned_encoding(table, log=("age", 4))
    assert [encoding.names[d] for d in np.flatnonzero(encoding.log)] == ["age", "plain"]
    pd.testing.assert_frame_equal(encoding.encode(table), learned_encoding(table).encode(table))
    assert encoding.words()[0].startswith("age: the model reads its logarithm; 1 of 4 missing, ")
    assert encoding.words()[-1] == "plain: the model reads its logarithm"
    assert msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding) == encoding
    for value in (0.0, -1.0):
        rows = table.assign(plain=[1.0, value, 3.0, 4.0])
        message = f"column 'plain', row 2: {value:g} has no logarithm; expected numbers above zero"
        with pytest.raises(DataError, match=message):
            encoding.encode(rows)
        with pytest.raises(DataError, match=message):
            learned_encoding(rows, log=("plain",))
        with pytest.raises(DataError, match="'plain', line 9: "):
            encoding.encode(rows, place=lambda row: f"line {row + 8}")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("colour", "log: column 'colour' is a column of text; expected one of numbers"),
        ("on", "log: column 'on' is a column of true and false"),
        ("day", "log: column 'day' is a column of dates"),
        ("plane", "log must be one of .* did you mean 'plain'"),
        (5, "log: expected an index below 5"),
    ],
)
def test_what_has_no_logarithm_is_refused(wanted, message):
    with pytest.raises(OptionError, match=message):
        learned_encoding(TABLE, log=(wanted,))


# Which feature is meant


def test_positions():
    encoding = learned_encoding(TABLE)
    for wanted, position in [("age", 0), (0, 0), ("colour=red", 2), ("day", 6), (3, 6), (4, 8)]:
        assert encoding.position("feature", wanted) == position
    assert encoding.position("feature", "colour") == 2  # two levels are one column
    three = learned(["u", "v", "w"] * 2)
    with pytest.raises(OptionError, match=r"feature='odd' is a column of text; .*'odd=v', 'odd=w'"):
        three.position("feature", "odd")
    with pytest.raises(OptionError, match="did you mean 'age'"):
        encoding.position("feature", "aeg")
    with pytest.raises(OptionError, match="below 5, the number of columns; got 8"):
        encoding.position("feature", 8)


def test_a_date_may_be_held():
    since = Dates(name="day", origin="2024-01-31", gaps=Gaps(count=1, median=0.0))
    encoding = Encoding(columns=(since, Numbers(name="age")), num_rows=2)
    assert encoding.value("day", "2024-02-02") == 2.0
    assert encoding.value("day", pd.Timestamp("2024-02-02")) == 2.0
    assert encoding.value("day", 3) == 3
    assert encoding.value("age", "2024-02-02") == "2024-02-02"  # which is refused as no number
