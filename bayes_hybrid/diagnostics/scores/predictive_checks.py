"""Posterior predictive checks: does the model make data such as those that came?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import position
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS
from bayes_hybrid.diagnostics.evaluation.censoring import completed
from bayes_hybrid.diagnostics.evaluation.evaluation import known_rows, spread_rows
from bayes_hybrid.diagnostics.scores.pit import PitEcdf, loo_pit, pit_ecdf
from bayes_hybrid.diagnostics.scores.scores import ALL, row_groups
from bayes_hybrid.diagnostics.scores.statistics import PROB, statistic_table, statistic_values
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Pictured

__all__ = ["PredictiveChecks", "predictive_checks"]

_COLUMNS: Final = (
    "regime",
    "check",
    "observed",
    "expected",
    "lower",
    "upper",
    "p_value",
    "num_rows",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PredictiveChecks(Pictured):
    """What a posterior says of the values of N rows before it has seen them.

    Attributes:
        output: name of the target, or of the one of several that is checked.
        feature: name of the feature along which rows are neighbours.
        held_out: whether the rows are held out; else they are training rows, left out one by one.
        y: the values, ``[N]``.
        along: the feature, ``[N]``.
        predicted: predictive means, ``[N]``.
        pit: ``F(y_n | x_n)``; of training rows ``F(y_n | x_n, all other rows)``, ``[N]``.
        pareto_k: k-hat of each row left out, ``[N]``; empty for rows held out.
        replicated: data sets that the model makes at the same x, ``[M, N]``; a data set uses one
            posterior draw for all rows, and draws are chosen by weight.
        groups: which rows belong to each group, ``[N]``: ``"all"``, then each regime that has
            some, by the probability that x alone gives it, see
            :func:`bayes_hybrid.diagnostics.predictive_scores`.
        regime_names: of all K regimes, also those without rows.
    """

    output: str
    feature: str
    held_out: bool
    y: FloatArray
    along: FloatArray
    predicted: FloatArray
    pit: FloatArray
    pareto_k: FloatArray
    replicated: FloatArray
    groups: Mapping[str, NDArray[np.bool_]]
    regime_names: tuple[str, ...]

    def rows(self, regime: str = ALL) -> NDArray[np.bool_]:
        """Which rows belong to a regime, or to ``"all"``.

        Raises:
            OptionError: no such regime, or one without rows.
        """
        return self.groups[checks.choice("regime", regime, tuple(self.groups))]

    def pit_ecdf(self, regime: str = ALL, *, prob: float = 0.95) -> PitEcdf:
        """The ecdf of the PIT values with its band, see :func:`~bayes_hybrid.diagnostics.pit_ecdf`.

        Raises:
            OptionError: no such regime, or ``prob`` not between 0 and 1.
            DataError: fewer than two rows, or a PIT value that is not finite.
        """
        return pit_ecdf(self.pit[self.rows(regime)], prob=prob)

    def coverage(
        self, regime: str = ALL, levels: ArrayLike = (0.5, 0.8, 0.9, 0.95)
    ) -> pd.DataFrame:
        """Share of rows inside central intervals: ``|F(y_n | x_n) - 1/2| <= level / 2``.

        Args:
            regime: whose rows.
            levels: probabilities of the intervals.

        Returns:
            ``level``, ``coverage``, and the central 90% of what a calibrated model would cover by
            chance (``lower``, ``upper``, binomial, rows independent); ``p_value``, ``num_rows``.

        Raises:
            OptionError: no such regime, or a level that is none.
        """
        level = checks.probabilities(levels, name="levels")
        pit = self.pit[self.rows(regime)]
        # A row on the very end is inside, up to the rounding of its PIT value.
        inside = np.abs(pit - 0.5)[:, None] <= 0.5 * level + 1e-12
        count, size = inside.sum(axis=0), len(pit)
        known = np.where(np.isnan(pit).any(), np.nan, 1.0)
        tail = stats.binom.sf(count, size, level) + 0.5 * stats.binom.pmf(count, size, level)
        low, high = (
            np.asarray(stats.binom.ppf(0.5 + side * PROB / 2.0, size, level)) / size
            for side in (-1.0, 1.0)
        )
        return pd.DataFrame(
            {
                "level": level,
                "coverage": count / size * known,
                "lower": low,
                "upper": high,
                "p_value": tail * known,
                "num_rows": size,
            }
        )

    def statistics(self, regime: str = ALL) -> pd.DataFrame:
        """Test statistics of the data beside those of the replicated data.

        Args:
            regime: whose rows.

        Returns:
            ``statistic`` (:func:`~bayes_hybrid.diagnostics.scores.statistics.statistic_values`),
            ``observed``, mean (``expected``) and central 90% (``lower``, ``upper``) of the
            replicated ones, ``p_value``, ``num_rows``.

        Raises:
            OptionError: no such regime.
        """
        observed, replicated = self.statistic_draws(regime)
        size = int(self.rows(regime).sum())
        return statistic_table(observed, replicated).assign(num_rows=size)

    def statistic_draws(
        self, regime: str = ALL
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Each test statistic of the data, and of every replicated data set ``[M]``.

        Raises:
            OptionError: no such regime.
        """
        rows = self.rows(regime)
        about = self.predicted[rows], self.along[rows]
        observed = statistic_values(self.y[rows], *about)
        return observed, statistic_values(self.replicated[:, rows], *about)

    def to_frame(self) -> pd.DataFrame:
        """Every check of all rows and of each regime.

        Returns:
            ``regime``; ``check``, a test statistic, ``coverage_50`` and the like, or ``pit_ecdf``,
            the largest distance of the PIT values' ecdf from the uniform one; ``observed``,
            ``expected``, ``lower``, ``upper``, ``p_value`` (NaN where there is none), and
            ``num_rows``.  A p-value near 0 or 1 is a misfit; that of ``pit_ecdf`` only near 0.
        """
        parts = []
        for regime in self.groups:
            statistics = self.statistics(regime).rename(columns={"statistic": "check"})
            cover = self.coverage(regime).rename(columns={"coverage": "observed"})
            cover["check"] = [f"coverage_{100.0 * level:g}" for level in cover["level"]]
            cover = cover.rename(columns={"level": "expected"})
            pit = pd.DataFrame([self._pit_line(regime)])
            part = pd.concat([statistics, cover, pit], ignore_index=True)
            parts.append(part.assign(regime=regime)[list(_COLUMNS)])
        return pd.concat(parts, ignore_index=True)

    def _pit_line(self, regime: str) -> dict[str, object]:
        """The ecdf in numbers."""
        pit = self.pit[self.rows(regime)]
        line = {"check": "pit_ecdf", "observed": math.nan, "p_value": math.nan}
        if pit.size > 1 and np.isfinite(pit).all():
            ecdf = pit_ecdf(pit)
            distance = float(np.abs(ecdf.difference).max())
            line |= {"observed": distance, "p_value": ecdf.p_value}
        expected = {"expected": 0.0, "lower": math.nan, "upper": math.nan}
        return line | expected | {"num_rows": pit.size}


def predictive_checks(
    fit: Fit,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    output: int | str = 0,
    feature: int | str = 0,
    num_replicates: int = 500,
    max_rows: int = 1_000,
    seed: int,
) -> PredictiveChecks:
    """Compare the values of rows with what the posterior predicts for them.

    Without ``x`` and ``y`` these are the training rows.  Their PIT values are then those of
    leave-one-out, because a fit is too close to the rows it has seen; their replicated data are
    those of the fit to all rows, so that p-values of test statistics lean towards 1/2.  Censored
    rows have a draw beyond their bound for a value, and a random place there for a PIT value.

    Args:
        fit: the finished fit.
        x: held-out features ``[N, D]``, in the units of the data.
        y: held-out targets ``[N]``, or ``[N, Q]`` with NaN where missing.
        output: position or name of the output that is checked, where there are several.
        feature: position or name of the feature along which rows are neighbours.
        num_replicates: replicated data sets M, at most one for each posterior draw.
        max_rows: at most so many rows, evenly spread.
        seed: of the replicated data.

    Returns:
        The checks; ``to_frame`` has all numbers, and :mod:`bayes_hybrid.plots` draws them.

    Raises:
        DataError: one of x and y without the other, shapes that do not fit, values that are not
            finite, no value of the output, or fewer than 25 draws for training rows.
        OptionError: no such output or feature, a count below 1, or a negative seed.

    Source: Gelman, Meng and Stern (1996), Statistica Sinica 6; Gabry, Simpson, Vehtari, Betancourt
    and Gelman (2019), Journal of the Royal Statistical Society A 182.
    """
    checks.positive_int("num_replicates", num_replicates)
    checks.positive_int("max_rows", max_rows)
    column = position("feature", feature, fit.feature_names)
    q = position("output", output, fit.output_names)
    features, target = known_rows(fit, x, y)
    there = np.flatnonzero(~np.isnan(target.reshape(len(target), -1)[:, q]))
    if not there.size:
        raise DataError(f"no row has a value of {fit.output_names[q]!r}; check another output")
    rows = there[spread_rows(there.size, max_rows)]
    features, target = features[rows], target[rows]
    posterior, k = fit.posterior, np.empty(0)
    if x is None:
        num_draws = posterior.num_restarts * posterior.num_draws
        if num_draws < MIN_PARETO_DRAWS:
            raise DataError(
                f"leaving training rows out needs {MIN_PARETO_DRAWS} draws; there are "
                f"{num_draws}: raise num_draws, or give held-out rows"
            )
        pit, k = loo_pit(posterior, features, target)
    else:
        pit = posterior.predictive.pit(features, target)
    return PredictiveChecks(
        output=fit.output_names[q],
        feature=fit.feature_names[column],
        held_out=x is not None,
        y=_one(completed(posterior, features, target, seed), q),
        along=features[:, column],
        predicted=_one(posterior.predictive.mean(features), q),
        pit=_one(pit, q),
        pareto_k=k,
        replicated=_replicated(posterior, features, q, num_replicates, seed),
        groups=row_groups(fit, features, by_regime=True),
        regime_names=fit.for_regimes.posterior.regime_names,
    )


def _one(values: FloatArray, q: int) -> FloatArray:
    """One output ``[N]`` of ``[N]`` or ``[N, Q]``."""
    return values if values.ndim == 1 else values[:, q]


def _replicated(
    posterior: Posterior, x: FloatArray, q: int, num_replicates: int, seed: int
) -> FloatArray:
    """Data sets ``[M, N]`` of one output, each from one posterior draw."""
    count = min(num_replicates, posterior.num_restarts * posterior.num_draws)
    draws = posterior.predictive.sample(x, count, seed)
    return draws if draws.ndim == 2 else draws[..., q]
