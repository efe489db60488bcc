"""The commands from file to file, with next to no training."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid import ABRUPT, HybridRegressor, MonotoneGate, Poisson, ThresholdGate, load
from bayes_hybrid.cli.demo import FILES, _recipe
from bayes_hybrid.cli.fitting import Source, _split
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.data import read_table, write_table
from bayes_hybrid.diagnostics import threshold_sentences
from bayes_hybrid.digits import with_error
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import SAVED_FILES
from bayes_hybrid.inference.saving.storage import HELD_OUT
from bayes_hybrid.words import on_command_line
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
    assert "usage[B]" in result.stdout  # square brackets are not markup
    assert "Next: bayes-hybrid predict" in result.stdout
    assert result.stderr == ""
    assert len(load(tmp_path / "fit").fit_.x) == 30
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "fit"]


def test_thresholds_are_printed(data, tmp_path):
    out = tmp_path / "fit"
    gate = ("--gate", "threshold", "--gate-feature", "other")
    result = bayes_hybrid(*fit_arguments(data, out, *gate))
    assert result.exit_code == 0, result.output
    (sentence,) = threshold_sentences(load(out).fit_)
    assert sentence.startswith("The regime ")
    assert " from 'gaussian' to 'relu' at other = " in sentence
    for text in (result.stdout, bayes_hybrid("check", out).stdout):
        # Lines are wrapped to the terminal's width.
        assert sentence in " ".join(text.split())


def test_counts_change_from_one_row_to_the_next(tmp_path):
    x = np.linspace(0.0, 10.0, 60)
    y = np.random.default_rng(0).poisson(np.where(x < 4.0, 9.0, 1.0))
    write_table(pd.DataFrame({"dose": x, "cases": y}), tmp_path / "data.csv")
    options = ["--likelihood", "poisson", "--gate", "threshold", "--abrupt", "--joined"]
    options += ["--experts", "constant, line", "--target", "cases", "--quick"]
    result = bayes_hybrid("fit", tmp_path / "data.csv", *options, "--out", tmp_path / "fit")
    assert result.exit_code == 0, result.output
    assert "The regime changes from 'constant' to 'line' at dose = " in result.stdout
    model = load(tmp_path / "fit").fit_.posterior.model
    assert model.gate == ThresholdGate(feature=0, sharpness=ABRUPT)
    assert (model.joined, model.experts[0].likelihood) == ((True,), Poisson(base=y.mean()))
    both = Settings(gate="monotone", gate_feature="dose", abrupt=True)
    assert regressor(both, quiet=True).gate == MonotoneGate(feature="dose", sharpness=ABRUPT)
    said = refused("fit", tmp_path / "data.csv", "--target", "cases", "--out", "f", "--abrupt")
    assert "--abrupt goes with --gate threshold, monotone, oblique; got --gate relu" in said


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
        "p_B": reg.predict_regime(X)[:, 1],
        "p_B_given_response": reg.predict_regime(X, y)[:, 1],
        "response_log_density": reg.log_density(X, y),
    }
    for name, values in expected.items():
        # float32 sums in another order
        np.testing.assert_allclose(predicted[name], values, rtol=1e-5, atol=1e-6)
    assert (predicted["p_B_q5"] <= predicted["p_B_q95"]).all()
    total = predicted["p_A"] + predicted["p_B"]
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
    assert added == ["response_mean", "response_q25", "response_q75", "out_of_data"]


def test_a_target_of_another_name(saved, tmp_path):
    table = make_table(4).rename(columns={"response": "measured"})
    write_table(table, tmp_path / "new.csv")
    arguments = ["--out", tmp_path / "out.csv", "--target", "measured"]
    assert bayes_hybrid("predict", saved, tmp_path / "new.csv", *arguments).exit_code == 0
    assert read_table(tmp_path / "out.csv")["response_log_density"].notna().all()


@pytest.mark.parametrize(
    ("prob", "ends"),
    [
        ("0.9", ("q5", "q95")),
        ("0.8", ("q10", "q90")),
        ("0.95", ("q2.5", "q97.5")),
        ("0.00001", ("q49.9995", "q50.0005")),
        ("0.99999", ("q0.0005", "q99.9995")),
        ("2e-16", ("q49.99999999999999", "q50.00000000000001")),
    ],
)
def test_the_ends_of_an_interval_have_names_of_their_own(saved, tmp_path, prob, ends):
    write_table(make_table(3), tmp_path / "new.csv")
    arguments = ["--out", tmp_path / "out.csv", "--prob", prob, "--regimes"]
    result = bayes_hybrid("predict", saved, tmp_path / "new.csv", *arguments)
    assert result.exit_code == 0, result.output
    columns = list(read_table(tmp_path / "out.csv").columns)
    assert columns[4:7] == ["response_mean", *(f"response_{end}" for end in ends)]
    assert {f"p_B_{end}" for end in ends} < set(columns)


@pytest.mark.parametrize("prob", ["1e-17", "0.9999999999999999", "0.999999999999", "0", "90"])
def test_an_interval_without_room_is_refused(saved, data, tmp_path, prob):
    line = refused("predict", saved, data, "--out", tmp_path / "out.csv", "--prob", prob)
    assert line.startswith("error: --prob must ")


# check


def test_check_exits_with_1_for_warnings(saved):
    # So little training cannot have converged.
    result = bayes_hybrid("check", saved)
    assert result.exit_code == 1, result.output
    assert "The fit can be used with care" in result.stdout
    assert result.stderr == ""


def test_quiet_prints_warnings_and_nothing_else(saved, data, tmp_path):
    result = bayes_hybrid("check", saved, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    findings = [finding for finding in load(saved).diagnose() if finding.severity != "ok"]
    lines = result.stderr.splitlines()
    assert len(lines) == len(findings) > 0
    for line, finding in zip(lines, findings, strict=True):
        assert line.startswith(f"{finding.severity}: {finding.name} is ")
        assert on_command_line(finding.advice) in line
        assert on_command_line(finding.meaning) in line
        assert "`" not in line
    result = bayes_hybrid(*fit_arguments(data, tmp_path / "fit", "--quiet"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "warning: converged is " in result.stderr


def test_check_exits_with_2_for_a_fit_that_cannot_be_used(saved, tmp_path):
    far_off = make_table(50).assign(response=1e6)
    write_table(far_off, tmp_path / "test.csv")
    result = bayes_hybrid("check", saved, "--data", tmp_path / "test.csv")
    assert result.exit_code == 2, result.output
    assert "The fit cannot be used" in result.stdout
    assert "coverage_90" in result.stdout


def test_check_prints_the_scores_of_held_out_rows(saved, tmp_path):
    held_out = make_table(20, seed=1)
    write_table(held_out, tmp_path / "test.csv")
    printed = bayes_hybrid("check", saved, "--data", tmp_path / "test.csv").stdout
    assert "Scores of 20 rows of" in printed
    table = load(saved).score_predictions(held_out[["dose", "other"]], held_out["response"])
    lines = [line.split() for line in printed.splitlines() if line]
    for score in table.to_dict("records"):
        shown = [*with_error(score["value"], score["standard_error"]), "20"]
        assert [score["score"], *shown] in lines
    assert "Scores" not in bayes_hybrid("check", saved).stdout


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
        (["--num-units", "many"], "--num-units must be auto or a whole number >= 1; got 'many'"),
        (["--num-restarts", "0"], "--num-restarts must be auto or a whole number >= 1; got '0'"),
        (
            ["--plan", "blanced"],
            "--plan must be one of 'default', 'direct', 'even_gate', 'gaussian_first', 'balanced', "
            "'plain'; got "
            "'blanced'; did you mean 'balanced'?",
        ),
        (["--refine", "maybe"], "--refine must be one of 'auto', 'always', 'never'; got 'maybe'"),
        (["--features", "dose,,other"], "--features must be column names separated by commas"),
        (
            ["--test-fraction", "20"],
            "must lie strictly between 0 and 1; got 20.0; for a percentage",
        ),
        (["--test-fraction", "1"], "--test-fraction, unless it is 0 for none, must lie strictly"),
        (["--test-fraction", "0.001"], "holds out 0"),
        (["--test-fraction", "0.5", "--test", "data.csv"], "not both"),
        (["--model", "gaussian", "--gate", "linear"], "would be ignored"),
        (["--model", "gaussian", "--gate", "linear"], "leave it at 'relu'"),
        (["--model", "mixtur"], "--model must be one of 'mixture', "),
        (["--model", "linear"], "--model='linear' is no kind of pathway"),
        (["--gate", "rellu"], "--gate must be one of 'constant', "),
        (["--likelihood", "norml"], "--likelihood must be one of 'normal', "),
        (["--noise", "loud"], "--noise must be one of 'constant', 'input'; got 'loud'"),
        (
            ["--gate", "monotone"],
            "--gate monotone reads one column, and there are 2, 'dose', 'other'; say which with "
            "--gate-feature",
        ),
        (
            ["--gate", "monotone", "--gate-feature", "othr"],
            "--gate-feature must be one of 'dose', 'other'; got 'othr'; did you mean 'other'?",
        ),
        (["--gate-feature", "dose"], "--gate-feature goes with --gate threshold or monotone"),
        (["--seed", "-3"], "--seed must be an integer >= 0; got -3"),
        (["--seed", "-3", "--test-fraction", "0.5"], "--seed must be an integer >= 0; got -3"),
        (["--seed", 2**32], "--seed must be below 2**32"),
        (["--device", "abacus"], "error: --device: expected 'auto', 'cpu' or"),
    ],
)
def test_options_that_cannot_be(data, tmp_path, more, message):
    assert message in refused(*fit_arguments(data, tmp_path / "fit", *more))
    assert os.listdir(tmp_path) == ["data.csv"]


def test_tables_that_cannot_be(data, saved, tmp_path):
    out = tmp_path / "fit"
    line = refused("fit", data, "--target", "response", "--out", out)
    assert "column 'name' has 40 levels in 40 rows, such as 'row 0'; expected two rows of" in line
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
    assert "no manifest.json" in line


@pytest.mark.parametrize("num_rows", [1, 2])
def test_too_few_rows_to_fit(tmp_path, num_rows):
    write_table(make_table(num_rows), tmp_path / "few.csv")
    out = tmp_path / "fit"
    if num_rows == 1:
        line = refused(*fit_arguments(tmp_path / "few.csv", out))
        assert "few.csv has 1 row; expected at least 2 to fit" in line
    line = refused(*fit_arguments(tmp_path / "few.csv", out, "--test-fraction", "0.5"))
    assert "leaves 1 to fit; expected at least one row held out and 2 to fit" in line
    assert os.listdir(tmp_path) == ["few.csv"]


def test_values_beyond_float32_are_refused(data, saved, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    write_table(make_table(3).assign(other=[0.0, 1e300, 0.0]), tmp_path / "far.csv")
    line = refused("predict", saved, tmp_path / "far.csv", "--out", out)
    assert (
        "the table, row 2 (line 3), column 'other': 1e+300 lies more than 1e+15 standard dev"
        in line
    )
    assert "column 'other': 1e+300" in refused("check", saved, "--data", tmp_path / "far.csv")
    target = make_table(3).assign(response=[np.nan, 0.0, -1e300])
    write_table(target, tmp_path / "target.csv")
    line = refused("predict", saved, tmp_path / "target.csv", "--out", out)
    assert "the target 'response', row 3 (line 4): -1e+300 lies" in line
    write_table(target.iloc[1:], tmp_path / "target.csv", force=True)
    line = refused("check", saved, "--data", tmp_path / "target.csv")
    assert "the target 'response', row 2: -1e+300 lies" in line
    # Found out before the fit, which would be lost.
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: pytest.fail("fitted"))
    line = refused(*fit_arguments(data, tmp_path / "fit", "--test", tmp_path / "far.csv"))
    assert "column 'other': 1e+300" in line
    assert not out.exists()


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
    for force in ([], ["--force"]):
        line = refused("predict", saved, data, "--out", tmp_path, *force)
        assert "is a folder; expected the name of a file" in line
        assert "--force" not in line


def test_a_fit_keeps_its_folder_for_itself(data, saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    before = sorted(os.listdir(saved))
    for out in (saved / "out.csv", tmp_path / "link" / "out.csv"):
        line = refused("predict", saved, data, "--out", out)
        assert line == (
            f"error: --out {out} lies in {saved}, which holds the fit and should hold nothing "
            "else; choose another folder\n"
        )
    assert sorted(os.listdir(saved)) == before
    # Where no fit is, that is what is wrong.
    line = refused("predict", tmp_path, data, "--out", tmp_path / "out.csv")
    assert "no manifest.json" in line


def test_force_never_costs_other_files(data, saved, tmp_path, monkeypatch):
    fit = tmp_path / "fit"
    shutil.copytree(saved, fit)
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: load(saved))
    assert bayes_hybrid(*fit_arguments(data, fit, "--force")).exit_code == 0
    (fit / "predictions.csv").write_text("mine")
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: pytest.fail("fitted"))
    line = refused(*fit_arguments(data, fit, "--force"))
    assert "also holds 'predictions.csv', which would be lost; choose another folder" in line
    assert set(os.listdir(fit)) == {*SAVED_FILES, "predictions.csv"} - {HELD_OUT}
    # The same in the folder of a demo, and in the fit inside.
    out = tmp_path / "demo"
    (out / "fit").mkdir(parents=True)
    (out / "findings.md").write_text("ours")
    (out / "fit" / "predictions.csv").write_text("mine")
    assert "also holds 'fit/predictions.csv'" in refused("demo", "--out", out, "--force")
    assert (out / "findings.md").read_text() == "ours"


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
    rows = Source(data=data, target=["response"], features=["other, dose"], test_fraction=0.2)
    first, again, other = (_split(rows, seed) for seed in (1, 1, 2))
    assert list(first.X.columns) == ["other", "dose"]
    assert first.held_out is not None
    assert other.held_out is not None
    table = read_table(data)
    kept = np.delete(np.arange(40), first.held_out.rows)
    np.testing.assert_array_equal(first.X, table.loc[kept.tolist()][["other", "dose"]])
    np.testing.assert_array_equal(first.y, table.loc[kept.tolist()]["response"])
    held = table.loc[first.held_out.rows.tolist()]
    np.testing.assert_array_equal(first.held_out.x, held[["other", "dose"]])
    np.testing.assert_array_equal(first.held_out.y, held["response"])
    assert (len(kept), len(held)) == (32, 8)
    pd.testing.assert_frame_equal(first.X, again.X)
    assert {*first.held_out.rows} != {*other.held_out.rows}


def test_held_out_rows_are_saved_and_judged_by(data, tmp_path):
    fit, page = tmp_path / "fit", tmp_path / "report.html"
    result = bayes_hybrid(*fit_arguments(data, fit, "--test-fraction", "0.25"))
    assert result.exit_code < 2, result.output
    held_out = load(fit).held_out_
    assert held_out is not None
    table = read_table(data).loc[held_out.rows.tolist()]
    np.testing.assert_array_equal(held_out.x, table[["dose", "other"]])
    np.testing.assert_array_equal(held_out.y, table["response"])
    # The same rows as a table give the same, in other words.
    table.to_csv(tmp_path / "test.csv", index=False)
    by_default = bayes_hybrid("check", fit).stdout
    by_table = bayes_hybrid("check", fit, "--data", tmp_path / "test.csv").stdout
    assert "Scores of 10 rows that were held out:" in by_default
    assert by_default.replace("that were held out", "T") == by_table.replace(
        f"of {tmp_path / 'test.csv'}", "T"
    )
    assert bayes_hybrid("report", fit, "--out", page).exit_code == 0
    assert "of 10 held-out rows" in page.read_text()


def test_a_table_of_held_out_rows_is_saved(data, saved, tmp_path, monkeypatch):
    write_table(make_table(7, seed=1), tmp_path / "test.csv")
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: load(saved))
    arguments = fit_arguments(data, tmp_path / "fit", "--test", tmp_path / "test.csv")
    assert bayes_hybrid(*arguments).exit_code < 2
    held_out = load(tmp_path / "fit").held_out_
    assert held_out is not None
    assert held_out.rows.tolist() == list(range(7))
    np.testing.assert_array_equal(held_out.y, read_table(tmp_path / "test.csv")["response"])


def test_held_out_rows_that_were_trained_on_are_called_so(saved, tmp_path):
    mixed = pd.concat([make_table().head(3), make_table(9, seed=1)])
    write_table(mixed, tmp_path / "mixed.csv")
    result = bayes_hybrid("check", saved, "--data", tmp_path / "mixed.csv")
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "3 of the 12 held-out rows were trained on: they equal rows of the fit" in said
    result = bayes_hybrid("check", saved, "--data", tmp_path / "mixed.csv", "--quiet")
    assert "warning: trained_on is 0.25, wanted <= 0." in result.stderr
    page = tmp_path / "report.html"
    arguments = ["report", saved, "--data", tmp_path / "mixed.csv", "--out", page]
    assert bayes_hybrid(*arguments).exit_code == 0
    assert "3 of the 12 held-out rows were trained on" in page.read_text()


def test_splits_that_cannot_be(data):
    with pytest.raises(OptionError, match="test-fraction"):
        _split(Source(data=data, target=["response"], test_fraction=-0.1), 0)
    with pytest.raises(DataError, match="of 40 rows holds out 40 and leaves 0 to fit"):
        _split(Source(data=data, target=["response"], test_fraction=0.999), 0)
    # 38 of 40 rows leave two, which is enough; 39 do not.
    rows = Source(data=data, target=["response"], features=["dose"], test_fraction=0.95)
    assert len(_split(rows, 0).X) == 2
    with pytest.raises(DataError, match="leaves 1 to fit"):
        _split(replace(rows, test_fraction=0.975), 0)


# demo


def test_one_is_singular(saved, tmp_path):
    fit = load(saved).fit_
    one = replace(fit.posterior, theta=fit.posterior.theta[:1, :10])
    words = _recipe(replace(fit, posterior=one, training=replace(fit.training, num_dropped=1)))
    assert "The posterior is 1 restart with 10 draws (svi," in words
    two = replace(one, theta=one.theta.repeat(2, 1, 1))
    words_of_two = _recipe(replace(fit, posterior=two))
    assert "The posterior is 2 restarts with 10 draws each (svi," in words_of_two
    assert words.endswith(" 1 restart was dropped.")
    many = replace(fit, training=replace(fit.training, num_dropped=2))
    assert _recipe(many).endswith(" 2 restarts were dropped.")
    write_table(make_table(1), tmp_path / "new.csv")
    result = bayes_hybrid("predict", saved, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert result.stdout.startswith("1 row with ")


def test_demo_refuses_a_seed_by_the_name_that_was_typed(tmp_path):
    line = refused("demo", "--out", tmp_path / "out", "--seed", "-3")
    assert line == "error: --seed must be an integer >= 0; got -3\n"
    assert os.listdir(tmp_path) == []


# In a process of its own with its output in a pipe


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
    assert set(os.listdir(folder / "out" / "fit")) == {*SAVED_FILES} - {HELD_OUT}
    assert (folder / "out" / "plot_fit.png").read_bytes().startswith(b"\x89PNG")
    predicted = read_table(folder / "out" / "predictions.csv")
    assert predicted.columns[:4].tolist() == ["times", "accel_mean", "accel_q5", "accel_q95"]
    assert {"p_B", "p_B_q5", "p_B_q95"} < set(predicted.columns)
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
