"""What the sections of a report read: the fit, its findings, and rows to look at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.diagnostics import (
    Boundary,
    BoundaryPosterior,
    Finding,
    boundaries,
    diagnose,
    regime_descriptions,
)
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS
from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation, evaluate, spread_rows
from bayes_hybrid.diagnostics.regimes.readings import regime_feature, told_readings
from bayes_hybrid.diagnostics.scores.pit import loo_pit
from bayes_hybrid.estimator import HybridRegressor, settings_of
from bayes_hybrid.inference import Fit, Posterior
from bayes_hybrid.words import on_command_line, placed

__all__ = ["MAX_DRAWS", "MAX_FEATURES", "MAX_ROWS", "Evidence", "gather"]

MAX_ROWS: Final = 1_000
"""Rows that checks read: a share is then known to 1.6 points, and a report takes seconds."""

MAX_DRAWS: Final = 400
"""Posterior draws behind a curve, in all.  The ends of its bands are quantiles of a mixture of so
many densities, and move by about a twentieth of a posterior sd of a quantile if all are taken."""

MAX_FEATURES: Final = 6
"""Features along which boundaries are looked for: some tenths of a second each."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A fitted estimator, what was found about it, and held-out rows if there are any.

    Attributes:
        estimator: fitted.
        findings: those of :func:`bayes_hybrid.diagnostics.diagnose`.
        x_test: held-out features ``[M, D]``, or ``None``.
        y_test: held-out targets ``[M]`` or ``[M, Q]``, or ``None``.
        command: what was typed to make the report; empty where it was made from Python.
    """

    estimator: HybridRegressor
    findings: tuple[Finding, ...]
    x_test: FloatArray | None = None
    y_test: FloatArray | None = None
    command: str = ""

    @property
    def fit(self) -> Fit:
        """The fit."""
        return self.estimator.fit_

    @property
    def status(self) -> str:
        """How the fit ended, in the words of who made the report."""
        return (on_command_line if self.command else placed)(self.fit.training.status)

    @property
    def posterior(self) -> Posterior:
        """Its posterior."""
        return self.fit.posterior

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the Q outputs."""
        return self.fit.output_names

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns, of which the features were made."""
        encoding = self.estimator.encoding_
        return self.fit.feature_names if encoding is None else encoding.sources

    @property
    def encoded(self) -> list[str]:
        """What became of each column that was no number or had missing cells, in sentences."""
        encoding = self.estimator.encoding_
        return [] if encoding is None else encoding.words()

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Indices of the training rows that checks read, evenly spread."""
        return spread_rows(len(self.fit.x), MAX_ROWS)

    @cached_property
    def evaluation(self) -> Evaluation:
        """What the posterior says of those rows."""
        return evaluate(self.fit, max_rows=MAX_ROWS)

    @property
    def is_held_out(self) -> bool:
        """Whether calibration is read from rows that were not fitted."""
        return self.y_test is not None

    @property
    def is_left_out(self) -> bool:
        """Whether each training row is read from a posterior without it, by importance sampling."""
        total = self.posterior.num_restarts * self.posterior.num_draws
        return not self.is_held_out and total >= MIN_PARETO_DRAWS

    @cached_property
    def test_rows(self) -> tuple[FloatArray, FloatArray] | None:
        """Held-out rows that are read, evenly spread; ``None`` where none have a target."""
        if self.x_test is None or self.y_test is None:
            return None
        chosen = spread_rows(len(self.x_test), MAX_ROWS)
        return self.x_test[chosen], self.y_test[chosen]

    @cached_property
    def cdf(self) -> FloatArray:
        """``F(y_n | x_n)``, ``[M, Q]``, NaN where y is missing.

        Of held-out rows, else of training rows, each left out where there are draws enough.
        """
        x, y = self.test_rows or (self.fit.x[self.rows], self.fit.y[self.rows])
        if self.is_left_out:
            levels, _ = loo_pit(self.posterior, x, y, self.evaluation.log_likelihood)
        else:
            levels = self.posterior.predictive.pit(x, y)
        levels = levels.reshape(len(x), -1)
        return np.where(np.isnan(y.reshape(len(x), -1)), np.nan, levels)

    @cached_property
    def regimes(self) -> Mapping[str, str]:
        """Where and how each regime is that the leading reading uses, by its name."""
        return regime_descriptions(self.fit)

    @property
    def used(self) -> list[int]:
        """Their numbers."""
        return [self.posterior.regime_names.index(name) for name in self.regimes]

    @cached_property
    def told(self) -> list[int]:
        """Numbers of the readings that are drawn; none of a model with one regime."""
        return [] if self.posterior.num_regimes == 1 else told_readings(self.fit)

    @cached_property
    def lead(self) -> int | None:
        """The feature that tells regimes apart best, in the first reading that has one."""
        found = (regime_feature(self.fit, number) for number in self.told)
        return next((feature for feature in found if feature is not None), None)

    def features(self, most: int) -> list[int]:
        """Positions of the first features, :attr:`lead` before the others.

        What says which rows are censored is none: no prediction depends on it.
        """
        status = self.fit.posterior.model.likelihoods.censored_column
        every = (column for column in range(self.fit.x.shape[1]) if column != status)
        return sorted(every, key=lambda feature: feature != self.lead)[:most]

    @cached_property
    def boundaries(self) -> list[BoundaryPosterior]:
        """Where the most probable regime changes along each feature; of several regimes only."""
        if len(self.regimes) == 1:
            return []
        varying = np.ptp(self.fit.x, axis=0) > 0.0
        every = [
            boundaries(self.fit, each) for each in self.features(MAX_FEATURES) if varying[each]
        ]
        found = [
            replace(each, boundaries=tuple(one for one in each.boundaries if self._names(one)))
            for each in every
        ]
        return [each for each in found if each.boundaries]

    def _names(self, boundary: Boundary) -> bool:
        """Whether both regimes are in use."""
        return {boundary.below, boundary.above} <= set(self.regimes)

    @cached_property
    def light(self) -> Fit:
        """The fit with few draws, for curves along many features."""
        posterior, most = self.posterior, MAX_DRAWS
        stride = -(-posterior.num_restarts * posterior.num_draws // most)
        light = replace(
            self.fit, posterior=replace(posterior, theta=posterior.theta[:, ::stride].clone())
        )
        vars(light)["readings"] = self.fit.readings  # fewer draws may group the rows otherwise
        return light

    def target(self, output: int) -> FloatArray:
        """Training targets of one output, ``[N]``."""
        return self.fit.y if self.fit.y.ndim == 1 else self.fit.y[:, output]


@np.errstate(under="ignore")  # what vanishes is zero, whatever the caller lets NumPy raise
def gather(
    estimator: HybridRegressor,
    *,
    x_test: FloatArray | None = None,
    y_test: FloatArray | None = None,
    command: str = "",
) -> Evidence:
    """The evidence about a fitted estimator; findings are computed here, the rest when it is read.

    Args:
        estimator: fitted.
        x_test: held-out features ``[M, D]``.
        y_test: held-out targets ``[M]`` or ``[M, Q]``.
        command: what was typed; advice then names options of the command line.
    """
    findings = diagnose(
        estimator.fit_, x_test=x_test, y_test=y_test, settings=settings_of(estimator)
    )
    if command:
        findings = [
            replace(
                each, meaning=on_command_line(each.meaning), advice=on_command_line(each.advice)
            )
            for each in findings
        ]
    return Evidence(
        estimator=estimator,
        findings=tuple(findings),
        x_test=x_test,
        y_test=y_test,
        command=command,
    )
