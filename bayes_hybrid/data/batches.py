"""Tables from file to file, a batch of rows at a time: memory does not grow with the file."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bayes_hybrid.data.atomic import atomic_file
from bayes_hybrid.data.cells import MISSING
from bayes_hybrid.data.columns import numeric_cells, numeric_column
from bayes_hybrid.data.csv_text import CsvBlock, open_csv
from bayes_hybrid.data.parquet import as_series, batches_of, open_parquet, without_broken_notes
from bayes_hybrid.errors import DataError

__all__ = [
    "Batch",
    "TableReader",
    "TableWriter",
    "file_kind",
    "open_table",
    "opened",
    "table_writer",
]

_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")

_MAX_ROWS: Final = 2**15
_MAX_BYTES: Final = 2**23
"""Of a batch: enough that what each costs is shared by many rows, and little to hold."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Some rows of a table.

    Attributes:
        columns: as they stand in the file; of a CSV file all of them are text.
        first_row: rows of the table before them.
        block: of a CSV file, the block that they are from.
        offset: rows of the block before them.
    """

    columns: pa.RecordBatch
    first_row: int
    block: CsvBlock | None = None
    offset: int = 0

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def place(self, position: int) -> str:
        """What to call a row: its number in the table, and its line in a CSV file."""
        row = f"row {self.first_row + position + 1}"
        if self.block is None:
            return row
        return f"{row} (line {self.block.line(self.offset + position)})"

    def numbers(self, name: str, *, missing: bool = False) -> NDArray[np.float64]:
        """A column as finite numbers ``[N]``.

        Args:
            name: of the column.
            missing: whether values may be missing, which are NaN.

        Raises:
            DataError: a missing or infinite value; the message names column, row and line.
            DataTypeError: text, dates or other non-numbers.
        """
        values = self.columns.column(name)
        if self.block is not None:
            return numeric_cells(name, values, missing=missing, place=self.place)
        return numeric_column(as_series(name, values), missing=missing, place=self.place)

    def cells(self, name: str, *, numbers: bool) -> pd.Series:
        """A column as :func:`.tables.read_table` has it, ``[N]``; missing cells are missing.

        Args:
            name: of the column.
            numbers: whether a CSV file's cells are to be numbers; else they stay text.

        Raises:
            DataError: an infinite value.
            DataTypeError: a cell that is to be a number and is none.
        """
        values = self.columns.column(name)
        if self.block is None:
            return as_series(name, values)
        if numbers:
            read = numeric_cells(name, values, missing=True, place=self.place)
            return pd.Series(read, name=name)
        absent = pc.is_in(values, pa.array(MISSING))
        known = pc.if_else(absent, pa.scalar(None, pa.string()), values)
        return pd.Series(known.to_pylist(), name=name, dtype=object)


@final
class TableReader:
    """An open table, see :func:`open_table`.

    Attributes:
        schema: names and types of the columns; of a CSV file all are text.
        size: how much there is to read, in the units of :meth:`done`.
    """

    def __init__(
        self,
        schema: pa.Schema,
        size: int,
        parts: Iterator[tuple[pa.RecordBatch, CsvBlock | None]],
        done: Callable[[], int] | None = None,
    ) -> None:
        self.schema, self.size = schema, size
        self._parts, self._done, self._row = parts, done, 0

    def done(self) -> int:
        """How much has been read: bytes of a CSV file, rows of a Parquet file."""
        return self._row if self._done is None else self._done()

    def batches(self) -> Iterator[Batch]:
        """The rows in order, once.

        Raises:
            DataError: the file is damaged, or not of one shape; the message names the line.
        """
        for columns, block in self._parts:
            for offset in range(0, columns.num_rows, _MAX_ROWS):
                part = columns.slice(offset, _MAX_ROWS)
                first_row, self._row = self._row, self._row + part.num_rows
                yield Batch(columns=part, first_row=first_row, block=block, offset=offset)


@contextmanager
def open_table(path: str | os.PathLike[str]) -> Iterator[TableReader]:
    r"""A table to read in batches, of a CSV, gzipped CSV or Parquet file.

    Args:
        path: a file whose name ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Raises:
        DataError: the file is missing, unreadable, empty or truncated, not what its name says, not
            UTF-8, or has unnamed or repeated columns.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "rows.csv")
        ...     _ = path.write_text("id,x\n007,2.5\n008,3.5\n")
        ...     with open_table(path) as table:
        ...         (batch,) = table.batches()
        >>> batch.columns["id"].to_pylist(), batch.numbers("x")
        (['007', '008'], array([2.5, 3.5]))
    """
    with opened(path) as (path, kind, handle):
        if kind == ".parquet":
            with open_parquet(path, handle) as file:
                parts = batches_of(path, file, max_rows=_MAX_ROWS, max_bytes=_MAX_BYTES)
                whole = ((batch, None) for batch in parts)
                yield TableReader(file.schema_arrow, file.metadata.num_rows, whole)
            return
        with open_csv(path, handle) as text:
            schema = pa.schema([(name, pa.string()) for name in text.names])
            blocks = ((block.records, block) for block in text.blocks())
            yield TableReader(schema, os.fstat(handle.fileno()).st_size, blocks, handle.tell)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[Path, str, BinaryIO]]:
    """A file with a table, its ending, and a handle to read it by.

    Raises:
        DataError: another ending, or the file is missing or may not be read.
    """
    path = Path(path)
    kind = file_kind(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}; expected a {', '.join(_SUFFIXES)} file")
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    with handle:
        yield path, kind, handle


@final
class TableWriter:
    """A table that is being written, see :func:`table_writer`."""

    def __init__(
        self, schema: pa.Schema, sink: BinaryIO | gzip.GzipFile | pq.ParquetWriter
    ) -> None:
        self._schema, self._sink = schema, sink
        if not isinstance(sink, pq.ParquetWriter):
            header = [pa.array([name], pa.string()) for name in schema.names]
            _write_lines(sink, [_quoted(name) for name in header])

    def write(self, columns: Sequence[pa.Array]) -> None:
        """Add rows, a column for each name of the schema, of its type."""
        if isinstance(self._sink, pq.ParquetWriter):
            self._sink.write_batch(pa.record_batch(list(columns), schema=self._schema))
            return
        texts = []
        for column in columns:
            cells = _as_text(column)
            is_text = pa.types.is_string(_value_type(column.type))
            texts.append(_quoted(cells) if is_text else cells)
        _write_lines(self._sink, texts)


@contextmanager
def table_writer(
    path: str | os.PathLike[str], schema: pa.Schema, *, force: bool = False
) -> Iterator[TableWriter]:
    """A table to write in batches, that is there whole or not at all.

    Text goes into a CSV file as it stands, in quotes where it holds a comma, a quote or a line
    end; what is missing becomes an empty cell, and truth ``True`` or ``False``.

    Args:
        path: a file whose name ends in ``.csv``, ``.csv.gz`` or ``.parquet``; its folder has to
            exist.
        schema: names and types of the columns.
        force: whether an existing file may be replaced.

    Raises:
        DataError: another ending, or a type that CSV has no form for.
        OutputExistsError: ``path`` exists and ``force`` is false.
        OSError: the folder is missing or not writable, or the disk is full; nothing is left
            behind, and an existing file stays as it was.
    """
    path = Path(path)
    kind = file_kind(path)
    if kind != ".parquet":
        _refuse_formless(schema, path)
    with atomic_file(path, force=force) as handle:
        if kind == ".parquet":
            schema = without_broken_notes(schema)
            with pq.ParquetWriter(handle, schema) as writer:
                yield TableWriter(schema, writer)
        elif kind == ".csv":
            yield TableWriter(schema, handle)
        else:
            # No name and no time in the header: the same table gives the same bytes.
            with gzip.GzipFile(
                filename="", fileobj=handle, mode="wb", compresslevel=6, mtime=0
            ) as packed:
                yield TableWriter(schema, packed)


def file_kind(path: Path) -> str:
    """The ending that says how ``path`` is written.

    Raises:
        DataError: another ending.
    """
    for suffix in _SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise DataError(f"{path} must end in {', '.join(_SUFFIXES)}; got {path.suffix or 'no ending'}")


def _refuse_formless(schema: pa.Schema, path: Path) -> None:
    """Refuse, before any work is done, a type that is not written as text."""
    for field in schema:
        kind = _value_type(field.type)
        try:
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                raise pa.ArrowNotImplementedError
            # A time zone is looked up only where there is a time.
            _as_text(pa.array([0] if pa.types.is_timestamp(kind) else [], kind))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            raise DataError(
                f"{path}: column {field.name!r} holds {field.type}, for which CSV has no form; "
                "write a .parquet file, or drop the column"
            ) from None


def _value_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values, which large strings and dictionaries only store in another way."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if pa.types.is_large_string(kind) else kind


def _as_text(column: pa.Array) -> pa.StringArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return pc.cast(column, pa.string())


def _quoted(cells: pa.StringArray) -> pa.StringArray:
    """The cells, in quotes where they need them."""
    buffer = cells.buffers()[2]
    whole = b"" if buffer is None else buffer.to_pybytes()
    if not any(mark in whole for mark in (b'"', b",", b"\n", b"\r")):
        return cells
    special = pc.match_substring_regex(cells, '[",\r\n]')
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), cells)


def _write_lines(sink: BinaryIO | gzip.GzipFile, columns: Sequence[pa.StringArray]) -> None:
    """Rows of cells, joined by commas and line ends, as UTF-8."""
    rows = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
    whole = pa.ListArray.from_arrays([0, len(rows)], rows)
    sink.write(pc.binary_join(whole, "\n")[0].as_buffer())
    sink.write(b"\n")
