"""Commands killed at any moment: what stood there stands, or what was asked for does.

A try runs a command in a fork of this process and sends it a signal: just before or just after one
of the calls that change the disk, or at a moment of the clock.  Then the same command runs again,
and nothing may be left beside what it writes.  Or several processes are at one output.
"""

import os
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from bayes_hybrid import load
from bayes_hybrid.errors import BayesHybridError
from benchmarks.faults.commands import (
    COMMANDS,
    Command,
    ended,
    files,
    fits,
    inside,
    run,
    said,
    started,
)
from benchmarks.faults.outcomes import Outcome, bug
from benchmarks.faults.tiny import FEATURES, tiny_table

__all__ = ["prepare", "trial"]

SIGNALS: Final = {
    "SIGINT": (signal.SIGINT,),
    "SIGINT twice": (signal.SIGINT, signal.SIGINT),
    "SIGTERM": (signal.SIGTERM,),
    "SIGKILL": (signal.SIGKILL,),
}
_ENDS: Final = (0, 130, 143, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL)
"""Exit codes of a command that has ended in time, or by the signal."""


@dataclass(frozen=True, kw_only=True)
class Usual:
    """A command that nobody kills: what it leaves, and how many moments it has."""

    files: dict[str, bytes]
    changes: int
    seconds: float


def prepare() -> None:
    """Each command once."""
    for name in COMMANDS:
        usual(name)


@cache
def usual(name: str) -> Usual:
    """A command without a signal, and once more over what it has left: most changes come then."""
    os.environ["BAYES_HYBRID_QUICK"] = "1"
    command = COMMANDS[name]
    with TemporaryDirectory() as folder, inside(Path(folder)):
        began = time.monotonic()
        first, _ = run(command, 0)
        seconds, left = time.monotonic() - began, files(command.out)
        second, changes = run(command, 1)
        assert (first, second) == (0, 0), f"{name} fails"
    return Usual(files=left, changes=changes, seconds=seconds)


def trial(seed: int) -> list[Outcome]:
    """One command, one signal, one moment."""
    rng = np.random.default_rng(seed)
    name = _TURNS[seed % len(_TURNS)]
    if name in _BESIDE:
        Path("work").mkdir()
        with inside(Path("work")):
            return [Outcome(seed=seed, what=name, bad=_BESIDE[name](rng))]
    command, whole = COMMANDS[name], usual(name)
    by = list(SIGNALS)[rng.integers(len(SIGNALS))]
    stood = bool(rng.random() < 0.8)
    moment: dict[str, Any] = {"change": int(rng.integers(whole.changes))}
    if rng.random() < 0.3:
        moment = {"after": float(rng.uniform(0.0, whole.seconds))}
    about = f"{by}, {moment}, {'an old one stood' if stood else 'nothing stood'}"
    Path("work").mkdir()
    with inside(Path("work")):
        for path, content in whole.files.items() if stood else ():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(content)
        there = {"data.csv", "saved"} | ({command.out} if stood else set())
        code, _ = run(command, 1, SIGNALS[by], **moment)
        bad = _after_kill(command, whole if stood else None, there)
        if not bad and code not in _ENDS:
            bad = f"exit code {code}: {said()[-200:]}"
        if not bad:
            bad = _after_next(command, there | {command.out})
    return [Outcome(seed=seed, what=name, bad=bad, about=about)]


def _after_kill(command: Command, old: Usual | None, there: set[str]) -> str:
    """What is wrong with what a killed command leaves."""
    visible = {name for name in os.listdir() if not name.startswith(".")}
    if more := visible - there - {command.out}:
        return f"{more} is left in sight"
    out = Path(command.out)
    if not out.exists():
        if old is None:
            return ""
        return "neither old nor new is there"
    if (old is None or files(command.out) != old.files) and not command.whole(out):
        return "what is there is not whole"
    return ""


def _after_next(command: Command, there: set[str]) -> str:
    """What is wrong after the same command again, to its end."""
    code, _ = run(command, 1)
    if code != 0:
        return f"the next run ends with {code}: {said()}"
    if more := set(os.listdir()) - there:
        return f"the next run leaves {sorted(more)}"
    return "" if command.whole(Path(command.out)) else "what the next run writes is not whole"


# -- several processes at one output


def _writers(rng: np.random.Generator) -> str:
    """Three at once: each ends well or is refused, and one whole output stands."""
    name = str(rng.choice(["save with force", "predict --force", "fit --force"]))
    command = COMMANDS[name]
    running = [started(command, number) for number in (0, 1, 0)]
    codes = sorted(ended(*each)[0] for each in running)
    if not set(codes) <= {0, 2} or codes[0] != 0:
        return f"{name}: exit codes {codes}: {said()[-200:]}"
    if more := set(os.listdir()) - {"data.csv", "saved", command.out}:
        return f"{name}: {sorted(more)} is left"
    return "" if command.whole(Path(command.out)) else f"{name}: what is there is not whole"


def _reader(rng: np.random.Generator) -> str:
    """A fit that is loaded while it is replaced is the old one or the new one."""
    X = tiny_table()[FEATURES]
    right = [reg.predict(X) for reg in fits()]
    fits()[0].save("out")
    bad = ""
    for _ in range(10):
        child, reading = started(COMMANDS["save with force"], int(rng.integers(2)))
        for _ in range(30):
            try:
                got = load("out").predict(X)
            except BayesHybridError as error:
                bad = f"refused: {str(error)[:120]}"
            except Exception as error:
                bad = bug(error)
            else:
                if not any(np.array_equal(got, each) for each in right):
                    bad = "a fit that is neither"
        ended(child, reading)
    return bad


def _pipe(rng: np.random.Generator) -> str:
    """What is no file, such as a pipe or a device, is never replaced by one."""
    name = str(rng.choice(["predict --force", "report --force"]))
    out = Path(COMMANDS[name].out)
    os.mkfifo(out)
    listening = os.open(out, os.O_RDONLY | os.O_NONBLOCK)  # or who writes would wait
    code, _ = run(COMMANDS[name], 0)
    os.close(listening)
    if not stat.S_ISFIFO(out.lstat().st_mode):
        return f"{name}: a pipe is replaced by a file"
    return f"{name}: a traceback: {said()[-200:]}" if code not in (0, 2) else ""


_BESIDE: Final[dict[str, Callable[[np.random.Generator], str]]] = {
    "three writers": _writers,
    "a reader": _reader,
    "a pipe": _pipe,
}
_TURNS: Final = [*list(COMMANDS)[:3] * 3, *COMMANDS, *_BESIDE]
"""The quick ones more often."""
