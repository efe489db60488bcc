"""Test statistics: numbers that data and replicated data can be compared by."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray

__all__ = ["PROB", "STATISTICS", "statistic_table", "statistic_values", "tail_probability"]


def _centred(values: FloatArray) -> FloatArray:
    """Values less their mean; exactly 0 where all are equal, which rounding of the mean is not."""
    away = values - values.mean(axis=-1, keepdims=True)
    return np.where(np.ptp(values, axis=-1, keepdims=True) > 0.0, away, 0.0)


def _skewness(values: FloatArray) -> FloatArray:
    centred = _centred(values)
    return np.asarray((centred**3).mean(axis=-1) / (centred**2).mean(axis=-1) ** 1.5)


def _sign_changes(residuals: FloatArray) -> FloatArray:
    positive = residuals > 0.0
    return np.asarray((positive[..., 1:] != positive[..., :-1]).mean(axis=-1))


def _lag_one(residuals: FloatArray) -> FloatArray:
    centred = _centred(residuals)
    products = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1)
    return np.asarray(products / (centred**2).sum(axis=-1))


_OF_VALUES: Final[Mapping[str, Callable[[FloatArray], FloatArray]]] = MappingProxyType(
    {
        "mean": lambda values: values.mean(axis=-1),
        "sd": lambda values: values.std(axis=-1),
        "min": lambda values: values.min(axis=-1),
        "max": lambda values: values.max(axis=-1),
        "skewness": _skewness,
    }
)
_OF_RESIDUALS: Final[Mapping[str, Callable[[FloatArray], FloatArray]]] = MappingProxyType(
    {"sign_changes": _sign_changes, "lag_1": _lag_one}
)

STATISTICS: Final = (*_OF_VALUES, *_OF_RESIDUALS)
"""Their names."""

PROB: Final = 0.9
"""Of the intervals that a value is shown beside."""

_MIN_ROWS: Final = 3
"""With fewer there is no skewness and no neighbour of a neighbour."""


def statistic_values(
    values: FloatArray, predicted: FloatArray, order: FloatArray
) -> dict[str, FloatArray]:
    """Every test statistic of data sets.

    ===============================  ===========================================================
    statistic                        of the values y, or of residuals ``y - E[y | x]`` along x
    ===============================  ===========================================================
    ``mean``, ``sd``, ``min``,       of y
    ``max``, ``skewness``
    ``sign_changes``                 share of neighbouring residuals of different sign: low where
                                     the mean misses a bend, high where it follows the noise
    ``lag_1``                        correlation of neighbouring residuals
    ===============================  ===========================================================

    Args:
        values: data sets ``[..., N]``.
        predicted: predictive means ``[N]``, which residuals are taken from.
        order: the feature along which rows are neighbours, ``[N]``.

    Returns:
        Each ``[...]``; NaN with fewer than three rows, and skewness and correlation also where
        all values, or residuals, are equal.
    """
    if values.shape[-1] < _MIN_ROWS:
        return {name: np.full(values.shape[:-1], np.nan) for name in STATISTICS}
    residuals = (values - predicted)[..., np.argsort(order, kind="stable")]
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 of values that are all equal
        return {name: np.asarray(read(values)) for name, read in _OF_VALUES.items()} | {
            name: read(residuals) for name, read in _OF_RESIDUALS.items()
        }


def tail_probability(replicated: FloatArray, observed: float) -> float:
    """``P(T(y_rep) > T(y)) + P(T(y_rep) = T(y)) / 2``, a posterior predictive p-value.

    Near 0 or 1 the data have a value that the model hardly ever makes.

    Args:
        replicated: the statistic of each replicated data set, ``[M]``.
        observed: that of the data.

    Returns:
        NaN where one of them is.

    Source: Gelman, Meng and Stern (1996), Statistica Sinica 6; that ties count half is for
    statistics that take few values, such as ``sign_changes``.

    Example:
        >>> tail_probability(np.array([1.0, 2.0, 3.0, 3.0]), 2.0)
        0.625
    """
    if np.isnan(observed) or np.isnan(replicated).any():
        return float("nan")
    return float((replicated > observed).mean() + 0.5 * (replicated == observed).mean())


def statistic_table(
    observed: Mapping[str, FloatArray], replicated: Mapping[str, FloatArray]
) -> pd.DataFrame:
    """Test statistics of the data beside those of replicated data.

    Args:
        observed: each statistic of the data, ``[]``.
        replicated: each statistic of the replicated data sets, ``[M]``.

    Returns:
        ``statistic``, ``observed``, mean (``expected``) and central 90% (``lower``, ``upper``) of
        the replicated ones, and ``p_value``, see :func:`tail_probability`.
    """
    lines = []
    for name, values in replicated.items():
        low, high = np.quantile(values, [0.5 - PROB / 2.0, 0.5 + PROB / 2.0])
        data = float(observed[name])
        lines.append((name, data, values.mean(), low, high, tail_probability(values, data)))
    columns = ["statistic", "observed", "expected", "lower", "upper", "p_value"]
    return pd.DataFrame(lines, columns=columns)
