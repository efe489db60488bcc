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
again.  Fits are tiny.  Figures of a section are kept as it ends; ``--write`` also puts the table of
all of them into ``docs/reliability.md``.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from benchmarks.cells import machine_facts, source_hash
from benchmarks.faults import files, kills, states, tables, threads
from benchmarks.faults.outcomes import Outcome, Trial, run_tries

RESULTS: Final = Path("benchmarks/results/faults.json")
PAGE: Final = Path("docs/reliability.md")
START: Final = "<!-- python -m benchmarks.faults --write -->\n"
END: Final = "<!-- end -->\n"
_MANY: Final = 10
"""From so many tries on, what they need is made before; fewer make what they need."""


class Section(NamedTuple):
    """What is tried, and how often.

    Attributes:
        what: the line of the table.
        prepare: makes once what all tries need.
        trial: one try, by its seed.
        tries: how many seeds.
        least: tries that the table promises.
    """

    what: str
    prepare: Callable[[], object]
    trial: Trial
    tries: int
    least: int


SECTIONS: Final = {
    "files": Section("changed files of a saved fit", files.prepare, files.trial, 600, 500),
    "tables": Section("hostile tables", tables.prepare, tables.trial, 560, 500),
    "kills": Section("killed commands", kills.prepare, kills.trial, 102, 50),
    "threads": Section("calls in threads", threads.prepare, threads.trial, 56, 2_000),
    "states": Section("states of the process", states.prepare, states.trial, 320, 300),
}


def run_section(name: str, seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """All tries of a section: how many, how many were bad, and the bad ones by their kind."""
    section, started = SECTIONS[name], time.monotonic()
    if len(seeds) >= _MANY:
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
        bad = f"**{found['bad']:,}**" if found["bad"] else "0"
        lines.append(f"| {what} (`{name}`) | {found['tries']:,} | {bad} | 0 of ≥ {least:,} |")
    return "\n".join(lines) + "\n"


def rendered(page: str, results: Mapping[str, Any]) -> str:
    """The page with the table of the results between its two marks."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{table(results['sections'])}{END}{after}"


def main() -> None:
    """Run the sections, print what went wrong, and keep the figures of each as it ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], default=[*SECTIONS])
    parser.add_argument("--tries", type=int, help="seeds of each section")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    parser.add_argument("--out", type=Path, help=f"{RESULTS} by default, without --tries")
    args = parser.parse_args()
    torch.set_num_threads(1)  # forks have no other threads
    for name in args.only:
        seeds = range(args.seed, args.seed + (args.tries or SECTIONS[name].tries))
        found = run_section(name, seeds, args.jobs)
        print(table({name: found}), end="", flush=True)
        # A few tries are no figures to be kept.
        if out := args.out or (RESULTS if args.tries is None else None):
            keep(out, name, found)
    if args.write:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def keep(path: Path, name: str, found: Mapping[str, Any]) -> None:
    """Put the figures of one section beside those of the others."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sections = old.get("sections", {}) | {name: {"source": source_hash(), **found}}
    ordered = {each: sections[each] for each in SECTIONS if each in sections}
    results = {"machine": machine_facts(), "sections": ordered}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
