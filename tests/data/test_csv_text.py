"""The fast reader of CSV files against Python's csv, on texts made to tell them apart."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bayes_hybrid.data import csv_text
from bayes_hybrid.data.csv_text import CsvText, open_csv
from bayes_hybrid.errors import DataError

PATH = Path("rows.csv")


def text_of(content: bytes) -> CsvText:
    return CsvText(PATH, io.BytesIO(content))


def by_csv(content: str) -> "list[list[str]] | None":
    """All records under a header; ``None`` where Python's csv or the header refuses."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        records = list(reader)
    except csv.Error:
        return None
    header, *rows = [record for record in records if record] or [[]]
    start = records.index(header) + 1 if header else 0
    rows = [row or [""] for row in records[start:]] if len(header) == 1 else rows
    return None if any(len(row) != len(header) for row in rows) else rows


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few bytes, so that records straddle them in every way."""

    def set_size(size: int) -> None:
        monkeypatch.setattr(csv_text, "_BLOCK", size)

    return set_size


_PIECES = st.sampled_from([*'ab,"\n\r ', "a,b\n", '"a"', '""', "\r\n", "é", "\ufeff", "1,2\n"])


@given(body=st.lists(_PIECES, max_size=25).map("".join), size=st.integers(1, 40))
@example(body='1,"2\n3,4\n', size=40)
@example(body='1,"2"x\n', size=40)
@example(body="1,2\r\n3,4\r\n", size=4)
@example(body='1,x"y"\n2,"a\nb"\n', size=7)
@pytest.mark.parametrize("header", ["x\n", "x,y\n", 'x,"y\nz"\n'])
def test_records_are_those_of_pythons_csv(header, body, size):
    expected = by_csv(header + body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "_BLOCK", size)
        try:
            text = text_of((header + body).encode())
            blocks = list(text.blocks())
        except DataError:
            assert expected is None
            return
    found = [list(row.values()) for block in blocks for row in block.records.to_pylist()]
    assert found == expected
    lines = [block.line(n) for block in blocks for n in range(block.records.num_rows)]
    assert lines == first_lines(header + body)


def first_lines(content: str) -> list[int]:
    """On which line each record under the header begins, by Python's csv."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    header = next(record for record in reader if record)
    lines, line = [], reader.line_num
    for record in reader:
        if record or len(header) == 1:
            lines.append(line + 1)
        line = reader.line_num
    return lines


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1,2\n3\n5,6\n", "rows.csv, line 3: expected 2 fields, as in the header, got 1"),
        ("1,2\n\n\n3,4,5\n", "rows.csv, line 5: expected 2 fields, as in the header, got 3"),
        ('1,"a\nb"\n3\n', "rows.csv, line 4: expected 2 fields"),
        ('1,2\n3,"4\n', "rows.csv, line 3: unexpected end of data; the file may be cut off"),
        ('1,2\n3,"4"5\n', "rows.csv, line 3: ',' expected after '\"'"),
        ("1,2\n \n3,4\n", "rows.csv, line 3: expected 2 fields, as in the header, got 1"),
    ],
)
@pytest.mark.parametrize("size", [3, 2**22])
def test_a_fault_names_its_line(body, message, size, small_blocks):
    small_blocks(size)
    with pytest.raises(DataError) as caught:
        list(text_of(f"x,y\n{body}".encode()).blocks())
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [3, 2**22])
def test_what_is_not_utf8_names_its_byte(size, small_blocks):
    small_blocks(size)
    with pytest.raises(DataError, match="byte 13 is 0xe9"):
        list(text_of(b"\xef\xbb\xbfx,y\n1,2\n3,\xe9\n").blocks())


def test_most_texts_take_the_fast_way(monkeypatch):
    monkeypatch.setattr(CsvText, "_strict", lambda _: pytest.fail("by Python's csv"))
    text = text_of(b'x,y\n1,"a, ""b""\nc"\n"2",d\n')
    (block,) = text.blocks()
    assert block.records.to_pylist() == [{"x": "1", "y": 'a, "b"\nc'}, {"x": "2", "y": "d"}]


@pytest.mark.parametrize("quoted", [False, True])
def test_a_record_longer_than_a_block(quoted, small_blocks):
    small_blocks(10)
    cell, quote = "x" * 1000, '"' * quoted
    (block,) = text_of(f"a,b\n1,{quote}{cell}{quote}\n".encode()).blocks()
    assert block.records["b"].to_pylist() == [cell]


def test_a_file_without_line_ends_does_not_fill_the_memory(small_blocks, monkeypatch):
    small_blocks(10)
    monkeypatch.setattr(csv_text, "_MAX_RECORD", 100)
    with pytest.raises(DataError, match=r"rows\.csv, line 2: more than 0 MiB without the end"):
        list(text_of(b"a,b\n1," + b"x" * 1000).blocks())


def test_packed_files(tmp_path: Path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"x\n007\n") + gzip.compress(b"NA\n"))
    with path.open("rb") as handle, open_csv(path, handle) as text:
        (block,) = text.blocks()
    assert block.records["x"].to_pylist() == ["007", "NA"]
