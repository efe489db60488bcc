"""``predict``: a table in, the same rows with their predictions out."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.cli.console import counted, say
from bayes_hybrid.cli.folders import refuse_place
from bayes_hybrid.data import (
    numeric_column,
    read_table,
    refuse_existing,
    refuse_far,
    write_table,
)
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import load
from bayes_hybrid.inference import Fit, Posterior

__all__ = ["Wanted", "predictions", "run"]

FloatArray = NDArray[np.float64]
_MAX_ROWS = 5_000
"""Rows whose regime probabilities are held per draw at once: 8 bytes each per draw and regime."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to predict.

    Attributes:
        prob: probability of the predictive interval and of the regimes' bands.
        regimes: whether to add regime probabilities.
        target: column with the target; the fit's own name by default.
    """

    prob: float = 0.9
    regimes: bool = False
    target: str | None = None


def run(saved: Path, data: Path, out: Path, wanted: Wanted, *, force: bool, quiet: bool) -> None:
    """Read a table, predict its rows, and write both."""
    _ends(wanted.prob)
    refuse_place(out, force=force)
    refuse_existing(out, force=force)
    table = read_table(data)
    fit = load(saved).fit_
    added = predictions(fit, table, wanted)
    taken = [name for name in added if name in table.columns]
    if taken:
        raise DataError(
            f"{data} has a column {taken[0]!r} already, which the predictions would repeat; "
            "rename it"
        )
    write_table(pd.concat([table, pd.DataFrame(added)], axis=1), out, force=force)
    if not quiet:
        say(
            f"{counted(len(table), 'row')} with {len(added)} columns of predictions written to "
            f"{out}"
        )


def predictions(fit: Fit, table: pd.DataFrame, wanted: Wanted) -> dict[str, FloatArray]:
    """The columns that are added to a table, each ``[N]``, in y's units.

    ============================  ================================================================
    column                        meaning
    ============================  ================================================================
    ``{y}_mean``                  posterior predictive mean
    ``{y}_q5``, ``{y}_q95``       ends of the predictive interval, named by their percentages
    ``p_{k}``                     ``p(z=k|x)``, and with ``_q5`` and ``_q95`` its band over draws
    ``{y}_log_density``           ``log p(y|x)``, where the table has the target
    ``p_{k}_given_{y}``           ``p(z=k|x, y)`` of a row that was not fitted, likewise
    ============================  ================================================================

    Raises:
        DataError: a feature is missing or cannot be used; or the target, when it was named; or a
            value is so far from the training data that float32 overflows.
        OptionError: ``prob`` is not strictly between 0 and 1, or float64 cannot tell it from them.
    """
    posterior, y_name = fit.posterior, fit.target_name
    x = np.column_stack([_column(table, name) for name in fit.feature_names])
    refuse_far("the table", x, posterior.x_scaling, columns=fit.feature_names)
    ends = _ends(wanted.prob)
    columns = {f"{y_name}_mean": posterior.mean(x)}
    for suffix, values in zip(ends, posterior.quantile(x, list(ends.values())).T, strict=True):
        columns[f"{y_name}_{suffix}"] = values
    if wanted.regimes:
        columns |= _regimes(posterior, x, ends)
    target = wanted.target or y_name
    if wanted.target is None and target not in table.columns:
        return columns
    y = _known(table, target)
    refuse_far(f"the target {target!r}", y, posterior.y_scaling)
    return columns | _given_target(posterior, x, y, y_name, wanted)


def _ends(prob: float) -> dict[str, float]:
    """The ends of the central interval as probabilities, by their names in columns: q5 and q95.

    A name has every digit of its percentage, so that two ends never share one.
    """
    checks.fraction("--prob", prob)
    low, high = 0.5 - prob / 2.0, 0.5 + prob / 2.0
    if not 0.0 < low < high < 1.0:
        raise OptionError(
            "--prob must leave room between the ends of the interval and around it, in float64; "
            f"got {prob!r}"
        )
    # Decimal, because 100 * (0.5 - 0.9 / 2) is not 5 in binary.
    half = 50 * Decimal(repr(float(prob)))
    return {f"q{(50 - half).normalize():f}": low, f"q{(50 + half).normalize():f}": high}


def _regimes(
    posterior: Posterior, x: FloatArray, ends: Mapping[str, float]
) -> dict[str, FloatArray]:
    """``p(z=k|x)``, its mean over the draws and the ends of its band."""
    parts = []
    for start in range(0, len(x), _MAX_ROWS):
        draws = posterior.regime_probability_draws(x[start : start + _MAX_ROWS])
        band = np.quantile(draws, list(ends.values()), axis=(0, 1))
        parts.append(np.concatenate([draws.mean(axis=(0, 1))[None], band]))
    values = np.concatenate(parts, axis=1)
    return {
        f"p_{name}{suffix}": values[place, :, regime]
        for regime, name in enumerate(posterior.regime_names)
        for place, suffix in enumerate(["", *(f"_{suffix}" for suffix in ends)])
    }


def _given_target(
    posterior: Posterior, x: FloatArray, y: FloatArray, y_name: str, wanted: Wanted
) -> dict[str, FloatArray]:
    """What is known of rows with a target; NaN for rows without one."""
    known = ~np.isnan(y)
    if not known.any():
        return {}
    density = np.full(len(y), np.nan)
    density[known] = posterior.log_density(x[known], y[known])
    columns = {f"{y_name}_log_density": density}
    if wanted.regimes:
        given_y = np.full((len(y), posterior.num_regimes), np.nan)
        given_y[known] = posterior.regime_probability(x[known], y[known])
        for regime, name in enumerate(posterior.regime_names):
            columns[f"p_{name}_given_{y_name}"] = given_y[:, regime]
    return columns


def _column(table: pd.DataFrame, name: str) -> FloatArray:
    """A column as finite numbers."""
    return numeric_column(_found(table, name))


def _known(table: pd.DataFrame, name: str) -> FloatArray:
    """The target as numbers; NaN where it is missing, as in rows of which nobody knows it yet."""
    column = _found(table, name)
    missing = column.isna()
    # Row by row, so that a message about a value names its row.
    values = numeric_column(column.astype(object).where(~missing, 0.0))
    values[missing.to_numpy()] = np.nan
    return values


def _found(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table.columns:
        names = [str(column) for column in table.columns]
        listed = ", ".join(repr(column) for column in names[:20])
        raise DataError(
            f"the table has no column {name!r} among {listed}{checks.suggestion(name, names)}"
        )
    column: pd.Series = table[name]
    return column
