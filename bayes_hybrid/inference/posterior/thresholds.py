"""Thresholds of a gate in the units of the data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer
from bayes_hybrid.gates import Boundaries


@dataclass(frozen=True, eq=False, kw_only=True)
class Thresholds:
    """Where neighbouring regimes have equal odds, draw by draw.

    Of one feature, everything is in its units, also where the model reads its logarithm.  Of a
    linear combination, ``location`` and ``width`` are in units of::

        sum_d coefficients_d (x_d - origin_d)

    which has no unit: coefficients are per unit of their feature, and of standardised features they
    would be a vector of length one.  A feature whose logarithm the model reads stands there with
    its logarithm.

    Args:
        location: where regime k gives way to k + 1, ``[R, S, K - 1]``.
        width: distance over which their odds go from 1 : 9 to 9 : 1, ``[R, S, K - 1]``.
        feature: index of the feature; ``None`` for a linear combination.
        coefficients: of the linear combination, ``[R, S, D]``; ``None`` for one feature.
        origin: means of the features in the training data, ``[D]``.
        log: features whose logarithm the model reads, ``[D]``.
    """

    location: FloatArray
    width: FloatArray
    feature: int | None
    coefficients: FloatArray | None
    origin: FloatArray
    log: NDArray[np.bool_]

    def centred(self, x: FloatArray) -> FloatArray:
        """``x_d - origin_d`` of rows ``[N, D]``, of the logarithm where the model reads that."""
        return np.log(x, where=self.log, out=x.copy()) - self.origin


def in_units(boundaries: Boundaries, scaling: Standardizer) -> Thresholds:
    """Boundaries of standardised features in the units that ``scaling`` took them from.

    Args:
        boundaries: those of every draw.
        scaling: that of the D features.
    """
    location, width = (
        value.detach().cpu().double().numpy() for value in (boundaries.location, boundaries.width)
    )
    coefficients = None
    if boundaries.direction is not None:
        coefficients = boundaries.direction.detach().cpu().double().numpy() / scaling.scale
    else:
        column = boundaries.feature
        location = location * scaling.scale[column] + scaling.mean[column]
        width = width * scaling.scale[column]
        if scaling.log[column]:
            # From t exp(-w / 2) to t exp(w / 2); infinite where float64 does not hold it.
            with np.errstate(over="ignore"):
                location = np.exp(location)
                width = 2.0 * location * np.sinh(0.5 * width)
    return Thresholds(
        location=location,
        width=width,
        feature=boundaries.feature,
        coefficients=coefficients,
        origin=scaling.mean,
        log=scaling.log,
    )
