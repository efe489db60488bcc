"""Tries and bad outcomes of what can go wrong in a service: ``python -m benchmarks.faults``.

========== ======================================================================================
section    tries
========== ======================================================================================
files      saved fits with something changed in them, through ``load``
tables     hostile tables, through ``fit`` and ``predict``, by the command line and in Python
kills      commands and ``save``, killed by a signal; and the same again
threads    calls of eight threads on fits, copies and loaded fits, and fits in threads
states     what a process has for all its code, before and after each call
========== ======================================================================================

Every try has a seed, and a bad outcome prints its own: ``--only files --seed 17 --tries 1`` does it
again.  Fits are tiny.  ``python -m benchmarks faults`` keeps what was found.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from benchmarks.cells import Cell, Job
from benchmarks.faults import files, kills, states, tables, threads
from benchmarks.faults.outcomes import Outcome, Trial, run_tries
from benchmarks.suite import Given, Suite


class Section(NamedTuple):
    """What is tried, and how often.

    Attributes:
        what: the line of the table.
        prepare: makes once what all tries need.
        trial: one try, by its seed.
        tries: how many seeds.
        least: tries that the table promises.
        many: tries from which on ``prepare`` pays, because not every try needs all that it makes.
    """

    what: str
    prepare: Callable[[], object]
    trial: Trial
    tries: int
    least: int
    many: int = 1


SECTIONS: Final = {
    "files": Section("changed files of a saved fit", files.prepare, files.trial, 600, 500),
    "tables": Section("hostile tables", tables.prepare, tables.trial, 560, 500),
    "kills": Section("killed commands", kills.prepare, kills.trial, 102, 50, many=10),
    "threads": Section("calls in threads", threads.prepare, threads.trial, 56, 2_000),
    "states": Section("states of the process", states.prepare, states.trial, 320, 300),
}


def run_section(name: str, seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """All tries of a section: how many, how many were bad, and the bad ones by their kind."""
    section, started = SECTIONS[name], time.monotonic()
    if len(seeds) >= section.many:
        section.prepare()
    tries = bad = 0
    faults = defaultdict[str, list[int]](list)
    for done, outcomes in enumerate(run_tries(section.trial, seeds, jobs=jobs), start=1):
        for outcome in outcomes:
            tries += outcome.count
            bad += outcome.count if outcome.bad else 0
            if outcome.bad:
                faults[f"{outcome.what}: {outcome.bad}"].append(outcome.seed)
                _say(name, outcome)
        if sys.stderr.isatty() or done % 50 == 0 or done == len(seeds):
            end = "\r" if sys.stderr.isatty() and done < len(seeds) else "\n"
            line = f"{name}: {done}/{len(seeds)} seeds, {tries} tries, {bad} bad"
            print(line, end=end, file=sys.stderr, flush=True)
    return {
        "tries": tries,
        "bad": bad,
        "first_seed": seeds[0],
        "seconds": round(time.monotonic() - started),
        "faults": {what: sorted(found) for what, found in sorted(faults.items())},
    }


def _say(name: str, outcome: Outcome) -> None:
    """A bad outcome, and how to have it again."""
    about = f" ({outcome.about})" if outcome.about else ""
    print(f"{outcome.what}{about}: {outcome.bad}")
    print(
        f"  python -m benchmarks.faults --only {name} --seed {outcome.seed} --tries 1", flush=True
    )


def table(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each section."""
    lines = ["| what | tries | bad outcomes | target |", "|---|---|---|---|"]
    for name, found in sections.items():
        what, least = SECTIONS[name].what, SECTIONS[name].least
        bad = f"**{found['bad']:,.0f}**" if found["bad"] else "0"
        lines.append(f"| {what} (`{name}`) | {found['tries']:,.0f} | {bad} | 0 of ≥ {least:,} |")
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Tables:
    """The table of the sections that have cells."""

    done: dict[str, Cell]

    def table(self) -> str:
        """As Markdown."""
        return table({name: self.done[name] for name in SECTIONS if name in self.done})


def section_cell(name: str, tries: int) -> Cell:
    """A section in a process of its own, because it forks, and forks have no other threads."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "found.json")
        command = [sys.executable, "-m", "benchmarks.faults", "--only", name, "--out", str(out)]
        subprocess.run([*command, "--tries", str(tries)], check=True)
        cell: Cell = json.loads(out.read_text(encoding="utf-8"))[name]
    return {**cell, "faults": list(cell["faults"].items())}


def jobs(given: Given) -> Iterator[Job]:
    """A cell for each section."""
    for name, section in SECTIONS.items():
        yield name, section_cell, (name, len(given.range(section.tries)))


SUITE: Final = Suite(
    name="faults",
    question="What goes wrong with files, tables, processes and threads?",
    jobs=jobs,
    summarise=Tables,
    quick="^files$",
    alone=True,
)


def main() -> None:
    """Run the sections, and print what went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], default=[*SECTIONS])
    parser.add_argument("--tries", type=int, help="seeds of each section")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of what was found")
    args = parser.parse_args()
    torch.set_num_threads(1)  # forks have no other threads
    sections = {}
    for name in args.only:
        seeds = range(args.seed, args.seed + (args.tries or SECTIONS[name].tries))
        sections[name] = run_section(name, seeds, args.jobs)
        print(table({name: sections[name]}), flush=True)
    if args.out:
        args.out.write_text(json.dumps(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
