"""Tables from file to file: every cell, type and row as it was, in bounded memory."""

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hybrid.data import batches
from bayes_hybrid.data.batches import open_table, table_writer
from bayes_hybrid.errors import DataError, DataTypeError, OutputExistsError

SUFFIXES = [".csv", ".csv.gz", ".parquet"]
HOSTILE = ["007", "NA", "123456789012345678", "1.10", "true", "1e400", 'a "b"', "c,d", "e\nf", ""]


def copy(source: Path, target: Path, **options: bool) -> None:
    with open_table(source) as table, table_writer(target, table.schema, **options) as writer:
        for batch in table.batches():
            writer.write(batch.columns.columns)


def csv_file(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        # All in quotes, because Python's writer forgets those around a lone carriage return.
        csv.writer(handle, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return path


def csv_rows(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_cells_pass_as_they_stand(tmp_path: Path, suffix):
    rows = [[cell, f"={cell}"] for cell in HOSTILE]
    source = csv_file(tmp_path / "rows.csv", ['a "quoted", name', "@b"], rows)
    copy(source, tmp_path / f"out{suffix}")
    assert csv_rows(tmp_path / f"out{suffix}") == csv_rows(source)


@given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), min_size=1, max_size=5))
def test_any_cell_passes(tmp_path_factory: pytest.TempPathFactory, rows):
    folder = tmp_path_factory.mktemp("cells")
    rows = [[cell.encode("utf-8", "replace").decode() for cell in row] for row in rows]
    source = csv_file(folder / "rows.csv", ["a", "b"], rows)
    copy(source, folder / "out.csv")
    assert csv_rows(folder / "out.csv") == [["a", "b"], *rows]


def typed() -> pa.Table:
    notes = {b"pandas": b"{broken", b"mine": b"kept"}
    return pa.table(
        {
            "id": pa.array([10**17 + 1, None, -1], pa.int64()),
            "x": pa.array([0.1, float("nan"), None], pa.float32()),
            "when": pa.array([1, 2, None], pa.timestamp("ns", "Europe/Berlin")),
            "money": pa.array([Decimal("1.10"), None, Decimal("0.00")], pa.decimal128(9, 2)),
            "kind": pa.array(["u", None, "v"]).dictionary_encode(),
            "on": pa.array([True, None, False]),
            "raw": pa.array([b"\xff", None, b""], pa.binary()),
            "list": pa.array([[1, 2], None, []], pa.list_(pa.int8())),
            "text": pa.array(["007", None, "a,b"], pa.large_string()),
        }
    ).replace_schema_metadata(notes)


def test_parquet_keeps_types_values_and_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "_MAX_ROWS", 2)
    pq.write_table(typed(), tmp_path / "rows.parquet")
    copy(tmp_path / "rows.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.drop_columns("x").equals(typed().drop_columns("x"))
    # NaN is no null, and equals nothing.
    assert str(found["x"].to_pylist()) == str(typed()["x"].to_pylist())
    assert found.schema.remove_metadata() == typed().schema.remove_metadata()
    assert found.schema.metadata == {b"mine": b"kept"}


def test_pandas_types_survive(tmp_path: Path):
    table = pd.DataFrame(
        {"id": pd.array([10**17 + 1, None], "Int64"), "kind": pd.Categorical(["u", "v"])},
        index=pd.Index([5, 7], name="year"),
    )
    table.to_parquet(tmp_path / "rows.parquet")
    copy(tmp_path / "rows.parquet", tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), table)


def test_parquet_as_csv(tmp_path: Path):
    pq.write_table(typed().drop_columns(["raw", "list"]), tmp_path / "rows.parquet")
    copy(tmp_path / "rows.parquet", tmp_path / "out.csv")
    assert csv_rows(tmp_path / "out.csv")[1:] == [
        [
            "100000000000000001",
            "0.1",
            "1970-01-01 01:00:00.000000001+0100",
            "1.10",
            "u",
            "True",
            "007",
        ],
        ["", "", "1970-01-01 01:00:00.000000002+0100", "", "", "", ""],
        ["-1", "", "", "0.00", "v", "False", "a,b"],
    ]
    for name in ("raw", "list"):
        pq.write_table(typed().select(["x", name]), tmp_path / "odd.parquet")
        with pytest.raises(DataError, match=f"column '{name}' holds .*CSV has no form"):
            copy(tmp_path / "odd.parquet", tmp_path / "odd.csv")
    assert not (tmp_path / "odd.csv").exists()


def test_an_unknown_time_zone_passes_into_parquet_and_has_no_form_in_csv(tmp_path: Path):
    given = pa.table({"when": pa.array([1, None], pa.timestamp("ns", "Mars/X"))})
    pq.write_table(given, tmp_path / "rows.parquet")
    copy(tmp_path / "rows.parquet", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(given)
    with pytest.raises(DataError, match=r"column 'when' holds .*Mars/X.*CSV has no form"):
        copy(tmp_path / "rows.parquet", tmp_path / "out.csv")


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_every_number_survives(tmp_path_factory: pytest.TempPathFactory, values):
    path = tmp_path_factory.mktemp("numbers") / "out.csv"
    with table_writer(path, pa.schema([("x", pa.float64())])) as writer:
        writer.write([pa.array(values, pa.float64())])
    assert [float(cell) for (cell,) in csv_rows(path)[1:]] == values


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_batches_are_bounded_and_number_their_rows(tmp_path: Path, monkeypatch, suffix):
    monkeypatch.setattr(batches, "_MAX_ROWS", 7)
    with table_writer(tmp_path / f"rows{suffix}", pa.schema([("x", pa.int64())])) as writer:
        writer.write([pa.array(np.arange(20))])
    with open_table(tmp_path / f"rows{suffix}") as table:
        parts = [(batch.first_row, batch.numbers("x")) for batch in table.batches()]
        assert table.done() == table.size
    assert [len(values) for _, values in parts] == [7, 7, 6]
    for first, values in parts:
        np.testing.assert_array_equal(values, first + np.arange(len(values)))


def test_wide_rows_make_short_batches(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(batches, "_MAX_BYTES", 10_000)
    # Stored once for all rows, so that the file does not say how large its rows are.
    pq.write_table(pa.table({"note": ["x" * 1000] * 300}), tmp_path / "rows.parquet")
    with open_table(tmp_path / "rows.parquet") as table:
        sizes = [batch.columns.nbytes for batch in table.batches()]
    assert len(sizes) > 1
    assert max(sizes) <= 10_000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_bad_cell_far_down_is_named(tmp_path: Path, monkeypatch, suffix):
    monkeypatch.setattr(batches, "_MAX_ROWS", 2)
    path, cells = tmp_path / f"rows{suffix}", ["1", "2", "3", "n\nn", "5"]
    with table_writer(path, pa.schema([("a", pa.string()), ("x", pa.string())])) as writer:
        writer.write([pa.array(["b\nc", *cells[1:]]), pa.array(cells)])
    line = "" if suffix == ".parquet" else r" \(line 6\)"
    with open_table(path) as table:
        numbers = (batch.numbers("x") for batch in table.batches())
        with pytest.raises(DataTypeError, match=rf"column 'x' .* row \d{line}") as caught:
            list(numbers)
    # Numbers as text in a Parquet file are no numbers, from the first row on.
    assert ("row 4" in str(caught.value)) == (suffix != ".parquet")


def test_a_missing_value_of_a_part_is_not_counted(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("x\n1\n\n2\n")
    with open_table(tmp_path / "rows.csv") as table:
        (batch,) = table.batches()
    assert np.isnan(batch.numbers("x", missing=True)).tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"'x' has a missing value .* in row 2 \(line 3\)"):
        batch.numbers("x")


def test_an_existing_file_needs_force(tmp_path: Path):
    source = csv_file(tmp_path / "rows.csv", ["a"], [["1"]])
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputExistsError):
        copy(source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    copy(source, tmp_path / "out.csv", force=True)
    assert (tmp_path / "out.csv").read_text() == "a\n1\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_nothing(tmp_path: Path, suffix):
    source = tmp_path / "rows.csv"
    source.write_text("a,b\n1,2\n3\n")
    with pytest.raises(DataError, match="line 3"):
        copy(source, tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_path_that_is_not_utf8(tmp_path: Path):
    for suffix in SUFFIXES:
        source = csv_file(tmp_path / "rows\udcff.csv", ["a"], [["1"]])
        copy(source, tmp_path / f"out\udcff{suffix}")
        with open_table(tmp_path / f"out\udcff{suffix}") as table:
            assert sum(len(batch) for batch in table.batches()) == 1


@pytest.mark.parametrize("mark", ['"', ",", "\n", "\r"])
def test_each_mark_needs_quotes(tmp_path: Path, mark):
    source = csv_file(tmp_path / "rows.csv", ["a", "b"], [[f"x{mark}y", "1"], ["", "2"]])
    copy(source, tmp_path / "out.csv")
    assert csv_rows(tmp_path / "out.csv") == csv_rows(source)
