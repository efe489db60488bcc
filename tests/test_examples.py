"""Every example runs from start to end, with warnings as errors."""

import os
import runpy
from pathlib import Path
from typing import Final

import pyro
import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLES: Final = sorted((ROOT / "examples").glob("*.py"))


def test_the_examples_are_there():
    assert [path.name for path in EXAMPLES] == ["gallery.py", "motorcycle.py", "raw_pyro.py"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["motorcycle", "raw_pyro"])  # test_gallery.py has the third
def test_example(name, tmp_path, monkeypatch, capfd, few_ratios):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAYES_HYBRID_QUICK", "1")
    with pyro.get_param_store().scope():
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    printed, complaint = capfd.readouterr()
    assert complaint == ""
    assert printed
    written = {"motorcycle": ["motorcycle.png"], "raw_pyro": []}
    assert os.listdir(tmp_path) == written[name]
