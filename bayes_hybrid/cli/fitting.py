"""``fit``: a table in, a saved fit and its findings out."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.cli.checking import held_out_rows, near_rows, print_findings
from bayes_hybrid.cli.columns import column_names, found_column
from bayes_hybrid.cli.console import counted, say, typed, warn
from bayes_hybrid.cli.folders import refuse_place
from bayes_hybrid.cli.labels import describe_labels
from bayes_hybrid.cli.regimes import describe
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.data import Standardizer, read_table, require_outputs, split_target
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import SAVED_FILES, settings_of
from bayes_hybrid.inference.storage import refuse_occupied
from bayes_hybrid.random import spawn_seeds
from bayes_hybrid.words import on_command_line

__all__ = ["Rows", "run"]

_LEAST_ROWS = 2
"""What the estimator can be fitted to."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Which rows and columns to fit, and which rows to hold out.

    Attributes:
        data: the table.
        target: the columns to predict, separated by commas.
        features: the columns to predict from, separated by commas; ``None`` for all others.
        regime_label: the column with what is known of the regimes, or ``None``.
        test: table of held-out rows, or ``None``.
        test_fraction: share of the rows of ``data`` to hold out instead.
    """

    data: Path
    target: str
    features: str | None = None
    regime_label: str | None = None
    test: Path | None = None
    test_fraction: float = 0.0


class _Split(NamedTuple):
    X: pd.DataFrame
    y: pd.Series | pd.DataFrame
    labels: pd.Series | None
    test: pd.DataFrame | None


def run(rows: Rows, settings: Settings, out: Path, *, force: bool, quiet: bool) -> None:
    """Fit, save, and print the findings.

    Raises:
        BayesHybridError: data or options cannot be used, or ``out`` stands already.
        OSError: ``out`` cannot be written.
    """
    # What takes a second is refused before what takes a minute begins.
    refuse_place(out, force=force)
    refuse_occupied(out, SAVED_FILES, force=force)
    # Before the table, because its seed also says which rows are held out.
    model = regressor(settings, quiet=quiet)
    if rows.regime_label is None and model.label_head is not None:
        raise OptionError(
            "--label-noise and --label-weight are about the labels of --regime-label, which is "
            "missing"
        )
    split = _split(rows, settings.seed)
    model = model.fit(split.X, split.y, split.labels)
    fit = model.fit_
    x_test, y_test = (None, None) if split.test is None else held_out_rows(fit, split.test)
    findings = typed(diagnose(fit, x_test=x_test, y_test=y_test, settings=settings_of(model)))
    model.save(out, force=force)
    if quiet:
        warn(findings)
        return
    held = 0 if split.test is None else len(split.test)
    say(
        f"{', '.join(fit.output_names)} from {', '.join(fit.feature_names)}: {len(fit.x)} rows, "
        f"{held} held out, {fit.seconds:.0f} seconds, {fit.method}"
    )
    say(on_command_line(fit.status))
    say()
    for sentence in [*describe(fit), *describe_labels(model)]:
        say(sentence)
    say()
    print_findings(findings)
    say()
    say(f"Saved in {out}. Next: bayes-hybrid predict {out} {rows.data} --out predictions.csv")


def _split(rows: Rows, seed: int) -> _Split:
    """Training features, targets and labels, and the held-out rows."""
    checks.fraction("--test-fraction", rows.test_fraction, closed=True)
    if rows.test is not None and rows.test_fraction > 0.0:
        raise OptionError("give --test or --test-fraction, not both")
    table = read_table(rows.data)
    test = None if rows.test is None else read_table(rows.test)
    if rows.test_fraction > 0.0:
        table, test = _held_out(table, rows.test_fraction, seed)
    targets = column_names("--target", rows.target)
    features = None if rows.features is None else column_names("--features", rows.features)
    labels = None
    if rows.regime_label is not None:
        labels = _labels(table, rows.regime_label, [*targets, *(features or [])])
        table = table.drop(columns=rows.regime_label)
    X, y = split_target(table, targets, features)
    if len(X) < _LEAST_ROWS:
        raise DataError(
            f"{rows.data} has {counted(len(X), 'row')}; expected at least {_LEAST_ROWS} to fit, "
            "because one row has no spread to learn a scale from"
        )
    if test is not None:
        # A held-out table that cannot be used is found out now, not after the fit.
        if isinstance(y, pd.DataFrame):
            require_outputs(y.to_numpy(), targets)  # or there is no scale to measure it by
        y_scaling = Standardizer.fit(y, missing=isinstance(y, pd.DataFrame))
        near_rows(test, targets, list(X.columns), Standardizer.fit(X), y_scaling)
    return _Split(X, y, labels, test)


def _labels(table: pd.DataFrame, name: str, others: list[str]) -> pd.Series:
    """The column with the regime labels, which may have no other part."""
    if name in others:
        raise OptionError(
            f"--regime-label {name!r} is also a target or a feature; take it out of those"
        )
    return found_column(table, name)


def _held_out(table: pd.DataFrame, fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table without a random share of its rows, and those rows, both in their old order."""
    count = round(fraction * len(table))
    if not 1 <= count <= len(table) - _LEAST_ROWS:
        raise DataError(
            f"--test-fraction {fraction:g} of {counted(len(table), 'row')} holds out {count} and "
            f"leaves {len(table) - count} to fit; expected at least one row held out and "
            f"{_LEAST_ROWS} to fit"
        )
    (split_seed,) = spawn_seeds(seed, 1)
    chosen = np.random.default_rng(split_seed).choice(len(table), size=count, replace=False)
    mask = np.zeros(len(table), dtype=bool)
    mask[chosen] = True
    return table[~mask].reset_index(drop=True), table[mask].reset_index(drop=True)
