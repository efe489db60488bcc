"""The result of an ablation: one table, one plot, and the cells behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayes_hybrid.ablation.cells import Cell, Outcome
from bayes_hybrid.ablation.variant import BASE
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.chains import BAD_K
from bayes_hybrid.diagnostics.scores.leave_one_out import (
    BAD_SHARE,
    LeaveOneOut,
    compared,
    difference,
)
from bayes_hybrid.errors import FitError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Ablation", "Finished", "corrected_error", "summarised"]

_PAIR = ["repeat", "fold"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ablation:
    """Variants of a model, compared on the same rows.

    ``table`` has a row for each variant.  Its differences are *variant minus base*: a negative
    ``log_density_diff`` or ``elpd_diff``, and a positive ``rmse_diff``, speak for the base.

    =====================  ====================================================================
    column                 meaning
    =====================  ====================================================================
    ``variant``            its name; ``base`` comes first
    ``log_density``        held-out log density per row in nats, mean over the cells
    ``log_density_diff``   mean over the cells of its difference to the base in the same cell
    ``log_density_se``     the standard error of that, see :func:`corrected_error`
    ``rmse``               held-out root mean squared error in y's units, mean over the cells
    ``rmse_diff``          mean over the cells of its difference to the base in the same cell
    ``rmse_se``            the standard error of that
    ``coverage``           share of held-out rows in their central 90% interval
    ``seconds``            of a cell, mean over the cells
    ``elpd_loo``           expected log density by leave-one-out, summed over the rows, in nats
    ``elpd_diff``          its difference to the base
    ``dse``                the standard error of that, paired by row
    ``bad_k``              share of rows with Pareto k-hat above 0.7: where more than a few rows
                           in a hundred are, believe cross-validation and not leave-one-out
    ``failed_cells``       cells without a result; differences are over the pairs that have one
    =====================  ====================================================================

    Attributes:
        table: the comparison.
        cells: a row for each cell: ``variant``, ``repeat``, ``fold`` (both -1 for the fit to all
            rows that leave-one-out reads), ``log_density`` (mean over the rows held out),
            ``rmse``, ``coverage``, ``num_flagged`` (findings that are not ok), ``seconds``,
            ``status``, ``failure`` (empty where there is none), ``num_test``, ``num_train``.
        rows: held-out log density of every row: ``variant``, ``repeat``, ``fold``, ``row`` (its
            position in the data), ``log_density``.
        left_out: log density of every row by leave-one-out: ``variant``, ``row``,
            ``log_density``, ``pareto_k``.
        comparison: ArviZ's ``compare`` of the variants as ArviZ gives it, with its ranks and
            stacking weights; its ``elpd_diff`` is to the best variant.  Empty with fewer than two.
        notes: what to know before reading the table, in sentences.
    """

    table: pd.DataFrame
    cells: pd.DataFrame
    rows: pd.DataFrame
    left_out: pd.DataFrame
    comparison: pd.DataFrame
    notes: tuple[str, ...]

    def plot(self) -> "Figure":
        """Differences to the base with one standard error, by cross-validation and leave-one-out.

        Returns:
            The figure, which belongs to no window and can be saved with ``savefig``.
        """
        # matplotlib takes a second to import, which comparing should not cost.
        from bayes_hybrid.ablation.plot import plot_differences

        return plot_differences(self.table)


Finished = tuple[Cell, Outcome]


def corrected_error(differences: FloatArray, test_to_train: float) -> float:
    """``sqrt((1 / J + n_test / n_train) s^2)``, the standard error of a mean over J cells.

    The training rows of two folds overlap, so their differences go up and down together, and
    ``s / sqrt(J)`` would be too small; with more repeats it would shrink to nothing.  The second
    term stands for that correlation, and does not shrink.

    Source: Nadeau and Bengio (2003), Machine Learning 52, the corrected resampled t-test; for
    repeated cross-validation Bouckaert and Frank (2004), PAKDD, section 3.

    Args:
        differences: variant minus base in each cell, ``[J]``.
        test_to_train: rows held out over rows fitted, ``1 / (folds - 1)``.

    Returns:
        NaN for fewer than two cells.

    Example:
        >>> corrected_error(np.array([1.0, 3.0, 1.0, 3.0]), 0.25) ** 2 * 3
        2.0
    """
    if differences.size < 2:
        return float("nan")
    variance = differences.var(ddof=1)
    return float(np.sqrt((1.0 / differences.size + test_to_train) * variance))


def summarised(
    names: Sequence[str],
    finished: Sequence[Finished],
    fits: Mapping[str, LeaveOneOut],
    num_rows: int,
) -> Ablation:
    """The result from its cells.

    Args:
        names: the variants, ``base`` first.
        finished: every cell with its outcome.
        fits: leave-one-out of the variants that have it.
        num_rows: N.

    Raises:
        FitError: no cell has a result.
    """
    cells = _cells(names, finished, num_rows)
    failed = cells["failure"] != ""
    if failed.all():
        first = cells.iloc[0]
        raise FitError(
            f"every one of the {len(cells)} cells failed; {first['variant']}: {first['failure']}"
        )
    comparison, warned = compared(fits)
    table = pd.DataFrame([_line(name, cells, fits) for name in names])
    notes = (*_failures(cells), *_unreliable(table), *(f"ArviZ: {words}" for words in warned))
    return Ablation(
        table=table,
        cells=cells,
        rows=_rows(names, finished),
        left_out=_left_out(fits),
        comparison=comparison,
        notes=notes,
    )


def _ordered(names: Sequence[str], finished: Sequence[Finished]) -> list[Finished]:
    """Cells by variant, repeat and fold: they came in the order in which they ended."""

    def place(pair: Finished) -> tuple[int, int, int]:
        return names.index(pair[0].variant), pair[0].repeat, pair[0].fold

    return sorted(finished, key=place)


def _cells(names: Sequence[str], finished: Sequence[Finished], num_rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "variant": cell.variant,
                "repeat": cell.repeat,
                "fold": cell.fold,
                "log_density": outcome.log_density.mean() if outcome.log_density.size else np.nan,
                "rmse": outcome.rmse,
                "coverage": outcome.coverage,
                "num_flagged": outcome.num_flagged,
                "seconds": outcome.seconds,
                "status": outcome.status,
                "failure": outcome.failure,
                "num_test": cell.test.size,
                "num_train": num_rows - cell.test.size,
            }
            for cell, outcome in _ordered(names, finished)
        ]
    )


def _rows(names: Sequence[str], finished: Sequence[Finished]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "variant": cell.variant,
                "repeat": cell.repeat,
                "fold": cell.fold,
                "row": cell.test,
                "log_density": outcome.log_density,
            }
        )
        for cell, outcome in _ordered(names, finished)
        if outcome.log_density.size
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _left_out(fits: Mapping[str, LeaveOneOut]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "variant": name,
                "row": np.arange(fit.pointwise.size),
                "log_density": fit.pointwise,
                "pareto_k": fit.pareto_k,
            }
        )
        for name, fit in fits.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _line(name: str, cells: pd.DataFrame, fits: Mapping[str, LeaveOneOut]) -> dict[str, object]:
    """One row of the table."""
    all_mine = cells[cells["variant"] == name]
    mine, base = _scored(cells, name), _scored(cells, BASE)
    line: dict[str, object] = {"variant": name}
    for score in ("log_density", "rmse"):
        differences = (mine[score] - base[score]).dropna()
        ratio = (mine["num_test"] / mine["num_train"]).reindex(differences.index).mean()
        line |= {
            score: mine[score].mean(),
            f"{score}_diff": differences.mean(),
            f"{score}_se": corrected_error(differences.to_numpy(), ratio),
        }
    loo, base_loo = fits.get(name), fits.get(BASE)
    elpd_diff = (np.nan, np.nan)
    if loo is not None and base_loo is not None:
        elpd_diff = difference(loo, base_loo)
    return line | {
        "coverage": mine["coverage"].mean(),
        "seconds": mine["seconds"].mean(),
        "elpd_loo": np.nan if loo is None else loo.elpd,
        "elpd_diff": elpd_diff[0],
        "dse": elpd_diff[1],
        "bad_k": np.nan if loo is None else loo.bad_k,
        "failed_cells": int((all_mine["failure"] != "").sum()),
    }


def _scored(cells: pd.DataFrame, name: str) -> pd.DataFrame:
    """A variant's cells of cross-validation that have a result, by repeat and fold."""
    mine = (cells["variant"] == name) & (cells["fold"] >= 0) & (cells["failure"] == "")
    return cells[mine].set_index(_PAIR)


def _failures(cells: pd.DataFrame) -> list[str]:
    """A sentence for each variant with cells that failed."""
    notes = []
    for name, mine in cells.groupby("variant", sort=False):
        failures = mine.loc[mine["failure"] != "", "failure"]
        if len(failures):
            notes.append(
                f"{name}: {len(failures)} of {len(mine)} cells failed, the first with "
                f"{failures.iloc[0]}"
            )
    if (cells["fold"] >= 0).any() and _scored(cells, BASE).empty:
        notes.append("The base failed in every fold, so there are no differences to it.")
    return notes


def _unreliable(table: pd.DataFrame) -> list[str]:
    names = table.loc[table["bad_k"] > BAD_SHARE, "variant"]
    if names.empty:
        return []
    return [
        f"Leave-one-out is not reliable for {', '.join(names)}: more than {BAD_SHARE:.0%} of the "
        f"rows have a Pareto k-hat above {BAD_K}. Believe cross-validation there."
    ]
