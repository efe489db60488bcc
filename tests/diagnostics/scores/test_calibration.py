"""Coverage and densities."""

import numpy as np
import pytest
from scipy import stats

from bayes_hybrid.diagnostics.scores.calibration import (
    coverage_bounds,
    coverage_finding,
    density_finding,
)


def cdf_with(covered, num_rows):
    """Values of F of which ``covered`` lie in the central 90%."""
    return np.where(np.arange(num_rows) < covered, 0.5, 0.99)


@pytest.mark.parametrize("num_rows", [1, 5, 20, 50, 133, 1000, 10_000])
def test_a_calibrated_model_is_flagged_at_most_once_in_a_hundred(num_rows):
    low, high = coverage_bounds(num_rows)
    counts = np.arange(num_rows + 1)
    outside = (counts / num_rows < low) | (counts / num_rows > high)
    assert stats.binom.pmf(counts, num_rows, 0.9)[outside].sum() <= 0.01


@pytest.mark.parametrize(
    ("covered", "num_rows", "severity"),
    [
        (90, 100, "ok"),
        (82, 100, "ok"),
        (80, 100, "warning"),
        (99, 100, "warning"),
        (30, 100, "error"),
        (1, 5, "warning"),  # grossly off, but chance does that once in two thousand
        (0, 1, "ok"),
        (8_850, 10_000, "ok"),  # significant, and does not matter
    ],
)
def test_severity_of_coverage(covered, num_rows, severity):
    finding = coverage_finding(cdf_with(covered, num_rows))
    assert finding.severity == severity
    assert finding.value == pytest.approx(covered / num_rows)


def test_the_bound_named_is_the_one_on_the_values_side():
    below, above = coverage_finding(cdf_with(80, 100)), coverage_finding(cdf_with(99, 100))
    assert (below.comparison, above.comparison) == (">=", "<=")
    assert "too narrow" in below.advice
    assert "too wide" in above.advice
    assert "standard error of 3.0%" in below.meaning


def test_both_tails_count_as_missed():
    cdf = np.array([0.01, 0.049, 0.051, 0.5, 0.949, 0.951, 1.0])
    assert coverage_finding(cdf).value == pytest.approx(3 / 7)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf])
def test_a_density_that_is_not_finite_is_an_error(bad):
    assert density_finding(np.array([0.0, -800.0])).severity == "ok"
    finding = density_finding(np.array([0.0, bad]))
    assert finding.severity == "error"
    assert finding.value == 0.5
