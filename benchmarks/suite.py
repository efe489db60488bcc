"""What a suite is: a question, the cells that answer it, and their figures beside targets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.cells import Cell, Job


class Table(Protocol):
    """What a suite makes of its cells."""

    def table(self) -> str:
        """As Markdown."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the command line says.

    Args:
        seeds: data sets, or seeds of a fit, of each kind; ``None`` for the suite's own numbers.
        data: folder of the reference tables; ``None`` leaves out what needs one.
    """

    seeds: int | None = None
    data: Path | None = None

    def range(self, default: int, first: int = 0) -> range:
        """The seeds, ``default`` of them unless the command line has another number."""
        return range(first, first + (default if self.seeds is None else self.seeds))


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A question.

    Args:
        name: on the command line.
        question: what it answers, in one sentence.
        jobs: the cells of a full run; their names begin with the part of the suite they are of.
        summarise: the figures of those cells that are there.
        quick: regular expression of the cells that ``--quick`` runs.
        alone: cells run one at a time, because their seconds are the figure.
    """

    name: str
    question: str
    jobs: Callable[[Given], Iterable[Job]]
    summarise: Callable[[dict[str, Cell]], Table]
    quick: str
    alone: bool = False
