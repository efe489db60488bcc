"""How well the draws stand for the posterior: how the fit ended, restarts, scale floor."""

import math
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.chains import psis_k
from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.inference.result import Fit

__all__ = [
    "SPREAD",
    "approximation_findings",
    "between_restarts",
    "ending_findings",
    "good_k",
    "mean_disagreement",
    "optimiser_findings",
    "pareto_k",
]

MIN_PARETO_DRAWS: Final = 25
"""A tail is a fifth of the draws, and a generalised Pareto distribution needs five points of it."""

SPREAD: Final = 1.0 / 3.0
"""Restarts that differ by a third of the predictive standard deviation add (1/3)**2 = 11% to its
variance: the intervals of any one restart would be visibly too narrow."""

_DROPPED: Final = 0.25
"""More than one restart in four failing is no bad luck, but the data's or the settings' doing."""

_BAD_GUIDE: Final = 0.7
"""Yao, Vehtari, Simpson and Gelman (2018), section 3: above it the guide is not close enough to the
posterior for its draws to be reweighted."""

_FLOOR_SHARE: Final = 0.05
"""A floor only stops a density from growing a spike; where more than one row in twenty sits on it,
the floor and not the data sets the density."""


def good_k(num_draws: int) -> float:
    """``min(1 - 1 / log10(S), 0.7)``: with a Pareto k above it, S draws are too few.

    With a single draw it is minus infinity: no k is good.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning Research
    25 (72).

    Example:
        >>> good_k(10_000), round(good_k(100), 3)
        (0.7, 0.5)
    """
    return min(1.0 - 1.0 / math.log10(num_draws), 0.7) if num_draws > 1 else -math.inf


def pareto_k(log_likelihood: FloatArray, weights: FloatArray) -> FloatArray:
    """Pareto k of the leave-one-out importance ratios ``w_r / p(y_n | x_n, theta_rs)``, ``[N]``.

    Args:
        log_likelihood: ``[R, S, N]``; R S must be at least 25.
        weights: of each restart ``[R]``.

    Returns:
        k per row; ``-inf`` for rows whose ratios hardly vary, which leaving out changes nothing,
        NaN for rows with a log likelihood that is not finite.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, section 2.
    """
    draws = (log_likelihood - np.log(weights)[:, None, None]).reshape(-1, log_likelihood.shape[-1])
    shapes = np.where(np.isfinite(draws).all(axis=0), -np.inf, np.nan)
    # Ratios within a millionth of each other are equal at float32, in which draws may be made.
    varying = np.isfinite(draws).all(axis=0) & (np.ptp(np.nan_to_num(draws), axis=0) > 1e-6)
    for row in np.flatnonzero(varying):
        shapes[row] = psis_k(draws[:, row])
    return shapes


def mean_disagreement(mean: FloatArray, variance: FloatArray, weights: FloatArray) -> float:
    """``sqrt(mean_n Var_r(m_rn) / mean_n Var[y | x_n])``, the spread between restarts.

    ``m_rn`` is the mean over the draws of restart r of ``E[y | x_n, theta]``, and the variance over
    restarts is :func:`between_restarts`.

    Args:
        mean: ``[R, S, N]`` with R >= 2.
        variance: predictive variance, ``[N]``.
        weights: of each restart ``[R]``.

    Returns:
        NaN where a predictive variance is not finite, as that of heavy tails.

    Example:
        >>> mean_disagreement(np.array([[[0.0]], [[2.0]]]), np.array([8.0]), np.full(2, 0.5))
        0.5
    """
    between = between_restarts(mean, weights)
    if not np.isfinite(variance).all():
        return math.nan  # beside an infinite variance every disagreement looks small
    return float(np.sqrt(between.mean() / variance.mean()))


def between_restarts(draws: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum_r w_r (m_r - m)^2 / (1 - sum_r w_r^2)``, the variance between restarts, ``[...]``.

    ``m_r`` is the mean over the draws of restart r, and m that of all.  With equal weights it is
    the usual ``sum_r (m_r - m)^2 / (R - 1)``.

    Args:
        draws: ``[R, S, ...]`` with R >= 2.
        weights: of each restart ``[R]``.
    """
    means = draws.mean(axis=1)
    square = (means - np.tensordot(weights, means, 1)) ** 2
    return np.asarray(np.tensordot(weights, square, 1) / (1.0 - np.square(weights).sum()))


def optimiser_findings(fit: Fit) -> list[Finding]:
    """How the fit ended, how many restarts are there, and the guide's k-hat; needs no draws.

    Args:
        fit: the finished fit.
    """
    findings = ending_findings(fit)
    if not fit.restarts.sampler and fit.restarts.log_ratios.size:
        findings.append(_guide(fit.restarts.log_ratios))
    return findings


def ending_findings(fit: Fit) -> list[Finding]:
    """How the fit ended, and how many restarts are left.

    Args:
        fit: the finished fit.
    """
    # Whether chains have arrived is r_hat's to say, wherever they started.
    return [_dropped(fit)] if fit.restarts.sampler else [_converged(fit), _dropped(fit)]


def approximation_findings(evaluation: Evaluation) -> list[Finding]:
    """All findings about how well the draws stand for the posterior.

    Args:
        evaluation: see :func:`bayes_hybrid.diagnostics.evaluation.evaluation.evaluate`.
    """
    findings = []
    if evaluation.weights.size > 1:
        value = mean_disagreement(evaluation.mean, evaluation.variance, evaluation.weights)
        findings.append(_spread(value))
    if evaluation.at_floor is not None:
        findings.append(_floor(evaluation.at_floor))
    return findings


def _converged(fit: Fit) -> Finding:
    return judge(
        "converged",
        float(fit.training.converged),
        ">=",
        1.0,
        meaning=fit.training.status,
        advice="Raise the budget of steps (`WarmStart(max_steps=...)`, "
        "`Variational(num_steps=...)`) and fit again, or check that held-out log density no longer "
        "changes.",
    )


def _dropped(fit: Fit) -> Finding:
    kept, dropped = fit.posterior.num_restarts, fit.training.num_dropped
    return judge(
        "restarts_dropped",
        dropped / (kept + dropped) if kept + dropped else 1.0,
        "<=",
        _DROPPED,
        meaning=f"{dropped} of {kept + dropped} restarts failed and were left out.",
        advice="Look for extreme values in the data, lower the learning rate "
        "(`WarmStart(learning_rate=...)`), or train more candidates (`num_restarts`).",
        failing="warning" if kept else "error",
    )


def _guide(log_ratios: FloatArray) -> Finding:
    # psis_k is written for leave-one-out, where the ratios are one over what it is given.
    shapes = [psis_k(-row) if np.isfinite(row).all() else math.nan for row in log_ratios]
    value = float(np.median(shapes))
    return judge(
        "guide_k",
        value,
        "<=",
        _BAD_GUIDE,
        meaning=f"The median restart's guide has Pareto k-hat {value:.2f} against the posterior.",
        advice="The variational answer is an approximation that importance sampling cannot "
        "correct. {Refine it by HMC (`refine='always'`)|check its intervals on held-out rows}.",
    )


def _spread(value: float) -> Finding:
    return judge(
        "mean_disagreement",
        value,
        "<=",
        SPREAD,
        meaning=f"The restarts' predicted means differ by {value:.2f} predictive standard "
        "deviations.",
        advice="The posterior has several modes and the restarts sit in different ones. Their "
        "mixture is reported; add restarts (`num_restarts`) until predictions no "
        "longer move.",
    )


def _floor(value: float) -> Finding:
    return judge(
        "scale_floor",
        value,
        "<=",
        _FLOOR_SHARE,
        meaning=f"For {value:.1%} of the rows the expert's scale is at the smallest value allowed, "
        "or within five times of it.",
        advice="Targets are repeated, rounded or nearly free of noise, so densities are set by "
        "the floor: do not compare log densities, and lower the floor "
        "(`Priors(noise_floor=...)`) if the noise really is that small.",
    )
