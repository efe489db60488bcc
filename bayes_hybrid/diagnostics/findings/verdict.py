"""All findings about a fit, and what they come to."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import constant_columns
from bayes_hybrid.diagnostics.evaluation.approximation import (
    MIN_PARETO_DRAWS,
    approximation_findings,
    ending_findings,
    optimiser_findings,
)
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    Evaluation,
    evaluate,
    held_out,
    spread_rows,
)
from bayes_hybrid.diagnostics.evaluation.finding import Finding
from bayes_hybrid.diagnostics.findings.advice import Settings, resolved_findings
from bayes_hybrid.diagnostics.findings.health import health_findings
from bayes_hybrid.diagnostics.findings.information import (
    constant_findings,
    prior_finding,
    varying_targets,
    whole_findings,
)
from bayes_hybrid.diagnostics.findings.sampler import sampler_findings
from bayes_hybrid.diagnostics.findings.trained_on import trained_on_finding
from bayes_hybrid.diagnostics.regimes.readings import reading_findings, regimes_in_question
from bayes_hybrid.diagnostics.scores.calibration import coverage_finding, density_finding
from bayes_hybrid.diagnostics.scores.pit import loo_pit, pit_finding
from bayes_hybrid.inference.result import Fit

__all__ = ["diagnose", "exit_code", "findings_frame", "verdict"]


@np.errstate(under="ignore")  # what vanishes is zero, whatever the caller lets NumPy raise
def diagnose(
    fit: Fit,
    *,
    x_test: FloatArray | None = None,
    y_test: FloatArray | None = None,
    max_rows: int = 1_000,
    settings: Settings | None = None,
) -> list[Finding]:
    """Everything that is checked about a fit, in the order in which it should be read.

    ==========================================  =================================================
    finding                                     question
    ==========================================  =================================================
    ``nonfinite_density``                       can predictions be scored at all?
    ``trained_on``                              were held-out rows part of the fit?
    ``coverage_90``                             do 90% intervals cover 90% of held-out rows?
    ``constant_target``,                        is there a column that never varies?  (only where
    ``constant_feature[name]``                  there is; of several outputs
                                                ``constant_target[output]``)
    ``whole_target``                            is it a small count under a likelihood of
                                                continuous numbers?  (only where it is; of several
                                                outputs ``whole_target[output]``)
    ``prior_dominated``                         are there more values of the target than parameters
                                                of the simplest model?
    ``leading_reading``                         how are the rows grouped, and how else may they be?
    ``usage[k]``, ``dominant_regime``,          is a regime used by nobody, does one carry
    ``effective_regimes``                       everything?
    ``gate_entropy``                            can the regimes be told apart?
    ``regime_disagreement``                     do restarts say the same of the regimes?
    ``regime_worth[k]``                         what does a regime add to the density of the rows?
    ``twin_experts``                            do two experts predict the same?
    ``gate_saturation``, ``gate_misfit``        is the gate shut, does it follow its features?
    ``threshold_unidentified[j to k]``          do the rows say where the gate's thresholds are?
    ``change_inside_expert``                    is an abrupt change in an expert, not at the gate?
    ``more_regimes``                            do the rows of a regime fall into two groups?
    ``pathway_share[...]``                      does one pathway dominate?
    ``unsettled_mean``, ``width_floor``         have the pathways' weights and widths settled?
    ``seed_dependence``                         would another seed give another answer?
    ``converged``, ``restarts_dropped``,        did the optimiser end well?
    ``guide_k``
    ``mean_disagreement``                       do restarts say the same of the mean?
    ``scale_floor``                             can log densities be trusted?
    ``pit_uniformity``                          is every part of the predictive distribution right
                                                for rows left out?  (25 draws or more; of several
                                                outputs one each, ``pit_uniformity[output]``)
    ``divergences``, ``acceptance_rate``,       after refinement by Hamiltonian Monte Carlo: did
    ``temperature``, ``r_hat``, ``mcse``        it work?
    ==========================================  =================================================

    After a constant target nothing else is asked, and after no more values than the simplest model
    has parameters (:func:`.information.least_parameters`) only how the optimiser ended: what the
    other findings measure is then the prior's.

    A collapsed gate is a warning: predictions may be as good as they can be, only the regimes
    cannot be read.  Errors are kept for predictions that cannot be used: a log density that is not
    finite, no restart left, or coverage that is grossly off.

    Args:
        fit: the finished fit.
        x_test: held-out features ``[M, D]``, in the units of the data.
        y_test: held-out targets ``[M]``; ``trained_on`` and coverage are computed only when
            both are given.
        max_rows: at most so many training rows are read, evenly spread.
        settings: what the fit was made with, such as ``{"num_restarts": 128}``: what is set so is
            not advised.

    Raises:
        OptionError: ``max_rows`` is below 1.
        DataError: held-out rows of a wrong shape, or targets without features.
    """
    checks.positive_int("max_rows", max_rows)
    test = held_out(x_test, y_test, fit.x.shape[1], fit.y.shape[1:])
    return resolved_findings(_findings(fit, test, max_rows), settings or {})


def _findings(
    fit: Fit, test: tuple[FloatArray, FloatArray | None] | None, max_rows: int
) -> list[Finding]:
    """All of them, with advice that is not resolved yet."""
    posterior = fit.posterior
    if posterior.num_restarts == 0:
        return optimiser_findings(fit)
    rows = spread_rows(len(fit.x), max_rows)
    density = [posterior.predictive.log_density(fit.x[rows], fit.y[rows])]
    y_test = None if test is None else test[1]
    first = []
    if test is not None and y_test is not None:
        density.append(posterior.predictive.log_density(test[0], y_test))
        cdf = posterior.predictive.pit(test[0], y_test)[~np.isnan(varying_targets(fit, y_test))]
        first.append(trained_on_finding(fit.x, fit.y, test[0], y_test))
        first += [coverage_finding(cdf)] if cdf.size else []
    first = [density_finding(np.concatenate(density)), *first, *constant_findings(fit, y_test)]
    if constant_columns(fit.y).all():
        return first
    first += [*whole_findings(fit), prior_finding(fit)]
    if first[-1].severity != "ok":
        return first + ending_findings(fit)
    # Predictions are those of all restarts; regimes and chains those of the leading reading.
    leading = fit.for_regimes
    evaluation = evaluate(leading, max_rows=max_rows)
    every, whole = leading, evaluation  # of one reading, which all restarts share
    if len(fit.readings) > 1:
        every, whole = fit, evaluate(fit, max_rows=max_rows)
    return [
        *first,
        *reading_findings(fit),
        *health_findings(leading, evaluation, regimes_in_question(fit)),
        *optimiser_findings(fit),
        *approximation_findings(whole),
        *_pit(every, whole),
        *(
            sampler_findings(leading.restarts.sampler, evaluation, fit.training.sampler_name)
            if fit.restarts.sampler
            else ()
        ),
    ]


def _pit(fit: Fit, evaluation: Evaluation) -> list[Finding]:
    """Uniformity of the leave-one-out PIT values of each output."""
    if fit.posterior.num_restarts * fit.posterior.num_draws < MIN_PARETO_DRAWS:
        return []
    y = fit.y[evaluation.rows]
    pit, shapes = loo_pit(fit.posterior, fit.x[evaluation.rows], y, evaluation.log_likelihood)
    findings = []
    for q in np.flatnonzero(~constant_columns(fit.y)):
        name = fit.output_names[q]
        there = np.ones(len(y), dtype=bool) if y.ndim == 1 else ~np.isnan(y[:, q])
        values = (pit if y.ndim == 1 else pit[:, q])[there]
        if len(values) > 1:
            called = "pit_uniformity" if y.ndim == 1 else f"pit_uniformity[{name}]"
            findings.append(pit_finding(values, shapes[there], called))
    return findings


def exit_code(findings: Sequence[Finding]) -> Literal[0, 1, 2]:
    """0 when every finding is ok, 1 with warnings, 2 when predictions cannot be used."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return 2
    return 1 if "warning" in severities else 0


def verdict(findings: Sequence[Finding]) -> str:
    """The findings in plain words: a headline, then what is not in order and what to do.

    Example:
        >>> verdict([])
        'The fit passed all 0 checks.'
    """
    flagged = [finding for finding in findings if finding.severity != "ok"]
    count = f"{len(flagged)} of {len(findings)} checks"
    headline = (
        f"The fit passed all {len(findings)} checks.",
        f"The fit can be used with care: {count} gave a warning.",
        f"The fit cannot be used: {count} were not passed.",
    )[exit_code(findings)]
    lines, advised = [headline], set[str]()
    for finding in flagged:
        lines.append(f"- {finding.name} ({finding.severity}): {finding.meaning}")
        if finding.advice not in advised:
            advised.add(finding.advice)
            lines.append(f"  {finding.advice}")
    return "\n".join(lines)


def findings_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row per finding.

    Returns:
        Columns ``name``, ``value``, ``lower`` and ``upper`` (the value's 90% interval, or NaN),
        ``comparison``, ``threshold``, ``severity``, ``meaning``, ``advice``.
    """
    intervals = [finding.interval or (np.nan, np.nan) for finding in findings]
    return pd.DataFrame(
        {
            "name": [finding.name for finding in findings],
            "value": [finding.value for finding in findings],
            "lower": [low for low, _ in intervals],
            "upper": [high for _, high in intervals],
            "comparison": [finding.comparison for finding in findings],
            "threshold": [finding.threshold for finding in findings],
            "severity": [finding.severity for finding in findings],
            "meaning": [finding.meaning for finding in findings],
            "advice": [finding.advice for finding in findings],
        }
    )
