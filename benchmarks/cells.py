"""Cells of a benchmark, kept as they finish, and figures beside targets.

A cell is a data set and a way to fit it.  Finished cells are kept as JSON lines, so a run that was
stopped goes on where it was; each says by a hash which source of the package made it.
"""

import hashlib
import json
import os
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

import bayes_hybrid
from bayes_hybrid import __version__
from benchmarks.fits import quick

Cell = dict[str, Any]
Job = tuple[str, Callable[..., Cell], tuple[Any, ...]]


def source_hash() -> str:
    """Short hash of the package's source files, which tells code that was changed from code."""
    digest = hashlib.sha256()
    folder = Path(bayes_hybrid.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def machine_facts() -> dict[str, Any]:
    """Where and with what the figures were made."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "bayes_hybrid": __version__,
    }


def run_cell(
    name: str, function: Callable[..., Cell], arguments: tuple[Any, ...], tiny: bool = False
) -> Cell:
    """One cell on one thread."""
    torch.set_num_threads(1)
    facts = machine_facts()
    with quick(tiny):
        found = function(*arguments)
    return {
        "name": name,
        "source": source_hash(),
        "versions": ", ".join(f"{n} {facts[n]}" for n in ("python", "torch", "bayes_hybrid")),
        "machine": f"{facts['processor']}, {facts['cores']} cores",
        **found,
    }


def run_jobs(
    jobs: Iterable[Job], path: Path, num_jobs: int, *, tiny: bool = False
) -> dict[str, Cell]:
    """Run every job that is not among the cells at ``path``, then return all of them, by name.

    Args:
        jobs: name, function and arguments of each cell.
        path: JSON lines, to which every cell is added as it ends.
        num_jobs: cells side by side.
        tiny: whether fits take a tiny budget (:mod:`benchmarks.fits`).
    """
    done: dict[str, Cell] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            cell = json.loads(line)
            done[cell["name"]] = cell
    todo = [job for job in jobs if job[0] not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    results = Parallel(n_jobs=num_jobs, return_as="generator_unordered")(
        delayed(run_cell)(*job, tiny) for job in todo
    )
    with path.open("a") as cache:
        for count, cell in enumerate(results, start=1):
            done[cell["name"]] = cell
            print(json.dumps(cell), file=cache, flush=True)
            print(f"{count}/{len(todo)} {cell['name']}", file=sys.stderr, flush=True)
    return done


class Figures:
    """Means over cells, and the table of figures beside targets.

    Args:
        done: the cells.
        side_by_side: whether figures are called "section: figure", and the table has a line for
            each section and a column for each figure.
    """

    def __init__(self, done: dict[str, Cell], *, side_by_side: bool = False) -> None:
        self.done = done
        self._side_by_side = side_by_side
        self.rows: list[dict[str, Any]] = []

    def values(self, prefix: str, suffix: str, *fields: str) -> np.ndarray:
        """One field, by its path, of every cell ``prefix*suffix``, in the order of their names."""
        names = sorted(n for n in self.done if n.startswith(prefix) and n.endswith(suffix))
        return np.array([reduce(getitem, fields, self.done[n]) for n in names])

    def add(self, what: str, figure: float, low: float, high: float, error: float = 0.0) -> None:
        """A figure whose target is the interval from ``low`` to ``high``."""
        met = bool(low <= figure <= high)  # a figure that is not a number meets nothing
        row = {"what": what, "figure": figure, "se": error, "low": low, "high": high}
        self.rows.append({**row, "met": met})

    def gap(self, what: str, values: np.ndarray, reference: np.ndarray, bound: float) -> None:
        """Mean of ``values - reference``, cell by cell; at least ``bound`` is the target."""
        if len(values) and len(values) == len(reference):
            difference = values - reference
            error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(values) > 1 else 0.0
            self.add(what, float(difference.mean()), bound, np.inf, float(error))

    def table(self) -> str:
        """A line for each figure, or for each section."""
        if self._side_by_side:
            return self._sections()
        lines = ["| what | target | figure | met |", "|---|---|---|---|"]
        for row in self.rows:
            target = _target(row)
            error = f" ± {row['se']:.3f}" if row["se"] else ""
            met = ("yes" if row["met"] else "**no**") if target else ""
            lines.append(f"| {row['what']} | {target} | {row['figure']:.3f}{error} | {met} |")
        return "\n".join(lines)

    def _sections(self) -> str:
        """Figures that miss their target are bold; a target that all share is in the head."""
        targets: defaultdict[str, set[str]] = defaultdict(set)
        for row in self.rows:
            targets[row["what"].split(": ", 1)[1]].add(_target(row))
        shared = {
            what: next(iter(each)) if len(each) == 1 else "" for what, each in targets.items()
        }
        cells: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for row in self.rows:
            section, what = row["what"].split(": ", 1)
            text, target = f"{row['figure']:.3f}", _target(row)
            own = f" ({target})" if target not in ("", shared[what]) else ""
            cells[section][what] = (text if row["met"] else f"**{text}**") + own
        head = [f"{what} ({target})" if target else what for what, target in shared.items()]
        lines = [f"| | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
        for section, found in cells.items():
            lines.append(f"| {section} | {' | '.join(found.get(what, '') for what in shared)} |")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """The figures, the machine and the sources of the cells, as JSON."""
        sources = dict(Counter(cell.get("source", "unknown") for cell in self.done.values()))
        # Infinite bounds, and figures that are not numbers, are no JSON.
        rows = [
            {
                key: None if isinstance(value, float) and not np.isfinite(value) else value
                for key, value in row.items()
            }
            for row in self.rows
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {**machine_facts(), "sources": sources}
        path.write_text(json.dumps({"machine": machine, "figures": rows}, indent=1) + "\n")


def _target(row: dict[str, Any]) -> str:
    """The target of a figure in words; empty where it has none."""
    low, high = row["low"], row["high"]
    if np.isfinite(low) and np.isfinite(high):
        return f"{low:g} to {high:g}"
    if np.isfinite(low):
        return f"≥ {low:g}"
    return f"≤ {high:g}" if np.isfinite(high) else ""
