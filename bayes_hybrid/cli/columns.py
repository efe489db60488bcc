"""Columns as they are typed: names separated by commas."""

import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference import Fit

__all__ = ["column_names", "found_column", "target_columns"]


def column_names(option: str, text: str) -> list[str]:
    """The names in ``a,b,c``; those who type a space after a comma do not mean it.

    Args:
        option: what was typed before, for the message.
        text: the names.

    Raises:
        OptionError: a name is empty.

    Example:
        >>> column_names("--features", "dose, age")
        ['dose', 'age']
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names:
        raise OptionError(f"{option} must be column names separated by commas; got {text!r}")
    return names


def target_columns(fit: Fit, text: str | None) -> list[str]:
    """The columns of a table with the fit's outputs: their own names, or those typed.

    Args:
        fit: the finished fit.
        text: what came with ``--target``, or ``None``.

    Raises:
        OptionError: not as many names as the fit has outputs.
    """
    if text is None:
        return list(fit.output_names)
    # The only column of a fit of one output is taken as it is, whatever its name.
    names = [text] if len(fit.output_names) == 1 else column_names("--target", text)
    if len(names) != len(fit.output_names):
        raise OptionError(
            f"--target names {names}; expected a column for each output of the fit, "
            f"{[*fit.output_names]}"
        )
    return names


def found_column(table: pd.DataFrame, name: str) -> pd.Series:
    """The column of that name.

    Raises:
        DataError: there is none.
    """
    if name not in table.columns:
        names = [str(column) for column in table.columns]
        listed = ", ".join(repr(column) for column in names[:20])
        raise DataError(
            f"the table has no column {name!r} among {listed}{checks.suggestion(name, names)}"
        )
    column: pd.Series = table[name]
    return column
