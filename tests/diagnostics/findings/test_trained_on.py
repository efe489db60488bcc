"""Rows that are called held out, and were part of the fit."""

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.findings.trained_on import trained_on_finding
from tests.diagnostics.fakes import healthy


def make_rows(num_rows=200, decimals=12, seed=0):
    x = np.random.default_rng(seed).normal(size=(num_rows, 2)).round(decimals)
    return x, x.sum(axis=1).round(decimals)


@pytest.mark.parametrize(("known", "words"), [(1, "1 of the 20 held-out rows was"), (20, "20 of")])
def test_rows_of_the_fit_are_called_so(known, words):
    (x, y), (new, target) = make_rows(), make_rows(20, seed=1)
    new[:known], target[:known] = x[50 : 50 + known], y[50 : 50 + known]
    finding = trained_on_finding(x, y, new, target)
    assert (finding.value, finding.severity) == (known / 20, "warning")
    assert finding.meaning.startswith(words)
    assert "trained on" in finding.meaning


def test_new_rows_are_not():
    finding = trained_on_finding(*make_rows(), *make_rows(20, seed=1))
    assert (finding.value, finding.severity) == (0.0, "ok")
    assert finding.meaning == "None of the 20 held-out rows was trained on."
    # A target or a feature that differs makes another row.
    x, y = make_rows()
    assert trained_on_finding(x, y, x, y + 1e-9).value == 0.0
    assert trained_on_finding(x, y, x[:, ::-1], y).value == 0.0


def test_rows_that_repeat_by_themselves_are_no_fault():
    # Rounded so that most rows occur more than once; 20 samples, each flagged once in 100.
    flagged = 0
    for seed in range(20):
        x, y = make_rows(300, decimals=0, seed=seed)
        finding = trained_on_finding(x[50:], y[50:], x[:50], y[:50])
        assert finding.value > 0.5
        flagged += finding.severity != "ok"
    assert flagged <= 3  # more have a probability of 4e-5
    assert "no more than rows of the fit equal each other" in finding.meaning


def test_zeros_and_missing_outputs_are_equal_to_themselves():
    x, y = np.array([[0.0], [1.0]]), np.array([[np.nan, 1.0], [2.0, 3.0]])
    other = np.array([[-np.nan, 1.0]])
    assert trained_on_finding(x, y, -x[:1], other).value == 1.0


def test_it_is_among_the_findings_where_there_are_held_out_targets():
    fit = healthy()
    names = [finding.name for finding in diagnose(fit, x_test=fit.x, y_test=fit.y)]
    assert names[:3] == ["nonfinite_density", "trained_on", "coverage_90"]
    assert "trained_on" not in [finding.name for finding in diagnose(fit, x_test=fit.x)]
