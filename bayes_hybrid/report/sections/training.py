"""How the posterior was reached, stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bayes_hybrid.diagnostics import training_report
from bayes_hybrid.diagnostics.findings.training import objective_of
from bayes_hybrid.inference.result import Stage
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "Sparkline", "sparkline"]

_WIDTH: Final = 160.0
_HEIGHT: Final = 36.0
_WHOLE: Final = 0.9
"""Of a trace whose start dwarfs the rest, the last nine tenths set the scale."""

_MEANINGS: Final = {
    "stage": "what ran",
    "reason": "why it ended: its own rule, or its budget",
    "steps": "steps of the optimiser, or iterations of the sampler",
    "seconds": "wall time, compiling included",
    "objective": "what its trace is of: held-out log density per row, standardised, or the ELBO in "
    "nats; both rise",
    "first": "first value of the objective",
    "last": "mean of the last fifth of its trace",
    "drift": "rise over that last fifth, by a straight line; near 0 it had settled",
    "drift_se": "standard error of the drift",
    "noise": "scatter about that line",
    "usage_before": "share of the rows that each regime explains at the start, over restarts",
    "usage_after": "the same at the end",
    "weights": "first and last weight of each regulariser, in nats per row; none acts on the "
    "reported posterior unless the status says so",
}


@dataclass(frozen=True, kw_only=True)
class Sparkline:
    """A trace as a small picture.

    Attributes:
        points: of its line, as SVG writes them.
        width: of the picture, in pixels.
        height: likewise.
        label: first and last value, in words.
    """

    points: str
    width: float
    height: float
    label: str


def sparkline(trace: ArrayLike) -> Sparkline | None:
    """The trace of a stage, or ``None`` where there are fewer than two finite values.

    Example:
        >>> sparkline((0.0, 1.0)).label
        'from 0 to 1'
    """
    values = np.asarray(trace, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    late = values[int((1.0 - _WHOLE) * len(values)) :]
    low, high = float(late.min()), float(late.max())
    height = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
    along = np.linspace(1.0, _WIDTH - 1.0, len(values))
    down = 1.0 + (1.0 - height) * (_HEIGHT - 2.0)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(along, down, strict=True))
    label = f"from {values[0]:.4g} to {values[-1]:.4g}"
    return Sparkline(points=points, width=_WIDTH, height=_HEIGHT, label=label)


def _usage(shares: tuple[float, ...], names: tuple[str, ...]) -> str:
    if len(shares) != len(names):
        return ""
    return ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))


def _words(stage: Stage, names: tuple[str, ...]) -> dict[str, str]:
    """What the stage trained, and what became of the regimes."""
    return {
        "rates": ", ".join(f"{part} {rate:g}" for part, rate in stage.rates.items()),
        "weights": ", ".join(
            f"{name} {first:g} to {last:g}"
            for name, (first, last) in stage.weights.items()
            if first or last
        ),
        "before": _usage(stage.usage_before, names),
        "after": _usage(stage.usage_after, names),
    }


def _content(evidence: Evidence) -> Mapping[str, object]:
    fit, names = evidence.fit, evidence.posterior.expert_names
    table = Table(
        key="stages",
        caption="Stages of training",
        frame=training_report(fit),
        meanings=_MEANINGS,
        errors=(("drift", "drift_se"),),
        hidden=("usage_before", "usage_after", "weights"),
    )
    traces = [(stage, *objective_of(stage)) for stage in fit.training.stages]
    return {
        "stages": [
            (stage, _words(stage, names), kind, sparkline(values)) for stage, kind, values in traces
        ],
        "table": table,
        "seconds": fit.training.seconds,
        "status": evidence.status,
        "method": fit.training.method,
    }


SECTION: Final = Section(key="training", title="Training, stage by stage", content=_content)
