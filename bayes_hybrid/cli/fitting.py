"""``fit``: a table in, a saved fit and its findings out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.cli.checking import near_rows, print_findings
from bayes_hybrid.cli.columns import column_names, found_column
from bayes_hybrid.cli.console import counted, say, typed, warn
from bayes_hybrid.cli.folders import refuse_place
from bayes_hybrid.cli.labels import describe_labels
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.data import (
    HeldOut,
    Standardizer,
    numeric_array,
    read_table,
    refuse_occupied,
    require_outputs,
    split_target,
)
from bayes_hybrid.data.columns import listed
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.learning import learned_encoding
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.regimes.description import describe
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import SAVED_FILES, settings_of
from bayes_hybrid.gates import FEATURE_GATES
from bayes_hybrid.inference.saving.storage import WHAT
from bayes_hybrid.random import stream_seed
from bayes_hybrid.words import on_command_line

__all__ = ["Source", "run"]

_LEAST_ROWS = 2
"""What the estimator can be fitted to."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which rows and columns to fit, and which rows to hold out.

    Attributes:
        data: the table.
        target: the columns to predict, as typed.
        features: the columns to predict from, as typed; ``None`` for all others.
        regime_label: the column with what is known of the regimes, or ``None``.
        test: table of held-out rows, or ``None``.
        test_fraction: share of the rows of ``data`` to hold out instead.
    """

    data: Path
    target: Sequence[str]
    features: Sequence[str] | None = None
    regime_label: str | None = None
    test: Path | None = None
    test_fraction: float = 0.0


class _Split(NamedTuple):
    X: pd.DataFrame
    y: pd.Series | pd.DataFrame
    labels: pd.Series | None
    held_out: HeldOut | None
    encoding: Encoding | None
    log: tuple[str, ...]


def run(rows: Source, settings: Settings, out: Path, *, force: bool, quiet: bool) -> None:
    """Fit, save, and print the findings.

    Raises:
        BayesHybridError: data or options cannot be used, or ``out`` stands already.
        OSError: ``out`` cannot be written.
    """
    # What takes a second is refused before what takes a minute begins.
    refuse_place(out, force=force)
    refuse_occupied(out, SAVED_FILES, what=WHAT, force=force)
    # Before the table, because its seed also says which rows are held out.
    model = regressor(settings, quiet=quiet)
    if rows.regime_label is None and model.label_head is not None:
        raise OptionError(
            "--label-noise and --label-weight are about the labels of --regime-label, which is "
            "missing"
        )
    split = _split(rows, settings.seed, settings.missing, settings.log)
    _refuse_gate_feature(settings, [*split.X.columns], split.encoding)
    model = model.set_params(log=split.log).fit(split.X, split.y, split.labels)
    fit, held_out = model.fit_, split.held_out
    x_test, y_test = (None, None) if held_out is None else (held_out.x, held_out.y)
    findings = typed(diagnose(fit, x_test=x_test, y_test=y_test, settings=settings_of(model)))
    model.save(out, force=force, held_out=held_out)
    if quiet:
        warn(findings)
        return
    held = 0 if held_out is None else len(held_out)
    say(
        f"{', '.join(fit.output_names)} from {', '.join(split.X.columns)}: {len(fit.x)} rows, "
        f"{held} held out, {fit.training.seconds:.0f} seconds, {fit.training.method}"
    )
    for sentence in [] if split.encoding is None else split.encoding.words():
        say(sentence)
    say(on_command_line(fit.training.status))
    say()
    for sentence in [*describe(fit), *describe_labels(model)]:
        say(sentence)
    say()
    print_findings(findings)
    say()
    say(f"Saved in {out}. Next: bayes-hybrid predict {out} {rows.data} --out predictions.csv")


def _refuse_gate_feature(
    settings: Settings, features: list[str], encoding: Encoding | None
) -> None:
    """Refuse what the gate itself would not name as it was typed."""
    if settings.gate_feature is not None:
        encoded = () if encoding is None else encoding.names
        checks.choice(
            "--gate-feature", settings.gate_feature, [*dict.fromkeys((*features, *encoded))]
        )
        return
    of_rows = settings.exposure, settings.trials, settings.censored
    sizes = sum(column is not None for column in of_rows)
    if settings.gate in FEATURE_GATES and len(features) - sizes > 1:
        raise OptionError(
            f"--gate {settings.gate} reads one column, and there are {len(features)}, "
            f"{listed(features)}; say which with --gate-feature"
        )


def _split(
    rows: Source,
    seed: int,
    missing: str = Settings.missing,
    typed_log: Sequence[str] = Settings.log,
) -> _Split:
    """Training features, targets and labels, and the held-out rows."""
    if rows.test_fraction != 0.0:
        checks.fraction("--test-fraction, unless it is 0 for none,", rows.test_fraction)
    if rows.test is not None and rows.test_fraction > 0.0:
        raise OptionError("give --test or --test-fraction, not both")
    table = read_table(rows.data)
    test = None if rows.test is None else read_table(rows.test)
    numbers = np.arange(0 if test is None else len(test))
    if rows.test_fraction > 0.0:
        chosen = _chosen(len(table), rows.test_fraction, seed)
        (numbers,) = np.nonzero(chosen)
        test = table[chosen].reset_index(drop=True)
        table = table[~chosen].reset_index(drop=True)
    targets = column_names("--target", rows.target, table.columns)
    features = None
    if rows.features:
        features = column_names("--features", rows.features, table.columns)
    labels = None
    if rows.regime_label is not None:
        labels = _labels(table, rows.regime_label, [*targets, *(features or [])])
        table = table.drop(columns=rows.regime_label)
    named, y = split_target(table, targets, features)
    X = table[[*named.columns]]
    if len(X) < _LEAST_ROWS:
        raise DataError(
            f"{rows.data} has {counted(len(X), 'row')}; expected at least {_LEAST_ROWS} to fit, "
            "because one row has no spread to learn a scale from"
        )
    log = tuple(column_names("--log", typed_log, X.columns))
    for name in log:
        checks.choice("--log", name, [*X.columns])
    encoding = learned_encoding(X, missing=missing == "impute", log=log)
    if test is None:
        return _Split(X, y, labels, None, encoding, log)
    # A held-out table that cannot be used is found out now, not after the fit.
    if isinstance(y, pd.DataFrame):
        require_outputs(y.to_numpy(), targets)  # or there is no scale to measure it by
    x = numeric_array("X", X) if encoding is None else encoding.encode(X)
    scalings = (
        Standardizer.fit(x, log=None if encoding is None else encoding.log),
        Standardizer.of_targets(y),
    )
    held = near_rows(test, targets, list(X.columns), *scalings, encoding)
    return _Split(X, y, labels, HeldOut(rows=numbers, x=held[0], y=held[1]), encoding, log)


def _labels(table: pd.DataFrame, name: str, others: list[str]) -> pd.Series:
    """The column with the regime labels, which may have no other part."""
    if name in others:
        raise OptionError(
            f"--regime-label {name!r} is also a target or a feature; take it out of those"
        )
    return found_column(table, name)


def _chosen(num_rows: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which rows of a table are held out, a random share of them, ``[N]``."""
    count = round(fraction * num_rows)
    if not 1 <= count <= num_rows - _LEAST_ROWS:
        raise DataError(
            f"--test-fraction {fraction:g} of {counted(num_rows, 'row')} holds out {count} and "
            f"leaves {num_rows - count} to fit; expected at least one row held out and "
            f"{_LEAST_ROWS} to fit"
        )
    split_seed = stream_seed(seed, "held_out")
    mask = np.zeros(num_rows, dtype=bool)
    mask[np.random.default_rng(split_seed).choice(num_rows, size=count, replace=False)] = True
    return mask
