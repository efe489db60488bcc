"""How long a regime lasts, for rows in an order."""

from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import position
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    fitted_regime_draws,
    flat_draws,
    row_chunks,
)
from bayes_hybrid.inference.posterior.over_draws import draw_weights, weighted_quantiles
from bayes_hybrid.inference.result import Fit

__all__ = ["expected_durations"]

_PROB: Final = 0.9


def expected_durations(
    fit: Fit, *, order: int | str | None = None, prob: float = _PROB
) -> pd.DataFrame:
    """Expected length of a run of each regime over the fitted rows, in rows.

    Given the parameters, the regimes of different rows are independent in this model, with
    ``p_nk = p(z_n = k | x_n, y_n, theta)``.  A path of regimes then has, in expectation::

        rows_k = sum_n p_nk
        runs_k = p_1k + sum_(n >= 2) p_nk (1 - p_(n-1)k)        a run begins where k was not before

    and ``rows_k / runs_k`` is the mean length of a run of k over all runs of many such paths: exact
    for each posterior draw, without sampling paths.  Undecided rows break runs up, so a fit that
    cannot tell its regimes apart has short ones.  Runs at the two ends are cut off by the data.

    Args:
        fit: the finished fit.
        order: position or name of the feature by which the rows are put in order, such as the time;
            by default they are taken as they came.
        prob: probability inside the intervals, strictly between 0 and 1.

    Returns:
        A row for each regime: ``regime``, posterior ``mean`` of the length in rows, its central
        interval over draws (``lower``, ``upper``, ``prob``), and posterior means of the number of
        runs, ``runs``, and of the rows in it, ``rows``.  A regime that no draw gives any
        probability has no length, NaN.

    Raises:
        OptionError: no such feature, or ``prob`` is not strictly between 0 and 1.

    Source: the ratio of expectations over alternating runs, as in renewal theory: Ross (1996),
    Stochastic Processes, section 3.6.

    Example:
        >>> from bayes_hybrid import FitOptions, HybridRegressor
        >>> reg = HybridRegressor(model="relu", fit_options=FitOptions.quick(), random_state=0)
        >>> X, y = [[value] for value in range(9)], [0, 1, 0, 1, 2, 3, 4, 5, 6]
        >>> expected_durations(reg.fit(X, y).fit_)[["regime", "mean", "runs"]]
          regime  mean  runs
        0   relu   9.0   1.0
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    fit = fit.for_regimes
    weights = draw_weights(fit.posterior.restart_weights, fit.posterior.num_draws)
    index = np.arange(len(fit.x))
    if order is not None:
        index = np.argsort(fit.x[:, position("order", order, fit.feature_names)], kind="stable")
    rows, runs = _rows_and_runs(fit, index)
    summaries = [
        _summary(rows[:, k], runs[:, k], weights, tail) for k in range(fit.posterior.num_regimes)
    ]
    table = pd.DataFrame(summaries, columns=pd.Index(["mean", "lower", "upper"]))
    table.insert(0, "regime", fit.posterior.regime_names)
    return table.assign(prob=prob, runs=weights @ runs, rows=weights @ rows)


def _summary(
    rows: FloatArray, runs: FloatArray, weights: FloatArray, tail: float
) -> tuple[float, float, float]:
    """Mean and interval of the length, over the draws ``[M]`` in which there is a run at all."""
    there = runs > 0.0
    if not there.any():
        return np.nan, np.nan, np.nan
    length, weights = rows[there] / runs[there], weights[there]
    lower, upper = weighted_quantiles(length, [tail, 1.0 - tail], weights)
    return float(weights @ length / weights.sum()), float(lower), float(upper)


def _rows_and_runs(fit: Fit, index: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Expected number of rows and of runs of each regime in each draw, both ``[R S, K]``."""
    posterior = fit.posterior
    size = posterior.num_restarts * posterior.num_draws
    rows, runs = np.zeros((2, size, posterior.num_regimes))
    before = np.zeros((size, 1, posterior.num_regimes))  # nothing comes before the first row
    for part in row_chunks(len(index), size * posterior.num_regimes):
        draws = flat_draws(fitted_regime_draws(fit, index[part]))
        rows += draws.sum(axis=1)
        runs += (draws * (1.0 - np.concatenate([before, draws[:, :-1]], axis=1))).sum(axis=1)
        before = draws[:, -1:]
    return rows, runs
