"""``bench sbc`` and ``check --against nuts``, with next to no training."""

import os

import pytest

from bayes_hybrid.cli.calibrating import FILES
from bayes_hybrid.data import read_table
from bayes_hybrid.validation import ReferenceCheck, check_against_nuts
from bayes_hybrid.validation.store import MANIFEST
from tests.cli.conftest import bayes_hybrid
from tests.cli.test_commands import refused


def arguments(out, *more):
    return ["bench", "sbc", "--out", out, "--replications", 3, "--rows", 12, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sbc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYES_HYBRID_QUICK", "1")
        result = bayes_hybrid(*arguments(place / "out"))
    assert result.exit_code == 0, result.output
    (place / "stdout").write_text(result.stdout)
    return place


def test_the_folder_and_what_is_printed(folder):
    assert sorted(os.listdir(folder / "out")) == sorted([*FILES, MANIFEST])
    assert len(os.listdir(folder / "out" / "replications")) == 3
    table = read_table(folder / "out" / "table.csv")
    ranks = read_table(folder / "out" / "ranks.csv")
    assert ranks.columns.tolist() == ["number", *table["quantity"]]
    assert ranks["number"].tolist() == [0, 1, 2]
    assert table["mean_rank"].tolist() == pytest.approx(ranks[table["quantity"]].mean().tolist())
    page = (folder / "out" / "sbc.md").read_text()
    printed = (folder / "stdout").read_text()
    inside = int(table["inside"].sum())
    for text in (page, printed):
        assert f"{inside} of 11 quantities stay in their 95% band over 3 replications" in text
        assert "chance alone would take 0.6 out" in text
    # No quantity's name breaks a table of Markdown, or a terminal of 80 columns.
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {7}
    assert "…" not in printed


def test_the_same_command_goes_on(folder, monkeypatch):
    def unwanted(*_, **__):
        raise AssertionError("a finished replication was fitted again")

    monkeypatch.setattr("bayes_hybrid.validation.replication.fit", unwanted)
    result = bayes_hybrid(*arguments(folder / "out"))
    assert (result.exit_code, result.stdout) == (0, (folder / "stdout").read_text())
    assert bayes_hybrid(*arguments(folder / "out", "--quiet")).stdout == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--replications", 1], "--replications must be an integer >= 2"),
        (["--rows", 1], "--rows must be an integer >= 2"),
        (["--rows", 13], "another num_rows"),
        (["--seed", 1], "another seed"),
        (["--jobs", 0], "--jobs must be"),
        (["--gate", "treshold"], "did you mean 'threshold'"),
        (["--gate", "treshold"], "error: --gate must be one of 'constant', "),
        (["--device", "abacus"], "error: --device: expected"),
        (["--refine", "maybe"], "--refine"),
    ],
)
def test_what_cannot_be_is_refused(folder, more, message):
    before = sorted(os.listdir(folder / "out"))
    assert message in refused(*arguments(folder / "out", *more))
    assert sorted(os.listdir(folder / "out")) == before


@pytest.mark.slow
def test_check_against_nuts(saved, monkeypatch):
    checks: list[ReferenceCheck] = []

    def once(estimator, **settings):
        # The second command is about what it prints.
        if not checks:
            checks.append(check_against_nuts(estimator, **settings))
        return checks[0]

    monkeypatch.setattr("bayes_hybrid.cli.comparing.check_against_nuts", once)
    small = ["--rows", 20, "--chains", 2, "--warmup", 3, "--draws", 10]
    result = bayes_hybrid("check", saved, "--against", "nuts", *small)
    assert result.exit_code in (1, 2)
    for text in (
        "Against NUTS on 20 of 40 rows",
        "at most 1,638 gradients",
        "Compared at 20 rows that neither has seen",
        "interval_width",
        "nuts_r_hat",
    ):
        assert text in result.stdout
    quiet = bayes_hybrid("check", saved, "--against", "nuts", *small, "--quiet")
    assert (quiet.stdout, quiet.exit_code) == ("", result.exit_code)
    assert "nuts_r_hat" in quiet.stderr or "nuts_r_hat" in result.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rows", 20], "--rows goes with --against nuts"),
        (["--draws", 20], "--draws goes with --against nuts"),
        (["--against", "nust"], "did you mean 'nuts'"),
        (["--against", "nuts", "--chains", 1], "--chains must be an integer >= 2"),
        (["--against", "nuts", "--warmup", 0], "--warmup must be an integer >= 1"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_before_any_work(saved, more, message):
    assert message in refused("check", saved, *more)
