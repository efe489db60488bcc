"""All benchmarks as one command: ``python -m benchmarks SUITE ...``.

Finished cells are kept as JSON lines, so a run that was stopped goes on where it was; at its end
they are put into the Parquet file that tables in the docs are rendered from
(:mod:`benchmarks.records`).
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

from benchmarks import (
    collapse,
    family,
    gpu,
    health,
    quality,
    questions,
    records,
    regimes,
    speed,
    stability,
)
from benchmarks.cells import run_jobs
from benchmarks.faults import __main__ as faults
from benchmarks.plots import plot_learning_curves, plot_standings
from benchmarks.prediction import SUITES as PREDICTION
from benchmarks.prediction import Standings
from benchmarks.suite import Given, Suite

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        *PREDICTION,
        stability.SUITE,
        quality.SUITE,
        family.SUITE,
        regimes.SUITE,
        questions.SUITE,
        health.SUITE,
        collapse.SUITE,
        speed.SUITE,
        faults.SUITE,
        gpu.SUITE,
    )
}

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
_MARKS = r"(<!-- python -m benchmarks (\w+) --tables -->\n).*?(<!-- end -->\n)"


def run(suite: Suite, given: Given, only: str, cells: Path, jobs: int, *, tiny: bool) -> str:
    """Run what is left of a suite; its table."""
    chosen = [job for job in suite.jobs(given) if re.search(only, job[0])]
    jobs = 1 if suite.alone else jobs
    done = run_jobs(chosen, cells / f"{suite.name}.jsonl", jobs, tiny=tiny)
    if not tiny:
        records.write(suite.name, done)
        done = records.read(suite.name)
    return suite.summarise(done).table()


def quick(names: list[str], jobs: int) -> None:
    """One seed of a few cells of each suite, with tiny fits: does everything run?"""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            started, suite = time.perf_counter(), SUITES[name]
            table = run(suite, Given(seeds=1), suite.quick, Path(folder), jobs, tiny=True)
            print(f"\n# {name}: {time.perf_counter() - started:.0f} s, tiny fits, no figures\n")
            print(table)


def rendered(page: str) -> str:
    """The page with the tables of the committed cells between its marks."""

    def table(found: re.Match[str]) -> str:
        name = found[2]
        return f"{found[1]}\n{SUITES[name].summarise(records.read(name)).table()}\n\n{found[3]}"

    return re.sub(_MARKS, table, page, flags=re.DOTALL)


def render() -> None:
    """Write tables and plots of the committed cells into the docs."""
    for page in PAGES:
        page.write_text(rendered(page.read_text()))
    for suite in PREDICTION:
        standings = Standings(records.read(suite.name))
        if not standings.cells.empty:
            plots = {"": plot_standings(standings), "-curves": plot_learning_curves(standings)}
            for suffix, figure in plots.items():
                if figure is not None:
                    path = DOCS / "images" / f"benchmark-{suite.name}{suffix}.png"
                    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is left of the suites and print their tables."""
    listing = "\n".join(f"  {suite.name:<14}{suite.question}" for suite in SUITES.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\nsuites:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="all where none is named")
    parser.add_argument("--only", default="", help="cells whose name has this regular expression")
    parser.add_argument("--seeds", type=int, help="data sets of each kind, or seeds of a fit")
    parser.add_argument("--data", type=Path, help="folder of the reference tables")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cells side by side")
    parser.add_argument("--cells", type=Path, default=Path("benchmark-output"))
    parser.add_argument("--quick", action="store_true", help="does it run? in three minutes")
    parser.add_argument("--tables", action="store_true", help="print those of committed cells")
    parser.add_argument("--render", action="store_true", help="write them into the docs")
    parsed = parser.parse_args()
    unknown = sorted(set(parsed.suites) - set(SUITES))
    if unknown:
        parser.error(f"no suite is called {', '.join(unknown)}; there are {', '.join(SUITES)}")
    names = parsed.suites or list(SUITES)
    if parsed.render:
        render()
        return
    if parsed.quick:
        quick(names, parsed.jobs)
        return
    given = Given(seeds=parsed.seeds, data=parsed.data)
    for name in names:
        suite = SUITES[name]
        if parsed.tables:
            table = suite.summarise(records.read(name)).table()
        else:
            table = run(suite, given, parsed.only, parsed.cells, parsed.jobs, tiny=False)
        print(f"\n# {name}: {suite.question}\n\n{table}")


if __name__ == "__main__":
    main()
