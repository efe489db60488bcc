"""What gate and experts say of the rows, chunk by chunk, summed so that memory stays that of a row.

Everything is computed within one posterior draw, and so does not mix modes or restarts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import entr

from bayes_hybrid.arrays import FloatArray

__all__ = ["CERTAIN", "GateRows", "gate_rows", "join", "overlap", "row_worth"]

CERTAIN: Final = 1e-3
"""Odds of a thousand to one: a probability nearer than this to 0 or 1 is as good as certain."""

_MOST: Final = -math.log(CERTAIN)
"""One row counts for 6.9 nats at most.  A single outlier may be hundreds of nats more probable
under an expert that has nothing else to do, but it is one row."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GateRows:
    """Of M rows, R restarts of S draws, K regimes and their ``P = K (K - 1) / 2`` pairs.

    ================  ==============  ============================================================
    field             shape           meaning
    ================  ==============  ============================================================
    ``gate``          ``[R, M, K]``   mean over draws of ``pi_k(x_n)``
    ``least``         ``[R, M, K]``   its smallest draw
    ``worth``         ``[R, M, K]``   mean over draws of :func:`row_worth`
    ``total_worth``   ``[R, S, K]``   its sum over rows
    ``undecided``     ``[R, S, P]``   sum over rows of ``4 pi_a pi_b``
    ``shared``        ``[R, S, P]``   sum over rows of ``4 pi_a pi_b`` times :func:`overlap`
    ``spread``        ``[R, S, K]``   sum of ``pi_k ((mu_k - ybar)^2 + sigma_k^2) / var(y)``
    ``entropy``       ``[R, S]``      sum over rows of the entropy of the responsibilities
    ================  ==============  ============================================================
    """

    gate: FloatArray
    least: FloatArray
    worth: FloatArray
    total_worth: FloatArray
    undecided: FloatArray
    shared: FloatArray
    spread: FloatArray
    entropy: FloatArray


_BY_ROW: Final = ("gate", "least", "worth")


def row_worth(gate: FloatArray, responsibilities: FloatArray) -> FloatArray:
    """``log p(y | x) - log p_(-k)(y | x)``, what regime k adds to a row's log density, in nats.

    ``p_(-k)`` is the mixture without regime k, its gate renormalised.  By Bayes' rule this needs no
    density::

        log p - log p_(-k) = log(1 - pi_k) - log(1 - r_k)

    It is cut at 6.9 nats either way, odds of a thousand to one.

    Args:
        gate: ``pi_k(x)``, ``[..., K]``.
        responsibilities: ``r_k = p(z = k | x, y)``, ``[..., K]``.

    Example:
        >>> row_worth(np.array([0.5, 0.5]), np.array([0.5, 0.5])).tolist()
        [0.0, 0.0]
    """
    # Where a gate is shut to the last bit, the others are not known, and the row counts in full.
    tiny = np.finfo(np.float64).tiny
    before = np.where(_others(gate) > 0.0, _others(gate), 1.0)
    after = np.maximum(_others(responsibilities), tiny)
    return np.asarray(np.clip(np.log(before) - np.log(after), -_MOST, _MOST))


def overlap(mean: FloatArray, scale: FloatArray, first: int, second: int) -> FloatArray:
    """Bhattacharyya coefficient of two experts' predictive densities: 1 equal, 0 apart, ``[...]``.

    ::

        BC = sqrt(2 s_a s_b / (s_a^2 + s_b^2)) exp(-(m_a - m_b)^2 / (4 (s_a^2 + s_b^2)))

    is that of two Normals with the experts' means and standard deviations.  NaN where a standard
    deviation is infinite, as that of heavy tails.

    Args:
        mean: ``[..., K]``.
        scale: standard deviations ``[..., K]``.
        first: one expert.
        second: the other.

    Source: Bhattacharyya (1943), Bulletin of the Calcutta Mathematical Society 35, 99-109.

    Example:
        >>> overlap(np.array([0.0, 4.0]), np.array([1.0, 1.0]), 0, 1).round(3)
        np.float64(0.135)
    """
    with np.errstate(invalid="ignore", over="ignore"):
        both = scale[..., first] ** 2 + scale[..., second] ** 2
        ratio = 2.0 * scale[..., first] * scale[..., second] / both
        gap = (mean[..., first] - mean[..., second]) ** 2 / (4.0 * both)
        return np.asarray(np.sqrt(ratio) * np.exp(-gap))


def gate_rows(
    gate: FloatArray,
    responsibilities: FloatArray,
    mean: FloatArray,
    scale: FloatArray,
    center: FloatArray,
    spread: FloatArray,
) -> GateRows:
    """Read one chunk of rows.

    Args:
        gate: ``[R, S, M, K]``.
        responsibilities: ``[R, S, M, K]``.
        mean: of the experts, ``[R, S, M, K]``, or ``[R, S, M, Q, K]``.
        scale: standard deviations of the experts, the same shape.
        center: mean of the targets, ``[]`` or ``[Q]``.
        spread: their standard deviation, the same shape.
    """
    several = mean.ndim > gate.ndim
    pairs = list(combinations(range(gate.shape[-1]), 2))
    undecided, shared = np.empty((2, *gate.shape[:2], len(pairs)))
    for p, (a, b) in enumerate(pairs):
        same = overlap(mean, scale, a, b)
        # Outputs are independent given the regime, so their densities' overlaps multiply.
        same = same.prod(axis=-1) if several else same
        weight = np.where(np.isnan(same), 0.0, 4.0 * gate[..., a] * gate[..., b])
        undecided[..., p] = weight.sum(axis=-1)
        shared[..., p] = (weight * np.nan_to_num(same)).sum(axis=-1)
    if several:
        center, spread = center[:, None], spread[:, None]
    square = ((mean - center) ** 2 + scale**2) / spread**2
    square = square.mean(axis=-2) if several else square
    worth = row_worth(gate, responsibilities)
    return GateRows(
        gate=gate.mean(axis=1),
        least=gate.min(axis=1),
        worth=worth.mean(axis=1),
        total_worth=worth.sum(axis=2),
        undecided=undecided,
        shared=shared,
        spread=(gate * square).sum(axis=2),
        entropy=entr(responsibilities).sum(axis=(2, 3)),
    )


def join(parts: Sequence[GateRows]) -> GateRows:
    """What was read of all chunks together."""
    fields = {}
    for name in GateRows.__dataclass_fields__:
        values = [getattr(part, name) for part in parts]
        fields[name] = np.concatenate(values, axis=1) if name in _BY_ROW else np.sum(values, axis=0)
    return GateRows(**fields)


def _others(probabilities: FloatArray) -> FloatArray:
    """``sum_(j != k) p_j``; not ``1 - p_k``, which has no digits left where it is small."""
    columns = range(probabilities.shape[-1])
    sums = [np.delete(probabilities, k, axis=-1).sum(axis=-1) for k in columns]
    return np.stack(sums, axis=-1)
