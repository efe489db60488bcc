"""Parquet files, whole or in batches of bounded size."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bayes_hybrid.data.columns import refuse_names
from bayes_hybrid.errors import DataError

__all__ = [
    "as_series",
    "as_table",
    "batches_of",
    "open_parquet",
    "read_whole",
    "without_broken_notes",
]

_BUFFER: Final = 2**20
"""Bytes of a column that are read at a time; the default is all that a row group has."""

_PROBE: Final = 64
"""Rows that are read to learn how large a row is; the file's own sum counts repeated text once."""


# A time zone that nobody knows, a year beyond 9999: types have no bounds of their own.
_UNREADABLE: Final = (ValueError, ArithmeticError, LookupError, NotImplementedError)


@contextmanager
def open_parquet(path: Path, handle: BinaryIO) -> Iterator[pq.ParquetFile]:
    """A Parquet file whose columns are each named once.

    Args:
        path: its name, for messages.
        handle: the open file, because pyarrow takes no path that is not UTF-8.

    Raises:
        DataError: the file cannot be read, is truncated or no Parquet file, or its names cannot be.
    """
    with _damage(path):
        # This one file: read_table would look for a data set of many.
        file = pq.ParquetFile(handle, buffer_size=_BUFFER, pre_buffer=False)
    with file:
        refuse_names(file.schema_arrow.names, str(path))
        yield file


def read_whole(path: Path, file: pq.ParquetFile) -> pa.Table:
    """All rows, without pandas's notes, and without what it makes of an index that has no name.

    Raises:
        DataError: the file is damaged.
    """
    with _damage(path):
        table = file.read()
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    return table.select(names).replace_schema_metadata(None)


def as_table(table: pa.Table) -> pd.DataFrame:
    """The columns as pandas holds them.

    Raises:
        DataError: as :func:`as_series`.
    """
    try:
        read: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    except _UNREADABLE:
        for name in table.column_names:
            as_series(name, table[name])
        raise
    return read


def as_series(name: str, values: pa.Array | pa.ChunkedArray) -> pd.Series:
    """A column as pandas holds it.

    Raises:
        DataError: pandas has no such value or no such time zone.
    """
    try:
        read: pd.Series = values.to_pandas().rename(name)
    except _UNREADABLE as error:
        raise DataError(
            f"column {name!r} holds {values.type}, with a time zone or a value that pandas does "
            "not know; mend the column, or leave it out"
        ) from error
    return read


def batches_of(
    path: Path, file: pq.ParquetFile, *, max_rows: int, max_bytes: int
) -> Iterator[pa.RecordBatch]:
    """The rows in order, in batches bounded by rows and, as far as rows are alike, by bytes.

    Raises:
        DataError: the file is damaged.
    """
    size = max(1, *(batch.nbytes // len(batch) for batch in _read(path, file, _PROBE, most=1)), 1)
    meta = file.metadata
    groups = [meta.row_group(group) for group in range(meta.num_row_groups)]
    size = max(size, sum(group.total_byte_size for group in groups) // max(1, meta.num_rows))
    yield from _read(path, file, min(max_rows, max(1, max_bytes // size)))


def without_broken_notes(schema: pa.Schema) -> pa.Schema:
    """The schema, without pandas's notes on it unless pandas can follow them.

    They are JSON of any content, so that reading them can fail in any way.
    """
    try:
        schema.empty_table().to_pandas()
    except Exception:
        kept = {k: v for k, v in (schema.metadata or {}).items() if k != b"pandas"}
        return schema.with_metadata(kept)
    return schema


def _read(
    path: Path, file: pq.ParquetFile, num_rows: int, *, most: int | None = None
) -> Iterator[pa.RecordBatch]:
    with _damage(path):
        batches = file.iter_batches(batch_size=num_rows, use_threads=False)
    while most is None or most > 0:
        with _damage(path):
            batch = next(batches, None)
        if batch is None:
            return
        if len(batch):
            yield batch
        most = None if most is None else most - 1


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Errors of a damaged file as ours; for damaged pages pyarrow says OSError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no whole Parquet file, write it again: {error}") from error
