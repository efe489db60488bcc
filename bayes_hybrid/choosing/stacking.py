"""How much of each model the best mixture of them takes."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray

__all__ = ["stacking_weights"]

_MOST_STEPS: Final = 10_000
# Of a step's largest change: a hundredth of the digits that are shown.
_SETTLED: Final = 1e-6


def stacking_weights(pointwise: Mapping[str, FloatArray]) -> dict[str, float]:
    """``w = argmax sum_n log sum_k w_k p_k(y_n)``, not negative, adding up to one.

    The problem is that of the shares of a mixture whose components are known, so EM climbs to its
    only maximum: ``w_k <- mean_n w_k p_nk / sum_j w_j p_nj``.

    Args:
        pointwise: held-out log density of each row by each model, in nats, ``[N]``.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Bayesian Analysis 13, 917-1007, equation 4.

    Example:
        >>> good, bad = np.log([0.9, 0.8, 0.9]), np.log([0.1, 0.2, 0.1])
        >>> round(stacking_weights({"good": good, "bad": bad})["good"], 3)
        1.0
    """
    logs = np.stack([*pointwise.values()], axis=1)
    density = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights = np.full(len(pointwise), 1.0 / len(pointwise))
    for _ in range(_MOST_STEPS):
        shares = weights * density
        new = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        moved, weights = float(np.abs(new - weights).max()), new
        if moved < _SETTLED:
            break
    return dict(zip(pointwise, weights.tolist(), strict=True))
