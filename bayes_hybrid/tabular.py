"""Results that print as the tables that they are, some with a picture."""

import abc
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Pictured", "Tabular", "draws"]

_PICTURES: dict[type, Callable[..., "Figure"]] = {}
_Drawing = TypeVar("_Drawing", bound=Callable[..., "Figure"])


def draws(kind: type) -> Callable[[_Drawing], _Drawing]:
    """The function below draws results of that class, whose ``plot`` calls it."""

    def kept(function: _Drawing) -> _Drawing:
        _PICTURES[kind] = function
        return function

    return kept


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


class Pictured(Tabular):
    """A result with a picture, which a function of ``bayes_hybrid.plots`` draws."""

    def plot(self, **settings: Any) -> "Figure":  # noqa: ANN401
        """Its picture, with the settings of the function that draws it."""
        import_module(f"{__package__}.plots")  # it stands above, and says what draws what
        return _PICTURES[type(self)](self, **settings)
