"""Which restarts regimes are read from.

Predictions gain from averaging over readings of the data; a regime probability does not: where one
restart has two branches trade places half of the way along x, the average says 50% where every
restart is certain.  Which reading is the better one its ELBO says only roughly, because features
are a point in it and the guide is not the posterior.  The draws say it too: by how well those of
each restart predict rows that they have not seen.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayes_hybrid.inference.choice import by_evidence
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.rows import CHUNK

__all__ = ["regime_reading", "truncated_loo"]

FloatArray = NDArray[np.float64]

# A judgement: fifty draws and the rows themselves leave some nats of a difference to chance.  At 4
# readings that trade the regimes' parts were averaged again, on data of other seeds than those of
# benchmarks/regimes.py.
_TEMPERATURE: Final = 2.0
# Of few restarts a small share would be rounded to none.
_FEWEST_PLACES: Final = 16


def truncated_loo(log_likelihood: FloatArray) -> FloatArray:
    """``log p(y_n | x_n, all other rows)`` of each restart, by importance sampling, ``[R, N]``.

    Draw s has the weight ``1 / p(y_n | x_n, theta_s)``, at most sqrt(S) times the mean one.  NaN
    where a draw gives the row no density.

    Args:
        log_likelihood: of each draw and row, ``[R, S, N]``.

    Source: Ionides (2008), Truncated importance sampling, Journal of Computational and Graphical
    Statistics 17.

    Example:
        >>> truncated_loo(np.log([[[0.5], [0.5]]])).round(3)
        array([[-0.693]])
    """
    num_draws = log_likelihood.shape[1]
    with np.errstate(invalid="ignore"):  # infinity less infinity
        log_weights = -log_likelihood - logsumexp(-log_likelihood, axis=1, keepdims=True)
        log_weights = np.minimum(log_weights, -0.5 * np.log(num_draws))
        joint = logsumexp(log_weights + log_likelihood, axis=1)
        return np.asarray(joint - logsumexp(log_weights, axis=1))


def regime_reading(
    posterior: Posterior, x: FloatArray, y: FloatArray, labels: FloatArray | None
) -> NDArray[np.int64]:
    """Numbers of restarts in order, each as often as its weight demands, 16 or R of them.

    With the leave-one-out densities of :func:`truncated_loo`::

        elpd_r = sum_n log p_r(y_n | x_n, all other rows),   w_r ~ exp(elpd_r / 2)

    beside the weights that restarts have in the posterior, where each occurs as often as these
    demand.  Without the half they would be those of pseudo-BMA.  A restart that gives a row no
    density has none.

    Args:
        posterior: of R restarts.
        x: training features ``[N, D]``.
        y: training targets.
        labels: numbers of the rows' regime labels, or ``None``.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Using stacking to average Bayesian predictive
    distributions, Bayesian Analysis 13, section 2.
    """
    elpd = np.zeros(posterior.num_restarts)
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        given = None if labels is None else labels[rows]
        elpd += truncated_loo(posterior.log_likelihood(x[rows], y[rows], given)).sum(axis=1)
    score = torch.as_tensor(elpd / _TEMPERATURE)
    finite = torch.isfinite(score)
    if not bool(finite.any()):
        return np.arange(len(score))
    places = by_evidence(score, finite, max(len(score), _FEWEST_PLACES))
    return np.asarray(places.sort().values.numpy(), dtype=np.int64)
