"""Which regime rules where along a feature."""

import itertools
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.curves.lines import At, line_along, position
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws
from bayes_hybrid.inference.result import Fit

__all__ = ["regions"]

_PROB: Final = 0.9
_GRID: Final = 400


def regions(
    fit: Fit,
    feature: int | str = 0,
    *,
    at: At = None,
    prob: float = _PROB,
    grid: int = _GRID,
) -> pd.DataFrame:
    """Intervals of one feature by the most probable regime, ``argmax_k p(z = k | x)``.

    ``p(z = k | x)`` is the mean over draws, and the regions cover the range of the data.  A region
    ends halfway between the last grid point of one regime and the first of the next.  Where
    restarts disagree the mean over them can change its regime in other places than the draws do:
    :func:`boundaries` has these.

    Args:
        fit: the finished fit.
        feature: position or name of the feature.
        at: where the other features are held: D numbers, or names and numbers; at their medians
            where nothing is said.
        prob: probability inside the intervals, strictly between 0 and 1.
        grid: points along the feature, at least 2.

    Returns:
        A row for each region, from left to right: ``regime``, ``feature``, ``start`` and ``stop``
        in the feature's units, ``probability`` of the regime averaged over the region and the
        draws, and the central interval (``lower``, ``upper``, ``prob``) of its average over the
        region, over draws.

    Raises:
        OptionError: no such feature, or another option is not what it has to be.

    Example:
        >>> from bayes_hybrid import FitOptions, HybridRegressor
        >>> reg = HybridRegressor(model="relu", fit_options=FitOptions.quick(), random_state=0)
        >>> X, y = [[value] for value in range(9)], [0, 1, 0, 1, 2, 3, 4, 5, 6]
        >>> regions(reg.fit(X, y).fit_)[["regime", "start", "stop", "probability"]]
          regime  start  stop  probability
        0   relu    0.0   8.0          1.0
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    column = position("feature", feature, fit.feature_names)
    points = line_along(fit, column, grid, at=at)
    along = points[:, column]
    fit = fit.for_regimes
    weights = fit.posterior.restart_weights
    draws = fit.posterior.by_draw.regime_probability(points)
    likeliest = mean_over_draws(draws, weights).argmax(axis=-1)
    changes = np.flatnonzero(np.diff(likeliest)) + 1
    halfway = 0.5 * (along[changes - 1] + along[changes])
    ends = [along[0], *halfway, along[-1]]
    rows = []
    for number, (first, stop) in enumerate(itertools.pairwise([0, *changes, grid])):
        regime = int(likeliest[first])
        average = draws[:, :, first:stop, regime].mean(axis=2)
        lower, upper = quantiles_over_draws(average, [tail, 1.0 - tail], weights)
        rows.append(
            {
                "regime": fit.posterior.regime_names[regime],
                "feature": fit.feature_names[column],
                "start": ends[number],
                "stop": ends[number + 1],
                "probability": float(mean_over_draws(average, weights)),
                "lower": lower,
                "upper": upper,
                "prob": prob,
            }
        )
    return pd.DataFrame(rows)
