import subprocess
import sys
import time
import warnings

import pytest
import typer

from bayes_hybrid import Pathway
from bayes_hybrid.cli.exits import clean_exit, one_line
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.errors import DataError
from bayes_hybrid.estimator import MODELS, REFINE, HybridRegressor, build_model, build_options
from bayes_hybrid.gates import GATES
from bayes_hybrid.inference import PLANS
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.models.pathway import NOISE_KINDS
from tests.cli.conftest import bayes_hybrid

COMMANDS = ("demo", "fit", "predict", "check", "ablate", "choose", "report")


def words(text: str) -> str:
    return " ".join(text.split())


def process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_importing_the_command_line_loads_nothing_heavy():
    heavy = {"torch", "pyro", "pandas", "numpy", "matplotlib", "arviz_base", "sklearn", "rich"}
    code = f"import sys, bayes_hybrid.cli; print(sorted({heavy!r} & set(sys.modules)))"
    run = process("-c", code)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_help_is_fast_and_documents_exit_codes():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run = process("-m", "bayes_hybrid", "--help")
        seconds.append(time.perf_counter() - start)
    assert run.returncode == 0
    assert run.stdout.startswith("Usage: bayes-hybrid")
    assert "Exit codes:" in run.stdout
    assert all(command in run.stdout for command in COMMANDS)
    # 0.2 on an idle machine; a busy one gets three tries, and torch alone would take longer.
    assert min(seconds) < 1.0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = bayes_hybrid(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: bayes-hybrid {command}" in result.stdout
    assert "--quick" not in result.stdout


def test_help_names_every_choice():
    text = words(bayes_hybrid("fit", "--help").stdout)
    for choices in (MODELS, GATES, LIKELIHOODS, NOISE_KINDS, PLANS, REFINE):
        for choice in choices:
            assert choice in text


def test_the_defaults_are_those_of_the_estimator():
    settings, estimator = Settings(), HybridRegressor()
    options, pathway = build_options(estimator), Pathway()
    for owner, names in (
        (estimator, ("model", "gate", "likelihood", "noise", "missing")),
        (options, ("num_restarts", "plan", "device")),
        (pathway, ("num_units",)),
    ):
        for name in names:
            assert getattr(settings, name) == getattr(owner, name)
    assert REFINE[settings.refine] == options.sampler
    typed = regressor(settings, quiet=True)
    assert typed.fit_options is None
    assert build_model(typed, 5) == build_model(estimator, 5)


@pytest.mark.parametrize("quick", [False, True])
def test_what_was_typed_reaches_the_options(quick):
    typed = Settings(plan="direct, balanced", quick=quick)
    options = build_options(regressor(typed, quiet=True))
    assert options.plan == ("direct", "balanced")


def test_version():
    result = bayes_hybrid("--version")
    assert (result.exit_code, result.stdout) == (0, "bayes-hybrid 0.2.0\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "data.csv", "--out", "fit"], "--target"),
        (["fit", "data.csv", "--target", "y", "--out", "fit", "--gaet", "relu"], "--gaet"),
        (["predict", "fit"], "DATA"),
        (["prdict"], "prdict"),
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments, message):
    result = bayes_hybrid(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def exits(error: BaseException) -> int:
    with pytest.raises(typer.Exit) as caught, clean_exit():
        raise error
    return caught.value.exit_code


def test_refusals_are_one_line_without_control_characters(capsys):
    assert exits(DataError("no column 'a\x1b[31m'\nin the table")) == 2
    assert capsys.readouterr().err == "error: no column 'a [31m' in the table\n"
    assert exits(FileNotFoundError(2, "No such file or directory", "x.csv")) == 2
    assert capsys.readouterr().err == "error: x.csv: No such file or directory\n"


def test_ctrl_c_exits_with_130(capsys):
    assert exits(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "\ninterrupted; no output is left half-written\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), clean_exit():
        raise ZeroDivisionError


def test_warnings_for_users_are_one_line(capsys):
    with clean_exit():
        warnings.simplefilter("always")
        warnings.warn("torch.compile\nfailed", RuntimeWarning, stacklevel=1)
        warnings.warn("for developers", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: torch.compile failed\n"


def test_one_line():
    assert one_line("a\r\n\tb\x07") == "a b"
