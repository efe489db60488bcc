"""``bayes-hybrid report``: from a saved fit to one HTML file."""

import os

import pytest

from bayes_hybrid.cli.reporting import _command
from tests.cli.conftest import bayes_hybrid, make_table


def test_a_report_is_written(saved, tmp_path):
    out = tmp_path / "fit report.html"
    result = bayes_hybrid("report", saved, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("The fit can")
    assert f"Written to {out}" in result.stdout
    assert result.stderr == ""
    page = out.read_text(encoding="utf-8")
    assert "No held-out rows came" in page
    assert f"bayes-hybrid report {saved} --out &#39;{out}&#39;" in page
    assert os.listdir(tmp_path) == ["fit report.html"]


def test_held_out_rows_are_measured(saved, tmp_path):
    out, data = tmp_path / "report.html", tmp_path / "new.csv"
    make_table(30, seed=1).rename(columns={"response": "measured"}).to_csv(data, index=False)
    arguments = ["--data", data, "--target", "measured", "--quiet"]
    result = bayes_hybrid("report", saved, "--out", out, *arguments)
    assert (result.exit_code, result.output) == (0, "")
    page = out.read_text(encoding="utf-8")
    assert "measured on 30 held-out rows" in page
    assert "coverage_90" in page


def test_nothing_is_overwritten(saved, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("mine")
    result = bayes_hybrid("report", saved, "--out", out)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert out.read_text() == "mine"
    assert bayes_hybrid("report", saved, "--out", out, "--force").exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    for force in ([], ["--force"]):
        folder = bayes_hybrid("report", saved, "--out", tmp_path, *force)
        assert (folder.exit_code, "is a folder" in folder.stderr) == (2, True)
        assert "--force" not in folder.stderr


@pytest.mark.parametrize("name", ["report", "report.pdf", "report.html.gz", ".html"])
def test_a_report_is_an_html_file(saved, tmp_path, name):
    result = bayes_hybrid("report", saved, "--out", tmp_path / name)
    assert result.exit_code == 2
    assert "--out must be a file that ends in .html; got " in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_report_does_not_lie_in_the_folder_of_its_fit(saved):
    result = bayes_hybrid("report", saved, "--out", saved / "report.html")
    assert result.exit_code == 2
    assert f"lies in {saved}, which holds the fit" in result.stderr
    assert not (saved / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "y"], "--target names a column of --data"),
        (["--data", "missing.csv"], "does not exist"),
    ],
)
def test_refusals(saved, tmp_path, arguments, message):
    out = tmp_path / "report.html"
    result = bayes_hybrid("report", saved, "--out", out, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_no_fit_is_there(tmp_path):
    result = bayes_hybrid("report", tmp_path / "none", "--out", tmp_path / "report.html")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert os.listdir(tmp_path) == []


def test_the_command_can_be_typed_again(tmp_path):
    words = _command(tmp_path / "my fit", tmp_path / "r.html", tmp_path / "d.csv", ["a, b", "c"])
    assert words.endswith(f"--data {tmp_path}/d.csv --target 'a, b' --target c")
    assert f"'{tmp_path}/my fit'" in words
