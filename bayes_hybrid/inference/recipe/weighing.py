"""What each restart counts: by leave-one-out density, at a temperature that held-out rows choose.

Where no sampler has run the ELBO stands for that density.

A restart is a mode and the draws about it.  Its share of the posterior is its share of the
evidence, which nothing here measures well: ELBOs of modes that predict alike differ by tens of
nats.  Leave-one-out densities tell good modes from bad ones where rows are many for each parameter,
and flatter those that follow single rows, because the mode was found on the same rows and its draws
do not leave it.  So the effective number of parameters is taken off once more, and scores count as
far as they have shown to: on folds of the rows that neither a restart's start nor its warm-up had
seen.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.svi import exact_elbo
from bayes_hybrid.inference.recipe.context import Context, State, Weighed

__all__ = [
    "TEMPERATURES",
    "choose_temperature",
    "restart_weights",
    "scores",
    "truncated_loo",
    "weighing",
]


TEMPERATURES: Final = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0, math.inf)
"""What :func:`choose_temperature` chooses from, in nats; infinity gives equal weights."""

# Right to a hundredth of a nat wherever rows are many for each parameter; a few held-out rows
# choose another only where that is better beyond chance, or each seed would have one of its own.
_USUAL: Final = 6.0
_BEYOND_CHANCE: Final = 3.0
# Restarts whose weights add up to no more than this are left out: they predict nothing.
_NEGLIGIBLE: Final = 0.005


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


def scores(log_likelihood: FloatArray, elpd: FloatArray) -> FloatArray:
    """``elpd - p`` of each restart and row, ``[R, N]``, p being its effective number of parameters.

    With the density ``lpd`` of the row by all draws, ``p = lpd - elpd``.  A mode that was found on
    the rows it is scored on is flattered by about as much again as its draws are.

    Args:
        log_likelihood: of each draw and row, ``[R, S, N]``.
        elpd: its :func:`truncated_loo` ``[R, N]``.

    Source: p is that of Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, section 2.
    To take it off twice is our own: with it, :mod:`benchmarks.stability` varies by half as much.
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        lpd = logsumexp(log_likelihood, axis=1) - math.log(log_likelihood.shape[1])
        return np.asarray(2.0 * elpd - lpd)


def choose_temperature(
    density: FloatArray, score: FloatArray, left_out: NDArray[np.bool_]
) -> float:
    """The temperature at which restarts weighed by their training rows predict the others best.

    Six nats, unless another is better by three standard errors of the difference.

    With the restarts c of a fold f, ``w_c ~ exp(score_c / T)`` among them::

        sum_f sum_{n in f} log sum_c w_c p_c(y_n | x_n)

    Args:
        density: ``log p_c(y_n | x_n)`` of each restart and row ``[C, N]``.
        score: of each restart's training rows, for as many rows as there are, ``[C]``.
        left_out: which rows each restart has not seen, ``[C, N]``.

    Example:
        >>> left_out = np.ones((2, 9), dtype=bool)
        >>> density = np.repeat([[-1.0], [-2.0]], 9, axis=1)
        >>> choose_temperature(density, np.array([-9.0, 0.0]), left_out)
        inf
    """
    usable = np.isfinite(score) & np.isfinite(np.where(left_out, density, 0.0)).all(axis=1)
    left_out = left_out & usable[:, None]
    rows = left_out.sum(axis=0) > 1
    if not rows.any():
        return _USUAL
    density = np.where(left_out, density, -np.inf)[:, rows]
    each = np.where(left_out, score[:, None], -np.inf)[:, rows]
    each = each - each.max(axis=0)
    pooled = np.array(
        [logsumexp(log_softmax(_over(each, t), axis=0) + density, axis=0) for t in TEMPERATURES]
    )
    gains = pooled - pooled[TEMPERATURES.index(_USUAL)]
    errors = gains.std(axis=1) * math.sqrt(pooled.shape[1])
    better = np.where(gains.sum(axis=1) > _BEYOND_CHANCE * errors, gains.sum(axis=1), 0.0)
    return TEMPERATURES[int(better.argmax())] if better.any() else _USUAL


def _over(score: FloatArray, temperature: float) -> FloatArray:
    """Scores over a temperature; nothing stays nothing, at an infinite one too."""
    finite = np.isfinite(score)
    return np.where(finite, np.where(finite, score, 0.0) / temperature, score)


def restart_weights(score: FloatArray, temperature: float) -> FloatArray:
    """``w_c ~ exp(score_c / T)``, ``[C]``; none for a restart whose score is not finite.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Using stacking to average Bayesian predictive
    distributions, Bayesian Analysis 13, section 2, where T is one.

    Example:
        >>> restart_weights(np.array([0.0, -8.0, np.nan]), 8.0).round(3)
        array([0.731, 0.269, 0.   ])
    """
    finite = np.isfinite(score)
    if not finite.any():
        return np.full(len(score), 1.0 / len(score))
    below = np.where(finite, score, 0.0) - score[finite].max()
    weights = np.where(finite, np.exp(np.minimum(below, 0.0) / temperature), 0.0)
    return np.asarray(weights / weights.sum())


def weighing(state: State, context: Context) -> State:
    """Weigh the restarts; those that count for next to nothing are left out."""
    rows, approximation = context.rows, state.approximated
    densities = _row_densities(rows, state.draws)
    loo = truncated_loo(densities)
    # Rows that a start or a warm-up has not seen; SVI has seen all of them.
    states = state.theta.unsqueeze(1)
    if state.chains is not None and state.chains.before is not None:
        states = state.chains.before
    temperature = _temperature(rows, states, state.folds)
    if state.chains is None:
        generator = context.generator("elbo")
        exact = exact_elbo(rows, approximation.guide, generator, context.progress)
        score = exact.cpu().double().numpy()
    else:
        score = scores(densities, loo).sum(axis=1)
    weights = restart_weights(score, temperature)
    kept = _that_count(weights)
    score_of = "ELBO" if state.chains is None else "(elpd - p)"
    context.log.add("weighing", _weighed(weights[kept], temperature, score_of), 0)
    weighed = Weighed(
        weights=weights[kept] / weights[kept].sum(),
        elpd=np.asarray(loo.sum(axis=1))[kept],
        temperature=temperature,
        num_negligible=len(weights) - len(kept),
    )
    chosen = state.select(torch.as_tensor(kept, device=rows.x.device))
    return replace(chosen, weighed=weighed)


def _row_densities(rows: Rows, theta: Tensor) -> FloatArray:
    """``log p(y_n | x_n, theta)``, ``[R, S, N]``."""
    restarts = len(theta)
    parts = [
        rows.log_likelihood(states.flatten(0, 1)).unflatten(0, (-1, restarts))
        for states in theta.transpose(0, 1).split(rows.together(restarts))
    ]
    densities: FloatArray = torch.cat(parts).transpose(0, 1).cpu().double().numpy()
    return densities


def _temperature(rows: Rows, states: Tensor, folds: Tensor) -> float:
    """That of the weights, by ``states [R, W, P]`` that have seen the rows of ``folds [R, N]``."""
    densities, left_out = _row_densities(rows, states), folds.cpu().numpy() == 0.0
    seen = (~left_out).sum(axis=1)
    each = np.where(left_out, 0.0, scores(densities, truncated_loo(densities)))
    score = each.sum(axis=1) * (left_out.shape[1] / seen)
    pooled = logsumexp(densities, axis=1) - math.log(states.shape[1])
    return choose_temperature(pooled, score, left_out)


def _that_count(weights: FloatArray) -> NDArray[np.int64]:
    """Numbers of the restarts that make up nearly all of the weight, in order."""
    order = np.argsort(-weights, kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(weights[order]), 1.0 - _NEGLIGIBLE))
    return np.sort(order[:count])


def _weighed(weights: FloatArray, temperature: float, score: str) -> str:
    """How restarts were weighed, for the record."""
    effective = weights.sum() ** 2 / np.square(weights).sum()
    rule = (
        "equal" if math.isinf(temperature) else f"in proportion to exp({score} / {temperature:g})"
    )
    return f"{len(weights)} restarts, {rule}: {effective:.1f} in effect"
