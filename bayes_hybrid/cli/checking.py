"""``check``: the findings about a saved fit, and an exit code."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cli.columns import target_columns
from bayes_hybrid.cli.console import counted, findings_table, say, scores_table, show, typed, warn
from bayes_hybrid.data import Standardizer, numeric_array, read_table, refuse_far, split_target
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.diagnostics import (
    Finding,
    diagnose,
    exit_code,
    predictive_scores,
    threshold_sentences,
    verdict,
)
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import HybridRegressor, load, settings_of
from bayes_hybrid.random import stream_seed

__all__ = ["held_out_rows", "near_rows", "print_findings", "run"]


def run(saved: Path, data: Path | None, target: Sequence[str] | None, *, quiet: bool) -> int:
    """Print the findings about a saved fit, and its scores on held-out rows if there are any.

    Args:
        saved: folder of the fit.
        data: table of held-out rows; by default those that the fit was saved with.
        target: the columns of ``data`` with the targets, as typed; the fit's own by default.
        quiet: print nothing but the findings that are not ok, on stderr.

    Returns:
        The exit code: 0 all ok, 1 warnings, 2 unusable.

    Raises:
        OptionError: a target without data.
    """
    estimator = load(saved)
    fit = estimator.fit_
    x_test, y_test = held_out_rows(estimator, data, target)
    findings = typed(diagnose(fit, x_test=x_test, y_test=y_test, settings=settings_of(estimator)))
    if quiet:
        warn(findings)
    else:
        print_findings(findings)
        for sentence in threshold_sentences(fit):
            say(sentence)
        if x_test is not None and y_test is not None:
            which = "that were held out" if data is None else f"of {data}"
            say(f"\nScores of {counted(len(x_test), 'row')} {which}:\n")
            seed = stream_seed(fit.seed, "scores")
            show(scores_table(predictive_scores(fit, x_test, y_test, seed=seed)))
            say("\nLess is better, but for the coverage: that should be its percentage.")
    return exit_code(findings)


def held_out_rows(
    estimator: HybridRegressor, data: Path | None, target: Sequence[str] | None
) -> tuple[FloatArray | None, FloatArray | None]:
    """Features ``[M, D]`` and targets ``[M]``, or ``[M, Q]``, that a saved fit is judged by.

    Args:
        estimator: loaded.
        data: table of held-out rows, whose further columns are ignored; by default the rows that
            the fit was saved with, if there are any.
        target: the columns of ``data`` with the targets, as typed; the fit's own by default.

    Raises:
        OptionError: a target without data, or not as many columns as the fit has outputs.
        DataError: a column is missing or cannot be used, or a value overflows float32.
    """
    if data is None:
        if target:
            raise OptionError("--target names a column of --data, which is missing")
        held_out = estimator.held_out_
        return (None, None) if held_out is None else (held_out.x, held_out.y)
    fit, encoding = estimator.fit_, estimator.encoding_
    scalings = fit.posterior.x_scaling, fit.posterior.y_scaling
    table = read_table(data)
    targets = target_columns(fit, target, table.columns)
    features = fit.feature_names if encoding is None else encoding.sources
    return near_rows(table, targets, features, *scalings, encoding)


def near_rows(
    table: pd.DataFrame,
    targets: Sequence[str],
    features: Sequence[str],
    x_scaling: Standardizer,
    y_scaling: Standardizer,
    encoding: Encoding | None,
) -> tuple[FloatArray, FloatArray]:
    """Features and targets out of a table, none too far from the training data.

    Args:
        table: the rows; further columns are ignored.
        targets: the column with the target, or those of Q > 1 outputs.
        features: the columns to predict from.
        x_scaling: standardisation of the training features.
        y_scaling: that of the training targets.
        encoding: how the columns become features; ``None`` where they are those.

    Returns:
        ``[M, D]`` and ``[M]``, or ``[M, Q]`` with NaN for missing values.

    Raises:
        DataError: a column is missing or cannot be used, or a value overflows float32.
    """
    X, y = split_target(table, targets, features)
    encoded = numeric_array("X", X) if encoding is None else encoding.encode(table[[*features]])
    x, values = encoded.to_numpy(), y.to_numpy()
    refuse_far("the table", x, x_scaling, columns=[*encoded.columns])
    if np.isnan(values).all():
        raise DataError(f"no row has a value of {[*targets]}; expected at least one held out")
    name = f"the target {targets[0]!r}" if values.ndim == 1 else "the table"
    refuse_far(name, values, y_scaling, columns=targets)
    return x, values


def print_findings(findings: list[Finding]) -> None:
    """The verdict in words, then every finding on a line."""
    say(verdict(findings))
    say()
    show(findings_table(findings))
