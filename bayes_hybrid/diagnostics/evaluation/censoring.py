"""Values of censored rows, for diagnostics that compare values."""

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import draw_weights

__all__ = ["censored_rows", "completed", "only_values"]


def censored_rows(posterior: Posterior, x: FloatArray) -> NDArray[np.bool_]:
    """Which rows of ``x [N, D]`` are censored, ``[N]``."""
    column = posterior.model.likelihoods.censored_column
    return np.zeros(len(x), dtype=bool) if column is None else x[:, column] != 0.0


def only_values(posterior: Posterior, x: FloatArray, y: FloatArray) -> FloatArray:
    """Targets with NaN in the place of those that are bounds."""
    censored = censored_rows(posterior, x)
    return np.where(censored, np.nan, y) if censored.any() else y


def completed(posterior: Posterior, x: FloatArray, y: FloatArray, seed: int) -> FloatArray:
    """Targets ``[N]`` with a predictive draw beyond its bound in the place of a censored one.

    Where the model is right, these are draws of the values, so that residuals and replicated data
    may be compared with them.  A bound that no draw lies beyond stays.

    Args:
        posterior: that of the fit.
        x: features ``[N, D]``.
        y: targets.
        seed: of the draws.

    Source: Gelman et al. (2005), Multiple imputation for model checking, Biometrics 61.
    """
    censored = np.flatnonzero(censored_rows(posterior, x))
    if not censored.size:
        return y
    column, found = posterior.model.likelihoods.censored_column, y.copy()
    draws = posterior.by_draw.sample(x[censored], seed)
    draws = draws.reshape(-1, len(censored))
    weights = draw_weights(posterior.restart_weights, posterior.num_draws)
    rng = np.random.default_rng(seed)
    for n, row in enumerate(censored):
        beyond = np.flatnonzero((draws[:, n] - y[row]) * x[row, column] > 0.0)
        if beyond.size:
            shares = weights[beyond] / weights[beyond].sum()
            found[row] = draws[rng.choice(beyond, p=shares), n]
    return found
