"""A messy table through every command: fitted, predicted in batches, checked, reported."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bayes_hybrid import load
from bayes_hybrid.cli import predicting
from bayes_hybrid.data import batches, read_table, write_table
from tests.cli.conftest import bayes_hybrid
from tests.cli.test_commands import refused

NUM_ROWS = 60


def messy() -> pd.DataFrame:
    """Fourteen features as a spreadsheet has them, every cell as text, and a target."""
    rng = np.random.default_rng(0)
    rows = np.arange(NUM_ROWS)
    days = pd.date_range("2020-01-05", periods=NUM_ROWS)
    table = pd.DataFrame(
        {
            "colour": rng.choice(["red", "blue", "green"], NUM_ROWS),
            "age, years": rng.integers(20, 60, NUM_ROWS).astype(str),
            "date": days.strftime("%Y-%m-%d"),
            "stamp": days.strftime("%Y-%m-%dT%H:30:00+02:00"),
            "seen": days.strftime("%Y-%m-%d"),
            "on": rng.choice(["True", "False"], NUM_ROWS),
            "maybe": rng.choice(["true", "FALSE"], NUM_ROWS),
            "answer": rng.choice(["yes", "no"], NUM_ROWS),
            "weight": rng.uniform(1, 2, NUM_ROWS).round(3).astype(str),
            "same": "always",
            "note": rng.choice(["a, b", 'say "x"', "=1+1"], NUM_ROWS),
            "code": rng.choice(["A1", "B2", " B2 "], NUM_ROWS),
            "trend": rows.astype(str),
            "city": [f"town {row}" if row > 50 else ("Rome", "Bern")[row % 2] for row in rows],
        }
    )
    for name, missing in [("age, years", 9), ("colour", 11), ("seen", 20), ("maybe", 25)]:
        table.loc[rows % missing == 0, name] = ""
    table.loc[7, "weight"] = "NA"
    table["y"] = (rng.normal(size=NUM_ROWS) + 2.0 * (table["colour"] == "red")).astype(str)
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("messy")


@pytest.fixture(scope="module")
def csv(folder):
    messy().to_csv(folder / "messy.csv", index=False)
    return folder / "messy.csv"


@pytest.fixture(scope="module")
def fitted(folder, csv):
    gate = ["--gate", "threshold", "--gate-feature", "date"]
    where = ["--target", "y", "--test-fraction", "0.2", "--out", folder / "fit"]
    result = bayes_hybrid("fit", csv, *where, *gate, "--quick")
    assert result.exit_code == 0, result.output
    return folder / "fit", result.stdout


def test_the_fit_says_what_became_of_each_column(fitted):
    saved, said = fitted
    reg = load(saved)
    assert reg.feature_names_in_.tolist() == [*messy().columns[:-1]]
    for sentence in reg.encoding_.words():
        assert sentence in said
    assert "date: days since 2020-01-0" in said
    assert "same: 1 level, always, which says nothing and is left out" in said
    assert "'city=other' for " in said
    assert "code: 2 levels, A1, B2; a 0/1 column for each but A1" in said
    assert "of 48 missing, the median" in said
    assert reg.fit_.x.shape == (48, len(reg.encoding_.names))
    assert reg.held_out_.x.shape == (12, len(reg.encoding_.names))
    gate = reg.fit_.posterior.model.gate
    assert reg.encoding_.names[gate.feature].startswith("date (days since 2020-01-")


def test_predictions_are_those_of_the_estimator_in_any_batch_and_format(
    fitted, csv, tmp_path, monkeypatch
):
    saved, _ = fitted
    whole, table = tmp_path / "whole.csv", read_table(csv)
    assert bayes_hybrid("predict", saved, csv, "--out", whole).exit_code == 0
    found = read_table(whole)
    expected = load(saved).predict(table.drop(columns="y"))
    np.testing.assert_allclose(found["y_mean"], expected, rtol=1e-6)
    cells = pd.read_csv(whole, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(cells[messy().columns], messy().astype(cells["y"].dtype))
    monkeypatch.setattr(batches, "_MAX_ROWS", 7)
    assert bayes_hybrid("predict", saved, csv, "--out", tmp_path / "parts.parquet").exit_code == 0
    parts = read_table(tmp_path / "parts.parquet")
    np.testing.assert_allclose(parts["y_mean"], expected, rtol=1e-5)
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "parts.parquet")}
    assert (types["weight"], types["maybe"], types["date"]) == ("double", "double", "string")
    write_table(table, tmp_path / "typed.parquet")
    typed = tmp_path / "typed.csv"
    assert bayes_hybrid("predict", saved, tmp_path / "typed.parquet", "--out", typed).exit_code == 0
    np.testing.assert_allclose(read_table(typed)["y_mean"], expected, rtol=1e-5)
    np.testing.assert_array_equal(parts[predicting.OUTSIDE], found[predicting.OUTSIDE])


def test_cells_that_cannot_be_encoded_are_named_by_their_line(fitted, tmp_path, monkeypatch):
    saved, _ = fitted
    monkeypatch.setattr(batches, "_MAX_ROWS", 7)
    for name, cell, message in [
        ("colour", "pink", "column 'colour' has the level 'pink' in row 31 (line 32), which no"),
        ("answer", "", "column 'answer' has a missing value (NaN), first in row 31 (line 32)"),
        ("date", "", "column 'date' has a missing value (NaN), first in row 31 (line 32)"),
        ("date", "5.1.2020", "column 'date', row 31 (line 32): '5.1.2020' is no date"),
        ("weight", "1,5", "holds a number with a decimal comma, first in row 31 (line 32)"),
    ]:
        table = messy()
        table.loc[30, name] = cell
        table.to_csv(tmp_path / "bad.csv", index=False)
        assert message in refused(
            "predict", saved, tmp_path / "bad.csv", "--out", tmp_path / "p.csv"
        )
        assert message.partition(" in row")[0].partition(", row")[0].replace(
            "a missing value (NaN), first", "1 missing value (NaN), first"
        ) in refused("check", saved, "--data", tmp_path / "bad.csv")


def test_check_and_report_read_the_table(fitted, csv, tmp_path):
    saved, _ = fitted
    assert bayes_hybrid("check", saved, "--data", csv, "--quiet").exit_code in (0, 1)
    out = tmp_path / "report.html"
    assert bayes_hybrid("report", saved, "--data", csv, "--out", out).exit_code == 0
    page = out.read_text(encoding="utf-8")
    assert "14 columns to predict from" in page
    assert "<li>city: 2 levels, Bern, Rome; a 0/1 column for each but Bern, and " in page
    assert "<li>same: 1 level, always, which says nothing and is left out</li>" in page


def test_logarithms_from_the_table_to_the_report(csv, tmp_path):
    fit, page, table = tmp_path / "fit", tmp_path / "report.html", tmp_path / "p.csv"
    gate = ["--gate", "threshold", "--gate-feature", "weight"]
    logs = ["--log", "weight", "--log", "age, years"]
    result = bayes_hybrid("fit", csv, "--target", "y", "--out", fit, *gate, *logs, "--quick")
    assert result.exit_code == 0, result.output
    assert "age, years: the model reads its logarithm; 7 of 60 missing, the median" in result.stdout
    assert load(fit).log == ("weight", "age, years")
    found = load(fit).thresholds()
    assert 0 < found["lower"][0] <= found["mean"][0] <= found["upper"][0]
    assert bayes_hybrid("report", fit, "--out", page).exit_code == 0
    assert "<li>weight: the model reads its logarithm; " in page.read_text(encoding="utf-8")
    assert bayes_hybrid("predict", fit, csv, "--out", table).exit_code == 0
    np.testing.assert_array_equal(read_table(table)["weight"], read_table(csv)["weight"])
    bad = tmp_path / "bad.csv"
    messy().assign(weight=lambda rows: rows["weight"].where(rows.index != 30, "0")).to_csv(
        bad, index=False
    )
    message = "column 'weight', row 31 (line 32): 0 has no logarithm; expected numbers above zero"
    assert message in refused("predict", fit, bad, "--out", tmp_path / "q.csv")
    base = ["fit", bad, "--target", "y", "--out", tmp_path / "other"]
    assert "column 'weight', row 31: 0 has no log" in refused(*base, "--log", "weight,trend")
    assert "column 'date' is a column of dates" in refused(*base, "--log", "date")
    assert "--log must be one of" in refused(*base, "--log", "wait,trend")


def test_what_is_typed_is_checked_before_the_fit(csv, tmp_path):
    base = ["fit", csv, "--target", "y", "--out", tmp_path / "fit"]
    line = refused(*base, "--missing", "refuse")
    assert "column 'colour' has 6 missing values (NaN), first in row 1" in line
    line = refused(*base, "--missing", "drop")
    assert "--missing must be one of 'impute', 'refuse'; got 'drop'" in line
    line = refused(*base, "--gate", "threshold", "--gate-feature", "dat")
    assert "did you mean 'date'" in line
    line = refused(*base, "--gate", "threshold", "--gate-feature", "colour")
    assert "feature='colour' is a column of text; name one of 'colour=green', 'colour=red'" in line
