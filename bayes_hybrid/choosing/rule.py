"""When a more complex model is worth having."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray

__all__ = ["LEAST_GAIN", "gain", "pays", "simplest"]

LEAST_GAIN: Final = 4.0
"""Nats.  Models that differ by less predict alike, and the standard error of so small a difference
is not to be trusted (Sivula, Magnusson and Vehtari 2020, arXiv 2008.10296)."""


def gain(better: FloatArray, worse: FloatArray) -> tuple[float, float]:
    """``sum_n d_n`` and its standard error ``sqrt(N Var_n(d))``, with ``d = better - worse``.

    Args:
        better: held-out log density of each row by one model, in nats, ``[N]``.
        worse: the same by the other, ``[N]``.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, equation 24.

    Example:
        >>> gain(np.array([1.0, 3.0]), np.zeros(2))
        (4.0, 1.4142135623730951)
    """
    rows = better - worse
    return float(rows.sum()), float(np.sqrt(rows.size * rows.var()))


def pays(complex_model: FloatArray, simple_model: FloatArray) -> bool:
    """Whether the gain is larger than its standard error, and than 4 nats.

    Args:
        complex_model: held-out log density of each row, in nats, ``[N]``.
        simple_model: the same, ``[N]``.

    Source: Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees,
    section 3.4.3, for one standard error, here of the paired difference; Sivula, Magnusson and
    Vehtari (2020), arXiv 2008.10296, for 4 nats.

    Example:
        >>> pays(np.array([1.0, 3.0, 2.0]), np.zeros(3)), pays(np.full(3, 1.0), np.zeros(3))
        (True, False)
    """
    difference, error = gain(complex_model, simple_model)
    return difference > max(error, LEAST_GAIN)


def simplest(pointwise: Mapping[str, FloatArray]) -> str:
    """The first model that the best one does not beat: the one-standard-error rule.

    Args:
        pointwise: held-out log density of each row by each model, in nats, ``[N]``, from the
            simplest model to the most complex.

    Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section
    7.10: the most parsimonious model whose error is no more than one standard error above the
    error of the best.

    Example:
        >>> simplest({"line": np.zeros(3), "two": np.full(3, 1.0), "three": np.full(3, 1.1)})
        'line'
    """
    best = max(pointwise.values(), key=np.sum)
    return next(name for name, rows in pointwise.items() if not pays(best, rows))
