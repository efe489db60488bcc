"""How good predictions are: proper scores of the predictive distribution, each with its error."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.censoring import censored_rows, only_values
from bayes_hybrid.diagnostics.evaluation.evaluation import known_rows, row_chunks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.random import spawn_seeds

__all__ = ["ALL", "predictive_scores", "row_groups"]

ALL: Final = "all"
"""What the rows of every regime together are called, and the score of all outputs together."""

_MIN_DRAWS: Final = 1_000
"""Predictive draws behind the CRPS.  Its Monte Carlo error at one row is then a few hundredths of
the row's CRPS, far below the spread between rows that the standard error states."""

_MIN_ROUNDS: Final = 2
"""Predictive draws of each posterior draw, at least: how they differ is the Monte Carlo error.  The
posterior draws themselves are given, and what differs between them is no part of it."""


def predictive_scores(
    fit: Fit,
    x: ArrayLike,
    y: ArrayLike,
    *,
    levels: ArrayLike = (0.05, 0.25, 0.5, 0.75, 0.95),
    probs: ArrayLike = (0.5, 0.9),
    by_regime: bool = False,
    seed: int,
) -> pd.DataFrame:
    """Scores of the posterior predictive at rows whose targets are known.

    ======================  ==============================================================  ======
    score                   formula, mean over the rows                                     best
    ======================  ==============================================================  ======
    ``log_score``           ``-log p(y_n | x_n)``, nats; of a row's outputs together        least
    ``crps``                ``E|Y - y_n| - E|Y - Y'| / 2``, in y's units                    0
    ``interval_score_90``   ``w + 2 / (1 - 0.9) d``: width of the central 90% interval,     0
                            and distance to it from outside
    ``pinball_25``          ``(0.25 - 1[y_n < q]) (y_n - q)``, q the 25% quantile           0
    ``rmse``, ``mae``       of the predictive mean; a root of the mean for the first        0
    ``coverage_90``         ``1[y_n inside the central 90% interval]``                      0.9
    ======================  ==============================================================  ======

    Quantiles, intervals and densities are exact, those of the mixture over draws and regimes.  The
    CRPS is the unbiased estimate from 1,000 predictive draws or more for each row, at least two of
    each posterior draw, which count by its weight, with the Monte Carlo error that is left; that of
    the others is 0.

    Standard errors take rows as independent; that of the RMSE is by the delta method, and that of
    a coverage is the binomial one of a calibrated model, ``sqrt(prob (1 - prob) / N)``.

    A row belongs to the regime that is most probable given x alone.  Rows must not be chosen by
    the value that they are scored on: given y too, each regime would get the rows that suit it, and
    a calibrated model would seem to cover too much.  A regime without rows has no lines.

    Censored rows are in the log score alone, by the probability of what is known.  The other scores
    are those of values, and the values that are known are not like the others: where long waits are
    cut off, they are the short ones.

    Args:
        fit: the finished fit.
        x: features ``[N, D]``.
        y: targets ``[N]``, finite; or ``[N, Q]``, NaN where missing.
        levels: of the pinball losses, each strictly between 0 and 1.
        probs: of the intervals, each strictly between 0 and 1.
        by_regime: whether to score the rows of each regime by themselves also.
        seed: of the draws behind the CRPS.

    Returns:
        Columns ``score``, ``regime`` (``"all"`` for every row), ``output`` (``"all"`` for the log
        score of several), ``value``, ``standard_error`` (NaN of one row), ``num_rows`` and
        ``monte_carlo_error``.  Of no rows ``value`` and ``standard_error`` are NaN.

    Raises:
        DataError: shapes that do not fit, or values that are not finite.
        OptionError: a level or probability that is none.

    Source: Gneiting and Raftery (2007), Journal of the American Statistical Association 102; the
    CRPS from draws as in Zamo and Naveau (2018), Mathematical Geosciences 50.
    """
    levels, probs = checks.probabilities(levels, name="levels"), checks.probabilities(probs)
    x, y = known_rows(fit, x, y)
    lines = []
    groups = row_groups(fit, x, by_regime=by_regime)
    density = np.atleast_1d(-fit.posterior.predictive.log_density(x, y))
    censored = censored_rows(fit.posterior, x)
    y = only_values(fit.posterior, x, y)
    scored = _Scored.of(fit.posterior, x, y, levels, probs, seed)
    several = y.ndim > 1
    there = ~np.isnan(y.reshape(len(y), -1))
    for regime, mine in groups.items():
        some = mine & (there.any(axis=1) | censored)
        output = ALL if several else fit.output_names[0]
        lines.append(("log_score", regime, output, *_mean(density[some]), int(some.sum()), 0.0))
        for q, name in enumerate(fit.output_names):
            rows = mine & there[:, q]
            lines += [
                (score, regime, name, value, error, int(rows.sum()), left)
                for score, value, error, left in scored.summarised(rows, q)
            ]
    columns = ["score", "regime", "output", "value", "standard_error", "num_rows"]
    return pd.DataFrame(lines, columns=[*columns, "monte_carlo_error"])


def row_groups(fit: Fit, x: FloatArray, *, by_regime: bool) -> dict[str, NDArray[np.bool_]]:
    """Which rows ``[N]`` belong to each group: ``"all"``, and each regime that has some.

    Raises:
        OptionError: a regime has the name ``"all"``.
    """
    groups = {ALL: np.ones(len(x), dtype=bool)}
    if by_regime:
        posterior = fit.for_regimes.posterior
        if ALL in posterior.regime_names:
            raise OptionError(f"a regime is called {ALL!r}, which stands for all rows here")
        likeliest = posterior.predictive.regime_probability(x).argmax(axis=1)
        for k, name in enumerate(posterior.regime_names):
            mine = likeliest == k
            if mine.any():
                groups[name] = mine
    return groups


@dataclass(frozen=True, eq=False, kw_only=True)
class _Scored:
    """Scores of every row and output, ``[N, Q]``; of the CRPS also its Monte Carlo error."""

    means: Mapping[str, FloatArray]
    covered: Mapping[float, FloatArray]
    error: FloatArray
    crps_error: FloatArray

    @classmethod
    def of(
        cls,
        posterior: Posterior,
        x: FloatArray,
        y: FloatArray,
        levels: FloatArray,
        probs: FloatArray,
        seed: int,
    ) -> "_Scored":
        # Here, because scoringrules takes most of a second to import.
        from scoringrules import interval_score, quantile_score

        # It drops axes of length one, hence the shapes below.
        tails = 0.5 * (1.0 - probs)
        wanted = np.concatenate([levels, tails, 1.0 - tails])
        quantiles = posterior.predictive.quantile(x, wanted).reshape(len(x), -1, len(wanted))
        target = y.reshape(len(y), -1)
        crps, crps_error = _crps(posterior, x, target, seed)
        means = {"crps": crps}
        at, ends = np.split(quantiles, [len(levels)], axis=-1)
        low, high = np.split(ends, 2, axis=-1)
        for j, prob in enumerate(probs):
            score = interval_score(target, low[..., j], high[..., j], 1.0 - prob)
            means[f"interval_score_{_percent(prob)}"] = np.reshape(score, target.shape)
        for j, level in enumerate(levels):
            score = quantile_score(target, at[..., j], level)
            means[f"pinball_{_percent(level)}"] = np.reshape(score, target.shape)
        covered = {
            prob: ((low[..., j] <= target) & (target <= high[..., j])).astype(np.float64)
            for j, prob in enumerate(probs)
        }
        error = target - posterior.predictive.mean(x).reshape(target.shape)
        return cls(means=means, covered=covered, error=error, crps_error=crps_error)

    def summarised(
        self, rows: NDArray[np.bool_], q: int
    ) -> Iterator[tuple[str, float, float, float]]:
        """Name, value, standard error and Monte Carlo error of each score over some rows."""
        for score, values in self.means.items():
            left = 0.0
            if score == "crps" and rows.any():
                # Given the posterior draws, the predictive draws of rows are independent.
                left = float(np.linalg.norm(self.crps_error[rows, q])) / int(rows.sum())
            yield score, *_mean(values[rows, q]), left
        error = self.error[rows, q]
        square, square_error = _mean(error**2)
        rmse = math.sqrt(square)
        yield "rmse", rmse, 0.5 * square_error / rmse if rmse > 0.0 else math.nan, 0.0
        yield "mae", *_mean(np.abs(error)), 0.0
        for prob, covered in self.covered.items():
            value, _ = _mean(covered[rows, q])
            count = int(rows.sum())
            binomial = math.sqrt(prob * (1.0 - prob) / count) if count else math.nan
            yield f"coverage_{_percent(prob)}", value, binomial, 0.0


def _crps(
    posterior: Posterior, x: FloatArray, target: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray]:
    """CRPS and its Monte Carlo error, both ``[N, Q]``."""
    per_round = posterior.num_restarts * posterior.num_draws
    rounds = max(_MIN_ROUNDS, -(-_MIN_DRAWS // per_round))
    num_draws = rounds * per_round
    each = draw_weights(posterior.restart_weights, posterior.num_draws)
    weights = np.tile(each / rounds, rounds)
    whole, error = np.empty_like(target), np.empty_like(target)
    chunks = list(row_chunks(len(x), num_draws * target.shape[1]))
    for rows, chunk_seed in zip(chunks, spawn_seeds(seed, len(chunks)), strict=True):
        samples = posterior.by_draw.samples(x[rows], rounds, chunk_seed)
        draws = samples.reshape(num_draws, *target[rows].shape)
        away = np.moveaxis(draws, 0, -1) - target[rows][..., None]
        distance, pairs = np.abs(away), _pair_distances(away, weights)
        whole[rows] = (distance - 0.5 * pairs) @ weights
        # By Hoeffding (1948), Annals of Mathematical Statistics 19, its error is that of this mean.
        effect = (distance - pairs).reshape(*target[rows].shape, rounds, per_round)
        error[rows] = np.sqrt(effect.var(axis=-2, ddof=1) @ each**2 / rounds)
    return whole, error


def _pair_distances(away: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum_j w_j |Y_i - Y_j| / (1 - sum_j w_j^2)`` of M draws ``Y_i - y`` with weights ``[M]``.

    Its weighted mean over i is unbiased for ``E|Y - Y'|``: no draw is its own pair.
    """
    order = np.argsort(away, axis=-1)
    ranked, shares = np.take_along_axis(away, order, axis=-1), weights[order]
    below, share = np.cumsum(ranked * shares, axis=-1), np.cumsum(shares, axis=-1)
    # What is below and above the i-th smallest.
    sums = (2.0 * share - 1.0) * ranked - 2.0 * below + below[..., -1:]
    distances = np.empty_like(away)
    np.put_along_axis(distances, order, sums / (1.0 - np.square(weights).sum()), axis=-1)
    return distances


def _mean(values: FloatArray) -> tuple[float, float]:
    """Mean and its standard error; NaN of no rows, and of one row no error."""
    if not values.size:
        return math.nan, math.nan
    if values.size == 1 or not np.isfinite(values).all():
        return float(values.mean()), math.nan
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)


def _percent(prob: float) -> str:
    """A probability in the name of a score.

    Example:
        >>> _percent(0.05), _percent(0.9), _percent(0.975)
        ('05', '90', '97.5')
    """
    whole = f"{100.0 * prob:g}"
    return whole.zfill(2) if "." not in whole else whole
