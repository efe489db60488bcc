"""Is the gate alive: who is used, how decided it is, and whether the restarts agree.

All of it is read from responsibilities, ``r_nk = p(z_n = k | x_n, y_n)``, which do not depend on
how a network's hidden units are numbered.  Two regimes are told apart by their experts, so they
can still swap parts between restarts; :func:`regime_distance` sees that.
"""

import numpy as np
from scipy.special import entr

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.digits import percentages
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws
from bayes_hybrid.inference.readings import unused_threshold

__all__ = [
    "DISTANT",
    "effective_regimes",
    "gate_entropy",
    "gate_findings",
    "regime_distance",
]

_AMBIGUOUS = 0.9
"""With two regimes an entropy of 0.9 is that of 0.68 against 0.32: odds of two to one in the
typical row.  With less than that, a row's regime cannot be acted on."""

DISTANT = 0.1
"""A total variation distance of 0.1: restarts give one row in ten to another regime.  Monte Carlo
noise is well below it: 0.5 / sqrt(S) at most, 0.05 for 100 draws, less on average over rows."""


def gate_entropy(responsibilities: FloatArray) -> float:
    """``mean_n H(r_n) / log K`` with ``H(r) = -sum_k r_k log r_k``: 0 is decided, 1 is undecided.

    Args:
        responsibilities: ``[..., K]`` with K >= 2, each summing to one over k.

    Example:
        >>> round(gate_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])), 3)
        0.5
    """
    return float(_entropy(responsibilities).mean() / np.log(responsibilities.shape[-1]))


def effective_regimes(usage: FloatArray) -> float:
    """``exp(H(u))``, the number of equally used regimes with the entropy of the usage ``u [K]``.

    Hill's number of order 1 (Hill 1973, Ecology 54, 427-432): between 1 and K.

    Example:
        >>> round(effective_regimes(np.array([0.5, 0.5, 0.0])), 6)
        2.0
    """
    return float(np.exp(_entropy(usage)))


def regime_distance(responsibilities: FloatArray) -> FloatArray:
    """``TV_ab = mean_n (1/2) sum_k |r_ank - r_bnk|`` between restarts a and b, ``[R, R]``.

    The total variation distance between what two restarts say of the same row, averaged over
    rows: the share of rows that they would give to different regimes.

    Args:
        responsibilities: ``[R, N, K]``, the mean over the draws of each restart.

    Example:
        >>> regime_distance(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
        array([[0., 1.],
               [1., 0.]])
    """
    # Restart by restart, so that memory grows with R N K and not with R R N K.
    rows = [np.abs(responsibilities - one).sum(axis=2).mean(axis=1) for one in responsibilities]
    return 0.5 * np.stack(rows)


def gate_findings(evaluation: Evaluation, regime_names: tuple[str, ...]) -> list[Finding]:
    """All findings about the gate; none for a model with one regime, which has no gate.

    Args:
        evaluation: see :func:`bayes_hybrid.diagnostics.evaluation.evaluation.evaluate`.
        regime_names: K names.
    """
    if len(regime_names) < 2:
        return []
    threshold = unused_threshold(evaluation.rows.size, len(regime_names))
    usage, weights = evaluation.usage, evaluation.weights
    findings = [
        _usage(usage[..., k], weights, name, threshold) for k, name in enumerate(regime_names)
    ]
    mean = np.tensordot(weights, evaluation.responsibilities, 1)
    findings += [
        _dominant(usage, weights, regime_names, threshold),
        _effective(usage, weights, threshold),
        _undecided(gate_entropy(mean), _entropies(evaluation), weights),
    ]
    if weights.size > 1:
        findings.append(_disagreement(evaluation))
    return findings


def _entropy(probabilities: FloatArray) -> FloatArray:
    """``-sum_k p_k log p_k`` over the last axis, with ``0 log 0 = 0``."""
    return np.asarray(entr(probabilities).sum(axis=-1))


def _usage(draws: FloatArray, weights: FloatArray, regime: str, threshold: float) -> Finding:
    value = float(mean_over_draws(draws, weights))
    low, high = _interval(draws, weights, value)
    used = "" if value >= threshold else ": nobody uses it"
    mean, lower, upper = percentages(high - low, value, low, high)
    return judge(
        f"usage[{regime}]",
        value,
        ">=",
        threshold,
        meaning=f"The regime '{regime}' accounts for {mean} of the training rows "
        f"(90% interval {lower} to {upper}){used}.",
        advice="Do not read this regime's probabilities. If more restarts do not use it either, "
        "fit without it and compare held-out log densities.",
        interval=(low, high),
    )


def _dominant(
    draws: FloatArray, weights: FloatArray, regime_names: tuple[str, ...], threshold: float
) -> Finding:
    # Of each draw: in one restart it may be the first regime, in another the second.
    largest, usage = draws.max(axis=-1), mean_over_draws(draws, weights)
    value, name = float(mean_over_draws(largest, weights)), regime_names[int(usage.argmax())]
    return judge(
        "dominant_regime",
        value,
        "<=",
        1.0 - threshold,  # all the others together are then as good as unused
        meaning=f"The most used regime, on the whole '{name}', carries {value:.1%} of the training "
        "rows.",
        advice=f"The gate has collapsed on '{name}'. If the data should have more than one "
        "regime, fit again with {more restarts (`num_restarts=128`)|`plan=('default', "
        "'balanced')`, a part of which is trained under a reward for an even gate}, and compare "
        "held-out log densities. A single expert says the same more simply if it predicts as well.",
        interval=_interval(largest, weights, value),
    )


def _effective(draws: FloatArray, weights: FloatArray, threshold: float) -> Finding:
    effective = np.exp(_entropy(draws))
    value = float(mean_over_draws(effective, weights))
    # The number that two regimes give when one of them is at the threshold of disuse.
    bound = effective_regimes(np.array([threshold, 1.0 - threshold]))
    return judge(
        "effective_regimes",
        value,
        ">=",
        bound,
        meaning=f"Usage is that of {value:.2f} equally used regimes out of {draws.shape[-1]}.",
        advice="The mixture acts as a single expert: see dominant_regime.",
        interval=_interval(effective, weights, value),
    )


def _entropies(evaluation: Evaluation) -> FloatArray | None:
    """Entropy of the average row in every draw over its largest, ``[R, S]``."""
    if evaluation.gate is None:
        return None
    most = evaluation.rows.size * np.log(evaluation.usage.shape[-1])
    return np.asarray(evaluation.gate.entropy / most)


def _interval(draws: FloatArray, weights: FloatArray, value: float) -> tuple[float, float]:
    """The middle 90% of the draws, made to hold the value.

    That of an average over restarts that differ may lie outside what any single draw says.
    """
    low, high = quantiles_over_draws(draws, [0.05, 0.95], weights)
    return min(float(low), value), max(float(high), value)


def _undecided(value: float, draws: FloatArray | None, weights: FloatArray) -> Finding:
    return judge(
        "gate_entropy",
        value,
        "<=",
        _AMBIGUOUS,
        meaning=f"Given its target, the regime of the average row is {value:.0%} uncertain (0% is "
        "decided, 100% a toss-up).",
        advice="The experts say nearly the same, so the regimes cannot be told apart: predictions "
        "stand, regime probabilities carry no information. Look at regime_disagreement; if it is "
        "large, restarts differ in which regime a row belongs to. Else look at twin_experts, and "
        "whether one expert alone predicts as well (`ablate`).",
        interval=None if draws is None else _interval(draws, weights, value),
    )


def _disagreement(evaluation: Evaluation) -> Finding:
    distance, weights = regime_distance(evaluation.responsibilities), evaluation.weights
    pairs = np.outer(weights, weights)[np.triu_indices(len(weights), k=1)]
    value = float(pairs @ distance[np.triu_indices(len(weights), k=1)] / pairs.sum())
    odd_one = evaluation.numbers[(distance @ weights).argmax()]
    return judge(
        "regime_disagreement",
        value,
        "<=",
        DISTANT,
        meaning=f"Two restarts give {value:.1%} of the rows to different regimes, on average over "
        f"pairs by their weight; restart {odd_one} differs most from the others.",
        advice="The regimes are not the same in all restarts of the reading: plot p(z|x) of each. "
        "{A simpler gate (`gate='linear'`)} may have one reading.",
    )
