"""How commands end when they are stopped, each in a process of its own."""

import os
import signal
import sys

import pytest

from bayes_hybrid import load
from tests.cli.conftest import make_table

# The fit itself is one that was saved before; what stops it comes in the middle.
CODE = """
import os, signal, sys, time
from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.cli import main
saved, number, at = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def stop():
    os.kill(os.getpid(), number)
    time.sleep(60)

def fit(self, *rows):
    if at == "fit":
        stop()
    return load(saved)

HybridRegressor.fit = fit
# The demo's pictures are of another table.
from bayes_hybrid.cli import demo
demo._write = demo.write_page = lambda *_, **__: None
demo._page = lambda *_: "new"
if at == "place":
    # Between the two renames, where the system cannot exchange names.
    from pathlib import Path
    from bayes_hybrid.data import renames
    renames._renameat2 = lambda *_: False
    rename = Path.rename
    def second(self, target):
        if self.suffix == ".part":
            stop()
        return rename(self, target)
    Path.rename = second
sys.argv[1:] = sys.argv[4:]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize("at", ["fit", "place"])
@pytest.mark.parametrize("command", ["fit", "demo"])
def test_sigterm_ends_a_command_as_ctrl_c_does(forks, saved, tmp_path, command, at):
    make_table().to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "out"
    arguments = {
        "fit": ["fit", tmp_path / "data.csv", "--target", "response", "--features", "dose,other"],
        "demo": ["demo"],
    }[command] + ["--out", out, "--force"]
    inside = out / "fit" if command == "demo" else out
    inside.parent.mkdir(exist_ok=True)
    load(saved).save(inside)
    if command == "demo":
        (out / "findings.md").write_text("old")
    before = (inside / "manifest.json").read_bytes()
    for number, code, word in (
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGINT, 130, "interrupted"),
    ):
        run = forks.run(saved, int(number), at, *arguments, code=CODE)
        assert run.code == code, run.stderr
        assert run.stderr.decode().endswith(f"{word}; no output is left half-written\n")
        assert sorted(os.listdir(tmp_path)) == ["data.csv", "out"]
        assert (inside / "manifest.json").read_bytes() == before
        load(inside)
