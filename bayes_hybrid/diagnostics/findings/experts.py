"""Is each expert worth having, and are two of them the same?"""

import math
from itertools import combinations
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.evaluation.gate_rows import GateRows
from bayes_hybrid.digits import with_error
from bayes_hybrid.inference.posterior.over_draws import quantiles_over_draws, weighted_quantiles

__all__ = ["dead_threshold", "expert_findings", "twin_overlap"]

_BAYES_FACTOR: Final = 20.0
"""Strong evidence (Kass and Raftery 1995, Journal of the American Statistical Association 90)."""

_LEAST_PARAMETERS: Final = 3
"""A regime brings a location, a scale and a share of its own, at the least."""

_ONE_PEAK: Final = math.exp(-0.5)
"""The overlap of two Normals two standard deviations apart, 0.61.  An even mixture of nearer ones
has a single peak, so that no value of y tells the regimes apart."""

_FEW_ROWS: Final = 0.1
"""The gate has to be undecided about a tenth of the rows for an overlap to count in full: where one
regime hands over to the next without a jump, the experts do meet, on a few rows."""


def dead_threshold(num_rows: int) -> float:
    """``log 20 + (3 / 2) log N``: a regime that adds fewer nats than this to the data is dead.

    Three parameters cost ``(3 / 2) log N`` nats of evidence (Schwarz 1978), and a Bayes factor of
    20 is asked for on top.  The other regimes are not fitted anew, so what is added is an upper
    bound: a regime that fails has failed for sure.

    Source: Schwarz (1978), Annals of Statistics 6, 461-464.

    Example:
        >>> round(dead_threshold(200), 1)
        10.9
    """
    return math.log(_BAYES_FACTOR) + 0.5 * _LEAST_PARAMETERS * math.log(num_rows)


def twin_overlap(rows: GateRows) -> FloatArray:
    """``sum_n w_n BC_n / max(sum_n w_n, N / 10)``, ``w_n = 4 pi_a pi_b``, ``[R, S, P]``.

    The overlap of two experts where the gate is undecided between them, for each of the P pairs.
    """
    enough = _FEW_ROWS * rows.gate.shape[1]
    return np.asarray(rows.shared / np.maximum(rows.undecided, enough))


def expert_findings(
    rows: GateRows, num_rows: int, regime_names: tuple[str, ...], weights: FloatArray
) -> list[Finding]:
    """``regime_worth[k]`` of each regime, and ``twin_experts``.

    Args:
        rows: what the gate and the experts say of the rows that were read.
        num_rows: N, all training rows.
        regime_names: K names.
        weights: of each restart ``[R]``.
    """
    found = [_worth(rows, k, num_rows, name, weights) for k, name in enumerate(regime_names)]
    return [*found, _twins(twin_overlap(rows), weights, regime_names)]


def _worth(rows: GateRows, k: int, num_rows: int, regime: str, weights: FloatArray) -> Finding:
    # All rows speak, those that were not read as those that were.
    scale = num_rows / rows.gate.shape[1]
    draws = scale * rows.total_worth[..., k]
    threshold = dead_threshold(num_rows)
    # The median: half of the restarts, by weight, without the regime, and it cannot be read.
    restart = draws.mean(axis=1)
    value = float(weighted_quantiles(restart, 0.5, weights)[0])
    by_row = weights @ rows.worth[..., k]
    error = scale * math.sqrt(by_row.size) * float(by_row.std())
    low, high = quantiles_over_draws(draws, [0.05, 0.95], weights)
    worth, spread = with_error(value, error)
    few = float(weights[restart < threshold].sum())
    return judge(
        f"regime_worth[{regime}]",
        value,
        ">=",
        threshold,
        meaning=f"The regime '{regime}' adds {worth} nats to the log density of the training "
        f"rows (standard error over rows {spread}); restarts with {few:.0%} of the weight "
        f"add less than {threshold:.1f}.",
        advice=f"The regime '{regime}' is dead or nearly so: its expert explains next to nothing "
        "that the others do not. Fit again with {more restarts (`num_restarts=128`), each with "
        "a start of its own|`plan=('default', 'balanced')`}. Compare held-out log densities with "
        "those of a model without it.",
        interval=(float(low), float(high)),
    )


def _twins(overlaps: FloatArray, weights: FloatArray, regime_names: tuple[str, ...]) -> Finding:
    pairs = list(combinations(regime_names, 2))
    restart = overlaps.mean(axis=1)
    # The pair may be another one in each restart.
    value = float(weights @ restart.max(axis=1))
    first, second = pairs[int((weights @ restart).argmax())]
    low, high = quantiles_over_draws(overlaps.max(axis=2), [0.05, 0.95], weights)
    return judge(
        "twin_experts",
        value,
        "<=",
        _ONE_PEAK,
        meaning=f"Where the gate is undecided, the densities of the two experts most alike, "
        f"'{first}' and '{second}', overlap by {value:.0%}, on average over restarts.",
        advice="Two experts predict the same, so which of them a row belongs to says nothing. Fit "
        "with {more restarts (`num_restarts=128`)|`plan=('default', 'balanced')`}. If twins "
        "stay, leave one of the two out, or make them differ by kind, width or noise.",
        interval=(float(low), float(high)),
    )
