"""``ablate``: a table in, a comparison of variants of the model out."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
from rich import box
from rich.table import Table

from bayes_hybrid import checks
from bayes_hybrid.ablation import Ablation, ablate, variants
from bayes_hybrid.ablation.variant import BASE
from bayes_hybrid.cli.columns import column_names
from bayes_hybrid.cli.console import say, show
from bayes_hybrid.cli.fitting import Source
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings, refuse_no_jobs
from bayes_hybrid.data import atomic_file, read_table, split_target, write_table
from bayes_hybrid.digits import with_error
from bayes_hybrid.errors import OptionError

__all__ = ["FILES", "AblationRun", "run", "write_folder"]

FILES: Final = {
    "ablation.md": "this page",
    "table.csv": "a row for each variant",
    "comparison.csv": "ArviZ's comparison by leave-one-out: ranks, differences, stacking weights",
    "cells.csv": "a row for each fit",
    "plot.png": "differences to the base",
    "cells": "every fit's result, from which the same command goes on",
}
"""Files of the folder beside those of the run itself."""

_CLEAR: Final = 2.0
"""Standard errors: a difference beyond them comes by chance once in twenty comparisons."""

_SHOWN: Final = ("variant", "log density", "coverage", "leave-one-out", "k > 0.7")
"""What a terminal of 80 columns has room for; log density and leave-one-out as differences."""


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """What to compare, and how often, as it was typed.

    Attributes:
        only: names of variants, separated by commas; ``None`` for all.
        num_folds: folds of each repeat.
        num_repeats: repeats.
        num_jobs: fits side by side.
    """

    only: str | None
    num_folds: int
    num_repeats: int
    num_jobs: int


def run(rows: Source, settings: Settings, plan: AblationRun, out: Path, *, quiet: bool) -> None:
    """Compare, write the folder, and print the table.

    Raises:
        BayesHybridError: data or options cannot be used, or ``out`` holds something else.
        OSError: ``out`` cannot be written.
    """
    checks.positive_int("--folds", plan.num_folds, minimum=2)
    checks.positive_int("--repeats", plan.num_repeats)
    refuse_no_jobs(plan.num_jobs)
    base = regressor(settings, quiet=quiet)
    table = read_table(rows.data)
    features = None
    if rows.features:
        features = column_names("--features", rows.features, table.columns)
    targets = column_names("--target", rows.target, table.columns)
    if len(targets) > 1:
        raise OptionError(
            f"--target: variants are compared for one target at a time, got {targets}"
        )
    (target,) = targets
    named, y = split_target(table, target, features)
    X = table[[*named.columns]]
    only = None if plan.only is None else [name.strip() for name in plan.only.split(",")]
    offered = [variant.name for variant in variants(base)]
    for name in only or ():
        checks.choice("--only", name, offered)
    result = ablate(
        X,
        y,
        base=base,
        variants=only,
        num_folds=plan.num_folds,
        num_repeats=plan.num_repeats,
        n_jobs=plan.num_jobs,
        folder=out,
    )
    title = f"{target} from {', '.join(X.columns)}: {len(X)} rows, {_folds(plan)}"
    write_folder(out, result, title)
    if quiet:
        return
    say(title)
    say()
    for sentence in [*_sentences(result.table), *result.notes]:
        say(sentence)
    say()
    say("Variant minus base, with one standard error:")
    show(_console_table(result.table))
    say()
    say(f"Written to {out}: {', '.join(FILES)}")


def _folds(plan: AblationRun) -> str:
    times = "once" if plan.num_repeats == 1 else f"{plan.num_repeats} times"
    return f"{plan.num_folds}-fold cross-validation {times}"


def write_folder(out: Path, result: Ablation, title: str) -> None:
    """Tables, picture and page; those of an earlier run are replaced."""
    write_table(result.table, out / "table.csv", force=True)
    comparison = result.comparison.rename_axis("variant").reset_index()
    write_table(comparison, out / "comparison.csv", force=True)
    write_table(result.cells, out / "cells.csv", force=True)
    picture = io.BytesIO()
    result.plot().savefig(picture, format="png")
    contents = {"plot.png": picture.getvalue(), "ablation.md": _page(result, title).encode()}
    for name, content in contents.items():
        with atomic_file(out / name, force=True) as handle:
            handle.write(content)


def _sentences(table: pd.DataFrame) -> list[str]:
    """What each variant comes to by cross-validation, the worst first, one sentence each."""
    others = table[table["variant"] != BASE].sort_values("log_density_diff")
    columns = others["variant"], others["log_density_diff"], others["log_density_se"]
    return [
        f"{name}: {_judged(difference, error)}"
        for name, difference, error in zip(*columns, strict=True)
    ]


def _judged(difference: float, error: float) -> str:
    if math.isnan(difference) or math.isnan(error):
        return "no comparison, for want of results"
    value, spread = with_error(abs(difference), error)
    size = f"{value} nats per row (standard error {spread})"
    way = "worse" if difference < 0.0 else "better"
    if abs(difference) > _CLEAR * error:
        return f"{way} than the base by {size}"
    return f"no clear difference: {way} by {size}"


def _page(result: Ablation, title: str) -> str:
    """One page in Markdown, with the answer first."""
    columns = _columns(result.table)
    lines = [
        "# What each part is worth",
        "",
        f"{title}. Every variant is the base with one thing changed; all have the same held-out "
        "rows and the same seeds. How much worse a variant is, is what the changed part is worth.",
        "",
        *(f"- {sentence}" for sentence in _sentences(result.table)),
        "",
        *(f"- Note: {note}" for note in result.notes),
        "",
        "![Differences to the base](plot.png)",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(line)} |" for line in zip(*columns.values(), strict=True)),
        "",
        "Where there is a ±, it is the difference variant minus base with one standard error. Log "
        "density is per held-out row, in nats; its standard error and that of the rmse are "
        "corrected for folds that share their training rows (Nadeau and Bengio 2003). `elpd_loo` "
        "is the sum over all rows by leave-one-out, and cannot be trusted where many rows have "
        "k > 0.7.",
        "",
        "## Files",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in FILES.items()),
    ]
    return "\n".join(lines) + "\n"


def _signed(difference: float, error: float) -> str:
    """A difference with its sign and standard error."""
    if math.isnan(difference) or math.isnan(error):
        return "n/a"
    value, spread = with_error(difference, error)
    return f"{value if value.startswith('-') else f'+{value}'} ± {spread}"


def _columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """The table as text."""

    def text(column: str, form: str) -> list[str]:
        return ["n/a" if math.isnan(value) else format(value, form) for value in table[column]]

    def paired(difference: str, error: str) -> list[str]:
        both = zip(table[difference], table[error], strict=True)
        return [_signed(value, spread) for value, spread in both]

    return {
        "variant": table["variant"].tolist(),
        "mean log density": text("log_density", ".3f"),
        "log density": paired("log_density_diff", "log_density_se"),
        "mean rmse": text("rmse", ".3g"),
        "rmse": paired("rmse_diff", "rmse_se"),
        "coverage": text("coverage", ".0%"),
        "seconds": text("seconds", ".1f"),
        "elpd_loo": text("elpd_loo", ".1f"),
        "leave-one-out": paired("elpd_diff", "dse"),
        "k > 0.7": text("bad_k", ".0%"),
        "failed cells": table["failed_cells"].astype(str).tolist(),
    }


def _console_table(table: pd.DataFrame) -> Table:
    columns = _columns(table)
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in _SHOWN:
        result.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
    for line in zip(*(columns[name] for name in _SHOWN), strict=True):
        result.add_row(*line)
    return result
