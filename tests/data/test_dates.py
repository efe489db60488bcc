"""Dates as days: the same moment gives the same number, however it is written."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayes_hybrid.data.dates import days_since, is_iso_date, microseconds
from bayes_hybrid.errors import DataError, DataTypeError

NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["2024-02-01T12:00", None]),
        pd.Series([" 2024-02-01 12:00:00.000 ", ""]),
        pd.Series(["2024-02-01T14:00+02:00", None], dtype=object),
        pd.Series(["2024-02-01T12:00Z", None], dtype="string"),
        pd.Series([NOON, None]),
        pd.Series([NOON.astimezone(timezone(timedelta(hours=-5))), pd.NaT], dtype=object),
        pd.Series(pd.to_datetime(["2024-02-01 12:00", "NaT"])),
        pd.Series(pd.to_datetime(["2024-02-01 12:00", "NaT"]).astype("datetime64[s]")),
        pd.Series(pd.to_datetime(["2024-02-01 13:00", "NaT"]).tz_localize("Europe/Berlin")),
        pd.Series(pd.PeriodIndex(["2024-02-01 12:00", None], freq="h")),
        pd.Series([np.datetime64("2024-02-01T12"), None], dtype=object),
        pd.Series([NOON, None], dtype=pd.ArrowDtype(pa.timestamp("ms", "UTC"))),
    ],
)
def test_every_form_is_the_same_number(column):
    days = days_since("2024-01-31", microseconds(column))
    np.testing.assert_array_equal(days, [1.5, np.nan])


def test_a_date_is_its_midnight():
    days = days_since("2024-01-31", microseconds(pd.Series([date(2024, 2, 1), date(1, 1, 1)])))
    np.testing.assert_array_equal(days, [1.0, date(1, 1, 1).toordinal() - 738916.0])


@pytest.mark.parametrize("text", ["2024-1-31", "20240131", "31.1.2024", "2024-01-31T", "2024-W01"])
def test_other_forms_are_no_dates(text):
    assert not is_iso_date(text)


def test_what_is_no_date_is_named():
    with pytest.raises(DataError, match=r"column 'day', row 2: '2024-02-30' is no date, .*day"):
        microseconds(pd.Series(["2024-02-01", "2024-02-30"], name="day"))
    with pytest.raises(
        DataTypeError, match=r"column 'day', line 9: 7.* is no date; expected dates"
    ):
        microseconds(pd.Series([None, 7, 7], name="day"), place=lambda row: f"line {row + 8}")
