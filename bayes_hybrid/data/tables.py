"""Tables in and out: CSV, gzipped CSV and Parquet files, and the way from a table to numbers."""

import csv
import gzip
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, overload

import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.data.atomic import atomic_file
from bayes_hybrid.data.batches import file_kind, opened
from bayes_hybrid.data.cells import MISSING, plain_numbers
from bayes_hybrid.data.columns import listed, numeric_column, refuse_repeats
from bayes_hybrid.data.csv_text import open_csv
from bayes_hybrid.data.learning import plain_columns
from bayes_hybrid.data.parquet import as_table, open_parquet, read_whole
from bayes_hybrid.errors import DataError

__all__ = ["read_table", "split_target", "write_table"]


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a table of at least one row from a CSV, gzipped CSV or Parquet file.

    CSV is UTF-8, comma separated, with one line of distinct column names; an empty field is
    a missing value, and so are ``NA``, ``NaN``, ``null`` and the like.  A blank line is an empty
    cell in a file of one column, and nothing in one of more.  A Parquet file is read by its own
    types, not by what pandas noted beside them: an index that has a name is a column, one that has
    none is dropped.

    Args:
        path: a file whose name ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Returns:
        The table, with a plain ``0 ... N-1`` index.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated, not what its name says, not
            UTF-8, or has ragged lines, or columns that are unnamed, repeated, called by a name
            that cannot be shown, or of a time zone that is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "rows.csv")
        ...     _ = path.write_text("x,y\n1,2.5\n2,3.5\n")
        ...     read_table(path)["y"].tolist()
        [2.5, 3.5]
    """
    with opened(path) as (path, kind, handle):
        read = _read_parquet if kind == ".parquet" else _read_csv
        table = read(path, handle)
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
    suffix = file_kind(path)
    refuse_repeats(table.columns, "the table to write")
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
    """Split a table into feature columns and one target or several.

    Numbers are float64: booleans and integers become 0.0/1.0 and floats.  Features of text,
    categories or dates stay as they are, for :meth:`.HybridRegressor.fit` to encode; missing
    numbers of features are NaN.  The index of the table is kept.

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
            the features, infinity, or NaN in the only target (the message names column, count and
            first row).
        DataTypeError: text, dates or other non-numbers in a target (the message names column, row
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
    refuse_repeats(table.columns, "the table")
    targets = [target] if isinstance(target, str) else list(target)
    refuse_repeats(targets, "target")
    if features is None:
        features = [name for name in table.columns if name not in targets]
    for name in (*targets, *features):
        if name not in table.columns:
            names = [str(column) for column in table.columns]
            raise DataError(
                f"the table has no column {name!r} among {listed(names)}"
                f"{checks.suggestion(name, names)}"
            )
    if len(table) == 0:
        raise DataError("the table has no rows; expected at least one")
    if not features:
        raise DataError(
            f"there is no feature column beside the target {listed(targets)}; expected one"
        )
    if both := [name for name in targets if name in features]:
        raise DataError(f"the target {both[0]!r} is also among the features; take it out of them")
    refuse_repeats(features, "features")
    X = plain_columns(table[[*features]])
    if len(targets) == 1:
        (name,) = targets
        return X, pd.Series(numeric_column(table[name]), index=table.index, name=name)
    columns = {name: numeric_column(table[name], missing=True) for name in targets}
    return X, pd.DataFrame(columns, index=table.index)


def _read_parquet(path: Path, handle: BinaryIO) -> pd.DataFrame:
    """The table in a Parquet file, by its own types: what pandas noted beside them may be wrong."""
    with open_parquet(path, handle) as file:
        return as_table(read_whole(path, file))


def _read_csv(path: Path, handle: BinaryIO) -> pd.DataFrame:
    """The table in a CSV file, checked record by record before pandas reads it.

    pandas alone would fill short lines with missing values, make an index of extra fields, and
    rename repeated columns.
    """
    whole, count = io.BytesIO(), 0
    with open_csv(path, handle) as text:
        names = text.names
        for block in text.blocks():
            whole.write(block.raw)
            count += len(block.records)
    if not count:
        return pd.DataFrame(columns=names)
    whole.seek(0)
    try:
        table: pd.DataFrame = pd.read_csv(
            whole,
            names=names,
            header=None,
            index_col=False,
            low_memory=False,
            skip_blank_lines=len(names) > 1,
            keep_default_na=False,
            na_values=list(MISSING),
            encoding="utf-8",
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path} is no CSV table: {error}") from error
    if len(table) != count:
        raise DataError(f"{path} has {count} records, of which pandas reads {len(table)}")
    for name in table.select_dtypes(["object", "string"]):
        numbers = plain_numbers(table[name])
        if numbers is not None:
            table[name] = numbers
    return table


def _write_csv(table: pd.DataFrame, handle: BinaryIO | gzip.GzipFile) -> None:
    """The table as UTF-8 CSV into an open binary file, which stays open."""
    text = io.TextIOWrapper(handle, encoding="utf-8", newline="")
    try:
        texts = [*table.columns, *table.select_dtypes(exclude="number").to_numpy().flat]
        # Python's csv forgets the quotes around a lone carriage return.
        returns = any(isinstance(cell, str) and "\r" in cell for cell in texts)
        table.to_csv(
            text,
            index=False,
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL,
        )
        text.flush()
    finally:
        text.detach()
