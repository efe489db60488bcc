"""``bench sbc``: is the recipe's posterior right, on average over data from its prior?"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.table import Table

from bayes_hybrid import checks
from bayes_hybrid.cli.console import counted, say, show
from bayes_hybrid.cli.regressor import fit_options, refuse_unknown
from bayes_hybrid.cli.settings import Settings, refuse_no_jobs
from bayes_hybrid.data import atomic_file, write_table
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.models import Pathway
from bayes_hybrid.validation import SimulationCalibration, sbc

__all__ = ["FILES", "CalibrationRun", "run"]

FILES: Final = {
    "sbc.md": "this page",
    "table.csv": "a row for each quantity",
    "ranks.csv": "a row for each replication, a column for each quantity",
    "runs.csv": "a row for each replication: seconds, status, failure",
    "plot.png": "ecdf of the ranks and its band",
    "replications": "every replication, from which the same command goes on",
}
"""Files of the folder beside those of the run itself."""

_SHOWN: Final = ("quantity", "in band", "mean rank", "spread", "90% covers")
"""What a terminal of 80 columns has room for."""

_LINE: Final = Pathway(kind="gaussian", smoothing="identity", num_units=1, noise="constant")
"""Two of these under a gate are the model: few parameters, all of which can be read."""


@dataclass(frozen=True, kw_only=True)
class CalibrationRun:
    """What to simulate, and how often, as it was typed.

    Attributes:
        replications: data sets.
        rows: rows of each.
        jobs: fits side by side.
    """

    replications: int
    rows: int
    jobs: int


def run(settings: Settings, plan: CalibrationRun, out: Path, *, quiet: bool) -> None:
    """Calibrate, write the folder, and print the table.

    Raises:
        BayesHybridError: an option cannot be used, or ``out`` holds something else.
        OSError: ``out`` cannot be written.
    """
    checks.positive_int("--replications", plan.replications, minimum=2)
    checks.positive_int("--rows", plan.rows, minimum=2)
    refuse_no_jobs(plan.jobs)
    refuse_unknown(settings)
    estimator = HybridRegressor(
        gate=settings.gate,
        experts=(_LINE, _LINE),
        fit_options=fit_options(settings),
        progress=False if quiet else "auto",
        random_state=settings.seed,
    )
    result = sbc(
        estimator,
        num_replications=plan.replications,
        num_rows=plan.rows,
        n_jobs=plan.jobs,
        folder=out,
    )
    title = (
        f"two lines under the gate {settings.gate!r}, {plan.rows} rows, refine {settings.refine}"
    )
    _write(out, result, title)
    if quiet:
        return
    say(title)
    say()
    for sentence in _sentences(result):
        say(sentence)
    say()
    show(_console_table(result))
    say()
    say(f"Written to {out}: {', '.join(FILES)}")


def _write(out: Path, result: SimulationCalibration, title: str) -> None:
    """Tables, picture and page; those of an earlier run are replaced."""
    write_table(result.table, out / "table.csv", force=True)
    write_table(result.ranks.reset_index(), out / "ranks.csv", force=True)
    write_table(result.replications, out / "runs.csv", force=True)
    picture = io.BytesIO()
    result.plot().savefig(picture, format="png")
    contents = {"plot.png": picture.getvalue(), "sbc.md": _page(result, title).encode()}
    for name, content in contents.items():
        with atomic_file(out / name, force=True) as handle:
            handle.write(content)


def _sentences(result: SimulationCalibration) -> list[str]:
    """The misses by name, how many chance would give, and what could not be fitted."""
    count, num_misses = len(result.table), len(result.misses)
    head = (
        f"{count - num_misses} of {count} quantities stay in their {result.prob:.0%} band over "
        f"{counted(len(result.ranks), 'replication')}; chance alone would take "
        f"{(1.0 - result.prob) * count:.1f} out."
    )
    missed = result.table[~result.table["inside"]]
    sentences = [head, *(f"{row.quantity}: {row.reading}" for row in missed.itertuples())]
    failed = result.replications[result.replications["failure"] != ""]
    sentences += [
        f"replication {row.number} has no rank: {row.failure}" for row in failed.itertuples()
    ]
    return sentences


def _columns(result: SimulationCalibration) -> dict[str, list[str]]:
    """The table as text."""
    table = result.table
    return {
        "quantity": table["quantity"].tolist(),
        "in band": ["yes" if inside else "NO" for inside in table["inside"]],
        "excess": [f"{max(value, 0.0):.3f}" for value in table["excess"]],
        "mean rank": [f"{value:.3f}" for value in table["mean_rank"]],
        "spread": [f"{value:.2f}" for value in table["spread"]],
        "90% covers": [f"{value:.0%}" for value in table["coverage_90"]],
    }


def _page(result: SimulationCalibration, title: str) -> str:
    """One page in Markdown, with the answer first."""
    columns = _columns(result)
    lines = [
        "# Simulation-based calibration",
        "",
        f"{title}. Parameters and data are drawn from the model's prior, the data are fitted, and "
        "the rank of each true value among the posterior draws is noted. A right posterior has "
        "uniform ranks.",
        "",
        *(f"- {sentence}" for sentence in _sentences(result)),
        "",
        "![Ranks and bands](plot.png)",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(line)} |" for line in zip(*columns.values(), strict=True)),
        "",
        "`excess`: how far the ecdf of the ranks leaves its simultaneous band. `mean rank`: below "
        "0.5 the posterior lies too high. `spread`: above 1 it is too narrow, below 1 too wide.",
        "",
        "## Files",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in FILES.items()),
    ]
    return "\n".join(lines) + "\n"


def _console_table(result: SimulationCalibration) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    columns = _columns(result)
    for name in _SHOWN:
        table.add_column(name, justify="left" if name == "quantity" else "right", no_wrap=True)
    for line in zip(*(columns[name] for name in _SHOWN), strict=True):
        table.add_row(*line)
    return table
