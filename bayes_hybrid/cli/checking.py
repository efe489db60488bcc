"""``check``: the findings about a saved fit, and an exit code."""

from pathlib import Path

import pandas as pd

from bayes_hybrid.cli.console import findings_table, say, show
from bayes_hybrid.data import read_table, split_target
from bayes_hybrid.diagnostics import Finding, diagnose, exit_code, verdict
from bayes_hybrid.diagnostics.interface import FitLike, FloatArray
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import load

__all__ = ["held_out_rows", "print_findings", "run"]


def run(saved: Path, data: Path | None, target: str | None, *, quiet: bool) -> int:
    """Print the findings about a saved fit.

    Args:
        saved: folder of the fit.
        data: table of held-out rows, or ``None``.
        target: the column of ``data`` with the target; the fit's own by default.
        quiet: print nothing.

    Returns:
        The exit code: 0 all ok, 1 warnings, 2 unusable.

    Raises:
        OptionError: a target without data.
    """
    if target is not None and data is None:
        raise OptionError("--target names a column of --data, which is missing")
    fit = load(saved).fit_
    x_test, y_test = (None, None) if data is None else held_out_rows(fit, read_table(data), target)
    findings = diagnose(fit, x_test=x_test, y_test=y_test)
    if not quiet:
        print_findings(findings)
    return exit_code(findings)


def held_out_rows(
    fit: FitLike, table: pd.DataFrame, target: str | None = None
) -> tuple[FloatArray, FloatArray]:
    """The fit's features ``[M, D]`` and target ``[M]`` out of a table.

    Args:
        fit: the finished fit.
        table: held-out rows; further columns are ignored.
        target: the column with the target; the fit's own by default.

    Raises:
        DataError: a column is missing or cannot be used.
    """
    x, y = split_target(table, target or fit.target_name, fit.feature_names)
    return x.to_numpy(), y.to_numpy()


def print_findings(findings: list[Finding]) -> None:
    """The verdict in words, then every finding on a line."""
    say(verdict(findings))
    say()
    show(findings_table(findings))
