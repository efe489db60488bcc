"""``choose``: a table in, how many regimes and which experts out."""

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd
from rich import box
from rich.table import Table

from bayes_hybrid import checks
from bayes_hybrid.choosing import Choice, choose, fit_command
from bayes_hybrid.choosing.candidates import EXPERTS
from bayes_hybrid.choosing.fits import estimator_of
from bayes_hybrid.cli.columns import column_names, require_column
from bayes_hybrid.cli.console import say, show
from bayes_hybrid.cli.fitting import Source
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings, refuse_no_jobs
from bayes_hybrid.data import atomic_file, read_table, split_target, write_table
from bayes_hybrid.digits import with_error
from bayes_hybrid.errors import OptionError

__all__ = ["FILES", "Search", "run"]

FILES: Final = {
    "choice.md": "this page",
    "table.csv": "a row for each candidate",
    "plot.png": "what each is behind the best",
    "cells": "every fit's result, from which the same command goes on",
}
"""Files of the folder beside those of the run itself."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What to choose from, as it was typed.

    Attributes:
        max_regimes: most regimes.
        experts: kinds of expert, separated by commas.
        gate_feature: column of the thresholds; ``None`` for the only one.
        num_jobs: fits side by side.
    """

    max_regimes: int
    experts: str
    gate_feature: str | None
    num_jobs: int


def run(rows: Source, settings: Settings, search: Search, out: Path, *, quiet: bool) -> None:
    """Choose, write the folder, and print the answer.

    Raises:
        BayesHybridError: data or options cannot be used, or ``out`` holds something else.
        OSError: ``out`` cannot be written.
    """
    checks.positive_int("--max-regimes", search.max_regimes)
    refuse_no_jobs(search.num_jobs)
    kinds = [name.strip() for name in search.experts.split(",")]
    for name in kinds:
        checks.choice("--experts", name, EXPERTS)
    base = regressor(settings, quiet=quiet)
    table = read_table(rows.data)
    typed = column_names("--features", rows.features or (), table.columns)
    targets = column_names("--target", rows.target, table.columns)
    if len(targets) > 1:
        raise OptionError(f"--target: a model is chosen for one target at a time, got {targets}")
    (target,) = targets
    X, y = split_target(table, target, typed or None)
    if search.gate_feature is not None:
        require_column(search.gate_feature, list(X.columns))
    choice = choose(
        X,
        y,
        base=base,
        max_regimes=search.max_regimes,
        experts=kinds,
        feature=search.gate_feature,
        n_jobs=search.num_jobs,
        folder=out,
    )
    # Without --quick, which the fit to come should not have.
    winner = choice.candidates[choice.best]
    whole = estimator_of(regressor(replace(settings, quick=False), quiet=True), winner)
    command = fit_command(whole, data=rows.data, target=target, features=typed)
    title = f"{target} from {', '.join(X.columns)}: {len(X)} rows"
    _write_folder(out, choice, title, command)
    if quiet:
        return
    say(title)
    say()
    for sentence in choice.notes:
        say(sentence)
    say()
    say("Behind the best, in nats, with one standard error:")
    show(_console_table(choice.table))
    say()
    say(f"Written to {out}: {', '.join(FILES)}. Next:")
    say()
    say(command)


def _write_folder(out: Path, choice: Choice, title: str, command: str) -> None:
    """Table, picture and page; those of an earlier run are replaced."""
    write_table(choice.table.reset_index(), out / "table.csv", force=True)
    picture = io.BytesIO()
    choice.plot().savefig(picture, format="png")
    page = _page(choice, title, command)
    for name, content in {"plot.png": picture.getvalue(), "choice.md": page.encode()}.items():
        with atomic_file(out / name, force=True) as handle:
            handle.write(content)


def _page(choice: Choice, title: str, command: str) -> str:
    """One page in Markdown, with the answer first."""
    columns = _columns(choice.table)
    lines = [
        "# How many regimes?",
        "",
        f"{title}.",
        "",
        *(f"- {note}" for note in choice.notes),
        "",
        "```",
        command,
        "```",
        "",
        "![What each candidate is behind the best](plot.png)",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(line)} |" for line in zip(*columns.values(), strict=True)),
        "",
        "Candidates stand in order from few parameters to many. The answer is the first that the "
        "best one does not beat by more than one standard error and 4 nats. `gain` is behind the "
        "best, summed over the rows; `weight` is the stacking weight; where more than 5% of the "
        "rows have k > 0.7, leave-one-out is not trusted.",
        "",
        "## Files",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in FILES.items()),
    ]
    return "\n".join(lines) + "\n"


def _columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """The table as text."""

    def text(column: str, form: str) -> list[str]:
        return ["n/a" if math.isnan(value) else format(value, form) for value in table[column]]

    marks = ["*" if chosen else "" for chosen in table["chosen"]]
    return {
        "candidate": [f"{name}{mark}" for name, mark in zip(table.index, marks, strict=True)],
        "regimes": table["regimes"].astype(str).tolist(),
        "gate": table["gate"].tolist(),
        "gain": [_signed(*pair) for pair in zip(table["gain"], table["error"], strict=True)],
        "weight": text("weight", ".2f"),
        "k > 0.7": text("bad_k", ".0%"),
        "seconds": text("seconds", ".1f"),
    }


def _signed(value: float, error: float) -> str:
    if math.isnan(value):
        return "n/a"
    return "best" if value == error == 0.0 else " ± ".join(with_error(value, error))


def _console_table(table: pd.DataFrame) -> Table:
    columns = _columns(table)
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        result.add_column(name, justify="left" if name == "candidate" else "right", no_wrap=True)
    for line in zip(*columns.values(), strict=True):
        result.add_row(*line)
    return result
