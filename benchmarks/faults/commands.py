"""Commands that write, run in forks of this process, with a signal at a moment."""

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
from typing import Any, Final

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.errors import BayesHybridError
from benchmarks.faults.tiny import FEATURES, TARGET, make, tiny_table

__all__ = ["COMMANDS", "Command", "ended", "files", "fits", "inside", "run", "said", "started"]

_CHANGES: Final = frozenset(
    ("rename", "replace", "mkdir", "rmdir", "unlink", "remove", "link", "symlink", "fsync")
)
"""Functions of the system that change the disk, or wait for it."""


@dataclass(frozen=True, kw_only=True)
class Command:
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


COMMANDS: Final = {
    "save with force": Command(run=_save, out="out", whole=_can_be_loaded),
    "predict --force": Command(run=_predict, out="out.csv", whole=_has_all_lines),
    "fit --force": Command(run=_fit, out="out", whole=_can_be_loaded),
    "report --force": Command(run=_report, out="out.html", whole=_is_a_page),
    "demo --force": Command(run=_demo, out="out", whole=_is_a_demo),
}


@cache
def fits() -> tuple[HybridRegressor, HybridRegressor]:
    """Two fits of the same table."""
    table = tiny_table()
    one, two = (make(seed=seed).fit(table[FEATURES], table[TARGET]) for seed in (0, 1))
    return one, two


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """A folder with a table and a saved fit, in which commands run."""
    before = Path.cwd()
    os.chdir(folder)
    tiny_table().to_csv("data.csv", index=False)
    fits()[0].save("saved")
    try:
        yield
    finally:
        os.chdir(before)


def files(out: str) -> dict[str, bytes]:
    """Contents by path: of a file, or of all that a folder holds."""
    paths = [Path(out), *sorted(Path(out).rglob("*"))]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def run(
    command: Command,
    number: int,
    signals: tuple[signal.Signals, ...] = (),
    change: int | None = None,
    after: float | None = None,
) -> tuple[int, int]:
    """A command in a fork: its exit code, and how often it came before or after a change.

    Args:
        command: which one.
        number: which of its two outputs.
        signals: what is sent to it.
        change: at which change; odd ones are after it.
        after: or after so many seconds.
    """
    child, reading = started(command, number, signals, change)
    if after is not None:
        time.sleep(after)
        for each in signals:
            os.kill(child, each)
            time.sleep(0.002)
    return ended(child, reading)


def started(
    command: Command,
    number: int,
    signals: tuple[signal.Signals, ...] = (),
    change: int | None = None,
) -> tuple[int, int]:
    """The process of a command, and a pipe from it."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        code = 130
        try:
            code = _forked(command, number, signals, change, writing)
        finally:  # a late signal must not make a second copy of the try
            os._exit(code)
    os.close(writing)
    return child, reading


def ended(child: int, reading: int) -> tuple[int, int]:
    """Exit code and count of a process, once it has ended."""
    with os.fdopen(reading, "rb") as pipe:
        counted = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def _forked(
    command: Command,
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
    os.dup2(os.open("../stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    try:
        command.run(number)
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


def said() -> str:
    """What the last command wrote on standard error."""
    return Path("../stderr.txt").read_text(encoding="utf-8", errors="replace").strip()
