"""A small table, and one quick fit of it that the tests share."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from bayes_hybrid.cli import app
from tests.cli.forked import Forks


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    # Next to no training; and what makes typer and rich believe in a terminal is taken away.
    monkeypatch.setenv("BAYES_HYBRID_QUICK", "1")
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)


def bayes_hybrid(*arguments: object) -> Result:
    """Run the command line in this process; an exception that it does not handle comes through."""
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False
    )


def make_table(num_rows: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dose, other = rng.uniform(-2.0, 2.0, (2, num_rows))
    response = np.sin(2.0 * dose) + 1.5 * (dose > 0.3) + 0.1 * rng.standard_normal(num_rows)
    names = [f"row {n}" for n in range(num_rows)]
    return pd.DataFrame({"name": names, "dose": dose, "other": other, "response": response})


@pytest.fixture
def data(tmp_path):
    """A CSV file with a text column beside two features and the target ``response``."""
    path = tmp_path / "data.csv"
    make_table().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A folder with a fit of ``response`` from ``dose`` and ``other``."""
    folder = tmp_path_factory.mktemp("fits")
    make_table().to_csv(folder / "train.csv", index=False)
    arguments = ["--target", "response", "--features", "dose,other", "--out", folder / "fit"]
    result = bayes_hybrid("fit", folder / "train.csv", *arguments, "--quick")
    assert result.exit_code == 0, result.output
    return folder / "fit"


@pytest.fixture(scope="session")
def forks():
    with Forks() as started:
        yield started
