"""What the columns of a training table hold, and so how each becomes numbers."""

from collections.abc import Hashable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Final

import numpy as np
import pandas as pd
from msgspec import structs
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.arrays import refuse_headers
from bayes_hybrid.data.cells import TRUTH, WORDS, cell_kind, truths
from bayes_hybrid.data.codes import Dates, Gaps, Numbers, Truths, refuse_gaps
from bayes_hybrid.data.columns import numeric_column, refuse_name
from bayes_hybrid.data.dates import DATES, days_since, is_iso_date, microseconds
from bayes_hybrid.data.encoding import Code, Encoding
from bayes_hybrid.data.levels import FEW_ROWS, OTHER, Levels, level_texts
from bayes_hybrid.errors import DataError, DataTypeError, OptionError

__all__ = ["MAX_LEVELS", "learned_encoding", "plain_columns"]

MAX_LEVELS: Final = 64
"""Of a column of text: more 0/1 columns than a pathway has hidden units are beyond what it can
learn, and 64 is about those of a wide one."""

_NUMBERS: Final = (Real, Decimal, np.bool_)
_KINDS: Final = {Truths: "true and false", Dates: "dates", Levels: "text"}
_REFUSED: Final = "expected none, because missing is 'refuse': drop such rows or fill them in first"


def learned_encoding(
    table: pd.DataFrame, *, missing: bool = True, log: Sequence[int | str] = ()
) -> Encoding | None:
    """How the columns of a training table become numbers; ``None`` where all are numbers already.

    ===============================================  ==========================================
    column                                           becomes
    ===============================================  ==========================================
    numbers                                          itself
    true and false                                   1 and 0
    categories; text of which most cells are words   a 0/1 column for each level but the first;
                                                     one for all levels of fewer than 3 rows
    dates, timestamps; text of ISO dates             days since the earliest training date, UTC
    ===============================================  ==========================================

    A column with missing cells also gets a 0/1 column that says where.  In their place numbers and
    dates have the median of the others, and levels are all 0.

    Args:
        table: the features of the training rows.
        missing: whether cells may be missing.
        log: names or positions of the columns of numbers whose logarithm the model reads.

    Raises:
        OptionError: ``log`` names a column that is not there, or none of numbers.
        DataError: a column without any cell, of more than :data:`MAX_LEVELS` levels or as many as
            rows; infinite values; a number without a logarithm in a column of ``log``; two encoded
            columns of one name; missing cells that may not be.
        DataTypeError: text that is mostly numbers of another form, durations, or other objects.

    Example:
        >>> table = pd.DataFrame({"age": [40.0, None, 42.0], "colour": ["red", "blue", "red"]})
        >>> learned_encoding(table).names
        ('age', 'age is missing', 'colour=red')
        >>> learned_encoding(table[["age"]].fillna(0.0)) is None
        True
    """
    refuse_headers("X", table)
    named = all(isinstance(name, str) for name in table.columns)
    names = [column if named else f"x{place}" for place, column in enumerate(table.columns)]
    places = {checks.column("log", wanted, len(names), names) for wanted in log}
    if not places and all(_is_plain(table[name]) for name in table.columns):
        return None
    codes = [
        _code(table[column], name, missing)
        for name, column in zip(names, table.columns, strict=True)
    ]
    for place in places:
        codes[place] = _logarithm(table.iloc[:, place], codes[place])
    if not places and all(isinstance(code, Numbers) and code.gaps is None for code in codes):
        return None  # numbers among objects, such as Decimal
    return Encoding(columns=tuple(codes), num_rows=len(table))


def plain_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that hold numbers as float64, NaN where one is missing; other columns unchanged.

    Raises:
        DataError: infinite values.
    """
    columns = {
        name: numeric_column(table[name], missing=True)
        if _holds_numbers(table[name])
        else table[name]
        for name in table.columns
    }
    return pd.DataFrame(columns, index=table.index, columns=table.columns)


def _is_plain(column: pd.Series) -> bool:
    """Whether nothing is to be learned."""
    return _is_numeric(column) and not column.isna().any()


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c"


def _holds_numbers(column: pd.Series) -> bool:
    if _is_numeric(column):
        return True
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    there = column.dropna()
    return len(there) > 0 and all(isinstance(value, _NUMBERS) for value in there.tolist())


def _code(column: pd.Series, name: str, missing: bool) -> Code:
    """How one column becomes numbers."""
    refuse_name(column.name)
    absent = column.isna().to_numpy()
    if not missing:
        refuse_gaps(column.name, absent, _REFUSED)
    there = column[~absent]
    if not len(there):
        raise DataError(
            f"column {column.name!r} has no value in any of {len(column)} rows; leave it out"
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _levels(column, name, missing)
    if _holds_numbers(column):
        values = numeric_column(column, missing=True)
        if all(isinstance(value, bool | np.bool_) for value in _few(there)):
            return Truths(name=name, gaps=_gaps(values))
        return Numbers(name=name, gaps=_gaps(values))
    if column.dtype.kind == "M" or all(isinstance(value, DATES) for value in there.tolist()):
        return _dates(column, name, missing)
    if all(isinstance(value, str) for value in there.tolist()):
        return _text(column, name, missing)
    numeric_column(column, missing=True)  # which names what cannot be used
    raise DataTypeError(f"column {column.name!r} holds {column.dtype}; expected numbers or text")


def _logarithm(column: pd.Series, code: Code) -> Numbers:
    """The code of a column whose logarithm the model reads."""
    if not isinstance(code, Numbers):
        raise OptionError(
            f"log: column {code.name!r} is a column of {_KINDS[type(code)]}; expected one of "
            "numbers above zero: leave it out"
        )
    code = structs.replace(code, log=True)
    code.encode(column, None)  # which names a row without a logarithm
    return code


def _few(there: pd.Series) -> list[object]:
    """The values, or the first one where the type says the rest."""
    return there.tolist() if there.dtype.kind == "O" else there.iloc[:1].tolist()


def _text(column: pd.Series, name: str, missing: bool) -> Code:
    """Truth, dates or levels, by what the cells say."""
    _, texts = level_texts(column)
    if not texts:
        raise DataError(
            f"column {column.name!r} has only blanks in {len(column)} rows; leave it out"
        )
    kinds = [cell_kind(text) for text in texts]
    if all(kind == TRUTH for kind in kinds):
        values = numeric_column(truths(column), missing=True)
        if not missing:
            refuse_gaps(column.name, np.isnan(values), _REFUSED)
        return Truths(name=name, gaps=_gaps(values))
    if all(is_iso_date(text) for text in texts):
        return _dates(column, name, missing)
    if 2 * sum(kind == WORDS for kind in kinds) > len(kinds):
        return _levels(column, name, missing)
    try:
        numeric_column(column, missing=True)
    except DataTypeError as error:
        raise DataTypeError(
            f"{error}. Text is taken where most cells are words, and dates where all are "
            "written as 2024-01-31; astype('category') takes a column as it is"
        ) from error
    raise DataTypeError(f"column {column.name!r} holds text; expected words, dates or numbers")


def _dates(column: pd.Series, name: str, missing: bool) -> Dates:
    times = microseconds(column)
    if not missing:
        refuse_gaps(column.name, np.isnat(times), _REFUSED)
    origin = str(np.datetime64(times[~np.isnat(times)].min(), "D"))
    if len(origin) != len("2024-01-31"):
        raise DataError(
            f"column {column.name!r} begins in {origin}; expected dates of the years 0001 to 9999"
        )
    return Dates(name=name, origin=origin, gaps=_gaps(days_since(origin, times)))


def _levels(column: pd.Series, name: str, missing: bool) -> Levels:
    codes, texts = level_texts(column)
    absent = codes < 0
    if not missing:
        refuse_gaps(column.name, absent, _REFUSED)
    num_rows = int(np.count_nonzero(~absent))
    counts = np.bincount(codes[~absent], minlength=len(texts))
    kept = _kept(texts, counts)
    pooled = len(texts) - len(kept)
    _refuse_many(column.name, [*kept, OTHER] if pooled else kept, num_rows)
    return Levels(name=name, levels=_ordered(kept), pooled=pooled, missing=len(codes) - num_rows)


def _kept(texts: list[str], counts: NDArray[np.intp]) -> list[str]:
    """The levels with a column of their own: all, or those that are not rare.

    Rare levels are pooled if there are two or more, and if most rows have another level: else the
    levels are those of a small table, or identifiers.
    """
    rare = counts < FEW_ROWS
    if rare.sum() < 2 or 2 * counts[rare].sum() > counts.sum():
        return texts
    # A level of that name already stands for the others.
    kept = [
        text for text, few in zip(texts, rare.tolist(), strict=True) if not few and text != OTHER
    ]
    return kept or texts


def _refuse_many(name: Hashable, texts: list[str], num_rows: int) -> None:
    """Refuse what is no set of levels."""
    advice = "join rare levels into one, make a number of it, or leave the column out"
    if len(texts) > MAX_LEVELS:
        raise DataError(
            f"column {name!r} has {len(texts)} levels in {num_rows} rows, such as {texts[0]!r}; "
            f"expected {MAX_LEVELS} at most: {advice}"
        )
    if len(texts) > max(2, num_rows // 2):
        raise DataError(
            f"column {name!r} has {len(texts)} levels in {num_rows} rows, such as {texts[0]!r}; "
            f"expected two rows of a level or more, on average: {advice}"
        )


def _ordered(texts: list[str]) -> tuple[str, ...]:
    """Levels in the order of their text, or of their numbers where all are numbers."""
    if all(cell_kind(text) is None for text in texts):
        return tuple(sorted(texts, key=lambda text: (float(text), text)))
    return tuple(sorted(texts))


def _gaps(values: FloatArray) -> Gaps | None:
    absent = np.isnan(values)
    if not absent.any():
        return None
    return Gaps(count=int(absent.sum()), median=float(np.median(values[~absent])))
