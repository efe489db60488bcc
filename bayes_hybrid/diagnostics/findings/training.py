"""How a fit was trained: its stages one by one, and its restarts side by side."""

import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.censoring import only_values
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate, mean_draws, output_scales
from bayes_hybrid.diagnostics.regimes.gate import regime_distance
from bayes_hybrid.inference import Stage
from bayes_hybrid.inference.result import Fit

__all__ = ["objective_of", "restart_report", "training_report"]

_TAIL: Final = 0.2
"""Of a trace of 200 numbers 40 remain, which place a mean to a sixth of their noise."""

_LEAST_TAIL: Final = 4
"""Fewer points give a slope with no or one degree of freedom."""


def training_report(fit: Fit) -> pd.DataFrame:
    """What each stage of a fit did, and whether its objective was still moving at the end.

    A stage's trace is thinned to at most 400 points.  Its last fifth is fitted by a line: what the
    line leaves is the noise, and what it rises by from its first point to its last is the drift.

    Args:
        fit: the finished fit.

    Returns:
        A row for each stage: ``stage``, ``reason``, ``steps``, ``seconds``; ``objective``, what its
        trace is of (held-out log density per row, standardised, in the warm start, and the ELBO in
        SVI, in nats: both rise); ``first``, its first value; ``last``, the mean of its last fifth;
        ``drift``, with its standard error ``drift_se``; ``noise``, the standard deviation about the
        line; ``usage_before``, ``usage_after`` and ``weights`` of regularisers, in words.  NaN and
        empty where a stage has no trace.

    Source: the line is ordinary least squares; neighbouring points are taken as independent.
    """
    lines = []
    for stage in fit.training.stages:
        objective, values = objective_of(stage)
        lines.append(
            {
                "stage": stage.name,
                "reason": stage.reason,
                "steps": stage.steps,
                "seconds": stage.seconds,
                "objective": objective,
                **_end(values),
                "usage_before": _shares(stage.usage_before),
                "usage_after": _shares(stage.usage_after),
                "weights": _weights(stage),
            }
        )
    return pd.DataFrame(lines)


def objective_of(stage: Stage) -> tuple[str, FloatArray]:
    """What the trace of a stage is of, and its values, larger being better; both may be empty."""
    values = np.array(stage.trace, dtype=np.float64)
    if not values.size:
        return "", values
    # SVI keeps its loss.
    return ("ELBO", -values) if stage.name == "SVI" else ("held-out log density", values)


def restart_report(fit: Fit, *, max_rows: int = 1_000) -> pd.DataFrame:
    """The restarts side by side: do some fit worse, or mean something else by a regime?

    Args:
        fit: the finished fit.
        max_rows: at most so many training rows are read, evenly spread.

    Returns:
        A row for each restart: ``restart``, the number of its start, as everywhere, of which those
        left out are missing; its ``weight``; the ``reading`` that it belongs to;
        ``elpd``, its leave-one-out log density in nats; ``elbo`` in nats, as trained, with the
        features' KL term weighted; ``log_likelihood``, mean over draws and rows of
        ``log p(y_n | x_n, theta)``;
        ``rmse`` of the restart's own predictive mean on the training rows, in y's units (of several
        outputs, each in units of its sd);
        ``usage[k]`` of each regime; ``distance``, the mean over the other restarts of the total
        variation distance between what the two say of a row's regime, NaN for a single restart.
    """
    evaluation = evaluate(fit, max_rows=max_rows)
    distance = regime_distance(evaluation.responsibilities)
    count = len(distance)
    others = distance.sum(axis=1) / (count - 1) if count > 1 else np.full(1, np.nan)
    usage = evaluation.usage.mean(axis=1)
    names = fit.posterior.regime_names
    return pd.DataFrame(
        {
            "restart": fit.restarts.sources,
            "weight": fit.posterior.restart_weights,
            "reading": _readings(fit),
            "elpd": fit.restarts.elpd,
            "elbo": fit.restarts.elbo,
            "log_likelihood": evaluation.log_likelihood.mean(axis=(1, 2)),
            "rmse": _errors(fit, evaluation.rows),
            **{f"usage[{name}]": usage[:, k] for k, name in enumerate(names)},
            "distance": others,
        }
    )


def _readings(fit: Fit) -> NDArray[np.int64]:
    """Of each restart the number of its reading ``[R]``."""
    numbers = np.zeros(fit.posterior.num_restarts, dtype=np.int64)
    for number, reading in enumerate(fit.readings):
        numbers[reading.members] = number
    return numbers


def _errors(fit: Fit, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    """Root mean squared error of each restart's mean, ``[R]``."""
    x = fit.x[rows]
    y = only_values(fit.posterior, x, fit.y[rows])
    means = mean_draws(fit.posterior, x).mean(axis=1)
    away = (means - y) / (output_scales(fit.y) if y.ndim > 1 else 1.0)
    return np.asarray(np.sqrt(np.nanmean(away**2, axis=tuple(range(1, away.ndim)))))


def _end(values: FloatArray) -> dict[str, float]:
    """First value, and mean, drift and noise of the last fifth."""
    values = values[np.isfinite(values)]
    names = ("first", "last", "drift", "drift_se", "noise")
    if not values.size:
        return dict.fromkeys(names, math.nan)
    tail = values[-max(_LEAST_TAIL, math.ceil(_TAIL * values.size)) :]
    first, last = float(values[0]), float(tail.mean())
    if tail.size < _LEAST_TAIL:
        return dict(zip(names, (first, last, math.nan, math.nan, math.nan), strict=True))
    at = np.arange(tail.size) - 0.5 * (tail.size - 1)
    slope = float(at @ tail / (at @ at))
    rest = tail - last - slope * at
    noise = float(np.sqrt(rest @ rest / (tail.size - 2)))
    length = tail.size - 1
    error = noise / math.sqrt(float(at @ at)) * length
    return dict(zip(names, (first, last, slope * length, error, noise), strict=True))


def _shares(usage: tuple[float, ...]) -> str:
    return ", ".join(f"{share:.0%}" for share in usage)


def _weights(stage: Stage) -> str:
    return ", ".join(f"{name} {a:g} to {b:g}" for name, (a, b) in stage.weights.items() if a or b)
