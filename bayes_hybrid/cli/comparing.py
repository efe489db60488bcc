"""``check --against nuts``: a saved fit's recipe beside Pyro's NUTS, on some of its rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bayes_hybrid import checks
from bayes_hybrid.cli.console import findings_table, say, show, typed, warn
from bayes_hybrid.diagnostics import exit_code
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import load
from bayes_hybrid.validation import check_against_nuts

__all__ = ["Against", "compare", "refuse_unused"]

_REFERENCES: Final = ("nuts",)


@dataclass(frozen=True, kw_only=True)
class Against:
    """What to compare a fit with, as it was typed; ``None`` where nothing was.

    Attributes:
        against: the reference.
        rows: rows of the subsample.
        chains: chains of the reference.
        warmup: iterations of each that adapt.
        draws: iterations of each that are kept.
    """

    against: str | None = None
    rows: int | None = None
    chains: int | None = None
    warmup: int | None = None
    draws: int | None = None


_DEFAULTS: Final = {"rows": 200, "chains": 2, "warmup": 150, "draws": 150}
_DEPTH: Final = 6
"""Trajectories of at most 63 steps: the refinement's own mean is 40."""


def refuse_unused(wanted: Against) -> None:
    """Refuse, before any work is done, what cannot be used.

    Raises:
        OptionError: an option that goes with ``--against`` came without it, or cannot be used.
    """
    for name in _DEFAULTS:
        value = getattr(wanted, name)
        if value is None:
            continue
        if wanted.against is None:
            raise OptionError(f"--{name} goes with --against nuts, which is missing")
        checks.positive_int(f"--{name}", value, minimum=2 if name in ("rows", "chains") else 1)
    if wanted.against is not None:
        checks.choice("--against", wanted.against, _REFERENCES)


def compare(saved: Path, wanted: Against, *, quiet: bool) -> int:
    """Compare and print.

    Args:
        saved: folder of the fit.
        wanted: what was typed, see :func:`refuse_unused`.
        quiet: print nothing but the findings that are not ok, on stderr.

    Returns:
        The exit code: 0 where the two agree, 1 where they do not, or NUTS with itself.
    """
    given = {name: getattr(wanted, name) for name in _DEFAULTS}
    counts = {n: _DEFAULTS[n] if value is None else value for n, value in given.items()}
    estimator = load(saved)
    num_rows = min(counts["rows"], len(estimator.fit_.x))
    if quiet:
        estimator.set_params(progress=False)
    else:
        steps = counts["chains"] * (counts["warmup"] + counts["draws"]) * (2**_DEPTH - 1)
        say()
        spent = estimator.fit_.training.seconds
        say(
            f"Against NUTS on {num_rows} of {len(estimator.fit_.x)} rows: the recipe once more "
            f"({spent:.0f} seconds on all rows), and NUTS with at most {steps:,} "
            "gradients of a few milliseconds."
        )
    result = check_against_nuts(
        estimator,
        num_rows=num_rows,
        num_chains=counts["chains"],
        num_warmup=counts["warmup"],
        num_draws=counts["draws"],
        max_tree_depth=_DEPTH,
    )
    findings = typed(result.findings)
    if quiet:
        warn(findings)
        return exit_code(findings)
    say(result.sentence)
    rows = "rows that neither has seen" if result.held_out else "the same rows"
    times = (
        f"{result.recipe.training.seconds:.0f} and {result.reference.training.seconds:.0f} seconds"
    )
    say(f"Compared at {result.num_compared} {rows}; the two took {times}.")
    say()
    show(findings_table(findings))
    return exit_code(findings)
