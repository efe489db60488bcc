"""Can the predictions be used, and do their intervals cover what they say they cover?"""

import math
from typing import Final

import numpy as np
from scipy import stats

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.finding import Comparison, Finding, Severity, judge
from bayes_hybrid.digits import percentages

__all__ = ["coverage_bounds", "coverage_finding", "density_finding"]

PROB: Final = 0.9

_FALSE_ALARM: Final = 0.01
"""One calibrated model in a hundred is flagged."""

_SLACK: Final = 0.02
"""With thousands of rows a miss of less than two points shows, and does not matter."""

_UNUSABLE: Final = 0.5
"""A 90% interval that misses every other row says nothing."""


def coverage_bounds(num_rows: int, prob: float = PROB) -> tuple[float, float]:
    """Coverages that ``num_rows`` independent rows give to a calibrated model, and a little more.

    The central 99% of ``Binomial(N, prob) / N``, widened to at least ``prob`` plus or minus 0.02.

    Example:
        >>> coverage_bounds(100), coverage_bounds(1_000_000)
        ((0.82, 0.97), (0.88, 0.92))
    """
    low, high = (
        float(stats.binom.ppf(level, num_rows, prob)) / num_rows
        for level in (_FALSE_ALARM / 2.0, 1.0 - _FALSE_ALARM / 2.0)
    )
    return min(low, prob - _SLACK), max(high, prob + _SLACK)


def coverage_finding(cdf: FloatArray) -> Finding:
    """Share of held-out rows inside their central 90% predictive interval.

    ``mean_n 1[0.05 <= F(y_n | x_n) <= 0.95]`` with F the predictive distribution function.  Its
    standard error for a calibrated model is ``sqrt(0.9 * 0.1 / N)``.  A warning outside
    :func:`coverage_bounds`; an error, *predictions cannot be used*, when fewer than half of the
    rows are covered and chance would do that to a calibrated model less than once in 10,000.

    Args:
        cdf: ``F(y_n | x_n)`` of the held-out rows, ``[N]``; of several outputs, all that are there.
    """
    num_rows, tail = cdf.size, 0.5 * (1.0 - PROB)
    covered = int(((cdf >= tail) & (cdf <= 1.0 - tail)).sum())
    value, (low, high) = covered / num_rows, coverage_bounds(num_rows)
    error = math.sqrt(PROB * (1.0 - PROB) / num_rows)
    share, chance = percentages(error, value, error)
    # Named is the bound on the value's own side.
    below = value < PROB
    side: tuple[Comparison, float] = (">=", low) if below else ("<=", high)
    grossly_off = value < _UNUSABLE and stats.binom.cdf(covered, num_rows, PROB) < 1e-4
    failing: Severity = "error" if grossly_off else "warning"
    too = "narrow" if below else "wide"
    return judge(
        "coverage_90",
        value,
        *side,
        meaning=f"90% intervals contain {share} of {num_rows} held-out rows "
        f"(a calibrated model would give 90.0% with a standard error of {chance}).",
        advice=f"Intervals are too {too} for these rows. Check that they come from the same "
        "source as the training rows. Then try {refinement (`refine='always'`)|another likelihood "
        "(`likelihood`)|more restarts (`num_restarts`)}.",
        failing=failing,
    )


def density_finding(log_density: FloatArray) -> Finding:
    """Share of rows, training and held-out, whose predictive log density is not finite.

    Any such row is an error: predictions cannot be scored, and probably not be used.

    Args:
        log_density: ``log p(y_n | x_n)``, ``[N]``.
    """
    bad = ~np.isfinite(log_density)
    return judge(
        "nonfinite_density",
        float(bad.mean()),
        "<=",
        0.0,
        meaning=f"{int(bad.sum())} of {bad.size} rows have a predictive log density that is not "
        "finite.",
        advice="The posterior is broken or a row lies absurdly far out. Check the data for wrong "
        "units and typing errors, then fit again with another seed.",
        failing="error",
    )
