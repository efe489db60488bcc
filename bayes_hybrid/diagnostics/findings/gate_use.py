"""Does the gate follow the rows, or is it stuck?"""

import math
from typing import Final

import numpy as np
from scipy import stats

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.evaluation.gate_rows import CERTAIN, GateRows

__all__ = ["gate_misfit", "gate_use_findings", "saturation"]

_BINS: Final = 10
_ROWS_PER_BIN: Final = 10
"""The least of which a mean is Normal enough for the distribution of chance below."""

_CHANCE: Final = 1e-3
"""How often chance alone may show as a misfit, over all features and regimes."""

_MISFIT: Final = 0.1
"""The gate is a tenth off what the rows themselves say: one row in ten has another regime than it
expects, as in ``regime_disagreement``."""


def saturation(rows: GateRows) -> FloatArray:
    """``max_k mean_n [min_s pi_sk(x_n) > 1 - 1e-3]`` in each restart, ``[R]``.

    The share of rows that the gate is certain, in every draw, to belong to one and the same regime.
    A gate that is certain of one regime here and of another there is not stuck.
    """
    return np.asarray((rows.least > 1.0 - CERTAIN).mean(axis=1).max(axis=-1))


def gate_misfit(gate: FloatArray, responsibilities: FloatArray, x: FloatArray) -> FloatArray:
    """How far ``p(z | x)`` is off the regimes that the rows have, along the features, ``[R]``.

    If the gate is right, ``r_nk - pi_k(x_n)`` has mean zero at every x.  Rows are cut into ten bins
    of equal size along a feature, and over its bins B::

        misfit^2 = mean_B (mean_(n in B) (r_nk - pi_k))^2
                 - c mean_B mean_(n in B) pi_k (1 - pi_k) / |B|

    The last term is what chance makes of it: ``c`` is a quantile of ``chi2 / df``, with a degree of
    freedom for each bin, such that all D K of them stay below it for 999 in 1,000 gates that are
    right.  The largest counts; 0 where none is more than chance, NaN with fewer than twenty rows.

    Args:
        gate: ``[R, M, K]``.
        responsibilities: ``[R, M, K]``.
        x: ``[M, D]``.

    Example:
        >>> x = np.arange(100.0)[:, None]
        >>> right = np.stack([x < 50, x >= 50], axis=-1)[None, :, 0] * 1.0
        >>> gate_misfit(np.full((1, 100, 2), 0.5), right, x).round(3)
        array([0.414])
    """
    count = min(_BINS, len(x) // _ROWS_PER_BIN)
    if count < 2:
        return np.full(len(gate), math.nan)
    several = x.shape[1] * gate.shape[-1]
    quantile = float(stats.chi2.isf(_CHANCE / several, count)) / count
    residual, chance = responsibilities - gate, quantile * gate * (1.0 - gate)
    worst = np.zeros(len(gate))
    for column in x.T:
        bins = np.array_split(np.argsort(column, kind="stable"), count)
        off = np.stack([residual[:, part].mean(axis=1) for part in bins])
        noise = np.stack([chance[:, part].mean(axis=1) / len(part) for part in bins])
        square = (off**2 - noise).mean(axis=0).max(axis=-1)
        worst = np.maximum(worst, np.sqrt(np.maximum(square, 0.0)))
    return worst


def gate_use_findings(
    rows: GateRows,
    responsibilities: FloatArray,
    x: FloatArray,
    unused: float,
    weights: FloatArray,
) -> list[Finding]:
    """``gate_saturation``, and ``gate_misfit`` where there are rows enough.

    Args:
        rows: what the gate says of the rows that were read.
        responsibilities: ``[R, M, K]``.
        x: their features, ``[M, D]``.
        unused: usage below which a regime is used by nobody.
        weights: of each restart ``[R]``.
    """
    found = [_saturated(float(weights @ saturation(rows)), unused)]
    misfit = gate_misfit(rows.gate, responsibilities, x)
    if not np.isnan(misfit).any():
        found.append(_misfit(float(weights @ misfit)))
    return found


def _saturated(value: float, unused: float) -> Finding:
    return judge(
        "gate_saturation",
        value,
        "<=",
        1.0 - unused,
        meaning=f"In every draw the gate gives {value:.1%} of the rows to one and the same regime, "
        "at odds above a thousand to one.",
        advice="The gate is shut: whatever the features, it knows one regime only, and no row can "
        "open it again. Fit again with {`plan=('default', 'balanced', 'gaussian_first')`, some "
        "of which keep the gate even at first|another seed}.",
    )


def _misfit(value: float) -> Finding:
    return judge(
        "gate_misfit",
        value,
        "<=",
        _MISFIT,
        meaning=f"Along a feature, p(z | x) is off the regimes that the rows turn out to have by "
        f"{value:.2f}, beyond chance.",
        advice="The gate does not follow its features: read p(z | x, y), not p(z | x). {A gate "
        "that bends (`gate='relu'`)|one that jumps (`gate='threshold'`)|one that is trained when "
        "the experts already differ (`plan='gaussian_first'`)} may follow them.",
    )
