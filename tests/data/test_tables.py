import errno
import gzip
import os
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hybrid.data import read_table, split_target, write_table
from bayes_hybrid.errors import DataError, DataTypeError, OutputExistsError

SUFFIXES = [".csv", ".csv.gz", ".parquet"]


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [0.1, 1 / 3, -1e-300, 1e300],
            "count": [1, 2, 3, 4],
            "on": [True, False, True, True],
            "where": ['a "b"', "c,d", "line\nbreak", "é\rè"],
        }
    )


def _csv(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Reading what was written


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_to_the_last_bit(table: pd.DataFrame, tmp_path: Path, suffix):
    path = tmp_path / f"rows{suffix}"
    write_table(table, path)
    pd.testing.assert_frame_equal(read_table(path), table, check_exact=True)


@pytest.mark.skipif(
    tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1),
    reason="older pandas may round the last bit when it reads",
)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_float_survives_csv(tmp_path_factory: pytest.TempPathFactory, values):
    path = tmp_path_factory.mktemp("floats") / "rows.csv"
    write_table(pd.DataFrame({"x": values}), path)
    assert read_table(path)["x"].tolist() == values


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_table_same_bytes(table: pd.DataFrame, tmp_path: Path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_table(table, first)
    write_table(table, second)
    assert first.read_bytes() == second.read_bytes()
    # Bytes 4 to 7 of a gzip file are the time at which it was packed.
    assert suffix != ".csv.gz" or first.read_bytes()[4:8] == bytes(4)


def test_capital_suffix_and_text_path(table: pd.DataFrame, tmp_path: Path):
    write_table(table, str(tmp_path / "ROWS.CSV"))
    assert len(read_table(str(tmp_path / "ROWS.CSV"))) == 4


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n1,2\n3,4\n",
        "x,y\n1,2\n3,4",
        "x,y\r\n1,2\r\n3,4\r\n",
        "x,y\r1,2\r3,4\r",
        "\ufeffx,y\n1,2\n3,4\n",
        "\nx,y\n1,2\n\n3,4\n\n",
        '"x","y"\n"1","2"\n3,4\n',
    ],
)
def test_csv_dialects(tmp_path: Path, content):
    read = read_table(_csv(tmp_path, content))
    assert read.columns.tolist() == ["x", "y"]
    assert read.to_numpy().tolist() == [[1, 2], [3, 4]]


def test_empty_field_is_missing(tmp_path: Path):
    read = read_table(_csv(tmp_path, "x,y\n1,\n,4\n"))
    np.testing.assert_array_equal(read.to_numpy(), [[1.0, np.nan], [np.nan, 4.0]])


def test_parquet_index(tmp_path: Path):
    named = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.Index([5, 7], name="year"))
    named.to_parquet(tmp_path / "named.parquet")
    named.rename_axis(None).to_parquet(tmp_path / "unnamed.parquet")
    assert read_table(tmp_path / "named.parquet").columns.tolist() == ["y", "year"]
    unnamed = read_table(tmp_path / "unnamed.parquet")
    assert unnamed.columns.tolist() == ["y"]
    assert unnamed.index.tolist() == [0, 1]


# Files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a line of column names"),
        (b"\n\n", "is empty; expected a line of column names"),
        (b"x,y\n", "has column names but no rows"),
        (b"x,y\n1,2\n3", r"line 3: expected 2 fields, as in the header, got 1; .*cut off"),
        (b"x,y\n1,2,3\n4,5,6\n", r"line 2: expected 2 fields, as in the header, got 3"),
        (b'x,y\n1,"2\n3,4\n', r"line 3: unexpected end of data; the file may be cut off"),
        (b"x,y,x\n1,2,3\n", "names 'x' more than once"),
        ("\ufeffx,y,x\n1,2,3\n".encode(), "names 'x' more than once"),
        (b",y\n0,2\n", "column 1 of 2 has no name"),
        (b"x;y\n1,5;2\n", "seems to separate its columns by ';'"),
        (b"x\ty\n1\t2\n", r"seems to separate its columns by '\\t'"),
        (b"x,y\n1,caf\xe9\n", "is not UTF-8 text: byte 9 is 0xe9; save it as UTF-8"),
        ("x,y\n1,2\n".encode("utf-16"), "it seems to be UTF-16 or UTF-32; save it as UTF-8"),
        ("x,y\n1,2\n".encode("utf-16-le"), "it seems to be UTF-16 or UTF-32; save it as UTF-8"),
        ("x,y\n1,2\n".encode("utf-32-be"), "it seems to be UTF-16 or UTF-32; save it as UTF-8"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:25],
)
def test_bad_csv(tmp_path: Path, content, message):
    for name, packed in (("rows.csv", content), ("rows.csv.gz", gzip.compress(content))):
        path = _csv(tmp_path, packed, name)
        with pytest.raises(DataError, match=message) as caught:
            read_table(path)
        assert name in str(caught.value)


@pytest.mark.parametrize("keep", [0, 1, 5, 0.5, -1])
@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_truncated_files(table: pd.DataFrame, tmp_path: Path, suffix, keep):
    path = tmp_path / f"rows{suffix}"
    write_table(table, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"rows\.(csv\.gz|parquet) is (no whole|empty)"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_foreign_files(tmp_path: Path, suffix):
    path = _csv(tmp_path, "x,y\n1,2\n" * 10, f"rows{suffix}")
    with pytest.raises(DataError, match="is no whole"):
        read_table(path)


def test_repeated_parquet_columns(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([[1.0], [2.0]], names=["x", "x"]), path)
    with pytest.raises(DataError, match=r"rows\.parquet names 'x' more than once"):
        read_table(path)


def test_damaged_parquet_pages(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    write_table(pd.DataFrame({"x": np.arange(1000.0)}), path)
    damaged = bytearray(path.read_bytes())
    damaged[4:400] = b"\xff" * 396
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="is no whole Parquet file"):
        read_table(path)


def test_missing_file_and_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv is a folder"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", "rows.csv.zip", "rows.gz"])
def test_other_endings_are_refused(table: pd.DataFrame, tmp_path: Path, name):
    for use in (read_table, lambda path: write_table(table, path)):
        with pytest.raises(DataError, match=r"must end in \.csv, \.csv\.gz, \.parquet; got"):
            use(tmp_path / name)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, *_: object) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    path = _csv(tmp_path, "x\n1\n")
    # Not chmod, because root may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"rows\.csv cannot be read: .*Permission denied"):
        read_table(path)


# Writing


def test_write_needs_force(table: pd.DataFrame, tmp_path: Path):
    path = _csv(tmp_path, "old")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_table(table, path)
    assert path.read_text() == "old"
    write_table(table, path, force=True)
    assert len(read_table(path)) == 4


def test_write_refuses_repeated_columns(tmp_path: Path):
    with pytest.raises(DataError, match="names 'a' more than once"):
        write_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), tmp_path / "rows.csv")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_write_that_runs_out_of_space(tmp_path: Path, suffix):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"old")
    big = pd.DataFrame({"x": np.random.default_rng(0).standard_normal(50_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system lets no file grow beyond 64 kB: a failure in the middle, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        with pytest.raises(OSError, match="nothing was written to"):
            write_table(big, path, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


# From a table to features and target


def test_split_takes_all_other_columns(table: pd.DataFrame):
    X, y = split_target(table.drop(columns="where"), "x")
    assert X.columns.tolist() == ["count", "on"]
    assert (X.dtypes == np.float64).all()
    assert y.name == "x"
    assert y.dtype == np.float64
    assert X["on"].tolist() == [1.0, 0.0, 1.0, 1.0]


def test_split_keeps_order_and_index(table: pd.DataFrame):
    table.index = pd.Index([9, 8, 7, 6])
    X, y = split_target(table, "x", ["on", "count"])
    assert X.columns.tolist() == ["on", "count"]
    assert X.index.tolist() == y.index.tolist() == [9, 8, 7, 6]


def test_split_leaves_the_table_alone(table: pd.DataFrame):
    before = table.copy()
    X, y = split_target(table, "x", ["count"])
    X.iloc[0, 0] = -1.0
    y.iloc[0] = -1.0
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("target", "features", "message"),
    [
        ("X", None, "no column 'X' among 'x', 'count', 'on', 'where'; did you mean 'x'"),
        ("x", ["coutn"], "no column 'coutn' .* did you mean 'count'"),
        ("x", ["pressure"], "no column 'pressure' among 'x', 'count', 'on', 'where'$"),
        ("x", [], "no feature column beside the target 'x'"),
        ("x", ["x", "count"], "the target 'x' is also among the features"),
        ("x", ["count", "count"], "features names 'count' more than once"),
    ],
)
def test_split_names_the_column(table: pd.DataFrame, target, features, message):
    with pytest.raises(DataError, match=message):
        split_target(table, target, features)


def test_split_refuses_text_and_holes_in_the_target_alone(table: pd.DataFrame):
    with pytest.raises(DataTypeError, match="column 'where' holds text, first in row 1"):
        split_target(table, "where")
    table.loc[2, "x"] = np.nan
    with pytest.raises(DataError, match=r"column 'x' has 1 missing value .*first in row 3"):
        split_target(table, "x", ["count"])
    X, _ = split_target(table, "count")
    pd.testing.assert_series_equal(X["where"], table["where"])
    np.testing.assert_array_equal(X["x"], table["x"])
    with pytest.raises(DataError, match="column 'x' has 1 infinite value, first in row 3"):
        split_target(table.fillna({"x": np.inf}), "count")


def test_split_refuses_no_rows_no_features_and_repeats(table: pd.DataFrame):
    with pytest.raises(DataError, match="the table has no rows"):
        split_target(table.iloc[:0], "x", ["count"])
    with pytest.raises(DataError, match="no feature column"):
        split_target(table[["x"]], "x")
    with pytest.raises(DataError, match="the table names 'x' more than once"):
        split_target(pd.concat([table, table[["x"]]], axis=1), "count")


def test_one_row_is_enough_for_a_table(tmp_path: Path):
    X, y = split_target(read_table(_csv(tmp_path, "x,y\n1,2\n")), "y")
    assert (X.shape, y.shape) == ((1, 1), (1,))


def test_a_long_list_of_columns_is_cut():
    wide = pd.DataFrame(np.zeros((1, 500)), columns=[f"c{i}" for i in range(500)])
    with pytest.raises(DataError, match=r"'c19' and 480 more$"):
        split_target(wide, "zzz")


# Blank lines


def test_a_blank_line_of_one_column_is_a_missing_value(tmp_path: Path):
    read = read_table(_csv(tmp_path, "\nx\n1\n\n2\n\n"))
    np.testing.assert_array_equal(read["x"], [1.0, np.nan, 2.0, np.nan])
    with pytest.raises(DataError, match=r"'x' has 2 missing values .*, first in row 2"):
        split_target(read.assign(z=0.0), "x")


def test_only_empty_cells_and_their_like_are_missing(tmp_path: Path):
    read = read_table(_csv(tmp_path, "x,y\nNA,\nnull,-\n1,-\n"))
    np.testing.assert_array_equal(read["x"], [np.nan, np.nan, 1.0])
    assert read["y"].fillna("").tolist() == ["", "-", "-"]
