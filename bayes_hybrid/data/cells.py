"""Cells of text: the numbers that they spell, or what they hold instead."""

import re
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "ABSENT",
    "MISSING",
    "TRUTH",
    "WORDS",
    "CellKind",
    "cell_kind",
    "plain_numbers",
    "spelt_numbers",
    "truths",
]

MISSING: Final = (
    *("", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Cells of a CSV file that stand for a missing value; the list of pandas."""

_TRUE: Final = ("True", "TRUE", "true")
_FALSE: Final = ("False", "FALSE", "false")

_PLAIN: Final = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE
)
_DIGITS: Final = r"\d{1,3}(?:[,.' \u2019\u00a0\u2009\u202f]\d{3})+"


class CellKind(NamedTuple):
    """What a cell is that is no number, and what to do about it."""

    what: str
    advice: str


WORDS: Final = CellKind("text", "encode it as numbers, such as one 0/1 column for each label")
"""Text that looks like nothing else."""
ABSENT: Final = "drop such rows or fill them in"
"""What to do about a mark for a missing value, where none may be missing."""
TRUTH: Final = CellKind("true or false as text", "write 1 and 0")
"""A number in a CSV file; in a table of text it is none."""

_DATE: Final = CellKind("a date", "turn it into a number, such as days since the first row")
# In this order: the first that matches the whole cell, without blanks around it.
_KINDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), CellKind(what, advice))
    for pattern, what, advice in (
        (r"", "blanks for a missing value", ABSENT),
        (
            r"[-\u2010-\u2015\u2212\u00b7_.?*]+",
            "a dash or another mark for a missing value",
            ABSENT,
        ),
        (r"(\d{4}-?w?\d{1,2}-?\d{1,2}|\d{4}-\d\d?)([t ]\d.*)?", *_DATE),
        (r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([t ,].*)?", *_DATE),
        (
            r"\d{1,4}[ ./-]?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z.]*[ ./-]?\d{1,4}",
            *_DATE,
        ),
        (
            r"\d{1,3}:\d\d(:\d\d([.,]\d+)?)?( ?[ap]\.?m\.?)?",
            "a time of day",
            "turn it into a number, such as hours",
        ),
        (
            rf"[+-]?{_DIGITS}([.,]\d+)?",
            "a number with a separator for thousands",
            "write it without, and with a point before decimals: 1234.5",
        ),
        (
            r"[+-]?\d*,\d+(e[+-]?\d+)?",
            "a number with a decimal comma",
            "write it with a point: 1.5",
        ),
        (
            r"[+-]?\d+(_\d+)+(\.\d+)?",
            "a number with an underscore between digits",
            "write it without: 1000",
        ),
        (r"[+-]?[\d.,]+ ?%", "a percentage", "write it as a number without the sign"),
        (r"[+-]?0x[0-9a-f]+", "a hexadecimal number", "write it as a decimal number"),
        (
            r"[\u2010-\u2015\u2212] ?[\d.,]+",
            "a number with a dash for its minus",
            "write the minus as '-'",
        ),
        (r"[<>≤≥~≈±] ?[+-]?[\d.,]+", "a bound or an estimate", "write it as one number"),
        (
            r"#(div/0|value|ref|name|num|null|n/a)[!?]?.*|err:\d+",
            "an error of a spreadsheet",
            "mend the cell in the spreadsheet",
        ),
        (r"=.+", "a formula", "save its value instead"),
        (
            r"[+-]?[$€£¥₹] ?[\d.,]+|[+-]?[\d.,]+ ?[^\W\d_]{1,6}\.?|[+-]?[\d.,]+ ?[$€£¥₹°].*",
            "a number with a unit",
            "write it without: 12.5",
        ),
    )
)


def spelt_numbers(cells: pa.StringArray) -> tuple[NDArray[np.float64], int | None]:
    """The numbers that cells of a CSV file spell.

    Decimal numbers with or without exponent, blanks around them, ``inf`` and the words true and
    false (1 and 0) are numbers.  :data:`MISSING` is NaN.

    Args:
        cells: ``[N]`` texts.

    Returns:
        ``[N]`` numbers, each the nearest float64; and the position of the first cell that spells
        none, where there is one.

    Example:
        >>> spelt_numbers(pa.array(["1.5", "", "true", "1,5"]))
        (array([1.5, nan, 1. , nan]), 3)
    """
    try:
        # Most columns hold nothing else.
        return _floats(pc.cast(cells, pa.float64())), None
    except pa.ArrowInvalid:
        pass
    known = pc.if_else(pc.is_in(cells, pa.array(MISSING)), pa.scalar(None, pa.string()), cells)
    known = pc.if_else(pc.is_in(known, pa.array(_TRUE)), "1", known)
    known = pc.if_else(pc.is_in(known, pa.array(_FALSE)), "0", known)
    known = pc.ascii_trim_whitespace(known)
    try:
        return _floats(pc.cast(known, pa.float64())), None
    except pa.ArrowInvalid:
        texts = known.to_pylist()
    values = [np.nan if text is None or not _is_plain(text) else float(text) for text in texts]
    wrong = (row for row, text in enumerate(texts) if text is not None and not _is_plain(text))
    return np.array(values), next(wrong, None)


def plain_numbers(column: pd.Series) -> NDArray[np.float64] | None:
    """The numbers of a column that pandas left as text; ``None`` where some cell is none.

    It does so with decimal numbers beside a whole number of more than 64 bits.

    Example:
        >>> plain_numbers(pd.Series(["18446744073709551616", "0.5", None]))
        array([1.84467441e+19, 5.00000000e-01,            nan])
        >>> plain_numbers(pd.Series(["1", "true"])) is None
        True
    """
    texts = column.dropna()
    if not len(texts) or not all(isinstance(t, str) and _is_plain(t.strip()) for t in texts):
        return None
    values = np.full(len(column), np.nan)
    values[column.notna()] = texts.astype(float)
    return values


def truths(column: pd.Series) -> pd.Series:
    """A column with true and false in the place of the words for them, and other values as before.

    Example:
        >>> truths(pd.Series(["true", "FALSE", None, 1])).tolist()
        [True, False, None, 1]
    """
    if not isinstance(column.dtype, np.dtype | pd.StringDtype) or column.dtype.kind != "O":
        return column
    words = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False), "": None}
    values = [words.get(v.strip(), v) if isinstance(v, str) else v for v in column.tolist()]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def cell_kind(text: str) -> CellKind | None:
    """What a cell is that is no number; ``None`` for one that is.

    Example:
        >>> cell_kind("2024-01-31").what, cell_kind("1,234.5").what, cell_kind(" 2.5e3")
        ('a date', 'a number with a separator for thousands', None)
    """
    stripped = text.strip()
    if _is_plain(stripped):
        return None
    if stripped in (*_TRUE, *_FALSE):
        return TRUTH
    # Before the patterns, whose \d means the digits of every script.
    if any(char.isdigit() and not char.isascii() for char in stripped):
        return CellKind(
            "a number in digits of another script or width", "write them as 0 to 9, with a point"
        )
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(stripped)), WORDS)


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None


def _floats(values: pa.DoubleArray) -> NDArray[np.float64]:
    """A copy with NaN for nulls."""
    return np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
