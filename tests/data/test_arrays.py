from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid.data import numeric_array
from bayes_hybrid.errors import DataTypeError

NUMBERS = np.array([[0.5, 1.0], [2.0, -3.0]])
STAMP = pd.Timestamp("2020-01-01")


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        NUMBERS.astype(object),
        NUMBERS.astype(np.int8),
        NUMBERS.tolist(),
        tuple(NUMBERS),
        [[True, 1], [Decimal(2), 0.5]],
        [[1.0, None], [np.nan, 2.0]],
        # These are no numbers; scikit-learn says so.
        [[1.0], [1.0, 2.0]],
        np.array([[{"foo": "bar"}]], dtype=object),
        None,
        3.0,
    ],
    ids=range(11),
)
def test_what_holds_no_text_passes_as_it_is(values):
    assert numeric_array("X", values) is values


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
