"""Where a fit reports to."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import Progress, silent

__all__ = ["reporting"]


@contextmanager
def reporting(progress: str | bool | Progress) -> Iterator[Progress]:
    """Where a fit reports to: a bar on standard error, a function, or nowhere."""
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool | np.bool_):
        if not isinstance(progress, str) or progress != "auto":
            raise OptionError(
                f"progress must be 'auto', True, False or a function; got {progress!r}"
                f"{checks.suggestion(progress, ('auto',))}"
            )
        progress = sys.stderr.isatty()
    if not progress:
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fit", total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield report
