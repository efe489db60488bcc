"""Parquet files by their own types, whatever pandas noted beside them."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayes_hybrid.data import read_table
from bayes_hybrid.data.batches import open_table
from bayes_hybrid.data.parquet import without_broken_notes
from bayes_hybrid.errors import DataError


@pytest.mark.parametrize(
    "notes",
    [
        b"{",
        b"\xff",
        b"[]",
        json.dumps({"index_columns": ["x"], "columns": [], "column_indexes": []}).encode(),
        # Would swap the names.
        json.dumps(
            {
                "index_columns": [],
                "column_indexes": [],
                "columns": [
                    {"name": a, "field_name": b, "pandas_type": "int64", "numpy_type": "Int8"}
                    for a, b in (("x", "y"), ("y", "x"))
                ],
            }
        ).encode(),
    ],
)
def test_notes_of_pandas_change_nothing(tmp_path, notes):
    table = pa.table({"x": [1000.5, 2000.5], "y": [1, 2]})
    noted = table.replace_schema_metadata({b"pandas": notes})
    pq.write_table(noted, tmp_path / "rows.parquet")
    read = read_table(tmp_path / "rows.parquet")
    assert read.to_dict("list") == table.to_pydict()


def test_notes_that_cannot_be_followed_are_left_out():
    schema = pa.schema([("x", pa.int64())], metadata={b"pandas": b"{", b"mine": b"kept"})
    assert without_broken_notes(schema).metadata == {b"mine": b"kept"}
    good = pa.Schema.from_pandas(pd.DataFrame({"x": [1]}))
    assert without_broken_notes(good).metadata == good.metadata


def test_whole_numbers_stay_whole_beside_missing_ones(tmp_path):
    table = pa.table({"id": pa.array([10**17 + 1, None])})
    pq.write_table(table, tmp_path / "rows.parquet")
    assert read_table(tmp_path / "rows.parquet")["id"].tolist() == [10**17 + 1, None]


STRANGE = [
    pa.array([1, 2], pa.timestamp("ns", "Mars/X")),
    pa.array([1, 2], pa.timestamp("ns", "+99:99")),
    pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32()),
]


@pytest.mark.parametrize("values", STRANGE, ids=["zone", "offset", "year"])
def test_a_column_that_pandas_cannot_hold_is_named(tmp_path, values):
    pq.write_table(pa.table({"x": [1.0, 2.0], "when": values}), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"column 'when' holds .*; mend the column, or leave"):
        read_table(tmp_path / "rows.parquet")
    with open_table(tmp_path / "rows.parquet") as table:
        (batch,) = table.batches()
        assert batch.numbers("x").tolist() == [1.0, 2.0]
        with pytest.raises(DataError, match="column 'when' holds"):
            batch.numbers("when")
