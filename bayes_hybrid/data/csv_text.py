"""CSV files in blocks of records: every cell as the text that stands in the file.

Python's ``csv``, strict, says what a record is and what is wrong with one.  pyarrow reads the
blocks on which both are known to agree, many times as fast.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from bayes_hybrid.data.columns import refuse_names
from bayes_hybrid.errors import DataError

__all__ = ["CsvBlock", "CsvText", "open_csv"]

_BLOCK: Final = 2**22
"""Bytes that are read at a time: some ten thousand rows."""

_MAX_RECORD: Final = 2**26
"""Bytes of the longest record; a file without line ends must not fill the memory."""

_PROBE: Final = 1024
"""Bytes at the beginning that say how wide characters are."""

_BOM: Final = b"\xef\xbb\xbf"
_QUOTE: Final = ord('"')
_AROUND: Final = np.isin(np.arange(256), [ord(char) for char in '",\n\r'])
"""What may stand before and after a quote, by its byte."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CsvBlock:
    """Some records of a file.

    Attributes:
        records: ``[N]``, a column of text for each name of the header.
        raw: their bytes in the file.
        first_line: lines of the file before them.
    """

    records: pa.RecordBatch
    raw: bytes
    first_line: int

    def line(self, position: int) -> int:
        """The line of the file, from 1, on which a record begins."""
        line = self.first_line
        one_column = self.records.num_columns == 1
        for record in _Records(self.raw, self.first_line):
            if record.fields or one_column:
                position -= 1
            if position < 0:
                return line + 1
            line = record.line
        return line


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Fields, the bytes of the block up to the record's end, and the line on which it ends."""

    fields: list[str]
    end: int
    line: int


@final
class CsvText:
    """An open CSV file, its header read.  See :func:`open_csv`."""

    def __init__(self, path: Path, stream: BinaryIO | gzip.GzipFile) -> None:
        self._path, self._stream = path, stream
        self._ended = False
        # Of the bytes that were read: the rest that no record has taken, and where it begins.
        self._rest, self._offset, self._line = b"", 0, 0
        self._more(_BLOCK)
        _refuse_wide(self._rest[:_PROBE], path)
        if self._rest.startswith(_BOM):
            self._take(len(_BOM), 0)
        self.names = self._header()
        _check_header(self.names, path)
        self._convert = pacsv.ConvertOptions(
            column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False
        )

    def blocks(self) -> Iterator[CsvBlock]:
        """The records after the header, none of them ragged.

        A blank line is an empty cell where there is one column, and nothing where there are more.

        Raises:
            DataError: a line does not fit the header or is no CSV, or the file is truncated or not
                UTF-8; the message names the line.
        """
        while self._rest or not self._ended:
            block = self._fast() or self._strict()
            if block is not None:
                if block.records.num_rows:
                    yield block
                continue
            if len(self._rest) > _MAX_RECORD:
                raise DataError(
                    f"{self._path}, line {self._line + 1}: more than {_MAX_RECORD >> 20} MiB "
                    "without the end of a record; a quote may lack its partner"
                )
            # Doubled, so that a long record is looked through a few times only.
            self._more(max(_BLOCK, len(self._rest)))

    def _header(self) -> list[str]:
        """The first record that is no blank line."""
        while True:
            for record in self._records():
                if record.fields:
                    self._take(record.end, record.line - self._line)
                    return record.fields
            if self._ended:
                raise DataError(
                    f"{self._path} is empty; expected a line of column names, then rows"
                )
            if len(self._rest) > _MAX_RECORD:
                raise DataError(f"{self._path}: the line of column names does not end")
            self._more(max(_BLOCK, len(self._rest)))

    def _more(self, size: int) -> None:
        """Read on."""
        try:
            read = self._stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{self._path} is no whole gzip file, pack it again: {error}"
            ) from error
        except OSError as error:
            raise DataError(f"{self._path} cannot be read: {error}") from error
        self._ended = len(read) < size
        self._rest += read

    def _take(self, size: int, lines: int) -> bytes:
        """Bytes off the rest."""
        taken, self._rest = self._rest[:size], self._rest[size:]
        self._offset += size
        self._line += lines
        return taken

    def _fast(self) -> CsvBlock | None:
        """The whole records of the rest as pyarrow reads them; ``None`` where it may be wrong."""
        end = _whole_records(self._rest, final=self._ended)
        if not end or self._rest.startswith(_BOM):  # which pyarrow would drop
            return None
        block = self._rest[:end]
        try:
            table = pacsv.read_csv(
                pa.BufferReader(block),
                # One block: what is no whole record would otherwise be cut in two.
                pacsv.ReadOptions(column_names=self.names, block_size=end + 1, use_threads=False),
                pacsv.ParseOptions(
                    newlines_in_values=b'"' in block, ignore_empty_lines=len(self.names) > 1
                ),
                self._convert,
            )
        except pa.ArrowInvalid:
            return None
        (records,) = table.combine_chunks().to_batches() or [_empty(self.names)]
        return self._block(records, end, _count_lines(block))

    def _strict(self) -> CsvBlock | None:
        """The same by Python's csv, which names the line of a fault; ``None`` for no record."""
        rows, end, line, width = [], 0, self._line, len(self.names)
        for record in self._records():
            fields = record.fields or ([""] if width == 1 else [])
            if fields:
                if len(fields) != width:
                    raise DataError(
                        f"{self._path}, line {record.line}: expected {width} fields, as in the "
                        f"header, got {len(fields)}; the file may be cut off, or a field holding "
                        "a comma may lack its quotes"
                    )
                rows.append(fields)
            end, line = record.end, record.line
        if not end:
            if self._ended:
                self._rest = b""
            return None
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        records = pa.record_batch(columns, self.names) if rows else _empty(self.names)
        return self._block(records, end, line - self._line)

    def _block(self, records: pa.RecordBatch, end: int, lines: int) -> CsvBlock:
        first_line = self._line
        return CsvBlock(records=records, raw=self._take(end, lines), first_line=first_line)

    def _records(self) -> "_Records":
        return _Records(self._rest, self._line, self._path, self._offset, final=self._ended)


@final
class _Records:
    """The records that end in a block, by Python's csv.  A fault is a DataError."""

    def __init__(
        self, block: bytes, line: int, path: Path | None = None, offset: int = 0, final: bool = True
    ) -> None:
        self._lines = block.splitlines(keepends=True)
        if not final and self._lines:
            # It may go on, and a return may be followed by a line feed.
            self._lines.pop()
        self._line, self._path, self._offset, self._final = line, path, offset, final
        self._taken, self._ended = 0, False

    def __iter__(self) -> Iterator[_Record]:
        reader = csv.reader(self._texts(), strict=True)
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                if self._ended and not self._final:
                    return
                raise DataError(
                    f"{self._path}, line {self._line + reader.line_num}: {error}; the file may be "
                    "cut off"
                ) from error
            if fields is None:
                return
            yield _Record(fields=fields, end=self._taken, line=self._line + reader.line_num)

    def _texts(self) -> Iterator[str]:
        for line in self._lines:
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                place = self._offset + self._taken + error.start
                raise DataError(
                    f"{self._path} is not UTF-8 text: byte {place} is 0x{line[error.start]:02x}; "
                    "save it as UTF-8"
                ) from error
            self._taken += len(line)
            yield text
        self._ended = True


@contextmanager
def open_csv(path: Path, handle: BinaryIO) -> Iterator[CsvText]:
    """A CSV file, or one packed by gzip if its name ends in ``.gz``, up to its header.

    Args:
        path: its name, for messages.
        handle: the open file, at its beginning.

    Raises:
        DataError: the file cannot be read, is truncated, has no header, is not UTF-8, or names a
            column twice or not at all.
    """
    if path.name.lower().endswith(".gz"):
        with gzip.GzipFile(fileobj=handle) as stream:
            yield CsvText(path, stream)
    else:
        yield CsvText(path, handle)


def _refuse_wide(start: bytes, path: Path) -> None:
    """Refuse text of two or four bytes a character, of which Latin letters leave some empty."""
    if 4 * start.count(0) >= len(start) > 0:
        raise DataError(
            f"{path} is not UTF-8 text: it seems to be UTF-16 or UTF-32; save it as UTF-8"
        )


def _check_header(header: list[str], path: Path) -> None:
    """Refuse a header that does not name every column once."""
    if len(header) == 1 and (separator := next((s for s in ";\t" if s in header[0]), "")):
        raise DataError(
            f"{path} seems to separate its columns by {separator!r}; expected commas: save it "
            "with commas (and decimal points)"
        )
    refuse_names(header, str(path))


def _whole_records(block: bytes, *, final: bool) -> int:
    """Bytes of the records that end in the block.

    0 where none ends in it, or where quotes stand otherwise than RFC 4180 has them: around a whole
    cell, and doubled inside.
    """
    raw = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(raw == _QUOTE)
    # A return at the very end may be followed by a line feed.
    end, stop = len(block), len(block) - block.endswith(b"\r")
    while not final:
        end = 1 + max(block.rfind(b"\n", 0, stop), block.rfind(b"\r", 0, stop))
        count = int(np.searchsorted(quotes, end))
        if count % 2 == 0:
            break
        stop = int(quotes[count - 1])  # in the middle of a quoted cell
    quotes = quotes[quotes < end]
    opening, closing = quotes[::2], quotes[1::2]
    if len(opening) != len(closing):
        return 0
    # At the very beginning and end there is nothing around; the quote itself passes.
    before, after = np.maximum(opening - 1, 0), np.minimum(closing + 1, end - 1)
    return end if (_AROUND[raw[before]] & _AROUND[raw[after]]).all() else 0


def _count_lines(block: bytes) -> int:
    lines = block.count(b"\n")
    return lines + block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else lines


def _empty(names: list[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], pa.string()) for _ in names], names)
