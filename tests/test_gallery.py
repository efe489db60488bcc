"""The gallery shows every figure, and is what the script writes."""

import os
import re
import runpy
from pathlib import Path
from typing import Final

import pytest

from bayes_hybrid import plots

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "gallery.md"

MOST_BYTES: Final = 110 * 1024
"""Of a picture: the repository is cloned by everybody."""


@pytest.mark.parametrize("name", plots.__all__)
def test_every_figure_is_in_the_gallery(name):
    assert f"plots.{name}(" in PAGE.read_text(encoding="utf-8")


def test_every_picture_is_there_and_small():
    shown = set(re.findall(r"\]\(images/(\w+\.png)\)", PAGE.read_text(encoding="utf-8")))
    there = {path.name: path.stat().st_size for path in PAGE.parent.glob("images/gallery_*.png")}
    assert shown == there.keys()
    assert {name: size for name, size in there.items() if size > MOST_BYTES} == {}


@pytest.mark.slow
def test_the_script_writes_the_page(tmp_path, monkeypatch, capfd, few_ratios):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAYES_HYBRID_QUICK", "1")
    monkeypatch.setattr("sys.argv", ["gallery.py"])
    runpy.run_path(str(ROOT / "examples" / "gallery.py"), run_name="__main__")
    printed, complaint = capfd.readouterr()
    assert printed
    assert complaint == ""
    assert os.listdir(tmp_path) == ["gallery"]
    written = tmp_path / "gallery"
    assert (written / "gallery.md").read_text("utf-8") == PAGE.read_text("utf-8")
    names = {path.name for path in PAGE.parent.glob("images/gallery_*.png")}
    assert {path.name for path in (written / "images").iterdir()} == names
