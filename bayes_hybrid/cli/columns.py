"""Columns as they are typed: each by itself, or several names separated by commas."""

from collections.abc import Collection, Sequence

import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.data.columns import listed
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference import Fit

__all__ = ["column_names", "found_column", "require_column", "target_columns"]


def column_names(option: str, typed: Sequence[str], columns: Collection[str]) -> list[str]:
    """The names that were typed after an option, once or several times.

    A value that is the name of a column is that column.  Any other is names separated by commas;
    those who type a space after a comma do not mean it.

    Args:
        option: what was typed before, for the message.
        typed: a value for each time the option was given.
        columns: of the table.

    Raises:
        OptionError: a name is empty.
        DataError: a name with a comma in it is near one of a column, and no part of it is a column.

    Example:
        >>> column_names("--features", ["dose, age"], ["dose", "age"])
        ['dose', 'age']
        >>> column_names("--features", ["yield, kg", "age"], ["yield, kg", "age"])
        ['yield, kg', 'age']
    """
    names = []
    for value in typed:
        parts = [name.strip() for name in value.split(",")]
        if value in columns or value.strip() in columns:
            names.append(value if value in columns else value.strip())
        elif "" in parts:
            raise OptionError(
                f"{option} must be column names separated by commas; got {value!r}. A name that "
                "holds a comma is typed whole"
            )
        elif len(parts) > 1 and not set(parts) & set(columns) and checks.suggestion(value, columns):
            raise _no_column(value, columns)
        else:
            names += parts
    return names


def target_columns(
    fit: Fit, typed: Sequence[str] | None, columns: Collection[str] = ()
) -> list[str]:
    """The columns of a table with the fit's outputs: their own names, or those typed.

    Args:
        fit: the finished fit.
        typed: the value of ``--target``, or ``None``.
        columns: of the table.

    Raises:
        OptionError: not as many names as the fit has outputs.
    """
    if not typed:
        return list(fit.output_names)
    # The only column of a fit of one output is taken as it is, whatever its name.
    single = len(fit.output_names) == len(typed) == 1
    names = list(typed) if single else column_names("--target", typed, columns)
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
    require_column(name, [str(column) for column in table.columns])
    column: pd.Series = table[name]
    return column


def require_column(name: str, columns: Collection[str]) -> None:
    """Refuse a table without a column.

    Raises:
        DataError: there is none of that name; the message suggests the nearest.
    """
    if name not in columns:
        raise _no_column(name, columns)


def _no_column(name: str, columns: Collection[str]) -> DataError:
    return DataError(
        f"the table has no column {name!r} among {listed([*columns])}"
        f"{checks.suggestion(name, columns)}"
    )
