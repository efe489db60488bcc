"""One pass over the rows that computes what the findings and the export read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import constant_columns
from bayes_hybrid.data.support import spread_rows
from bayes_hybrid.diagnostics.evaluation.censoring import completed
from bayes_hybrid.diagnostics.evaluation.gate_rows import GateRows, gate_rows, join
from bayes_hybrid.diagnostics.evaluation.more_regimes import Realised, join_rows, realised
from bayes_hybrid.diagnostics.evaluation.pathways import NEAR_FLOOR, layer_shares
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws
from bayes_hybrid.inference.result import Fit

__all__ = [
    "Evaluation",
    "evaluate",
    "fitted_regime_draws",
    "fitted_regimes",
    "flat_draws",
    "held_out",
    "known_rows",
    "mean_draws",
    "output_scales",
    "row_chunks",
    "spread_rows",
]

_CELLS_PER_CHUNK = 2**22
"""Numbers per intermediate array: 32 MB in float64, whatever the number of rows."""

_NUM_MEAN_ROWS = 50
"""Rows at which restarts are compared: enough to meet a local difference, and quick."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What the posterior says of some training rows.

    ========================  ==================  ================================================
    field                     shape               meaning
    ========================  ==================  ================================================
    ``rows``                  ``[M]``             indices of the training rows that were read
    ``usage``                 ``[R, S, K]``       ``mean_n p(z_n=k | x_n, y_n, theta_rs)``
    ``responsibilities``      ``[R, M, K]``       ``mean_s p(z_n=k | x_n, y_n, theta_rs)``
    ``log_likelihood``        ``[R, S, M]``       ``log p(y_n | x_n, theta_rs)``
    ``mean``                  ``[R, S, P]``       ``E[y | x_n, theta_rs]`` at some of the rows
    ``variance``              ``[P]``             ``Var[y | x_n]`` of the predictive, same rows
    ``at_floor``              scalar or ``None``  share of rows whose expert sits at its floor
    ``weights``               ``[R]``             what each restart counts
    ``numbers``               ``[R]``             by which restarts are told: those of their starts
    ``gate``                  or ``None``         of K >= 2 regimes, what gate and experts say
    ``realised``              or ``None``         of K >= 2, regimes and residuals that are drawn
    ``layers``                name: ``[R, S]``    see :func:`.pathways.layer_shares`
    ========================  ==================  ================================================

    Where rows have regime labels, usage and responsibilities are given the labels, too, as in
    :meth:`~bayes_hybrid.HybridRegressor.training_regimes`.
    With Q > 1 outputs P counts every output of a row, each in units of its own sd.
    """

    rows: NDArray[np.intp]
    usage: FloatArray
    responsibilities: FloatArray
    log_likelihood: FloatArray
    mean: FloatArray
    variance: FloatArray
    at_floor: float | None
    weights: FloatArray
    numbers: NDArray[np.int64]
    gate: GateRows | None = None
    realised: Realised | None = None
    layers: Mapping[str, FloatArray] = field(default_factory=dict)


def row_chunks(num_rows: int, cells_per_row: int) -> Iterator[slice]:
    """Slices that cover the rows, each of about four million cells at most.

    Example:
        >>> list(row_chunks(3, 2**22))
        [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    step = max(1, _CELLS_PER_CHUNK // max(1, cells_per_row))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def flat_draws(draws: FloatArray) -> FloatArray:
    """All restarts' draws in one row: ``[R, S, ...]`` as ``[R S, ...]``."""
    return draws.reshape(-1, *draws.shape[2:])


def fitted_regime_draws(fit: Fit, rows: slice | NDArray[np.intp]) -> FloatArray:
    """``p(z_n = k | x_n, y_n, label_n, theta)`` of some of the fitted rows, ``[R, S, M, K]``.

    The label only where the row has one.

    Args:
        fit: the finished fit.
        rows: which M rows.
    """
    labels = None if fit.labels is None else fit.labels[rows]
    return fit.posterior.by_draw.regime_probability(fit.x[rows], fit.y[rows], labels)


def fitted_regimes(fit: Fit, rows: slice | NDArray[np.intp]) -> FloatArray:
    """:func:`fitted_regime_draws` averaged over draws, ``[M, K]``: these have seen the targets."""
    return mean_over_draws(fitted_regime_draws(fit, rows), fit.posterior.restart_weights)


def mean_draws(posterior: Posterior, x: FloatArray) -> FloatArray:
    """``E[y | x_n, theta] = sum_k pi_k(x_n) mu_k(x_n)``, ``[R, S, N]``, or ``[R, S, N, Q]``."""
    gate, experts = posterior.by_draw.gate_and_mean(x)
    if experts.ndim > gate.ndim:
        gate = gate[..., None, :]
    return np.asarray((gate * experts).sum(axis=-1))


def held_out(
    x_test: FloatArray | None,
    y_test: FloatArray | None,
    num_features: int,
    outputs: tuple[int, ...] = (),
) -> tuple[FloatArray, FloatArray | None] | None:
    """Held-out rows as float64 ``[N, D]`` and ``[N]``, or ``None`` where there are none.

    Targets of several outputs have the shape ``[N, *outputs]``.

    Raises:
        DataError: targets without features, no rows, or shapes that do not fit.
    """
    if x_test is None:
        if y_test is not None:
            raise DataError("y_test came without x_test; give both, or x_test alone")
        return None
    x = np.asarray(x_test, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != num_features or x.shape[0] == 0:
        raise DataError(
            f"x_test must have the shape (rows, {num_features}), with rows >= 1; got {x.shape}"
        )
    if y_test is None:
        return x, None
    y = np.asarray(y_test, dtype=np.float64)
    expected = (x.shape[0], *outputs)
    if y.shape != expected:
        raise DataError(f"y_test must have the shape {expected}, as x_test; got {y.shape}")
    if np.isnan(y).all():
        raise DataError("y_test has no value that is there; leave it out")
    return x, y


def known_rows(
    fit: Fit, x: ArrayLike | None = None, y: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Rows whose targets are known, by default the training rows: ``[N, D]`` and ``[N]``.

    Several outputs are ``[N, Q]``, NaN where one is missing.

    Raises:
        DataError: one of ``x`` and ``y`` without the other, shapes that do not fit, values that are
            not finite.
    """
    if x is None and y is None:
        return fit.x, fit.y
    if x is None or y is None:
        raise DataError("x and y belong together; give both, or neither for the training rows")
    features, target = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    held_out(features, target, fit.x.shape[1], fit.y.shape[1:])
    for name, values, missing in (("x", features, False), ("y", target, target.ndim > 1)):
        bad = np.isinf(values) | (np.isnan(values) & (not missing))
        if bad.any():
            row = int(np.argwhere(bad)[0, 0])
            raise DataError(
                f"{name} must be finite; row {row + 1} has {values[row].tolist()}: leave it out"
            )
    return features, target


def evaluate(fit: Fit, *, max_rows: int | None) -> Evaluation:
    """Read the posterior at evenly spread training rows, in chunks.

    Args:
        fit: the finished fit.
        max_rows: at most so many rows; ``None`` reads all.

    Returns:
        The quantities from which the findings are computed.
    """
    posterior = fit.posterior
    rows = spread_rows(fit.x.shape[0], max_rows)
    x, y = fit.x[rows], fit.y[rows]
    values = completed(posterior, x, y, fit.seed)
    shape = posterior.num_restarts, posterior.num_draws, posterior.num_regimes
    weights = posterior.restart_weights
    usage = np.zeros(shape)
    responsibilities = np.empty((shape[0], rows.size, shape[2]))
    log_likelihood = np.empty((*shape[:2], rows.size))
    floor_hits = 0.0
    center, spread = np.asarray(np.nanmean(fit.y, axis=0)), output_scales(fit.y)
    parts, drawn, rng = [], [], np.random.default_rng(fit.seed)
    for part in row_chunks(rows.size, int(np.prod(shape))):
        given_y = fitted_regime_draws(fit, rows[part])
        usage += given_y.sum(axis=2)
        responsibilities[:, part] = given_y.mean(axis=1)
        log_likelihood[:, :, part] = posterior.by_draw.log_likelihood(x[part], y[part])
        scale = posterior.by_draw.expert_scale(x[part])
        relative = posterior.model.likelihoods.has_relative_noise
        noise = posterior.by_draw.expert_noise(x[part]) if relative else scale
        floor_hits += _floor_hits(posterior.scale_floor, noise, given_y, weights)
        if posterior.num_regimes > 1:
            gate, means = posterior.by_draw.gate_and_mean(x[part])
            parts.append(gate_rows(gate, given_y, means, scale, center, spread))
            drawn.append(realised(given_y, means, scale, values[part], weights, rng))
    mean_x = x[spread_rows(rows.size, _NUM_MEAN_ROWS)]
    mean, variance = _means(posterior, mean_x, fit.y)
    return Evaluation(
        rows=rows,
        usage=usage / rows.size,
        responsibilities=responsibilities,
        log_likelihood=log_likelihood,
        mean=mean,
        variance=variance,
        at_floor=None if posterior.scale_floor is None else floor_hits / rows.size,
        weights=weights,
        numbers=fit.restarts.sources,
        gate=join(parts) if parts else None,
        realised=join_rows(drawn) if drawn else None,
        layers=layer_shares(posterior, mean_x),
    )


def _means(posterior: Posterior, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Predicted means ``[R, S, P]`` and predictive variances ``[P]``."""
    mean, variance = mean_draws(posterior, x), posterior.predictive.variance(x)
    if y.ndim == 1:
        return mean, variance
    scale = output_scales(y)
    mean = mean / scale
    return mean.reshape(*mean.shape[:2], -1), (variance / scale**2).ravel()


def output_scales(y: FloatArray) -> FloatArray:
    """Standard deviation of the targets, or of each output ``[Q]``; constant ones have 1."""
    return np.where(constant_columns(y), 1.0, np.nanstd(y, axis=0))


def _floor_hits(
    floor: FloatArray | None, scale: FloatArray, given_y: FloatArray, weights: FloatArray
) -> float:
    """Rows, weighted by responsibility, whose expert's noise is near its floor, mean over draws."""
    if floor is None:
        return 0.0
    at_floor = scale <= NEAR_FLOOR * floor
    if at_floor.ndim > given_y.ndim:
        at_floor = at_floor.mean(axis=-2)  # the share of the row's outputs
    return float(mean_over_draws((given_y * at_floor).sum(axis=(2, 3)), weights))
