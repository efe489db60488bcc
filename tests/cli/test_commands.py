"""The commands from file to file, with next to no training."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.cli.demo import FILES
from bayes_hybrid.cli.fitting import Rows, _split
from bayes_hybrid.data import read_table, write_table
from bayes_hybrid.errors import DataError, OptionError
from tests.cli.conftest import bayes_hybrid, make_table

SECONDS = 120


def refused(*arguments: object) -> str:
    """The line with which a command refuses."""
    result = bayes_hybrid(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def fit_arguments(data, out, *more):
    return ["fit", data, "--target", "response", "--features", "dose,other", "--out", out, *more]


# Round trip


def test_fit_prints_findings_and_says_what_is_next(data, tmp_path):
    result = bayes_hybrid(*fit_arguments(data, tmp_path / "fit", "--test-fraction", "0.25"))
    assert result.exit_code == 0, result.output
    assert "response from dose, other: 30 rows, 10 held out" in result.stdout
    assert "coverage_90" in result.stdout
    assert "usage[relu]" in result.stdout  # square brackets are not markup
    assert "Next: bayes-hybrid predict" in result.stdout
    assert result.stderr == ""
    assert len(load(tmp_path / "fit").fit_.x) == 30
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "fit"]


def test_predictions_are_those_of_the_estimator(saved, tmp_path):
    table = make_table(12, seed=1)
    write_table(table, tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    result = bayes_hybrid("predict", saved, tmp_path / "new.parquet", "--out", out, "--regimes")
    assert result.exit_code == 0, result.output
    predicted, reg = read_table(out), load(saved)
    X, y = table[["dose", "other"]], table["response"]
    pd.testing.assert_frame_equal(predicted[list(table.columns)], table)
    expected = {
        "response_mean": reg.predict(X),
        "response_q5": reg.predict_interval(X)[:, 0],
        "response_q95": reg.predict_interval(X)[:, 1],
        "p_relu": reg.predict_regime(X)[:, 1],
        "p_relu_given_response": reg.predict_regime(X, y)[:, 1],
        "response_log_density": reg.log_density(X, y),
    }
    for name, values in expected.items():
        # float32 sums in another order
        np.testing.assert_allclose(predicted[name], values, rtol=1e-5, atol=1e-6)
    assert (predicted["p_relu_q5"] <= predicted["p_relu_q95"]).all()
    total = predicted["p_gaussian"] + predicted["p_relu"]
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_rows_without_a_target_get_no_density(saved, tmp_path):
    table = make_table(4).assign(response=[1.0, np.nan, 2.0, np.nan])
    write_table(table, tmp_path / "new.csv")
    out = tmp_path / "out.csv"
    assert bayes_hybrid("predict", saved, tmp_path / "new.csv", "--out", out).exit_code == 0
    predicted = read_table(out)
    assert predicted["response_log_density"].isna().tolist() == [False, True, False, True]
    write_table(table.drop(columns="response"), tmp_path / "none.csv")
    arguments = ["--out", out, "--force", "--prob", "0.5"]
    assert bayes_hybrid("predict", saved, tmp_path / "none.csv", *arguments).exit_code == 0
    added = list(read_table(out).columns[3:])
    assert added == ["response_mean", "response_q25", "response_q75"]


def test_a_target_of_another_name(saved, tmp_path):
    table = make_table(4).rename(columns={"response": "measured"})
    write_table(table, tmp_path / "new.csv")
    arguments = ["--out", tmp_path / "out.csv", "--target", "measured"]
    assert bayes_hybrid("predict", saved, tmp_path / "new.csv", *arguments).exit_code == 0
    assert read_table(tmp_path / "out.csv")["response_log_density"].notna().all()


# check


def test_check_exits_with_1_for_warnings(saved):
    # So little training cannot have converged.
    result = bayes_hybrid("check", saved)
    assert result.exit_code == 1, result.output
    assert "The fit can be used with care" in result.stdout
    assert bayes_hybrid("check", saved, "--quiet").stdout == ""


def test_check_exits_with_2_for_a_fit_that_cannot_be_used(saved, tmp_path):
    far_off = make_table(50).assign(response=1e6)
    write_table(far_off, tmp_path / "test.csv")
    result = bayes_hybrid("check", saved, "--data", tmp_path / "test.csv")
    assert result.exit_code == 2, result.output
    assert "The fit cannot be used" in result.stdout
    assert "coverage_90" in result.stdout


def test_check_exits_with_0_when_all_is_well(saved, monkeypatch):
    monkeypatch.setattr("bayes_hybrid.cli.checking.diagnose", lambda *_, **__: [])
    result = bayes_hybrid("check", saved)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "The fit passed all 0 checks.")


# Refusals


def test_misspelt_names_get_a_suggestion(data, saved, tmp_path):
    out = tmp_path / "fit"
    line = refused("fit", data, "--target", "respnse", "--out", out)
    assert "no column 'respnse'" in line
    assert "did you mean 'response'?" in line
    line = refused("fit", data, "--target", "response", "--features", "dos", "--out", out)
    assert "did you mean 'dose'?" in line
    line = refused(*fit_arguments(data, out, "--gate", "rellu"))
    assert "did you mean 'relu'?" in line
    line = refused(*fit_arguments(data, out, "--refine", "alway"))
    assert "did you mean 'always'?" in line
    write_table(make_table().rename(columns={"dose": "doses"}), tmp_path / "other.csv")
    line = refused("predict", saved, tmp_path / "other.csv", "--out", tmp_path / "out.csv")
    assert "did you mean 'doses'?" in line
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "other.csv"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num-units", "many"], "num-units must be auto or a whole number >= 1; got 'many'"),
        (["--num-restarts", "0"], "num-restarts must be an integer >= 1; got 0"),
        (["--features", "dose,,other"], "separated by commas"),
        (["--test-fraction", "20"], "divide by 100"),
        (["--test-fraction", "0.001"], "holds out 0"),
        (["--test-fraction", "0.5", "--test", "data.csv"], "not both"),
        (["--model", "gaussian", "--gate", "linear"], "would be ignored"),
        (["--seed", "-1"], "-1"),
        (["--device", "abacus"], "device"),
    ],
)
def test_options_that_cannot_be(data, tmp_path, more, message):
    assert message in refused(*fit_arguments(data, tmp_path / "fit", *more))
    assert os.listdir(tmp_path) == ["data.csv"]


def test_tables_that_cannot_be(data, saved, tmp_path):
    out = tmp_path / "fit"
    line = refused("fit", data, "--target", "response", "--out", out)
    assert "column 'name' holds text, first in row 1: 'row 0'" in line
    line = refused("fit", tmp_path / "no.csv", "--target", "y", "--out", out)
    assert "no.csv does not exist" in line
    write_table(make_table().drop(columns="other"), tmp_path / "test.csv")
    line = refused(*fit_arguments(data, out, "--test", tmp_path / "test.csv"))
    assert "no column 'other'" in line
    late = make_table(3).astype({"response": object})
    late.loc[2, "response"] = "unknown"
    write_table(late, tmp_path / "late.csv")
    line = refused("predict", saved, tmp_path / "late.csv", "--out", tmp_path / "out.csv")
    assert "'unknown'" in line
    line = refused("check", saved, "--target", "response")
    assert "--data, which is missing" in line
    line = refused("check", tmp_path)
    assert "no fit.json" in line


def test_a_column_that_the_predictions_would_repeat(saved, tmp_path):
    write_table(make_table(3).assign(response_mean=0.0), tmp_path / "new.csv")
    line = refused("predict", saved, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert "has a column 'response_mean' already" in line


def test_nothing_is_overwritten_without_force(data, saved, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    line = refused("predict", saved, data, "--out", out)
    assert "--force" in line
    assert out.read_text() == "mine"
    assert bayes_hybrid("predict", saved, data, "--out", out, "--force").exit_code == 0
    assert out.read_text() != "mine"
    assert "exists already" in refused(*fit_arguments(data, saved))
    # Even --force replaces nothing but a fit.
    assert "other than a saved fit" in refused(*fit_arguments(data, tmp_path, "--force"))
    assert "is a folder" in refused("predict", saved, data, "--out", tmp_path, "--force")


def test_a_missing_folder_is_found_out_before_the_fit(data, saved, tmp_path, monkeypatch):
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: pytest.fail("fitted"))
    out = tmp_path / "nowhere" / "out"
    assert "does not exist; make it first" in refused(*fit_arguments(data, out))
    assert "does not exist; make it first" in refused("demo", "--out", out)
    assert "does not exist" in refused("predict", saved, data, "--out", out.with_suffix(".csv"))


def test_a_failure_leaves_nothing(data, saved, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "out.csv"
    assert "No space left" in refused("predict", saved, data, "--out", out)
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: load(saved))
    assert "No space left" in refused(*fit_arguments(data, tmp_path / "fit"))
    assert os.listdir(tmp_path) == ["data.csv"]


def test_ctrl_c_leaves_nothing(data, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HybridRegressor, "fit", interrupted)
    for arguments in (fit_arguments(data, tmp_path / "fit"), ["demo", "--out", tmp_path / "demo"]):
        result = bayes_hybrid(*arguments)
        assert result.exit_code == 130
        assert result.stderr == "\ninterrupted; no output is left half-written\n"
    assert os.listdir(tmp_path) == ["data.csv"]


# Which rows are held out


def test_held_out_rows_are_a_partition_that_the_seed_repeats(data):
    rows = Rows(data=data, target="response", features="other, dose", test_fraction=0.2)
    first, again, other = (_split(rows, seed) for seed in (1, 1, 2))
    assert list(first.X.columns) == ["other", "dose"]
    assert first.test is not None
    assert other.test is not None
    names = {*first.test["dose"], *first.X["dose"]}
    assert (len(first.X), len(first.test), len(names)) == (32, 8, 40)
    pd.testing.assert_frame_equal(first.X, again.X)
    assert set(first.test["dose"]) != set(other.test["dose"])


def test_splits_that_cannot_be(data):
    with pytest.raises(OptionError, match="test-fraction"):
        _split(Rows(data=data, target="response", test_fraction=-0.1), 0)
    with pytest.raises(DataError, match="at least one row on either side"):
        _split(Rows(data=data, target="response", test_fraction=0.999), 0)


# demo, in a process of its own with its output in a pipe


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-W", "error", "-m", "bayes_hybrid", "demo", "--out", "out"]
    # What pytest makes of the folder's parent is not on the path of another process.
    environment = {**os.environ, "BAYES_HYBRID_QUICK": "1", "PYTHONPATH": os.getcwd()}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    return run, folder


@pytest.mark.slow
def test_demo_fills_its_folder(demo):
    run, folder = demo
    assert run.returncode == 0, run.stderr
    assert os.listdir(folder) == ["out"]
    assert set(os.listdir(folder / "out")) == set(FILES)
    assert set(os.listdir(folder / "out" / "fit")) >= {"fit.json", "posterior.nc"}
    assert (folder / "out" / "plot_fit.png").read_bytes().startswith(b"\x89PNG")
    predicted = read_table(folder / "out" / "predictions.csv")
    assert predicted.columns[:4].tolist() == ["times", "accel_mean", "accel_q5", "accel_q95"]
    assert {"p_relu", "p_relu_q5", "p_relu_q95"} < set(predicted.columns)
    page = (folder / "out" / "findings.md").read_text(encoding="utf-8")
    assert page.startswith("# The fit ")
    assert all(f"`{name}`" in page for name in FILES)


@pytest.mark.slow
def test_a_pipe_gets_words_and_no_control_characters(demo):
    run, _ = demo
    assert run.stderr == ""
    assert "Silverman" in run.stdout
    assert all(char == "\n" or char.isprintable() for char in run.stdout)
    # Sentences are not cut into lines of 80 characters.
    assert any(len(line) > 100 for line in run.stdout.splitlines())
