"""What became of a try, and how tries are run: each in a forked process with limits."""

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from bayes_hybrid.errors import BayesHybridError

__all__ = ["LIMITS", "Limits", "Outcome", "Trial", "bug", "run_tries"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One try.

    Attributes:
        seed: of the try; the same seed does the same.
        what: what was done, in words that tries of one kind share.
        bad: what went wrong; empty where nothing did.
        count: tries that this stands for, such as calls of one thread.
        about: what else the try's seed chose.
    """

    seed: int
    what: str
    bad: str = ""
    count: int = 1
    about: str = ""


Trial = Callable[[int], list[Outcome]]
"""From a seed to the outcomes of its tries."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a try may take: processor seconds, seconds by the clock, bytes beyond those it has."""

    cpu: int = 30
    clock: float = 240.0
    memory: int = 2 * 2**30


LIMITS: Final = Limits()
STDERR: Final = "stderr.txt"
"""Where the standard error of a try goes, in its own folder."""

_FORK: Final = multiprocessing.get_context("fork")


def bug(error: BaseException) -> str:
    """Type, first line and place of an error that is no refusal of the package; else nothing."""
    if isinstance(error, BayesHybridError):
        return ""
    lines = str(error).splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "bayes_hybrid" in frame.filename] or frames
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {lines[0][:160] if lines else ''}{place}"


def run_tries(
    trial: Trial, seeds: Sequence[int], *, jobs: int = 1, limits: Limits = LIMITS
) -> Iterator[list[Outcome]]:
    """Outcomes of the trial at each seed, as they come.

    A try cannot spoil the next one: its process starts as a copy of this one and is thrown away.
    A process that dies or takes more than it may is a bad outcome.
    """
    waiting, running = list(reversed(seeds)), dict[Connection, tuple[Any, int, float]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            seed = waiting.pop()
            ours, theirs = _FORK.Pipe(duplex=False)
            process = _FORK.Process(target=_child, args=(trial, seed, theirs, limits))
            process.start()
            theirs.close()
            running[ours] = process, seed, time.monotonic() + limits.clock
        for ready in wait(list(running), timeout=0.5):
            assert isinstance(ready, Connection)
            process, seed, _ = running.pop(ready)
            yield _received(ready, process, seed)
        for late in [key for key, (*_, end) in running.items() if time.monotonic() > end]:
            process, seed, _ = running.pop(late)
            process.kill()
            process.join()
            yield [Outcome(seed=seed, what="hang", bad=f"still running after {limits.clock:g} s")]


def _received(connection: Connection, process: Any, seed: int) -> list[Outcome]:
    try:
        outcomes: list[Outcome] = connection.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return [Outcome(seed=seed, what="death", bad=f"the process died by {how}")]
    process.join()
    return outcomes


def _child(trial: Trial, seed: int, connection: Connection, limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + limits.memory
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.dup2(os.open(STDERR, os.O_CREAT | os.O_WRONLY), 2)
        try:
            outcomes = trial(seed)
        except Exception as error:  # the trial's own
            outcomes = [Outcome(seed=seed, what="harness", bad=traceback.format_exc(limit=-3))]
            del error
        os.chdir("/")
    connection.send(outcomes)
    connection.close()
    os._exit(0)
