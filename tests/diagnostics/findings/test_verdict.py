"""From a fit to a verdict."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import Finding, diagnose, exit_code, findings_frame, verdict
from bayes_hybrid.diagnostics.evaluation.finding import judge
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import FakePosterior, collapsed, healthy, make_data, refined, told


@pytest.mark.parametrize("make", [healthy, refined], ids=["svi", "hmc"])
def test_a_healthy_fit_passes(make):
    x_test, y_test = make_data(300, seed=6)
    findings = diagnose(make(), x_test=x_test, y_test=y_test)
    assert [f.name for f in findings if f.severity != "ok"] == []
    assert exit_code(findings) == 0
    assert verdict(findings) == f"The fit passed all {len(findings)} checks."
    assert len({finding.name for finding in findings}) == len(findings)


def test_a_collapsed_gate_is_usable_with_care():
    findings = diagnose(collapsed(switch=3.0))
    assert exit_code(findings) == 1
    text = verdict(findings)
    # The gate by six findings; and a wide Normal is no density of two regimes.
    assert text.startswith("The fit can be used with care: 7 of ")
    assert "The gate has collapsed on 'gaussian'." in text


def test_predictions_for_another_source_of_rows_are_unusable():
    x_test, y_test = make_data(100)
    findings = diagnose(healthy(), x_test=x_test, y_test=y_test + 5.0)
    assert exit_code(findings) == 2
    assert verdict(findings).startswith("The fit cannot be used: ")


def test_a_broken_posterior_is_unusable():
    class Broken(FakePosterior):
        def log_density(self, x, y):
            return np.full(y.shape, np.nan)

    fit = healthy()
    findings = diagnose(dataclasses.replace(fit, posterior=Broken(sites=fit.posterior.sites)))
    assert {f.name for f in findings if f.severity == "error"} == {"nonfinite_density"}


@pytest.mark.parametrize("where", [(), (1,)], ids=["every restart", "one restart"])
def test_draws_that_are_not_numbers_raise_no_numerical_warning(where):
    fit = refined()
    weight = fit.posterior.sites["weight"].copy()
    weight[where] = np.nan
    broken = FakePosterior(sites={**fit.posterior.sites, "weight": weight})
    assert exit_code(diagnose(dataclasses.replace(fit, posterior=broken))) == 2


def test_a_row_that_no_draw_explains_raises_no_numerical_warning():
    class Deaf(FakePosterior):
        def log_likelihood(self, x, y):
            return np.where(y == y.min(), -np.inf, super().log_likelihood(x, y))

    fit = refined()
    fit = dataclasses.replace(fit, posterior=Deaf(sites=fit.posterior.sites))
    with np.errstate(all="raise"):
        assert exit_code(diagnose(fit)) == 2


def test_a_held_out_row_without_density_is_found():
    class Far(FakePosterior):
        def log_density(self, x, y):
            return np.where(np.abs(x[:, 0]) > 100.0, -np.inf, super().log_density(x, y))

    fit = healthy()
    fit = dataclasses.replace(fit, posterior=Far(sites=fit.posterior.sites))
    far = np.array([[1e3]])
    assert exit_code(diagnose(fit)) == 0
    assert exit_code(diagnose(fit, x_test=far, y_test=np.array([0.0]))) == 2


def test_no_restart_left_is_unusable():
    empty = FakePosterior(sites={"scale": np.empty((0, 0, 2))})
    fit = told(dataclasses.replace(healthy(), posterior=empty), num_dropped=8)
    assert exit_code(diagnose(fit)) == 2


def test_coverage_needs_held_out_targets():
    x_test, y_test = make_data(50)
    assert "coverage_90" not in {f.name for f in diagnose(healthy(), x_test=x_test)}
    with pytest.raises(DataError, match="without x_test"):
        diagnose(healthy(), y_test=y_test)


def test_max_rows_bounds_what_is_read():
    class Counting(FakePosterior):
        def log_likelihood(self, x, y):
            assert len(x) <= 20
            return super().log_likelihood(x, y)

    fit = healthy()
    fit = dataclasses.replace(fit, posterior=Counting(sites=fit.posterior.sites))
    assert exit_code(diagnose(fit, max_rows=20)) == 0
    with pytest.raises(OptionError, match="max_rows"):
        diagnose(fit, max_rows=0)


def test_every_finding_has_words_and_every_fault_has_advice():
    x_test, y_test = make_data(100)
    fit = refined(shift=0.4, diverging=0.2, rate=0.1, scale_floor=0.15)
    fit = told(fit, converged=False, num_dropped=9)
    for finding in diagnose(fit, x_test=x_test, y_test=y_test + 1.0):
        assert finding.meaning.endswith(".")
        assert finding.advice.endswith(".") == (finding.severity != "ok")


@pytest.mark.parametrize(
    ("value", "comparison", "severity"),
    [
        (0.1, "<=", "ok"),
        (0.1, ">=", "ok"),
        (0.2, "<=", "error"),
        (0.0, ">=", "error"),
        (np.nan, "<=", "error"),
        (np.nan, ">=", "error"),
    ],
)
def test_judge(value, comparison, severity):
    made = judge("a", value, comparison, 0.1, meaning="So.", advice="Do.", failing="error")
    assert made.severity == severity
    assert made.advice == ("" if severity == "ok" else "Do.")


def finding(severity):
    return Finding(
        name=f"a {severity}",
        value=1.0,
        comparison="<=",
        threshold=0.0,
        severity=severity,
        meaning="It is so.",
        advice="Do this.",
    )


@pytest.mark.parametrize(
    ("severities", "code"),
    [([], 0), (["ok"], 0), (["ok", "warning"], 1), (["warning", "error"], 2)],
)
def test_exit_code_is_that_of_the_worst(severities, code):
    assert exit_code([finding(severity) for severity in severities]) == code


def test_the_verdict_gives_each_advice_once():
    assert verdict([finding("warning"), finding("error")]).count("Do this.") == 1


def test_frame_has_one_row_per_finding():
    findings = diagnose(healthy())
    frame = findings_frame(findings)
    assert list(frame["name"]) == [f.name for f in findings]
    assert list(frame.columns[:3]) == ["name", "value", "lower"]
    usage = frame.set_index("name").loc["usage[relu]"]
    assert usage["lower"] <= usage["value"] <= usage["upper"]
    assert findings_frame([]).empty
