"""How the rows are grouped into regimes, and which other ways explain them too."""

from typing import Final

import pandas as pd

from bayes_hybrid.diagnostics.evaluation import Evaluation
from bayes_hybrid.diagnostics.finding import Finding, judge
from bayes_hybrid.diagnostics.interface import FitLike, ReadingLike
from bayes_hybrid.inference.readings import unused_threshold

__all__ = ["explained_by_one", "reading_findings", "readings_frame"]

# Of readings with less weight nobody needs to be told.
_TOLD: Final = 0.05


def explained_by_one(fit: FitLike, evaluation: Evaluation) -> bool:
    """Whether one regime is the leading reading, although others were found that have more.

    Then the data say so, and the gate has not collapsed: it was weighed against those that did not.

    Args:
        fit: the finished fit.
        evaluation: of the leading reading.
    """
    if fit.posterior.num_regimes == 1:
        return False
    usage = evaluation.usage.mean(axis=(0, 1))
    used = (usage >= unused_threshold(evaluation.rows.size, usage.size)).sum()
    return bool(used == 1) and any(reading.num_used > 1 for reading in fit.readings[1:])


def reading_findings(fit: FitLike) -> list[Finding]:
    """``leading_reading``: its weight, and what the others are; none for a single regime."""
    if fit.posterior.num_regimes == 1:
        return []
    first, *others = fit.readings
    names = fit.posterior.regime_names
    text = f"{_said(first, names)} ({first.weight:.0%} of the posterior)".capitalize()
    for reading in others:
        if reading.weight >= _TOLD:
            text += f"; another reading, {_said(reading, names)} ({reading.weight:.0%})"
    return [judge("leading_reading", first.weight, ">=", 0.0, meaning=f"{text}.", advice="")]


def _said(reading: ReadingLike, names: tuple[str, ...]) -> str:
    if reading.num_used == 1:
        return "one regime explains these rows"
    shares = [f"{name!r} {share:.0%}" for name, share in zip(names, reading.usage, strict=True)]
    return f"{reading.num_used} regimes explain these rows, {', '.join(shares)} of them"


def readings_frame(fit: FitLike) -> pd.DataFrame:
    """A row for each reading, the heaviest first.

    Columns ``reading``, ``weight``, ``elpd`` (mean leave-one-out log density of its restarts, in
    nats), ``restarts``, and of each regime ``usage[k]``, the share of the rows in it, and
    ``expert[k]``, what serves it, with its share of the reading where there are several.
    """
    names = fit.posterior.regime_names
    return pd.DataFrame(
        [
            {
                "reading": number,
                "weight": reading.weight,
                "elpd": reading.elpd,
                "restarts": len(reading.members),
                **{f"usage[{n}]": share for n, share in zip(names, reading.usage, strict=True)},
                **_experts(fit.reading(number), names),
            }
            for number, reading in enumerate(fit.readings)
        ]
    )


def _experts(fit: FitLike, names: tuple[str, ...]) -> dict[str, str]:
    """Which experts serve each regime of a reading, the most used first."""
    found = {}
    for name, shares in zip(names, fit.posterior.service, strict=True):
        each = sorted(zip(shares, fit.posterior.expert_names, strict=True), reverse=True)
        several = each[0][0] < 1.0
        words = (f"{e} {s:.0%}" if several else e for s, e in each if s > 0.0)
        found[f"expert[{name}]"] = ", ".join(words)
    return found
