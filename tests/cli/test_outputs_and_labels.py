"""Several targets and a column of regime labels, from file to file."""

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.cli.columns import target_columns
from bayes_hybrid.cli.fitting import Source, _split
from bayes_hybrid.data import read_table, write_table
from bayes_hybrid.errors import DataError, OptionError
from tests.cli.conftest import bayes_hybrid, make_table
from tests.cli.test_commands import refused


def make_tables(num_rows=40, seed=0):
    """Two targets with empty cells, and a label on every other row."""
    table = make_table(num_rows, seed).drop(columns="name")
    late = (table["dose"] > 0.3).to_numpy()
    table["heat"] = 1e3 * np.where(late, -1.0, table["other"])
    table.loc[::4, "heat"] = np.nan
    table.loc[1::4, "response"] = np.nan
    table["zone"] = np.where(late, "hot", "cold")
    table.loc[::2, "zone"] = None
    return table


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    write_table(make_tables(), path)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fit of both targets with labels, and what it printed."""
    folder = tmp_path_factory.mktemp("fits")
    write_table(make_tables(), folder / "train.csv")
    arguments = ["--target", "response, heat", "--regime-label", "zone", "--label-weight", "0.5"]
    arguments += ["--test-fraction", "0.25", "--out", str(folder / "fit"), "--quick"]
    result = bayes_hybrid("fit", folder / "train.csv", *arguments)
    assert result.exit_code == 0, result.output
    return folder / "fit", result


# fit


def test_the_label_is_no_feature_and_what_came_of_it_is_said(saved):
    folder, result = saved
    reg = load(folder)
    fit = reg.fit_
    assert (fit.output_names, fit.feature_names) == (("response", "heat"), ("dose", "other"))
    assert reg.regime_labels_ == ("cold", "hot")
    assert fit.posterior.model.label_head is not None
    assert fit.posterior.model.label_head.weight == 0.5
    assert "response, heat from dose, other: 30 rows, 10 held out" in result.stdout
    assert fit.labels is not None
    known = (~np.isnan(fit.labels)).sum()
    assert f"{known} rows of 30 have a regime label: 'cold' is gaussian, 'hot' is relu" in (
        result.stdout
    )
    assert "weight is 0.5, so that this is not the posterior of the stated" in result.stdout
    right = fit.posterior.sites["label_confusion"][..., 1, 1]
    low, high = np.quantile(right, [0.05, 0.95], method="averaged_inverted_cdf")
    words = f"of relu is right with probability {right.mean():.0%} (90% interval {low:.0%} to "
    assert f"{words}{high:.0%})" in result.stdout
    assert "coverage_90" in result.stdout


def test_labels_that_are_the_truth(data, tmp_path):
    out = tmp_path / "fit"
    more = ["--regime-label", "zone", "--label-noise", "none"]
    result = bayes_hybrid("fit", data, "--target", "response,heat", *more, "--out", out)
    assert result.exit_code == 0, result.output
    assert "weight is 1: they count as the targets do." in result.stdout
    assert "They are taken for the truth." in result.stdout
    assert "is right with probability" not in result.stdout
    reg = load(out)
    assert reg.fit_.labels is not None
    known = ~np.isnan(reg.fit_.labels)
    np.testing.assert_array_equal(reg.training_regimes()[known, 1], reg.fit_.labels[known])


def test_without_labels_nothing_is_said_of_them(data, tmp_path):
    table = read_table(data).drop(columns="zone")
    write_table(table.dropna(), tmp_path / "whole.csv")
    arguments = ["--target", "response", "--features", "dose", "--out", tmp_path / "fit"]
    result = bayes_hybrid("fit", tmp_path / "whole.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert "regime label" not in result.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--regime-label", "zones"], "no column 'zones' among 'dose', 'other', "),
        (["--regime-label", "zones"], "did you mean 'zone'?"),
        (["--regime-label", "heat"], "--regime-label 'heat' is also a target or a feature"),
        (
            ["--features", "dose", "--regime-label", "other"],
            "regime labels in 'other': 40 different",
        ),
        (["--label-weight", "2"], "the labels of --regime-label, which is missing"),
        (["--label-noise", "none"], "the labels of --regime-label, which is missing"),
        (["--regime-label", "zone", "--label-noise", "lerned"], "--label-noise must be one of"),
        (["--regime-label", "zone", "--label-weight", "0"], "--label-weight must be"),
        (["--regime-label", "zone", "--model", "relu"], "one regime, of which labels say nothing"),
        (["--target", "response,heat,"], "--target must be column names separated by commas"),
        (["--target", "response,response"], "target names 'response' more than once"),
        (["--target", "response,het"], "did you mean 'heat'?"),
        (["--target", "response", "--features", "dose"], "column 'response' has 10 missing"),
        (["--features", "dose,heat"], "the target 'heat' is also among the features"),
        (["--missing", "refuse"], "column 'zone' has "),
    ],
    ids=" ".join,
)
def test_what_cannot_be_fitted_is_refused_by_name(data, tmp_path, more, message):
    start = ["fit", data, "--out", tmp_path / "fit"]
    target = [] if "--target" in more else ["--target", "response,heat"]
    assert message in refused(*start, *target, *more)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(heat=np.nan), "y, column 'heat': 0 of 40 values are there"),
        (
            lambda table: table.assign(response=table["response"].mask(table["heat"].isna())),
            "y, row 1: every output is missing",
        ),
        (lambda table: table.assign(zone="hot"), "regime labels in 'zone': 1 different label,"),
        (lambda table: table.assign(heat="warm"), "column 'heat' holds text"),
    ],
)
def test_tables_that_cannot_be_fitted_are_refused_by_column(tmp_path, change, message):
    write_table(change(make_tables()), tmp_path / "data.csv")
    more = ["--target", "response,heat", "--regime-label", "zone", "--out", tmp_path / "fit"]
    assert message in refused("fit", tmp_path / "data.csv", *more)


def test_a_held_out_table_is_looked_at_before_the_fit(data, tmp_path, monkeypatch):
    monkeypatch.setattr(HybridRegressor, "fit", lambda *_: pytest.fail("fitted"))
    rows = Source(
        data=data,
        target=["response,heat"],
        regime_label="zone",
        test=tmp_path / "test.csv",
    )
    # It needs no labels, and its empty cells are as good as those of the training table.
    write_table(make_tables(8, 1).drop(columns="zone"), tmp_path / "test.csv")
    assert _split(rows, 0).labels is not None
    for change, message in (
        ({"heat": np.nan, "response": np.nan}, "no row has a value of .*'response', 'heat'"),
        ({"heat": 1e300}, "the table, row 1, column 'heat': 1e.300 lies more than"),
    ):
        write_table(make_tables(8, 1).assign(**change), tmp_path / "test.csv", force=True)
        with pytest.raises(DataError, match=message):
            _split(rows, 0)
    write_table(make_tables().assign(heat=np.nan), data, force=True)
    with pytest.raises(DataError, match="y, column 'heat': 0 of 40 values are there"):
        _split(rows, 0)


def test_every_row_keeps_its_label_when_others_are_held_out(data):
    rows = Source(data=data, target=["response,heat"], regime_label="zone", test_fraction=0.3)
    split = _split(rows, 0)
    assert split.labels is not None
    known = split.labels.notna().to_numpy()
    late = split.X["dose"].to_numpy() > 0.3
    assert (split.labels.to_numpy()[known] == np.where(late, "hot", "cold")[known]).all()


# predict and check


def test_predictions_are_those_of_the_estimator(saved, tmp_path):
    folder, _ = saved
    table = make_tables(12, seed=1)
    table.loc[5, ["response", "heat"]] = np.nan
    write_table(table, tmp_path / "new.csv")
    arguments = ["--out", tmp_path / "out.csv", "--regimes", "--prob", "0.5"]
    result = bayes_hybrid("predict", folder, tmp_path / "new.csv", *arguments)
    assert result.exit_code == 0, result.output
    predicted, reg = read_table(tmp_path / "out.csv"), load(folder)
    X, Y = table[["dose", "other"]], table[["response", "heat"]]
    assert list(predicted.columns[5:11]) == [
        *("response_mean", "response_q25", "response_q75"),
        *("heat_mean", "heat_q25", "heat_q75"),
    ]
    interval = reg.predict_interval(X, prob=0.5)
    there = Y.notna().any(axis=1).to_numpy()
    density, given = np.full(12, np.nan), np.full(12, np.nan)
    density[there] = reg.log_density(X[there], Y[there])
    given[there] = reg.predict_regime(X[there], Y[there])[:, 1]
    expected = {
        "heat_mean": reg.predict(X)[:, 1],
        "response_q25": interval[:, 0, 0],
        "heat_q75": interval[:, 1, 1],
        "joint_log_density": density,
        "p_relu_given_outputs": given,
    }
    for name, values in expected.items():
        # Numbers of up to 17 digits survive a CSV file, older pandas may round the last bit.
        np.testing.assert_allclose(predicted[name], values, rtol=1e-12)
    assert list(np.flatnonzero(predicted["joint_log_density"].isna())) == [5]


def test_a_table_with_one_of_the_targets_or_none(saved, tmp_path):
    folder, _ = saved
    table, reg = make_tables(6, seed=1), load(folder)
    arguments = ["--out", tmp_path / "out.csv", "--force"]
    one = table.drop(columns="heat")
    write_table(one, tmp_path / "new.csv")
    assert bayes_hybrid("predict", folder, tmp_path / "new.csv", *arguments).exit_code == 0
    X, Y = table[["dose", "other"]], table[["response", "heat"]].assign(heat=np.nan)
    there = Y["response"].notna()
    found = read_table(tmp_path / "out.csv")["joint_log_density"][there]
    np.testing.assert_allclose(found, reg.log_density(X[there], Y[there]), rtol=1e-12)
    # Named columns have to be there.
    line = refused("predict", folder, tmp_path / "new.csv", *arguments, "--target", "response,heat")
    assert "no column 'heat'" in line
    write_table(one.drop(columns="response"), tmp_path / "new.csv", force=True)
    assert bayes_hybrid("predict", folder, tmp_path / "new.csv", *arguments).exit_code == 0
    assert "joint_log_density" not in read_table(tmp_path / "out.csv")


def test_check_takes_several_targets_by_either_name(saved, tmp_path):
    folder, _ = saved
    table = make_tables(30, seed=2)
    write_table(table, tmp_path / "test.csv")
    own = bayes_hybrid("check", folder, "--data", tmp_path / "test.csv")
    assert own.exit_code in (0, 1), own.output
    count = int(table[["response", "heat"]].notna().to_numpy().sum())
    reg = load(folder)
    findings = reg.diagnose(table[["dose", "other"]], table[["response", "heat"]])
    (coverage,) = (finding for finding in findings if finding.name == "coverage_90")
    assert f"of {count} held-out" in coverage.meaning
    assert f"{coverage.value:.3g}" in own.stdout
    renamed = table.rename(columns={"response": "a", "heat": "b"})
    write_table(renamed, tmp_path / "test.csv", force=True)
    other = bayes_hybrid("check", folder, "--data", tmp_path / "test.csv", "--target", "a,b")
    assert other.stdout == own.stdout
    line = refused("check", folder, "--data", tmp_path / "test.csv", "--target", "a")
    assert "a column for each output of the fit, ['response', 'heat']" in line


def test_a_fit_of_one_output_takes_a_name_with_a_comma_as_it_is(saved):
    fit = load(saved[0]).fit_
    assert target_columns(fit, ["a, b"]) == ["a", "b"]
    with pytest.raises(OptionError, match="a column for each output"):
        target_columns(fit, ["a,b,c"])
    x, y = np.arange(6.0)[:, None], pd.Series(np.arange(6.0) ** 2, name="force, N")
    one = HybridRegressor(model="relu", fit_options=load(saved[0]).fit_options).fit(x, y).fit_
    assert target_columns(one, ["force, N"]) == target_columns(one, None) == ["force, N"]
