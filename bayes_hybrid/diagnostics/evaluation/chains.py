"""ArviZ's statistics of plain arrays of draws, with types."""

from typing import Any, Final, cast

import numpy as np
from arviz_stats import base

from bayes_hybrid.arrays import FloatArray

__all__ = ["BAD_K", "ess_bulk", "psis_k", "psis_weights", "r_hat"]

BAD_K: Final = 0.7
"""Vehtari, Simpson, Gelman, Yao and Gabry (2024), section 3: above it the estimate of a row's
density cannot be trusted, however many draws there are."""

# ArviZ annotates nothing here.
_STATS = cast(Any, base).array_stats


def r_hat(draws: FloatArray) -> FloatArray:
    """Rank-normalised split r-hat of ``[R, S, ...]`` over restarts and draws, ``[...]``.

    Infinite where a quantity moves within no chain but differs between chains.

    Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16, 667-718.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_STATS.rhat(draws, chain_axis=0, draw_axis=1), dtype=np.float64)


def ess_bulk(draws: FloatArray) -> FloatArray:
    """Bulk effective sample size of ``[R, S, ...]`` over restarts and draws, ``[...]``.

    Source: as :func:`r_hat`.
    """
    with np.errstate(all="ignore"):
        ess = _STATS.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
    return np.asarray(ess, dtype=np.float64)


def psis_weights(log_likelihood: FloatArray) -> tuple[FloatArray, float]:
    """Pareto-smoothed weights ``[S]`` with sum one of the draws with row n left out, and k.

    Where there is no tail to smooth, the weights are the ratios ``1 / p(y_n | theta_s)`` as they
    are and k is ``-inf``.

    Args:
        log_likelihood: of row n, ``[S]``; at least 25 draws, all finite.  For a proposal's draws,
            minus the log ratios of target over proposal.

    Source: as :func:`psis_k`.

    Example:
        >>> weights, k = psis_weights(np.zeros(40))
        >>> float(weights[0]), k
        (0.025, -inf)
    """
    k = -np.inf
    log_weights = -log_likelihood
    # Ratios within a millionth of each other are equal at float32, in which draws may be made.
    if np.ptp(log_likelihood) > 1e-6:
        try:
            with np.errstate(all="ignore"):
                # ArviZ negates what it is given.
                smoothed, k = _STATS.psislw(log_likelihood)
            if np.isfinite(smoothed).all():
                log_weights = smoothed
        except ValueError:  # what ArviZ raises where the largest fifth of the ratios are all equal
            pass
    with np.errstate(under="ignore"):  # a weight of zero, whatever the caller lets NumPy raise
        weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum(), float(k)


def psis_k(log_likelihood: FloatArray) -> float:
    """Pareto k of the ratios ``1 / p(y_n | theta_s)`` that leave row n out, from its ``[S]`` logs.

    ``-inf`` where the largest ratios are all equal, so that there is no tail, and NaN where other
    ties keep the tail from being fitted.

    Args:
        log_likelihood: at least 25 draws.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning Research
    25 (72).
    """
    return psis_weights(log_likelihood)[1]
