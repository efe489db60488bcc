"""Constant columns, and fewer values than parameters."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose, exit_code
from bayes_hybrid.diagnostics.evaluation.evaluation import output_scales
from bayes_hybrid.diagnostics.findings.information import (
    constant_findings,
    least_parameters,
    prior_finding,
    varying_targets,
    whole_findings,
)
from tests.diagnostics.fakes import healthy, make_data


def of_rows(num_rows, num_features=1):
    return healthy(num_rows=num_rows, num_features=num_features)


def constant_target(value=3.0):
    fit = healthy()
    return dataclasses.replace(fit, y=np.full(len(fit.x), value))


def test_the_parameters_of_the_simplest_model():
    # Two lines with an intercept, a slope and a noise scale each, and a place and width between.
    assert least_parameters(1, 2) == 2 * 3 + 2
    # A plane with an intercept, five slopes and a noise scale, and no border.
    assert least_parameters(5, 1) == 7
    assert least_parameters(1, 3, num_outputs=2) == 2 * 3 * 3 + 4


@pytest.mark.parametrize(
    ("num_rows", "num_features", "few"),
    [(3, 1, True), (8, 1, True), (9, 1, False), (40, 1, False), (16, 5, True), (17, 5, False)],
)
def test_no_more_rows_than_parameters_are_too_few(num_rows, num_features, few):
    found = prior_finding(of_rows(num_rows, num_features))
    assert found.value == num_rows
    assert (found.severity == "warning") == few
    assert ("take a single pathway" in found.advice) == few


def test_constant_columns_and_missing_values_do_not_count():
    fit = of_rows(12, 3)
    x = fit.x.copy()
    x[:, 1] = 5.0
    fit = dataclasses.replace(fit, x=x)
    # Two features vary.
    assert prior_finding(fit).threshold == least_parameters(2, 2) + 1
    y = np.c_[fit.y, np.full(12, 2.0), fit.y]
    y[:4, 2] = np.nan
    several = prior_finding(dataclasses.replace(fit, y=y, output_names=("a", "b", "c")))
    assert several.value == 12 + 8
    assert several.threshold == least_parameters(2, 2, num_outputs=2) + 1


@pytest.mark.parametrize("num_features", [1, 5, 20])
@pytest.mark.parametrize("num_rows", [2, 3, 5, 8])
def test_few_rows_are_one_finding_and_how_training_ended(num_rows, num_features):
    findings = diagnose(of_rows(num_rows, num_features))
    assert [f.name for f in findings] == [
        "nonfinite_density",
        "prior_dominated",
        "converged",
        "restarts_dropped",
    ]
    assert [f.name for f in findings if f.severity != "ok"] == ["prior_dominated"]


def test_held_out_rows_are_judged_all_the_same():
    x_test, y_test = make_data(100, seed=6)
    findings = diagnose(of_rows(5), x_test=x_test, y_test=y_test)
    assert [f.name for f in findings[1:3]] == ["trained_on", "coverage_90"]


def test_a_constant_target_is_one_finding():
    fit = constant_target()
    findings = diagnose(fit)
    assert [f.name for f in findings] == ["nonfinite_density", "constant_target"]
    assert findings[1].severity == "warning"
    assert findings[1].meaning == "All 120 values of the target 'response' are 3."
    assert exit_code(findings) == 1
    rounded = np.where(np.arange(120) % 2, 0.1 + 0.2, 0.3)
    (found,) = constant_findings(dataclasses.replace(fit, y=rounded))
    assert found.meaning == "All 120 values of the target 'response' are 0.3, up to rounding."


def test_held_out_rows_of_a_constant_target_are_covered_only_where_they_differ():
    fit = constant_target()
    x_test, _ = make_data(50)
    same = np.full(50, 3.0)
    assert [f.name for f in diagnose(fit, x_test=x_test, y_test=same)] == [
        "nonfinite_density",
        "trained_on",
        "constant_target",
    ]
    other = same.copy()
    other[:2] = 4.0
    findings = diagnose(fit, x_test=x_test, y_test=other)
    assert [f.name for f in findings] == [
        "nonfinite_density",
        "trained_on",
        "coverage_90",
        "constant_target",
    ]
    assert "in 2 of 50 held-out rows it has another value" in findings[3].meaning
    assert np.isnan(varying_targets(fit, same)).all()
    np.testing.assert_array_equal(varying_targets(fit, other), other)


def test_one_constant_output_of_several_is_named():
    fit = healthy()
    y = np.c_[fit.y, np.full(120, 7.0)]
    y[0, 1] = np.nan
    fit = dataclasses.replace(fit, y=y, output_names=("kg", "m"))
    (found,) = constant_findings(fit)
    assert found.name == "constant_target[m]"
    assert found.meaning == "All 119 values of the target 'm' are 7."
    test = np.c_[fit.y[:5, 0], [7.0, 7.0, np.nan, 7.0, 7.0]]
    np.testing.assert_array_equal(np.isnan(varying_targets(fit, test)), [[False, True]] * 5)
    both = dataclasses.replace(fit, y=np.c_[np.full(120, 1.0), y[:, 1]])
    (found,) = constant_findings(both, test)
    assert found.name == "constant_target"
    assert "'kg' are 1; All 119" in found.meaning
    assert "in 5 of 5 held-out rows" in found.meaning


def test_a_constant_output_has_no_scale_of_its_own():
    rounded = np.where(np.arange(120) % 2, 0.1 + 0.2, 0.3)
    scales = output_scales(np.c_[healthy().y, rounded, np.full(120, 7.0)])
    assert scales.tolist() == [healthy().y.std(), 1.0, 1.0]


def test_constant_features_are_remarked_on():
    fit = healthy(num_features=3)
    assert constant_findings(fit) == []
    x = fit.x.copy()
    x[:, 2] = np.where(np.arange(120) % 2, 0.1 + 0.2, 0.3)
    found = [f for f in diagnose(dataclasses.replace(fit, x=x)) if f.severity != "ok"]
    assert [f.name for f in found] == ["constant_feature[other 2]"]
    assert "up to rounding" in found[0].meaning


@pytest.mark.parametrize(
    ("values", "advised"),
    [
        ([0.0, 1.0], "'bernoulli'"),
        ([0.0, 3.0, 20.0], "'poisson'"),
        ([1.0, 21.0], None),
        ([-1.0, 2.0], None),
        ([0.0, 0.5], None),
    ],
)
def test_small_whole_numbers_have_likelihoods_of_their_own(values, advised):
    fit = healthy()
    fit = dataclasses.replace(fit, y=np.resize(values, len(fit.x)))
    found = whole_findings(fit)
    assert [f"`likelihood={advised}`" in each.advice for each in found] == [True] * bool(advised)
    assert [each.name for each in diagnose(fit)].count("whole_target") == bool(advised)
    # Counts that are fitted as counts need no advice.
    counted = dataclasses.replace(fit.posterior, has_noise=False)
    assert whole_findings(dataclasses.replace(fit, posterior=counted)) == []


def test_of_several_outputs_the_counts_are_told_by_name():
    fit = healthy()
    y = np.c_[np.resize([0.0, np.nan, 4.0], len(fit.x)), fit.y, np.full(len(fit.x), 2.0)]
    found = whole_findings(dataclasses.replace(fit, y=y, output_names=("a", "b", "c")))
    assert [(each.name, each.value) for each in found] == [("whole_target[a]", 4.0)]
