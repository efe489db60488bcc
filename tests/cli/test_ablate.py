"""``ablate`` from a file to a folder, with next to no training."""

import os

import numpy as np
import pytest

from bayes_hybrid.ablation.store import MANIFEST
from bayes_hybrid.cli.ablating import FILES, _judged
from bayes_hybrid.data import read_table, write_table
from bayes_hybrid.digits import with_error
from tests.cli.conftest import bayes_hybrid, make_table
from tests.cli.test_commands import refused


def arguments(data, out, *more):
    columns = ["--target", "response", "--features", "dose,other"]
    return ["ablate", data, *columns, "--out", out, "--folds", 2, "--repeats", 1, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An ablation of the relu pathway alone; its quick fits are too short for leave-one-out."""
    place = tmp_path_factory.mktemp("ablations")
    make_table().to_csv(place / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYES_HYBRID_QUICK", "1")
        result = bayes_hybrid(*arguments(place / "data.csv", place / "out", "--only", "relu"))
    assert result.exit_code == 0, result.output
    (place / "stdout").write_text(result.stdout)
    return place


def test_the_folder_and_what_is_printed(folder):
    assert sorted(os.listdir(folder / "out")) == sorted([*FILES, MANIFEST])
    table = read_table(folder / "out" / "table.csv")
    assert table["variant"].tolist() == ["base", "relu"]
    assert len(read_table(folder / "out" / "cells.csv")) == 6
    # Quick fits have no leave-one-out to compare.
    assert (folder / "out" / "comparison.csv").read_text() == "variant\n"
    page = (folder / "out" / "ablation.md").read_text()
    assert page.startswith("# What each part is worth\n\nresponse from dose, other: 40 rows")
    printed = (folder / "stdout").read_text()
    difference, error = table["log_density_diff"].iloc[1], table["log_density_se"].iloc[1]
    for text in (page, printed):
        assert " ± ".join(with_error(difference, error)) in text
        assert f"- relu: {_judged(difference, error)}" in f"- {text}".replace("\n", "\n- ")
        assert "leave-one-out needs 25 draws" in text
        assert "nan" not in text


def test_the_same_command_reads_what_is_there(folder, monkeypatch):
    def unwanted(self, X, y):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr("bayes_hybrid.HybridRegressor.fit", unwanted)
    before = (folder / "out" / "table.csv").read_bytes()
    (folder / "out" / "plot.png").unlink()
    result = bayes_hybrid(*arguments(folder / "data.csv", folder / "out", "--only", "relu"))
    assert (result.exit_code, result.stdout) == (0, (folder / "stdout").read_text())
    assert (folder / "out" / "table.csv").read_bytes() == before
    assert (folder / "out" / "plot.png").stat().st_size > 5_000
    quiet = arguments(folder / "data.csv", folder / "out", "--only", "relu", "--quiet")
    assert bayes_hybrid(*quiet).stdout == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--only", "rellu"], "did you mean 'relu'"),
        (["--only", "rellu"], "error: --only must be one of 'base', "),
        (["--device", "abacus"], "error: --device: expected"),
        (["--folds", 1], "--folds must be an integer >= 2"),
        (["--repeats", 0], "--repeats must be"),
        (["--jobs", 0], "--jobs must be"),
        (["--seed", 1], "a seed other than now"),
        (["--folds", 4], "a number of folds other than now"),
        (["--features", "dosis"], "dosis"),
    ],
)
def test_what_cannot_be_is_refused(folder, more, message):
    before = sorted(os.listdir(folder / "out"))
    assert message in refused(*arguments(folder / "data.csv", folder / "out"), *more)
    assert sorted(os.listdir(folder / "out")) == before


def test_other_data_are_refused(folder, tmp_path):
    make_table(seed=1).to_csv(tmp_path / "other.csv", index=False)
    line = refused(*arguments(tmp_path / "other.csv", folder / "out"))
    assert "data other than now" in line


def test_one_target_at_a_time(folder):
    line = refused("ablate", folder / "data.csv", "--target", "response,dose")
    assert "one target at a time, got ['response', 'dose']" in line


def test_the_folder_has_a_name_without_out(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAYES_HYBRID_QUICK", "1")
    command = arguments(folder / "data.csv", "unused", "--only", "relu")
    at = command.index("--out")
    assert bayes_hybrid(*command[:at], *command[at + 2 :]).exit_code == 0
    assert os.listdir(tmp_path) == ["ablation"]


def test_a_file_is_no_folder(folder, tmp_path):
    (tmp_path / "taken").write_text("mine")
    line = refused(*arguments(folder / "data.csv", tmp_path / "taken"))
    assert "taken is a file; expected a folder" in line


def test_a_folder_of_ones_own_is_left_alone(folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    line = refused(*arguments(folder / "data.csv", tmp_path))
    assert "something other than an ablation" in line
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize(
    ("difference", "error", "words"),
    [
        (-0.5, 0.1, "worse than the base by 0.50 nats"),
        (0.5, 0.1, "better than the base by 0.50 nats"),
        (-0.15, 0.1, "no clear difference: worse by 0.15 nats"),
        (float("nan"), 0.1, "no comparison"),
        (0.1, float("nan"), "no comparison"),
    ],
)
def test_words_follow_the_standard_error(difference, error, words):
    assert _judged(difference, error).startswith(words)


def test_counts_are_compared_by_their_exposure(tmp_path):
    table = make_table()
    table["response"] = np.arange(len(table)) % 4
    table["other"] = 1.0 + np.arange(len(table)) % 3
    write_table(table, tmp_path / "data.csv")
    options = ("--likelihood", "poisson", "--exposure", "other", "--quick")
    only = ("--only", "likelihood_negative_binomial")
    result = bayes_hybrid(*arguments(tmp_path / "data.csv", tmp_path / "out", *options, *only))
    assert result.exit_code == 0, result.output
    cells = read_table(tmp_path / "out" / "cells.csv")
    assert set(cells["variant"]) == {"base", "likelihood_negative_binomial"}
    # Quick fits have no leave-one-out; every fold has its score.
    assert cells["failure"].isna().sum() == 4
