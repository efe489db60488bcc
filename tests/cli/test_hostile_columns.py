"""Tables of the command line whose columns say nothing, or too much."""

import pandas as pd
import pytest

from tests.cli.conftest import bayes_hybrid, make_table


@pytest.fixture
def constant(tmp_path):
    """A CSV file with a constant feature and a constant target."""
    path = tmp_path / "constant.csv"
    make_table()[["dose"]].assign(other=7, response=14.62).to_csv(path, index=False)
    return path


def test_a_constant_target_goes_through_every_command(constant, tmp_path):
    fit, out, page = tmp_path / "fit", tmp_path / "p.csv", tmp_path / "r.html"
    result = bayes_hybrid("fit", constant, "--target", "response", "--out", fit)
    assert result.exit_code == 0, result.output
    assert "All 40 values of the target 'response' are 14.62." in result.stdout
    assert "All 40 values of the feature 'other' are 7." in result.stdout
    for arguments in (("check", fit), ("check", fit, "--data", constant)):
        assert bayes_hybrid(*arguments).exit_code == 1
    assert bayes_hybrid("predict", fit, constant, "--out", out).exit_code == 0
    predicted = pd.read_csv(out)
    assert (predicted["response_mean"] == 14.62).all()
    assert (predicted["response_q95"] - predicted["response_q5"]).max() < 1e-7
    assert bayes_hybrid("report", fit, "--out", page).exit_code == 0
    assert "constant_target" in page.read_text(encoding="utf-8")


def test_held_out_rows_of_a_constant_target_may_differ(constant, tmp_path):
    test = tmp_path / "test.csv"
    pd.read_csv(constant).assign(response=[0.0] + [14.62] * 39).to_csv(test, index=False)
    arguments = ["--target", "response", "--test", test, "--out", tmp_path / "fit"]
    result = bayes_hybrid("fit", constant, *arguments)
    assert result.exit_code == 0, result.output
    assert "in 1 of 40 held-out rows it has another value" in result.stdout


def test_sizes_that_no_power_survives_are_refused_by_name(tmp_path):
    path = tmp_path / "huge.csv"
    table = make_table()[["dose", "response"]]
    table.assign(response=1e300 * table["response"]).to_csv(path, index=False)
    result = bayes_hybrid("fit", path, "--target", "response", "--out", tmp_path / "fit")
    assert result.exit_code == 2
    assert "y, row 1, column 'response': " in result.stderr
    assert "is beyond 1e+75" in result.stderr


def test_three_rows_are_the_priors(tmp_path):
    path = tmp_path / "few.csv"
    make_table(3)[["dose", "response"]].to_csv(path, index=False)
    result = bayes_hybrid("fit", path, "--target", "response", "--out", tmp_path / "fit")
    assert result.exit_code == 0, result.output
    assert "prior_dominated" in result.stdout
    assert "usage[" not in result.stdout
