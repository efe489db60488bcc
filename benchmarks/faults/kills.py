"""Commands killed at any moment: what stood there stands, or what was asked for does.

A try runs a command in a fork of this process and sends it a signal: just before or just after one
of the calls that change the disk, or at a moment of the clock.  Then the same command runs again,
and nothing may be left beside what it writes.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.errors import BayesHybridError
from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.tiny import FEATURES, TARGET, make, tiny_table

__all__ = ["prepare", "trial"]

_SECONDS: Final = 120.0
_CHANGES: Final = frozenset(("rename", "replace", "mkdir", "rmdir", "unlink", "remove", "fsync"))
"""Functions of the system that change the disk, or wait for it."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A command, and what whole means for its output.

    Attributes:
        run: the command, in the folder of the try; ``number`` tells old from new.
        out: the file or folder that it makes.
        whole: whether what stands there can be used.
    """

    run: Callable[[int], None]
    out: str
    whole: Callable[[Path], bool]


def _command(*arguments: str) -> None:
    from bayes_hybrid.cli import main

    sys.argv = ["bayes-hybrid", *arguments]
    main()


def _fit(number: int) -> None:
    model = ("--model", "relu", "--noise", "constant", "--quiet", "--features", "dose,other")
    _command(
        "fit",
        "data.csv",
        "--target",
        TARGET,
        "--out",
        "out",
        "--seed",
        str(number),
        "--force",
        *model,
    )


def _predict(number: int) -> None:
    prob = str(0.9 - number / 10)
    _command(
        "predict", "saved", "data.csv", "--out", "out.csv", "--prob", prob, "--force", "--quiet"
    )


def _report(number: int) -> None:
    _command("report", "saved", "--out", "out.html", "--force", "--quiet")


def _demo(number: int) -> None:
    _command("demo", "--out", "out", "--seed", str(number), "--force", "--quiet")


def _save(number: int) -> None:
    fits()[number].save("out", force=True)


def _can_be_loaded(path: Path) -> bool:
    try:
        load(path).predict(tiny_table()[FEATURES])
    except BayesHybridError:
        return False
    return True


def _has_all_lines(path: Path) -> bool:
    return path.read_bytes().count(b"\n") == len(tiny_table()) + 1


def _is_a_page(path: Path) -> bool:
    return path.read_text(encoding="utf-8").rstrip().endswith("</html>")


def _is_a_demo(path: Path) -> bool:
    from bayes_hybrid.cli.demo import FILES

    if sorted(FILES) != sorted(entry.name for entry in path.iterdir()):
        return False
    try:
        load(path / "fit")
    except BayesHybridError:
        return False
    return _is_a_page(path / "report.html")


KILLS: Final = {
    "save with force": Kill(run=_save, out="out", whole=_can_be_loaded),
    "predict --force": Kill(run=_predict, out="out.csv", whole=_has_all_lines),
    "fit --force": Kill(run=_fit, out="out", whole=_can_be_loaded),
    "report --force": Kill(run=_report, out="out.html", whole=_is_a_page),
    "demo --force": Kill(run=_demo, out="out", whole=_is_a_demo),
}
_OFTEN: Final = [*list(KILLS)[:3] * 3, *KILLS]
"""The quick ones more often."""
SIGNALS: Final = {
    "SIGINT": (signal.SIGINT,),
    "SIGINT twice": (signal.SIGINT, signal.SIGINT),
    "SIGTERM": (signal.SIGTERM,),
    "SIGKILL": (signal.SIGKILL,),
}


@dataclass(frozen=True, kw_only=True)
class Usual:
    """A command that nobody kills: what it leaves, and how many moments it has."""

    files: dict[str, bytes]
    changes: int
    seconds: float


@cache
def fits() -> tuple[HybridRegressor, HybridRegressor]:
    """Two fits of the same table."""
    table = tiny_table()
    one, two = (make(seed=seed).fit(table[FEATURES], table[TARGET]) for seed in (0, 1))
    return one, two


def prepare() -> None:
    """Each command once."""
    for name in KILLS:
        usual(name)


@cache
def usual(name: str) -> Usual:
    """A command without a signal, and once more over what it has left: most changes come then."""
    os.environ["BAYES_HYBRID_QUICK"] = "1"
    kill = KILLS[name]
    with TemporaryDirectory() as folder, _inside(Path(folder)):
        started = time.monotonic()
        first, _ = _run(kill, 0)
        seconds, files = time.monotonic() - started, _files(kill.out)
        second, changes = _run(kill, 1)
        assert (first, second) == (0, 0), f"{name} fails"
    return Usual(files=files, changes=changes, seconds=seconds)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """A folder with a table and a saved fit, in which commands run."""
    before = Path.cwd()
    os.chdir(folder)
    tiny_table().to_csv("data.csv", index=False)
    fits()[0].save("saved")
    try:
        yield
    finally:
        os.chdir(before)


def _files(out: str) -> dict[str, bytes]:
    """Contents by path: of a file, or of all that a folder holds."""
    paths = [Path(out), *sorted(Path(out).rglob("*"))]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def _run(
    kill: Kill,
    number: int,
    signals: tuple[signal.Signals, ...] = (),
    change: int | None = None,
    after: float | None = None,
) -> tuple[int, int]:
    """A command in a fork: its exit code, and how often it came before or after a change.

    Args:
        kill: the command.
        number: which of its two outputs.
        signals: what is sent to it.
        change: at which change; odd ones are after it.
        after: or after so many seconds.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os._exit(_forked(kill, number, signals, change, writing))
    os.close(writing)
    if after is not None:
        time.sleep(after)
        for each in signals:
            os.kill(child, each)
            time.sleep(0.002)
    with os.fdopen(reading, "rb") as pipe:
        counted = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def _forked(
    kill: Kill,
    number: int,
    signals: tuple[signal.Signals, ...],
    change: int | None,
    writing: int,
) -> int:
    """The command itself, its changes of the disk counted; its exit code."""
    seen, left = 0, list(signals)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            moment()
            result = function(*arguments, **settings)
            moment()
            return result

        return call

    def moment() -> None:
        nonlocal seen
        if change is not None and seen >= change and left:
            os.kill(os.getpid(), left.pop())
        seen += 1

    for name in _CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(os.open("../stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    try:
        kill.run(number)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    os.write(writing, str(seen).encode())
    return code


def trial(seed: int) -> list[Outcome]:
    """One command, one signal, one moment."""
    rng = np.random.default_rng(seed)
    name = _OFTEN[seed % len(_OFTEN)]
    kill, whole = KILLS[name], usual(name)
    by = list(SIGNALS)[rng.integers(len(SIGNALS))]
    stood = bool(rng.random() < 0.8)
    moment: dict[str, Any] = {"change": int(rng.integers(whole.changes))}
    if rng.random() < 0.3:
        moment = {"after": float(rng.uniform(0.0, whole.seconds))}
    about = f"{by}, {moment}, {'an old one stood' if stood else 'nothing stood'}"
    Path("work").mkdir()
    with _inside(Path("work")):
        for path, content in whole.files.items() if stood else ():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(content)
        there = {"data.csv", "saved"} | ({kill.out} if stood else set())
        _run(kill, 1, SIGNALS[by], **moment)
        bad = _after_kill(kill, whole if stood else None, there)
        if not bad:
            bad = _after_next(kill, there | {kill.out})
    return [Outcome(seed=seed, what=name, bad=bad, about=about)]


def _said() -> str:
    """What the last command wrote on standard error."""
    return Path("../stderr.txt").read_text(encoding="utf-8", errors="replace").strip()


def _after_kill(kill: Kill, old: Usual | None, there: set[str]) -> str:
    """What is wrong with what a killed command leaves."""
    visible = {name for name in os.listdir() if not name.startswith(".")}
    if more := visible - there - {kill.out}:
        return f"{more} is left in sight"
    out = Path(kill.out)
    if not out.exists():
        if old is None:
            return ""
        return "neither old nor new is there"
    if (old is None or _files(kill.out) != old.files) and not kill.whole(out):
        return "what is there is not whole"
    return f"a traceback: {_said()}" if "Traceback" in _said() else ""


def _after_next(kill: Kill, there: set[str]) -> str:
    """What is wrong after the same command again, to its end."""
    code, _ = _run(kill, 1)
    if code != 0:
        return f"the next run ends with {code}: {_said()}"
    if more := set(os.listdir()) - there:
        return f"the next run leaves {sorted(more)}"
    return "" if kill.whole(Path(kill.out)) else "what the next run writes is not whole"
