"""``choose`` from a file to a folder, with next to no training."""

import os

import pytest

from bayes_hybrid import HybridRegressor
from bayes_hybrid.ablation.store import MANIFEST
from bayes_hybrid.choosing import fit_command
from bayes_hybrid.choosing.candidates import candidates
from bayes_hybrid.choosing.fits import estimator_of
from bayes_hybrid.cli.choosing import FILES
from bayes_hybrid.cli.regressor import fit_options
from bayes_hybrid.data import read_table
from tests.cli.conftest import bayes_hybrid, make_table
from tests.cli.test_commands import refused


def arguments(data, out, *more):
    columns = ["--target", "response", "--features", "dose"]
    search = ["--experts", "constant,line", "--max-regimes", 1]
    return ["choose", data, *columns, *search, "--out", out, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A choice between a level and a line."""
    place = tmp_path_factory.mktemp("choices")
    make_table().to_csv(place / "the data.csv", index=False)

    def longer(settings):
        from dataclasses import replace

        options = fit_options(settings)
        # Leave-one-out asks for 25 draws.
        enough = replace(options.variational, num_draws=30)
        return replace(options, variational=enough) if settings.quick else options

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYES_HYBRID_QUICK", "1")
        patch.setattr("bayes_hybrid.cli.regressor.fit_options", longer)
        result = bayes_hybrid(*arguments(place / "the data.csv", place / "out"))
    assert result.exit_code == 0, result.output
    (place / "stdout").write_text(result.stdout)
    return place


def test_the_folder_and_what_is_printed(folder):
    assert sorted(os.listdir(folder / "out")) == sorted([*FILES, MANIFEST])
    table = read_table(folder / "out" / "table.csv")
    assert table["candidate"].tolist() == ["constant", "line"]
    (best,) = table["candidate"][table["chosen"]]
    page = (folder / "out" / "choice.md").read_text()
    printed = (folder / "stdout").read_text()
    assert page.startswith("# How many regimes?\n\nresponse from dose: 40 rows.\n")
    (winner,) = (each for each in candidates(1) if each.name == best)
    estimator = estimator_of(HybridRegressor(random_state=0), winner)
    command = fit_command(
        estimator, data=folder / "the data.csv", target="response", features=["dose"]
    )
    assert "the data.csv'" in command
    for text in (page, printed):
        assert command in text.splitlines()
        assert f"One regime is enough: {best}." in text
        assert "nan" not in text
    assert printed.endswith(f"{command}\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--experts", "lime"], "error: --experts must be one of 'constant', 'line', 'smooth'"),
        (["--max-regimes", 0], "--max-regimes must be an integer >= 1"),
        (["--jobs", 0], "--jobs must be"),
        (["--gate-feature", "dosis"], "did you mean 'dose'"),
        (["--likelihood", "norml"], "did you mean 'normal'"),
        (["--seed", 1], "other than now"),
        (["--target", "other"], "one target at a time, got ['response', 'other']"),
    ],
)
def test_what_cannot_be_is_refused(folder, more, message):
    before = sorted(os.listdir(folder / "out"))
    assert message in refused(*arguments(folder / "the data.csv", folder / "out"), *more)
    assert sorted(os.listdir(folder / "out")) == before
