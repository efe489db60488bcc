"""What cells of text hold, and that a number is the same whoever reads it."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hybrid.data import numeric_column, read_table
from bayes_hybrid.data.cells import MISSING, TRUTH, cell_kind, plain_numbers, spelt_numbers
from bayes_hybrid.data.columns import numeric_cells
from bayes_hybrid.errors import DataTypeError

KINDS = {
    "2024-01-31": "a date",
    "2024-01-31T12:30:00Z": "a date",
    "31.12.2024": "a date",
    "1/2/24": "a date",
    "12-Mar-2024": "a date",
    "12:30:05": "a time of day",
    "-": "a dash or another mark for a missing value",
    "\u2014": "a dash or another mark for a missing value",
    "?": "a dash or another mark for a missing value",
    "  ": "blanks for a missing value",
    "1,234.5": "a number with a separator for thousands",
    "1.234,5": "a number with a separator for thousands",
    "1 234": "a number with a separator for thousands",
    "1\u202f234": "a number with a separator for thousands",
    "1'234": "a number with a separator for thousands",
    "1,5": "a number with a decimal comma",
    "1_000": "a number with an underscore between digits",
    "\uff11\uff12": "a number in digits of another script or width",
    "\u0663": "a number in digits of another script or width",
    "12%": "a percentage",
    "0x1F": "a hexadecimal number",
    "\u22125": "a number with a dash for its minus",
    "<0.1": "a bound or an estimate",
    "#DIV/0!": "an error of a spreadsheet",
    "=A1+B1": "a formula",
    "12 kg": "a number with a unit",
    "$12": "a number with a unit",
    "low": "text",
    "@here": "text",
}


@pytest.mark.parametrize("text", KINDS, ids=ascii)
@pytest.mark.parametrize("form", ["series", "cells"])
def test_a_cell_is_named_for_what_it_is(text, form):
    kind = cell_kind(text)
    assert kind is not None
    assert kind.what == KINDS[text]
    # It is the first that is no number, wherever numbers stand beside it.
    texts = ["1.5", "-2e3", text, "low"]
    reads = {
        "series": lambda: numeric_column(pd.Series(texts, name="a")),
        "cells": lambda: numeric_cells("a", pa.array(texts)),
    }
    with pytest.raises(DataTypeError) as caught:
        reads[form]()
    message = f"column 'a' holds {kind.what}, first in row 3: {text!r}; expected numbers: "
    assert str(caught.value).startswith(message + kind.advice)


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "5.", "1e5", "-1E-05", "inf", "-Infinity"])
def test_numbers_are_of_no_other_kind(text):
    assert cell_kind(text) is None
    assert spelt_numbers(pa.array([text]))[0][0] == float(text)


def test_truth_is_a_number_in_a_file_and_text_in_a_table():
    values, wrong = spelt_numbers(pa.array(["true", "FALSE", "1", " 2 "]))
    assert (values.tolist(), wrong) == ([1.0, 0.0, 1.0, 2.0], None)
    assert cell_kind("True") == TRUTH
    with pytest.raises(DataTypeError, match="true or false as text, first in row 1"):
        numeric_column(pd.Series(["True", "1.5"], name="a"))
    with pytest.raises(DataTypeError, match="underscore between digits, first in row 2"):
        numeric_column(pd.Series(["True", "1_000"], name="a"))


def test_what_is_missing():
    values, wrong = spelt_numbers(pa.array([*MISSING, "1"]))
    assert np.isnan(values[:-1]).all()
    assert (values[-1], wrong) == (1.0, None)


_CELLS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.text(alphabet="0123456789+-.eE_ naNA", max_size=6),
    st.sampled_from(["1e400", "1e-400", " 1.5", "2\t", *MISSING]),
)


def test_a_whole_number_of_more_than_64_bits_leaves_a_column_of_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n18446744073709551616,18446744073709551616\n0.5,2\n")
    table = read_table(path)
    assert numeric_column(table["a"]).tolist() == [2.0**64, 0.5]
    assert numeric_column(table["b"]).tolist() == [2.0**64, 2.0]


@given(st.lists(_CELLS, min_size=1, max_size=4))
def test_a_fit_and_a_prediction_read_the_same_numbers(texts):
    """read_table leaves numbers to pandas, predict to spelt_numbers."""
    read = pd.read_csv(
        io.StringIO("\n".join(f'"{text}"' for text in texts)),
        names=["a"],
        header=None,
        skip_blank_lines=False,
        keep_default_na=False,
        na_values=list(MISSING),
    )["a"]
    values, wrong = spelt_numbers(pa.array(texts))
    numbers = None if pd.api.types.is_numeric_dtype(read) else plain_numbers(read)
    read = read if numbers is None else pd.Series(numbers)
    if pd.api.types.is_bool_dtype(read) or not pd.api.types.is_numeric_dtype(read):
        integers = all(text.strip().lstrip("+-").isdigit() or text in MISSING for text in texts)
        assert wrong is not None or integers  # of more than 64 bits, which pandas keeps as objects
        return
    assert wrong is None
    np.testing.assert_array_equal(values, read.to_numpy(dtype=np.float64, na_value=np.nan))
