"""Hostile CSV files, each with what has to become of it.

Every function starts from the same table: text in ``name`` and ``note``, which are no features, two
features and the target between them.
"""

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from benchmarks.faults.tiny import FEATURES, TARGET, tiny_table

__all__ = ["BEYOND", "CSV", "NAMED", "ONE_FEATURE", "Case", "Expect", "base"]

Rng = np.random.Generator
Rows = list[list[str]]
Expect = Literal["same", "refused", "either", "any"]
"""Read as the base table, refused, one of the two, or at least no bug."""

HEADER: Final = ["name", "dose", "note", "other", TARGET]
_DOSE: Final = HEADER.index("dose")
_NOTE: Final = HEADER.index("note")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file.

    Attributes:
        content: its bytes.
        expect: what has to become of it.
        order: the base table's row of each of its rows, in which features and target are.
        suffix: how its name ends.
        features: the columns with the features, in the base table's order.
        target: the column with the target.
        beyond: the only row beyond the training data, if there is one.
    """

    content: bytes
    expect: Expect
    order: tuple[int, ...] = tuple(range(24))
    suffix: str = ".csv"
    features: tuple[str, ...] = tuple(FEATURES)
    target: str = TARGET
    beyond: int | None = None


def base() -> Rows:
    """The table as text."""
    table = tiny_table()
    return [
        [f"row {n}", repr(dose), "x", repr(other), repr(response)]
        for n, (dose, other, response) in enumerate(table.to_numpy().tolist())
    ]


def written(rows: Rows, header: list[str] = HEADER, **dialect: Any) -> bytes:
    """CSV in UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, **({"lineterminator": "\n"} | dialect)).writerows([header, *rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


# -- cells

NO_NUMBERS: Final = [
    *("", " ", "NA", "nan", "NaN", "NULL", "\\N", "None", "#DIV/0!", "-", "—", "?", "text"),
    *("inf", "-Infinity", "1e400", "9" * 400, "1,234.5", "1_000", "1 000", "1\u00a0000", "1'000"),
    *(
        "\uff11\uff12",
        "½",
        "\u22121.5",
        "\u0663",
        "2024-01-01",
        "01/02/2024",
        "12:30",
        "0x10",
        "1e",
        "1e5e5",
    ),
    *("1.2.3", "5%", "$3", "€3", "1d5", "1.5f", "+-1", "=1+1", "@x", "1;2", "1j", "[1]", "()"),
    *("TRUE", "true", "yes", "1\x00", "\x00", "\x1b[31m1", "1\n2", "1\u200b", "\ufeff1", "nan(3)"),
]
"""Cells that are no finite number, or none that everybody reads alike."""

_SPELLINGS: Final[list[Callable[[float], str]]] = [
    lambda v: f"{v:+.8f}",
    lambda v: f"{v:.8e}",
    lambda v: f"{v:.16E}",
    lambda v: f" {v!r}",
    lambda v: f"{v!r} ",
    lambda v: f"{v:.30f}",
    lambda v: f"{v:012.8f}",
    lambda v: f"{v * 1e6!r}e-6" if (v * 1e6).is_integer() else repr(v),
]
"""Other ways to write a number of few digits."""

ASIDE: Final = [
    *("007", "NA", "", "null", "nan", "123456789012345678", "12345678901234567890", "1.10", "1."),
    *("true", "TRUE", "False", "1e400", "-inf", "1e5", "0x1F", "1_000", "-0", "0.1000000000000001"),
    *("=1+1", "+49 30", "-", "@x", "  padded ", 'quo"te', "com,ma", "new\nline", "tab\t"),
    *("日本", "ünï", "\u200b", "\u202e", "😀", "\x1b[31m", "'", '""', "\\N", "2024-01-01", "#N/A"),
]
"""Cells of columns that are no features: each comes back as it went in."""


def _no_number(rng: Rng) -> Case:
    rows = base()
    column = HEADER.index(rng.choice(FEATURES))
    rows[rng.integers(len(rows))][column] = NO_NUMBERS[rng.integers(len(NO_NUMBERS))]
    return Case(content=written(rows), expect="refused")


def _no_number_column(rng: Rng) -> Case:
    rows = base()
    cell = NO_NUMBERS[rng.integers(len(NO_NUMBERS))]
    for row in rows:
        row[_DOSE] = cell
    # A column of truth values is one of numbers.
    return Case(content=written(rows), expect="any" if cell in ("TRUE", "true") else "refused")


def _no_number_target(rng: Rng) -> Case:
    rows = base()
    rows[rng.integers(len(rows))][-1] = NO_NUMBERS[rng.integers(len(NO_NUMBERS))]
    return Case(content=written(rows), expect="refused")


def _spelling(rng: Rng) -> Case:
    rows = base()
    for row in rows:
        spell = _SPELLINGS[rng.integers(len(_SPELLINGS))]
        row[_DOSE] = spell(float(row[_DOSE]))
    return Case(content=written(rows), expect="same")


def _aside(rng: Rng) -> Case:
    """One kind of cell, a mixture of all, or one odd cell among numbers."""
    rows = base()
    some = [ASIDE[rng.integers(len(ASIDE))] for _ in rows]
    how = rng.integers(3)
    for row, cell in zip(rows, some, strict=True):
        row[_NOTE] = some[0] if how == 0 else cell if how == 1 else "1"
    if how == 2:
        rows[rng.integers(len(rows))][_NOTE] = some[0]
    quoting = csv.QUOTE_ALL if rng.random() < 0.5 else csv.QUOTE_MINIMAL
    return Case(content=written(rows, quoting=quoting), expect="same")


def _return_aside(rng: Rng) -> Case:
    rows = base()
    rows[3][_NOTE] = "a\rb"
    return Case(content=written(rows, quoting=csv.QUOTE_ALL), expect="same")


def _beyond(rng: Rng) -> Case:
    """A row far from the training data is predicted, and said to be."""
    rows = base()
    row = int(rng.integers(len(rows)))
    rows[row][_DOSE] = str(rng.choice([-50.0, 50.0]))
    return Case(content=written(rows), expect="any", beyond=row)


def _long_cell(rng: Rng) -> Case:
    rows = base()
    rows[3][_NOTE] = "x" * int(rng.choice([1_000, 200_000, 2_000_000]))
    return Case(content=written(rows), expect="either")


def _aside_nul(rng: Rng) -> Case:
    rows = base()
    rows[3][_NOTE] = "a\x00b"
    return Case(content=written(rows), expect="either")


# -- names

NAMES: Final = [
    *(
        "a,b",
        "Ertrag, kg",
        " padded ",
        "a b",
        "ünï",
        "日本",
        "1",
        "1.5",
        "a/b",
        "..",
        "=x",
        "-",
        "@x",
    ),
    *(
        "nan",
        "None",
        "NA",
        "theta",
        "gaussian",
        "relu",
        "weight",
        "index",
        "x[0]",
        "%s",
        "{x}",
        "_",
    ),
    *(
        "$\\alpha$",
        "$x^",
        "\\frac",
        "<script>alert(1)</script>",
        "&amp;",
        "'",
        '"',
        "`",
        "__class__",
    ),
    *(
        "e\u0301",
        "\u202eabc",
        "x" * 300,
        "😀",
        "obs",
        "chain",
        "draw",
        "sample",
        "y0",
        "x0",
        "C:\\x",
    ),
]
BAD_NAMES: Final = ["", " ", "a\x00b", "\x00", "\x01\x02", "\x7f"]


def _odd_names(rng: Rng) -> Case:
    one, two, target = rng.choice(len(NAMES), 3, replace=False)
    header = [HEADER[0], NAMES[one], HEADER[2], NAMES[two], NAMES[target]]
    return Case(
        content=written(base(), header),
        expect="same",
        features=(NAMES[one], NAMES[two]),
        target=NAMES[target],
    )


def _bad_name(rng: Rng) -> Case:
    """At the door already: what is trained has to be saved, printed and drawn."""
    name = BAD_NAMES[rng.integers(len(BAD_NAMES))]
    header = [name if field == "dose" else field for field in HEADER]
    return Case(content=written(base(), header), expect="refused", features=(name, "other"))


def _escape_name(rng: Rng) -> Case:
    """What a terminal would obey, in a name: taken or not, it is never printed raw."""
    name = str(rng.choice(["\x1b[31mred", "a\x1b]0;title\x07", "a\x9b2J", "a\rb", "a\nb", "a\tb"]))
    header = [name if field == "dose" else field for field in HEADER]
    return Case(content=written(base(), header), expect="either", features=(name, "other"))


# -- lines, encodings, containers


def _text(change: Callable[[str, Rng], str], expect: Expect, **more: Any) -> Callable[[Rng], Case]:
    def case(rng: Rng) -> Case:
        text = change(written(base()).decode(), rng)
        return Case(content=text.encode("utf-8", "surrogatepass"), expect=expect, **more)

    return case


def _line(rng: Rng, text: str) -> tuple[list[str], int]:
    lines = text.splitlines()
    return lines, int(rng.integers(1, len(lines)))


def _insert(new: Callable[[str], str]) -> Callable[[str, Rng], str]:
    """A line more, made of the line before."""

    def change(text: str, rng: Rng) -> str:
        lines, at = _line(rng, text)
        return "\n".join([*lines[:at], new(lines[at]), *lines[at:]]) + "\n"

    return change


def _alter(new: Callable[[str], str]) -> Callable[[str, Rng], str]:
    def change(text: str, rng: Rng) -> str:
        lines, at = _line(rng, text)
        return "\n".join([*lines[:at], new(lines[at]), *lines[at + 1 :]]) + "\n"

    return change


def _bytes(change: Callable[[bytes, Rng], bytes], expect: Expect, **more: Any) -> Any:
    def case(rng: Rng) -> Case:
        return Case(content=change(written(base()), rng), expect=expect, **more)

    return case


def _reordered(rng: Rng) -> Case:
    rows, order = base(), rng.integers(24, size=24)
    columns = rng.permutation(len(HEADER))
    picked = [[rows[row][column] for column in columns] for row in order]
    header = [HEADER[column] for column in columns]
    order_ = tuple(int(row) for row in order)
    return Case(content=written(picked, header), expect="same", order=order_)


def _wide(rng: Rng) -> Case:
    more = [f"c{n}" for n in range(2_000)]
    rows = [[*row, *map(str, range(len(more)))] for row in base()]
    return Case(content=written(rows, [*HEADER, *more]), expect="same")


def _without(rng: Rng) -> Case:
    drop = HEADER.index(rng.choice(FEATURES))
    rows = [[cell for at, cell in enumerate(row) if at != drop] for row in base()]
    header = [name for at, name in enumerate(HEADER) if at != drop]
    return Case(content=written(rows, header), expect="refused")


def _blank_lines(rng: Rng) -> Case:
    """Among lines of one column a blank line is a row whose cell is missing."""
    lines = [row[_DOSE] for row in base()]
    for at in sorted(rng.integers(1, len(lines), size=3), reverse=True):
        lines.insert(int(at), "")
    return Case(content=("dose\n" + "\n".join(lines) + "\n").encode(), expect="refused")


_GZ: Final = {"suffix": ".csv.gz"}
CSV: Final[dict[str, Callable[[Rng], Case]]] = {
    "a cell that is no number": _no_number,
    "a column that is no number": _no_number_column,
    "a number spelt otherwise": _spelling,
    "cells aside": _aside,
    "cells aside (2)": _aside,
    "a long cell aside": _long_cell,
    "a NUL aside": _aside_nul,
    "a carriage return aside": _return_aside,
    "rows and columns reordered": _reordered,
    "2,000 columns more": _wide,
    "a feature missing": _without,
    "blank lines between": _text(_insert(lambda line: ""), "same"),
    "blank lines at the end": _text(lambda text, rng: text + "\n\n", "same"),
    "a line of spaces": _text(_insert(lambda line: "   "), "refused"),
    "a line of commas": _text(_insert(lambda line: "," * line.count(",")), "refused"),
    "a short line": _text(_alter(lambda line: line.rpartition(",")[0]), "refused"),
    "a long line": _text(_alter(lambda line: line + ",1"), "refused"),
    "a comma at each line's end": _text(lambda t, rng: t.replace("\n", ",\n"), "refused"),
    "an open quote": _text(_alter(lambda line: line.replace(",x,", ',"x,')), "refused"),
    "the header again": _text(_insert(lambda line: ",".join(HEADER)), "refused"),
    "a comment first": _text(lambda text, rng: "# made by hand\n" + text, "refused"),
    "sep= first": _text(lambda text, rng: "sep=,\n" + text, "refused"),
    "semicolons": _text(lambda text, rng: text.replace(",", ";"), "refused"),
    "tabs": _text(lambda text, rng: text.replace(",", "\t"), "refused"),
    "a repeated name": _text(lambda t, rng: t.replace("note", "dose", 1), "refused"),
    "header only": _text(lambda text, rng: text.splitlines()[0] + "\n", "refused"),
    "nothing": _text(lambda text, rng: "", "refused"),
    "white space only": _text(lambda text, rng: " \n\t\n", "refused"),
    "carriage returns and newlines": _text(lambda t, rng: t.replace("\n", "\r\n"), "same"),
    "carriage returns": _text(lambda text, rng: text.replace("\n", "\r"), "either"),
    "no newline at the end": _text(lambda text, rng: text[:-1], "same"),
    "all in quotes": lambda rng: Case(
        content=written(base(), quoting=csv.QUOTE_ALL), expect="same"
    ),
    "a byte order mark": _text(lambda text, rng: "\ufeff" + text, "same"),
    "UTF-16": _bytes(lambda b, rng: b.decode().encode("utf-16"), "refused"),
    "Latin-1": _bytes(lambda b, rng: b.replace(b",x,", ",é,".encode("latin-1")), "refused"),
    "noise": _bytes(lambda b, rng: rng.bytes(500), "refused"),
    "cut anywhere": _bytes(lambda b, rng: b[: rng.integers(len(b))], "any"),
    "a flipped bit": _bytes(
        lambda b, rng: (
            lambda at: b[:at] + bytes([b[at] ^ 1 << int(rng.integers(8))]) + b[at + 1 :]
        )(int(rng.integers(len(b)))),
        "any",
    ),
    "gzip": _bytes(lambda b, rng: gzip.compress(b), "same", **_GZ),
    "gzip in two parts": _bytes(
        lambda b, rng: gzip.compress(b[:200]) + gzip.compress(b[200:]), "same", **_GZ
    ),
    "gzip cut": _bytes(lambda b, rng: gzip.compress(b)[: rng.integers(300)], "refused", **_GZ),
    "gzip and noise": _bytes(lambda b, rng: gzip.compress(b) + b"noise", "either", **_GZ),
    "no gzip": _bytes(lambda b, rng: b, "refused", **_GZ),
    "CSV called Parquet": _bytes(lambda b, rng: b, "refused", suffix=".parquet"),
    "CSV in capitals": _bytes(lambda b, rng: b, "same", suffix=".CSV"),
}
NAMED: Final[dict[str, Callable[[Rng], Case]]] = {
    "odd names": _odd_names,
    "odd names (2)": _odd_names,
    "odd names (3)": _odd_names,
    "a name that is none": _bad_name,
    "a name with controls": _escape_name,
    "a target that is no number": _no_number_target,
}
"""What only ``fit`` can be given: names, and targets."""
ONE_FEATURE: Final[dict[str, Callable[[Rng], Case]]] = {"blank lines in one column": _blank_lines}
BEYOND: Final[dict[str, Callable[[Rng], Case]]] = {"a row beyond the data": _beyond}
