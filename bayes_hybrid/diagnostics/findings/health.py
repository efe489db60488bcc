"""Is the gate healthy, and do all parts of the model take part?"""

from collections.abc import Sequence
from typing import Final

from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation
from bayes_hybrid.diagnostics.evaluation.finding import Finding
from bayes_hybrid.diagnostics.evaluation.more_regimes import more_regimes_finding
from bayes_hybrid.diagnostics.evaluation.pathways import (
    pathway_findings,
    settled_findings,
    width_findings,
)
from bayes_hybrid.diagnostics.findings.experts import expert_findings
from bayes_hybrid.diagnostics.findings.gate_use import gate_use_findings
from bayes_hybrid.diagnostics.findings.inside_expert import inside_expert_findings
from bayes_hybrid.diagnostics.findings.mixing import seed_finding
from bayes_hybrid.diagnostics.regimes.gate import gate_findings
from bayes_hybrid.diagnostics.regimes.thresholds import threshold_findings
from bayes_hybrid.inference.readings import unused_threshold
from bayes_hybrid.inference.result import Fit

__all__ = ["GATE_HEALTH", "health_findings", "is_gate_health"]

GATE_HEALTH: Final = (
    "usage",
    "dominant_regime",
    "effective_regimes",
    "gate_entropy",
    "regime_disagreement",
    "regime_worth",
    "twin_experts",
    "gate_saturation",
    "gate_misfit",
    "threshold_unidentified",
    "change_inside_expert",
    "more_regimes",
    "pathway_share",
    "unsettled_mean",
    "width_floor",
    "seed_dependence",
)
"""The findings that tell a collapsed fit from a healthy one, without what is in their brackets."""


def is_gate_health(name: str) -> bool:
    """Whether a finding of this name is one of the gate's health.

    Example:
        >>> is_gate_health("usage[relu]"), is_gate_health("pareto_k")
        (True, False)
    """
    return name.partition("[")[0] in GATE_HEALTH


def health_findings(
    fit: Fit, evaluation: Evaluation, regimes: Sequence[int] | None = None
) -> list[Finding]:
    """All findings of :data:`GATE_HEALTH` that apply to the model.

    After Hamiltonian Monte Carlo ``r_hat`` stands in for ``seed_dependence``.

    Args:
        fit: the finished fit.
        evaluation: see :func:`bayes_hybrid.diagnostics.evaluation.evaluation.evaluate`.
        regimes: numbers of those that are asked about, all by default; with none, nothing is asked
            about the gate.
    """
    names, weights = fit.posterior.regime_names, evaluation.weights
    asked = range(len(names)) if regimes is None else regimes
    findings = gate_findings(evaluation, names) if asked else []
    if evaluation.gate is not None and asked:
        num_rows = fit.x.shape[0]
        findings += expert_findings(evaluation.gate, num_rows, names, weights)
        findings += gate_use_findings(
            evaluation.gate,
            evaluation.responsibilities,
            fit.x[evaluation.rows],
            unused_threshold(evaluation.rows.size, len(names)),
            weights,
        )
        findings += threshold_findings(fit)
    if evaluation.realised is not None:
        x = fit.x[evaluation.rows]
        findings += inside_expert_findings(fit, x)
        findings.append(more_regimes_finding(fit, evaluation.realised, x))
    gate = evaluation.gate if asked else None
    findings += pathway_findings(gate, names, evaluation.layers, weights)
    others = tuple(f"[{name}]" for k, name in enumerate(names) if k not in asked)
    findings = [finding for finding in findings if not finding.name.endswith(others)]
    findings += settled_findings(evaluation.mean, evaluation.variance, weights)
    findings += width_findings(fit.posterior.widths_over_floor, weights)
    return findings if fit.restarts.sampler else [*findings, *seed_finding(evaluation)]
