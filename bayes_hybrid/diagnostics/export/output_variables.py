"""The outputs of a fit as variables of its ArviZ export."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import position
from bayes_hybrid.inference.result import Fit

__all__ = ["OutputVariable", "output_variables", "variable_name"]


@dataclass(frozen=True, eq=False, kw_only=True)
class OutputVariable:
    """One output as a variable.

    Attributes:
        name: of the variable.
        column: its position among Q > 1 outputs; ``None`` where there is one only.
        dim: the dimension of its rows: ``obs``, or one of its own where some have no value.
        rows: which of the N rows have a value, ``[N]``.
    """

    name: str
    column: int | None
    dim: str
    rows: NDArray[np.bool_]

    def of(self, values: FloatArray) -> FloatArray:
        """Its part ``[..., N]`` of values ``[..., N, Q]``; with one output, the values."""
        return values if self.column is None else values[..., self.column]

    def there(self, values: FloatArray) -> FloatArray:
        """Values ``[..., N]`` at the rows where it has one."""
        return values if self.rows.all() else values[..., self.rows]


def output_variables(
    fit: Fit, y: FloatArray, output: int | str | None, taken: Collection[str]
) -> list[OutputVariable]:
    """The variables that stand for the outputs.

    Args:
        fit: the finished fit.
        y: targets ``[N]`` or ``[N, Q]``, NaN where missing.
        output: name or position of the only one wanted; ``None`` for all.
        taken: names that no variable may have.

    Raises:
        OptionError: there is no such output.
    """
    if y.ndim == 1:
        if output is not None:
            position("output", output, (fit.target_name,))
        name, everywhere = variable_name(fit.target_name, taken), np.ones(len(y), dtype=np.bool_)
        return [OutputVariable(name=name, column=None, dim="obs", rows=everywhere)]
    names: list[str] = []
    for name in fit.output_names:
        # netCDF lists coordinates by name with spaces between.
        names.append(variable_name("_".join(name.split()), [*taken, *names]))
    if output is not None:
        column = position("output", output, fit.output_names)
        rows = ~np.isnan(y[:, column])
        return [OutputVariable(name=names[column], column=column, dim="obs", rows=rows)]
    found, used = [], [*taken, *names]
    for column, name in enumerate(names):
        rows = ~np.isnan(y[:, column])
        dim = "obs" if rows.all() else variable_name(f"obs_{name}", used)
        used.append(dim)
        found.append(OutputVariable(name=name, column=column, dim=dim, rows=rows))
    return found


def variable_name(name: str, taken: Collection[str]) -> str:
    """A name that netCDF groups and ArviZ take: without "/", and none of those taken.

    Example:
        >>> variable_name("g/m", ["obs"]), variable_name("obs", ["obs", "obs_"])
        ('g_m', 'obs__')
    """
    name = name.replace("/", "_") or "y"
    while name in taken:
        name += "_"
    return name
