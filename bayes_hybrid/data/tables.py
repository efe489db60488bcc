"""Tables in and out: CSV, gzipped CSV and Parquet files, and the way from a table to numbers."""

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, overload

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bayes_hybrid import checks
from bayes_hybrid.data.atomic import atomic_file
from bayes_hybrid.data.columns import numeric_column
from bayes_hybrid.errors import DataError

__all__ = ["read_table", "split_target", "write_table"]

_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a table of at least one row from a CSV, gzipped CSV or Parquet file.

    CSV is UTF-8, comma separated, with one line of distinct column names; an empty field is
    a missing value.  A named index stored in a Parquet file comes back
    as a column, an unnamed one is dropped.

    Args:
        path: a file whose name ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Returns:
        The table, with a plain ``0 ... N-1`` index.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated, not what its name says, not
            UTF-8, or has ragged lines, or unnamed or repeated columns.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "rows.csv")
        ...     _ = path.write_text("x,y\n1,2.5\n2,3.5\n")
        ...     read_table(path)["y"].tolist()
        [2.5, 3.5]
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}; expected a {', '.join(_SUFFIXES)} file")
    try:
        table = _read_parquet(path) if suffix == ".parquet" else _read_csv(path, suffix)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if table.empty:
        raise DataError(f"{path} has column names but no rows; expected at least one row")
    return table


def write_table(table: pd.DataFrame, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a table, without its index, to a file that is there whole or not at all.

    Numbers are written so that :func:`read_table` gives them back to the last bit (from CSV with
    pandas 3.1 or later; older ones may round the last bit when they read).

    Args:
        table: the rows.
        path: a file whose name ends in ``.csv``, ``.csv.gz`` or ``.parquet``; its folder has to
            exist.
        force: whether an existing file may be replaced.

    Raises:
        DataError: another ending, or repeated column names, which could not be read back.
        OutputExistsError: ``path`` exists and ``force`` is false.
        OSError: the folder is missing or not writable, or the disk is full; nothing is left
            behind, and an existing file is as it was.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_table(pd.DataFrame({"y": [0.1]}), Path(folder, "out.parquet"))
        ...     read_table(Path(folder, "out.parquet"))["y"].tolist()
        [0.1]
    """
    path = Path(path)
    suffix = _suffix(path)
    _refuse_repeats(table.columns, "the table to write")
    with atomic_file(path, force=force) as handle:
        if suffix == ".parquet":
            table.to_parquet(handle, index=False)
        elif suffix == ".csv":
            _write_csv(table, handle)
        else:
            # No name and no time in the header: the same table gives the same bytes.
            with gzip.GzipFile(filename="", fileobj=handle, mode="wb", mtime=0) as packed:
                _write_csv(table, packed)


@overload
def split_target(
    table: pd.DataFrame, target: str, features: Sequence[str] | None = None
) -> tuple[pd.DataFrame, pd.Series]: ...


@overload
def split_target(
    table: pd.DataFrame, target: Sequence[str], features: Sequence[str] | None = None
) -> tuple[pd.DataFrame, pd.Series | pd.DataFrame]: ...


def split_target(
    table: pd.DataFrame, target: str | Sequence[str], features: Sequence[str] | None = None
) -> tuple[pd.DataFrame, pd.Series | pd.DataFrame]:
    """Split a table into feature columns and one target or several, all float64 and finite.

    Booleans and integers become 0.0/1.0 and floats.  The index of the table is kept.

    Args:
        table: at least one row; the target and at least one feature among its columns.
        target: the name of the column to predict; or a list of names, where two or more make
            several outputs, of which values may be missing.
        features: the columns to predict from, in this order; all but the targets when ``None``.

    Returns:
        ``X`` with shape ``[N, D]`` and ``y`` with shape ``[N]``, named ``target``, or ``[N, Q]``
        with NaN for missing values.

    Raises:
        DataError: no rows, no features, a column that is missing or named twice, the target among
            the features, NaN or infinity (the message names column, count and first row).
        DataTypeError: text, dates or other non-numbers in a column (the message names column, row
            and value).

    Example:
        >>> table = pd.DataFrame({"hour": [1, 2], "on": [True, False], "load": [3.5, 4.0]})
        >>> X, y = split_target(table, "load")
        >>> X.columns.tolist(), y.tolist()
        (['hour', 'on'], [3.5, 4.0])
        >>> split_target(table, "laod")
        Traceback (most recent call last):
        bayes_hybrid.errors.DataError: the table has no column 'laod' among 'hour', 'on',
            'load'; did you mean 'load'?
    """
    _refuse_repeats(table.columns, "the table")
    targets = [target] if isinstance(target, str) else list(target)
    _refuse_repeats(targets, "target")
    if features is None:
        features = [name for name in table.columns if name not in targets]
    for name in (*targets, *features):
        if name not in table.columns:
            names = [str(column) for column in table.columns]
            raise DataError(
                f"the table has no column {name!r} among {_listed(names)}"
                f"{checks.suggestion(name, names)}"
            )
    if len(table) == 0:
        raise DataError("the table has no rows; expected at least one")
    if not features:
        raise DataError(
            f"there is no feature column beside the target {_listed(targets)}; expected one"
        )
    if both := [name for name in targets if name in features]:
        raise DataError(f"the target {both[0]!r} is also among the features; take it out of them")
    _refuse_repeats(features, "features")
    X = pd.DataFrame({name: numeric_column(table[name]) for name in features}, index=table.index)
    if len(targets) == 1:
        (name,) = targets
        return X, pd.Series(numeric_column(table[name]), index=table.index, name=name)
    columns = {name: numeric_column(table[name], missing=True) for name in targets}
    return X, pd.DataFrame(columns, index=table.index)


def _suffix(path: Path) -> str:
    """The ending that says how ``path`` is written."""
    for suffix in _SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise DataError(f"{path} must end in {', '.join(_SUFFIXES)}; got {path.suffix or 'no ending'}")


def _read_parquet(path: Path) -> pd.DataFrame:
    """The table in a Parquet file."""
    try:
        # ParquetFile opens this one file; read_table would look for a data set of many.
        with pq.ParquetFile(path) as file:
            _refuse_repeats(file.schema_arrow.names, str(path))
            table: pd.DataFrame = file.read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        # pyarrow says OSError for damaged pages too.
        raise DataError(f"{path} is no whole Parquet file, write it again: {error}") from error
    return table.reset_index(drop=table.index.names == [None])


def _read_csv(path: Path, suffix: str) -> pd.DataFrame:
    """The table in a CSV file, checked line by line before pandas reads it.

    pandas alone would fill short lines with missing values, make an index of extra fields, and
    rename repeated columns.
    """
    content = path.read_bytes()
    if suffix == ".csv.gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} is no whole gzip file, pack it again: {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}; "
            "save it as UTF-8"
        ) from error
    _check_lines(text, path)
    try:
        return pd.read_csv(io.StringIO(text), index_col=False, low_memory=False)
    except pd.errors.ParserError as error:
        raise DataError(f"{path} is no CSV table: {error}") from error


def _check_lines(text: str, path: Path) -> None:
    """Refuse a header with unnamed or repeated columns, and lines that do not fit it."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((line for line in reader if line), None)
        if header is None:
            raise DataError(f"{path} is empty; expected a line of column names, then rows")
        _check_header(header, path)
        for line in reader:
            if line and len(line) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected {len(header)} fields, as in the "
                    f"header, got {len(line)}; the file may be cut off, or a field holding a "
                    "comma may lack its quotes"
                )
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; the file may be cut off") from (
            error
        )


def _check_header(header: list[str], path: Path) -> None:
    """Refuse a header that does not name every column once."""
    if len(header) == 1 and (separator := next((s for s in ";\t" if s in header[0]), "")):
        raise DataError(
            f"{path} seems to separate its columns by {separator!r}; expected commas: save it "
            "with commas (and decimal points)"
        )
    for place, name in enumerate(header, start=1):
        if not name.strip():
            raise DataError(
                f"{path}: column {place} of {len(header)} has no name; give it one, or leave it "
                "out (pandas writes row numbers that way unless told index=False)"
            )
    _refuse_repeats(header, str(path))


def _refuse_repeats(names: Iterable[Hashable], where: str) -> None:
    """Refuse a name that comes twice."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where} names {_listed(repeated)} more than once; every column needs its own name"
        )


def _listed(names: Sequence[Hashable], most: int = 20) -> str:
    """The names in quotes, the first ``most`` of them."""
    rest = len(names) - most
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def _write_csv(table: pd.DataFrame, handle: BinaryIO | gzip.GzipFile) -> None:
    """The table as UTF-8 CSV into an open binary file, which stays open."""
    text = io.TextIOWrapper(handle, encoding="utf-8", newline="")
    try:
        table.to_csv(text, index=False, lineterminator="\n")
        text.flush()
    finally:
        text.detach()
