"""Which restarts regimes are read from.

Predictions gain from averaging over readings of the data; a regime probability does not: where one
restart has two branches trade places half of the way along x, the average says 50% where every
restart is certain.  Which reading is the better one its ELBO says only roughly, because features
are a point in it and the guide is not the posterior; the rows say it too, once restarts have been
refined: by how well each explains the rows it leaves out.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayes_hybrid.inference.choice import by_evidence
from bayes_hybrid.inference.posterior import Posterior

__all__ = ["leave_one_out", "regime_reading"]

FloatArray = NDArray[np.float64]

# Fifty draws and as many rows as there are leave some nats of a difference to chance: at 1
# boundaries are too sure, and at 4 readings that trade the regimes' parts are averaged again.
_TEMPERATURE: Final = 2.0
# Rows beyond these would only make sure of what they say already.
_MAX_ROWS: Final = 4_096


def leave_one_out(log_likelihood: FloatArray) -> FloatArray:
    """``log p(y_n | x_n, all other rows)`` of each restart, by importance sampling, ``[R, N]``.

    Draw s has the weight ``1 / p(y_n | x_n, theta_s)``, at most sqrt(S) times the mean one.

    Args:
        log_likelihood: of each draw and row, ``[R, S, N]``.

    Source: Ionides (2008), Truncated importance sampling, Journal of Computational and Graphical
    Statistics 17.

    Example:
        >>> leave_one_out(np.log([[[0.5], [0.5]]])).round(3)
        array([[-0.693]])
    """
    num_draws = log_likelihood.shape[1]
    with np.errstate(invalid="ignore"):  # of a row that no draw explains the answer is NaN
        log_weights = -log_likelihood - logsumexp(-log_likelihood, axis=1, keepdims=True)
        log_weights = np.minimum(log_weights, -0.5 * np.log(num_draws))
        joint = logsumexp(log_weights + log_likelihood, axis=1)
        return np.asarray(joint - logsumexp(log_weights, axis=1))


def regime_reading(
    posterior: Posterior,
    x: FloatArray,
    y: FloatArray,
    labels: FloatArray | None,
) -> NDArray[np.int64]:
    """R numbers of restarts in order, each as often as its weight demands.

    With the densities of :func:`leave_one_out` summed over the rows::

        w_r ~ exp(sum_n log p_r(y_n | x_n, all other rows) / 2)

    beside the weights that restarts have in the posterior, where each occurs as often as these
    demand.  Without the half they would be those of pseudo-BMA.

    Args:
        posterior: of R restarts.
        x: training features ``[N, D]``.
        y: training targets.
        labels: numbers of the rows' regime labels, or ``None``.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Using stacking to average Bayesian predictive
    distributions, Bayesian Analysis 13, section 2.
    """
    stride = -(-len(x) // _MAX_ROWS)
    given = None if labels is None else labels[::stride]
    elpd = leave_one_out(posterior.log_likelihood(x[::stride], y[::stride], given))
    score = torch.as_tensor(len(x) * elpd.mean(axis=1) / _TEMPERATURE)
    finite = torch.isfinite(score)
    if not bool(finite.any()):
        return np.arange(len(score))
    chosen = by_evidence(score, finite, len(score))
    return np.asarray(chosen.sort().values.numpy(), dtype=np.int64)
