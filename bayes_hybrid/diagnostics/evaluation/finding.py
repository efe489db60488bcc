"""One finding: a number, the bound it is held against, and what to do about it."""

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Comparison", "Finding", "Severity", "judge"]

Severity = Literal["ok", "warning", "error"]
"""``error`` means that predictions cannot be used; ``warning``, that a reading needs care."""

Comparison = Literal[">=", "<="]
"""How a healthy value stands to its threshold."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured about a fit, how it should be, and what to do.

    Attributes:
        name: stable identifier, such as ``gate_entropy`` or ``usage[relu]``.
        value: the number; NaN where it could not be computed.
        comparison: how a healthy value stands to ``threshold``, ``">="`` or ``"<="``.
        threshold: the bound.
        severity: ``"ok"``, ``"warning"``, or ``"error"`` for predictions that cannot be used.
        meaning: what the value says, in a sentence.
        advice: what to do, settings in backquotes as Python writes them; empty when there is
            nothing to do.
        interval: lower and upper end of the value's 90% interval, where it has one.
    """

    name: str
    value: float
    comparison: Comparison
    threshold: float
    severity: Severity
    meaning: str
    advice: str = ""
    interval: tuple[float, float] | None = None


def judge(
    name: str,
    value: float,
    comparison: Comparison,
    threshold: float,
    *,
    meaning: str,
    advice: str,
    failing: Severity = "warning",
    interval: tuple[float, float] | None = None,
) -> Finding:
    """The finding that ``value`` leads to; a value that is NaN has not passed.

    Args:
        name: stable identifier.
        value: what was measured.
        comparison: how a healthy value stands to ``threshold``.
        threshold: the bound.
        meaning: what the value says, in a sentence.
        advice: what to do when it is out of bounds, see
            :mod:`bayes_hybrid.diagnostics.findings.advice`; dropped when it is not.
        failing: severity out of bounds.
        interval: the value's 90% interval.

    Example:
        >>> judge("r_hat", 1.3, "<=", 1.1, meaning="Chains differ.", advice="Run longer.").severity
        'warning'
    """
    healthy = value >= threshold if comparison == ">=" else value <= threshold
    passed = healthy and not math.isnan(value)
    return Finding(
        name=name,
        value=float(value),
        comparison=comparison,
        threshold=float(threshold),
        severity="ok" if passed else failing,
        meaning=meaning,
        advice="" if passed else advice,
        interval=interval,
    )
