"""Results that print as the tables that they are."""

import abc

import pandas as pd

__all__ = ["Tabular"]


class Tabular(abc.ABC):
    """A result with a table, which is what it prints as, in a terminal and in a notebook."""

    @abc.abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Its table."""

    def __repr__(self) -> str:
        """The class's name above the table, which is cut as pandas cuts its own."""
        return f"{type(self).__name__}\n{self.to_frame()!r}"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(max_rows=20)
        return f"<p><code>{type(self).__name__}</code></p>{table}"
