"""Functions of the parameters that mean the same in every restart."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference import Posterior

__all__ = ["quantities"]

_POINTS: Final = (-1.0, 0.0, 1.0)
"""One standard deviation to either side of the features' means, and the means."""


def quantities(posterior: Posterior, x: FloatArray, y: FloatArray) -> Mapping[str, FloatArray]:
    """Label-free quantities of every draw, each ``[R, S]``, in standardised units.

    =====================================  ======================================================
    name                                   meaning
    =====================================  ======================================================
    ``mean(x=-1)``, ``0``, ``1``           ``E[y | x, theta]``, all features at that value
    ``log_likelihood``                     ``sum_n log p(y_n | x_n, theta)`` of the rows
    ``threshold[A to B]``, ``width[...]``  where the regimes change along a feature
    ``p[B](x=-1)``, ``0``, ``1``           probability of a regime, of these gates
    ``scale[A]``                           sd of an expert at ``x = 0``, of these gates
    ``largest p(x=-1)``, ``0``, ``1``      of the regimes of any other gate
    ``smallest scale``, ``largest scale``  of the experts of any other gate, at ``x = 0``
    =====================================  ======================================================

    Thresholds on a feature put the regimes in an order, which names them.  Without, and on a linear
    combination, whose sign is free, regimes of one kind may trade places, and those of different
    kinds are given the names of the best restart: a quantity with a name in it would be wrong by
    that choice alone.

    Args:
        posterior: draws of a model of one target.
        x: the rows that were fitted, ``[N, D]``.
        y: their targets ``[N]``.

    Source: the log likelihood, which sees errors that parameters by themselves do not: Modrak,
    Moon, Kim, Buerkner, Huurre, Faltejskova, Gelman and Vehtari (2023), Bayesian Analysis.
    """
    points = np.repeat(np.array(_POINTS)[:, None], posterior.model.num_features, axis=1)
    gate = posterior.by_draw.regime_probability(points)
    mean = (gate * posterior.by_draw.expert_mean(points)).sum(axis=-1)
    scale = posterior.by_draw.expert_scale(np.zeros((1, posterior.model.num_features)))[:, :, 0]
    found = {f"mean(x={point:g})": mean[..., at] for at, point in enumerate(_POINTS)}
    found["log_likelihood"] = posterior.by_draw.log_likelihood(x, y).sum(axis=-1)
    names, thresholds = posterior.regime_names, posterior.thresholds
    if thresholds is not None and thresholds.coefficients is None:
        for k, (below, above) in enumerate(pairwise(names)):
            found[f"threshold[{below} to {above}]"] = thresholds.location[..., k]
            found[f"width[{below} to {above}]"] = thresholds.width[..., k]
        for k, name in enumerate(names):
            found[f"scale[{name}]"] = scale[..., k]
            # The first regime's probability is one minus the others'.
            for at, point in enumerate(_POINTS if k else ()):
                found[f"p[{name}](x={point:g})"] = gate[:, :, at, k]
        return found
    found["smallest scale"] = scale.min(axis=-1)
    if len(names) > 1:
        found["largest scale"] = scale.max(axis=-1)
        for at, point in enumerate(_POINTS):
            found[f"largest p(x={point:g})"] = gate[:, :, at].max(axis=-1)
    return found
