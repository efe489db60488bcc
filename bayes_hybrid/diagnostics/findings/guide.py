"""How far SVI's guide is from the posterior, and what its draws give when they are reweighted."""

import math
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS, good_k
from bayes_hybrid.diagnostics.evaluation.chains import psis_weights
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    held_out,
    mean_draws,
    row_chunks,
    spread_rows,
)
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.result import Fit

__all__ = ["correction_report", "guide_report", "importance_weights"]

_MAX_ROWS: Final = 1_000
"""As in ``diagnose``."""


@np.errstate(under="ignore")  # what vanishes is zero, whatever the caller lets NumPy raise
def guide_report(fit: Fit) -> pd.DataFrame:
    """How far the guide of each restart is from the posterior, by ratios at M fresh draws of it.

    With ``r_m = log p(y, theta_m | x) - log q(theta_m)``, whose mean is the ELBO::

        iw_elbo = log mean_m exp(r_m),   between the ELBO and log p(y | x) in expectation
        ess     = (sum_m w_m)^2 / sum_m w_m^2,   w_m = exp(r_m)

    Features count in full here, whatever their weight ``fit.training.kl_weight`` was, so that
    ``elbo`` is below ``fit.restarts.elbo`` where it was below 1.  Where it is 0 the features are a
    point, both densities are those of the other parameters given them, and the report says nothing
    about the features.

    Args:
        fit: the finished fit, of which HMC may have made a better posterior since.

    Returns:
        A row for each restart: ``restart``; ``elbo``, the mean of the ratios, and ``elbo_se``, its
        standard error; ``iw_elbo``; ``gap``, ``iw_elbo - elbo``, at most the guide's KL divergence
        from the posterior on average; ``log_ratio_sd``; ``pareto_k``; ``ess``; ``num_draws``.  All
        in nats, and NaN where the guide has no density.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Yes, but did it work?; Burda, Grosse and
    Salakhutdinov (2016), Importance weighted autoencoders, equation 8.
    """
    lines = [_judged(ratios) for ratios in fit.restarts.log_ratios]
    return pd.DataFrame({"restart": fit.restarts.sources, **pd.DataFrame(lines)})


def importance_weights(log_ratios: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights of draws, restart by restart, where their ratios can be trusted.

    Every restart keeps its share ``1 / R`` of the posterior: where features are a point, the
    restarts' densities are of different features, and do not compare.

    Args:
        log_ratios: ``[R, S]``.

    Returns:
        Weights ``[R, S]`` that sum to one, and Pareto k of each restart, ``[R]``.  A restart whose
        k is above ``min(1 - 1 / log10(S), 0.7)``, is NaN, or is of fewer than 25 draws, keeps
        equal weights.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning Research
    25 (72).

    Example:
        >>> weights, shapes = importance_weights(np.full((2, 30), -3.0))
        >>> float(weights.sum()), bool((weights == weights[0, 0]).all())
        (1.0, True)
    """
    num_restarts, num_draws = log_ratios.shape
    weights = np.full(log_ratios.shape, 1.0 / num_draws)
    shapes = np.full(num_restarts, np.nan)
    for restart, ratios in enumerate(log_ratios):
        if num_draws < MIN_PARETO_DRAWS or not np.isfinite(ratios).all():
            continue
        smoothed, shapes[restart] = psis_weights(-ratios)
        if shapes[restart] <= good_k(num_draws):
            weights[restart] = smoothed
    return weights / num_restarts, shapes


def correction_report(
    fit: Fit, *, x_test: FloatArray | None = None, y_test: FloatArray | None = None
) -> pd.DataFrame:
    """What SVI says, what it says when its draws are reweighted, and the reported posterior.

    Args:
        fit: the finished fit, of one output.
        x_test: rows ``[M, D]`` to compare at; by default up to 1,000 training rows.
        y_test: their targets ``[M]``.

    Returns:
        A row each for ``svi``, ``svi, reweighted`` (:func:`importance_weights`) and, after a
        refinement, the method of the fit.  ``log_density`` is the mean over rows in nats,
        ``mean_difference`` the root mean square difference of the predicted means from those of the
        last row, in predictive standard deviations, NaN where one is infinite, and
        ``num_reweighted`` the restarts whose ratios could be trusted.

    Raises:
        DataError: several outputs; rows that do not fit; a fit without the ratios.
    """
    if fit.y.ndim > 1:
        raise DataError(f"the fit has {fit.y.shape[1]} outputs; expected one")
    if not fit.variational_log_ratios.size:
        raise DataError(
            "the fit has no importance ratios of its draws; expected one that HybridRegressor made"
        )
    test = held_out(x_test, y_test, fit.x.shape[1])
    rows = spread_rows(len(fit.x), _MAX_ROWS)
    x, y = fit.x[rows], fit.y[rows]
    if test is not None:
        if test[1] is None:
            raise DataError("x_test came without y_test; give both, or neither")
        x, y = test[0], test[1]
    weights, shapes = importance_weights(fit.variational_log_ratios)
    count = int((shapes <= good_k(weights.shape[1])).sum())
    equal = np.full_like(weights, 1.0 / weights.size)
    answers = {
        "svi": (fit.variational, equal, 0),
        "svi, reweighted": (fit.variational, weights, count),
    }
    if fit.restarts.sampler:
        count = fit.posterior.num_draws
        shares = np.tile(fit.posterior.restart_weights[:, None] / count, (1, count))
        answers[fit.training.method] = (fit.posterior, shares, 0)
    said = {name: _answer(who, shares, x, y) for name, (who, shares, _) in answers.items()}
    variance = fit.posterior.predictive.variance(x)
    # Beside an infinite variance every difference looks small.
    last, sd = [*said.values()][-1][0], np.sqrt(np.where(np.isinf(variance), np.nan, variance))
    return pd.DataFrame(
        {
            "posterior": [*answers],
            "log_density": [float(density.mean()) for _, density in said.values()],
            "mean_difference": [
                float(np.sqrt(np.mean(((mean - last) / sd) ** 2))) for mean, _ in said.values()
            ],
            "num_reweighted": [number for *_, number in answers.values()],
        }
    )


def _answer(
    posterior: Posterior, weights: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Predictive mean and log density of each row, ``[N]``, from weighted draws."""
    mean, density = np.empty(len(x)), np.empty(len(x))
    for part in row_chunks(len(x), weights.size * posterior.num_regimes):
        mean[part] = np.einsum("rs,rsn->n", weights, mean_draws(posterior, x[part]))
        terms = posterior.by_draw.log_likelihood(x[part], y[part])
        shares = np.broadcast_to(weights[..., None], terms.shape)
        density[part] = logsumexp(terms, axis=(0, 1), b=shares)
    return mean, density


def _judged(ratios: FloatArray) -> dict[str, float]:
    """One line of :func:`guide_report`."""
    names = ("elbo", "elbo_se", "iw_elbo", "gap", "log_ratio_sd", "pareto_k", "ess")
    if not ratios.size or not np.isfinite(ratios).all():
        return dict.fromkeys(names, math.nan) | {"num_draws": ratios.size}
    elbo, spread = float(ratios.mean()), float(ratios.std(ddof=1))
    bound = float(logsumexp(ratios) - math.log(ratios.size))
    shares = np.exp(ratios - ratios.max())
    shape = psis_weights(-ratios)[1] if ratios.size >= MIN_PARETO_DRAWS else math.nan
    ess = float(shares.sum() ** 2 / (shares**2).sum())
    error = spread / math.sqrt(ratios.size)
    values = (elbo, error, bound, bound - elbo, spread, shape, ess)
    return dict(zip(names, values, strict=True)) | {"num_draws": ratios.size}
