"""Every example runs from start to end, with warnings as errors."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLES: Final = sorted((ROOT / "examples").glob("*.py"))


def run(path: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "BAYES_HYBRID_QUICK": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_examples_are_there():
    assert [path.name for path in EXAMPLES] == ["gallery.py", "motorcycle.py", "raw_pyro.py"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["motorcycle", "raw_pyro"])  # test_gallery.py has the third
def test_example(name, tmp_path):
    result = run(ROOT / "examples" / f"{name}.py", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout
    written = {"motorcycle": ["motorcycle.png"], "raw_pyro": []}
    assert os.listdir(tmp_path) == written[name]
