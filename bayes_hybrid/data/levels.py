"""How a column of text or categories becomes numbers."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data.codes import NO_GAPS, Part, refuse_gaps
from bayes_hybrid.data.columns import Place, listed, row_number, unwritable
from bayes_hybrid.errors import DataError

__all__ = ["FEW_ROWS", "OTHER", "Levels", "level_texts"]

FEW_ROWS: Final = 3
"""Levels of fewer training rows are pooled: a column of its own would describe one or two rows, and
nothing of the level."""

OTHER: Final = "other"
"""What pooled levels are called."""

_SHOWN: Final = 8
"""Levels that a sentence names."""


class Levels(Part, tag="levels", frozen=True, kw_only=True):
    """A column of text or categories: a 0/1 column for each level but the first.

    Attributes:
        name: of the column.
        levels: in order; a row of the first has 0 in every column.
        pooled: how many more levels the training rows have, of too few rows each: they and any
            level of a new row are one, :data:`OTHER`, with a column of its own.
        missing: training rows without a level, which have 0 in every column but the indicator.
    """

    name: str
    levels: tuple[str, ...]
    pooled: int = 0
    missing: int = 0

    def __post_init__(self) -> None:
        """Check the fields."""
        differ = len(set(self.levels)) == len(self.levels)
        if not self.levels or not differ or min(self.pooled, self.missing) < 0:
            raise DataError(f"expected levels that differ, and counts; got {self}")
        for level in self.levels:
            if fault := unwritable(level):
                raise DataError(f"column {self.name!r} has the level {level!r}, which {fault}")

    @property
    def value_names(self) -> tuple[str, ...]:
        """A name for each level but the first, and for those that are pooled."""
        others = (OTHER,) if self.pooled else ()
        return tuple(f"{self.name}={level}" for level in (*self.levels[1:], *others))

    @property
    def has_gaps(self) -> bool:
        """Whether there is an indicator."""
        return self.missing > 0

    def encode(self, column: pd.Series, place: Place | None) -> FloatArray:
        """0 and 1 ``[N, K - 1]``, ``[N, K]`` with pooled levels, and the indicator."""
        codes, texts = level_texts(column)
        number = {level: k for k, level in enumerate(self.levels)}
        others = len(self.levels) if self.pooled else -2
        numbers = np.array([*(number.get(text, others) for text in texts), -1])[codes]
        absent = numbers == -1
        if (unseen := numbers == -2).any():
            row = int(unseen.argmax())
            raise DataError(
                f"column {column.name!r} has the level {texts[codes[row]]!r} in "
                f"{(place or row_number)(row)}, which no training row has; expected "
                f"{listed(self.levels)}: mend the cell, drop the row, or fit again with rows of "
                "that level"
            )
        if not self.missing:
            refuse_gaps(column.name, absent, NO_GAPS, place)
        ones = (numbers[:, None] == np.arange(1, 1 + len(self.value_names))).astype(np.float64)
        return np.column_stack([ones, absent]) if self.missing else ones

    def words(self, num_rows: int) -> str:
        """A sentence about it."""
        shown = [repr(level) if "," in level else level for level in self.levels[:_SHOWN]]
        first, count = shown[0], len(self.levels)
        rest = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        sentence = f"{self.name}: {count} levels, {', '.join(shown)}{rest}; "
        sentence += f"a 0/1 column for each but {first}"
        if self.pooled:
            sentence += (
                f", and '{self.name}={OTHER}' for {self.pooled} more with fewer than {FEW_ROWS} "
                "rows each and for new ones"
            )
        elif count == 1:
            sentence = f"{self.name}: 1 level, {first}, which says nothing and is left out"
        if not self.missing:
            return sentence
        return (
            f"{sentence}; {self.missing} of {num_rows} missing, with the indicator "
            f"'{self.name} is missing'"
        )


def level_texts(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """The levels of a column as text without blanks around, by first appearance.

    Args:
        column: text, categories or other values.

    Returns:
        ``[N]`` places in the list of levels, -1 where the cell is missing or blank; and the list.

    Example:
        >>> level_texts(pd.Series(["red", " red ", "", 3.0]))
        (array([ 0,  0, -1,  1]), ['red', '3'])
    """
    codes, values = pd.factorize(column.astype(object))
    texts = [_level(value) for value in values]
    levels = [text for text in dict.fromkeys(texts) if text]
    number = {level: place for place, level in enumerate(levels)}
    return np.array([*(number.get(text, -1) for text in texts), -1], dtype=np.intp)[codes], levels


def _level(value: object) -> str:
    """A whole number is one level, whether its column is of integers or of floats."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()
