"""Standard output that takes nothing, that cannot spell a name, or that is a terminal."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from rich.table import Table

from bayes_hybrid.cli.console import say, show
from bayes_hybrid.cli.exits import UNPRINTED, clean_exit, complain, emit, printable
from bayes_hybrid.data import write_table
from tests.cli.conftest import bayes_hybrid, make_table
from tests.cli.forked import CLOSED

SECONDS = 120


@pytest.mark.slow
def test_a_full_standard_output_costs_no_file(forks, saved, data, tmp_path):
    for command, output in (
        (["predict", saved, data, "--out", tmp_path / "out.csv"], "out.csv"),
        (["report", saved, "--out", tmp_path / "page.html"], "page.html"),
        (["fit", data, "--target", "response", "--features", "dose", "--out", tmp_path / "f"], "f"),
        (["check", saved], None),
        (["--help"], None),
        (["--version"], None),
    ):
        code, _, complaint = forks.run(*command, stdout="/dev/full")
        assert code == UNPRINTED, complaint
        assert complaint.count(b"\n") == 1
        assert b"standard output took no words: No space left on device" in complaint
        assert b"nothing was done" not in complaint
        assert output is None or (tmp_path / output).exists()
        if command[0] in ("check", "--help"):  # with nowhere to complain, the exit code still tells
            assert forks.run(*command, stdout="/dev/full", stderr="/dev/full").code == UNPRINTED


@pytest.mark.slow
def test_a_refusal_is_one_whatever_can_be_printed(forks, saved, tmp_path):
    command = ["predict", saved, "none.csv", "--out", tmp_path / "out.csv"]
    assert forks.run(*command, stdout="/dev/full").code == 2
    assert forks.run(*command, stderr="/dev/full").code == 2


def test_a_reader_of_help_may_have_seen_enough():
    for command in (["--help"], ["fit", "--help"], ["--version"]):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "bayes_hybrid", *command]
        run = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=SECONDS)
        os.close(write)
        assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.slow
def test_a_closed_pipe_is_no_failure(forks, saved, data, tmp_path):
    command = ["predict", saved, data, "--out", tmp_path / "out.csv"]
    assert forks.run(*command, stdout=CLOSED) == (0, b"", b"")
    assert (tmp_path / "out.csv").exists()
    assert forks.run("check", saved, stdout=CLOSED) == (1, b"", b"")


@pytest.mark.slow
def test_names_that_standard_output_cannot_spell_are_replaced(forks, tmp_path):
    table = make_table().drop(columns="name").rename(columns={"dose": "größe\x1b[31m"})
    write_table(table, tmp_path / "data.csv")
    command = ["fit", tmp_path / "data.csv", "--target", "response", "--out", tmp_path / "fit"]
    ascii_only = "sys.stdout.reconfigure(encoding='ascii'); bayes_hybrid.cli.main()"
    code, printed, complaint = forks.run(*command, code=ascii_only)
    assert (code, complaint) == (0, b"")
    assert b"response from gr\\xf6\\xdfe [31m, other: 40 rows" in printed
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "bayes_hybrid", "check", str(tmp_path / "fit")],
        env={**os.environ, **plain},
        timeout=SECONDS,
        capture_output=True,
    )
    assert run.returncode == 1, run.stderr
    assert b"\x1b" not in run.stdout


@pytest.mark.slow
def test_a_path_that_is_not_utf8_works_from_end_to_end(forks, data, tmp_path):
    odd = [str(tmp_path / f"odd\udcff{end}") for end in ("", ".csv", ".parquet", ".html")]
    os.rename(data, odd[1])
    columns = ["--target", "response", "--features", "dose,other"]
    for command in (
        ["fit", odd[1], *columns, "--out", odd[0]],
        ["predict", odd[0], odd[1], "--out", odd[2]],
        ["predict", odd[0], odd[2].replace("odd", "none"), "--out", odd[2], "--force"],
        ["check", odd[0], "--data", odd[1]],
        ["report", odd[0], "--data", odd[1], "--out", odd[3]],
    ):
        code, printed, complaint = forks.run(*command)
        if "none" in command[2]:
            assert code == 2
            assert "none\ufffd.parquet does not exist" in complaint.decode()
        else:
            assert code in (0, 1), complaint
            assert complaint == b""
            assert b"\xff" not in printed
    assert all(os.path.exists(path) for path in odd)


# In this process


def test_a_width_that_is_not_known_hides_no_table(saved, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    expected = bayes_hybrid("check", saved).stdout
    monkeypatch.setenv("COLUMNS", "0")
    assert bayes_hybrid("check", saved).stdout == expected
    assert "converged" in expected.rpartition("90% interval")[2]


def test_names_cannot_steer_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    hostile = "a\x1b[31m\x1b]0;title\x07\u202eb\x00\ud800"
    say(f"one {hostile}\ntwo")
    table = Table()
    table.add_column(hostile)
    table.add_row(hostile, style="bold red")
    show(table)
    complain(f"error: {hostile}")
    printed, complaint = capsys.readouterr()
    assert "\x1b[31m" not in printed.replace("\x1b[1;31m", "")
    assert not {"\x07", "\u202e", "\x00", "\ud800"} & {*printed, *complaint}
    # The style that we give stays, and so does a line end that we write.
    assert "\x1b[1;31m" in printed
    assert "\ntwo" in printed
    assert "\x1b" not in complaint


def test_findings_about_hostile_names_are_harmless(tmp_path):
    table = make_table().drop(columns="name").rename(columns={"dose": "d\x1b[31m"})
    write_table(table, tmp_path / "data.csv")
    arguments = ["--target", "response", "--out", tmp_path / "fit"]
    result = bayes_hybrid("fit", tmp_path / "data.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output + bayes_hybrid("check", tmp_path / "fit", "--quiet").output


def test_printable():
    assert printable("a\tb\u202ec\x85d") == "a b c d"


def test_what_cannot_be_printed_is_told_once(monkeypatch, capsys):
    class Full:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def fileno(self) -> int:
            raise OSError

    monkeypatch.setattr(sys, "stdout", Full())
    done = []

    def command() -> None:
        with clean_exit():
            say("one")
            emit("two")
            done.append("the work")

    with pytest.raises(Exception, match="3"):
        command()
    assert done == ["the work"]
    assert capsys.readouterr().err == (
        "error: the work is done, every file is written, but standard output took no words: No "
        "space left on device\n"
    )


def test_dashes_and_formulas_are_plain_text(tmp_path):
    write_table(pd.DataFrame({"x": ["=1+1", "-"], "y": [1, 2]}), tmp_path / "data.csv")
    result = bayes_hybrid("fit", tmp_path / "data.csv", "--target", "y", "--out", tmp_path / "f")
    assert "column 'x' holds a formula, first in row 1: '=1+1'" in result.stderr
