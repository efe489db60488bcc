"""``report``: a saved fit in, one HTML file out."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bayes_hybrid.cli.checking import held_out_rows
from bayes_hybrid.cli.console import say
from bayes_hybrid.cli.exits import printable
from bayes_hybrid.cli.folders import refuse_file
from bayes_hybrid.diagnostics import verdict
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import load
from bayes_hybrid.report.evidence import gather
from bayes_hybrid.report.page import write_page

__all__ = ["run"]

_SUFFIX: Final = ".html"
"""By it a browser knows what to open."""


def run(
    saved: Path,
    out: Path,
    data: Path | None,
    target: Sequence[str] | None,
    *,
    force: bool,
    quiet: bool,
) -> None:
    """Write the report of a saved fit.

    Args:
        saved: folder of the fit.
        out: the HTML file to be.
        data: table of held-out rows; by default those that the fit was saved with.
        target: the columns of ``data`` with the targets, as typed; the fit's own by default.
        force: whether ``out`` may be replaced.
        quiet: print nothing.

    Raises:
        BayesHybridError: a target without data, rows that cannot be used, or ``out`` stands
            already, is no name of an HTML file, or lies in ``saved``.
        OSError: ``out`` cannot be written.
    """
    refuse_file(out, saved, force=force)
    if out.suffix.lower() != _SUFFIX:
        raise OptionError(f"--out must be a file that ends in {_SUFFIX}; got {str(out)!r}")
    estimator = load(saved)
    x_test, y_test = held_out_rows(estimator, data, target)
    evidence = gather(
        estimator, x_test=x_test, y_test=y_test, command=_command(saved, out, data, target)
    )
    write_page(evidence, out, force=force)
    if not quiet:
        say(verdict(evidence.findings).partition("\n")[0])
        say(f"Written to {out}: open it in a browser. It needs no network.")


def _command(saved: Path, out: Path, data: Path | None, target: Sequence[str] | None) -> str:
    """What would make the report again."""
    words = ["bayes-hybrid", "report", str(saved), "--out", str(out)]
    words += [] if data is None else ["--data", str(data)]
    for name in target or ():
        words += ["--target", name]
    # A page is UTF-8, which the name of a file need not be.
    return shlex.join(printable(word) for word in words)
