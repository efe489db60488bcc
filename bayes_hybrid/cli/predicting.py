"""``predict``: a table in, the same rows with their predictions out."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.cli.columns import found_column, target_columns
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


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to predict.

    Attributes:
        prob: probability of the predictive interval and of the regimes' bands.
        regimes: whether to add regime probabilities.
        target: columns with the targets, separated by commas; the fit's own names by default.
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

    Each of several outputs has the first two under its own name.  The last two are about all of
    them that the table has, ``joint_log_density`` and ``p_{k}_given_outputs``.

    Raises:
        DataError: a feature is missing or cannot be used; or a target, when it was named; or a
            value is so far from the training data that float32 overflows.
        OptionError: ``prob`` is not strictly between 0 and 1, or float64 cannot tell it from them;
            or other than one target for each output.
    """
    posterior, names = fit.posterior, fit.output_names
    targets = target_columns(fit, wanted.target)
    x = np.column_stack([numeric_column(found_column(table, name)) for name in fit.feature_names])
    refuse_far("the table", x, posterior.x_scaling, columns=fit.feature_names)
    ends = _ends(wanted.prob)
    mean, quantiles = posterior.mean_and_quantile(x, list(ends.values()))
    mean, quantiles = mean.reshape(len(x), -1), quantiles.reshape(len(x), len(names), -1)
    columns = {}
    for q, name in enumerate(names):
        columns[f"{name}_mean"] = mean[:, q]
        for level, suffix in enumerate(ends):
            columns[f"{name}_{suffix}"] = quantiles[:, q, level]
    if wanted.regimes:
        columns |= _regimes(fit.for_regimes.posterior, x, ends)
    if wanted.target is None and not set(targets) & set(table.columns):
        return columns
    y = _targets(table, targets, optional=wanted.target is None and len(targets) > 1)
    where = f"the target {targets[0]!r}" if y.ndim == 1 else "the table"
    refuse_far(where, y, posterior.y_scaling, columns=targets)
    return columns | _given_target(fit, x, y, wanted)


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
    values = posterior.regime_summary(x, list(ends.values()))
    return {
        f"p_{name}{suffix}": values[place, :, regime]
        for regime, name in enumerate(posterior.regime_names)
        for place, suffix in enumerate(["", *(f"_{suffix}" for suffix in ends)])
    }


def _given_target(fit: Fit, x: FloatArray, y: FloatArray, wanted: Wanted) -> dict[str, FloatArray]:
    """What is known of rows with a target; NaN for rows without one."""
    posterior = fit.posterior
    known = ~np.isnan(y) if y.ndim == 1 else ~np.isnan(y).all(axis=1)
    if not known.any():
        return {}
    joint, given = (fit.target_name, fit.target_name) if y.ndim == 1 else ("joint", "outputs")
    density = np.full(len(y), np.nan)
    density[known] = posterior.log_density(x[known], y[known])
    columns = {f"{joint}_log_density": density}
    if wanted.regimes:
        given_y = np.full((len(y), posterior.num_regimes), np.nan)
        reading = fit.for_regimes.posterior
        given_y[known] = reading.regime_probability(x[known], y[known])
        for regime, name in enumerate(posterior.regime_names):
            columns[f"p_{name}_given_{given}"] = given_y[:, regime]
    return columns


def _targets(table: pd.DataFrame, names: list[str], *, optional: bool) -> FloatArray:
    """Targets ``[N]`` or ``[N, Q]``; NaN where one is missing, as where nobody knows it yet.

    With ``optional`` a whole column may be missing.
    """
    columns = [
        np.full(len(table), np.nan)
        if optional and name not in table.columns
        else _known(found_column(table, name))
        for name in names
    ]
    return columns[0] if len(names) == 1 else np.column_stack(columns)


def _known(column: pd.Series) -> FloatArray:
    """A target as numbers; NaN where it is missing."""
    missing = column.isna()
    # Row by row, so that a message about a value names its row.
    values = numeric_column(column.astype(object).where(~missing, 0.0))
    values[missing.to_numpy()] = np.nan
    return values
