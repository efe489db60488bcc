"""Tables of other libraries as tables of pandas."""

from typing import Any, Protocol, runtime_checkable

import pandas as pd
import pyarrow as pa

from bayes_hybrid.data.parquet import as_table
from bayes_hybrid.errors import DataTypeError

__all__ = ["as_pandas"]


@runtime_checkable
class _ArrowStream(Protocol):
    """What gives its columns away in the form of Arrow: the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def as_pandas(values: Any) -> Any:  # noqa: ANN401 (whatever a caller has)
    """A table or column of another library as one of pandas; anything else unchanged.

    Polars, PyArrow and whatever else has the Arrow PyCapsule interface are read by their own types:
    text, categories, dates and missing cells are those of pandas.  A column keeps its name.

    Args:
        values: a table, a column or an array.

    Raises:
        DataError: a value or a time zone that pandas does not know.
        DataTypeError: columns of a type that PyArrow cannot read.

    Example:
        >>> as_pandas(pa.table({"age": [41, None], "colour": ["red", "blue"]}))
            age colour
        0    41    red
        1  None   blue
    """
    if isinstance(values, pd.DataFrame | pd.Series) or not isinstance(values, _ArrowStream):
        return values
    try:
        if len(getattr(values, "shape", ())) > 1:
            return as_table(pa.table(values).replace_schema_metadata(None))
        column = pa.chunked_array(values)
    except (pa.ArrowException, TypeError) as error:
        kind = type(values).__name__
        raise DataTypeError(
            f"a {kind} cannot be read as a table ({error}); expected columns of numbers, text, "
            "dates or categories: turn it into a table of pandas first"
        ) from error
    name = getattr(values, "name", None)
    return as_table(pa.table({"": column}))[""].rename(name)
