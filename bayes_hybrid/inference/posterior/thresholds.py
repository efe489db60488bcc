"""Thresholds of a gate in the units of the data."""

from dataclasses import dataclass

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer
from bayes_hybrid.gates import Boundaries


@dataclass(frozen=True, eq=False, kw_only=True)
class Thresholds:
    """Where neighbouring regimes have equal odds, draw by draw.

    Of one feature, everything is in its units.  Of a linear combination, ``location`` and ``width``
    are in units of::

        sum_d coefficients_d (x_d - origin_d)

    which has no unit: coefficients are per unit of their feature, and of standardised features they
    would be a vector of length one.

    Args:
        location: where regime k gives way to k + 1, ``[R, S, K - 1]``.
        width: distance over which their odds go from 1 : 9 to 9 : 1, ``[R, S, K - 1]``.
        feature: index of the feature; ``None`` for a linear combination.
        coefficients: of the linear combination, ``[R, S, D]``; ``None`` for one feature.
        origin: means of the features in the training data, ``[D]``.
    """

    location: FloatArray
    width: FloatArray
    feature: int | None
    coefficients: FloatArray | None
    origin: FloatArray


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
        location = location * scaling.scale[boundaries.feature] + scaling.mean[boundaries.feature]
        width = width * scaling.scale[boundaries.feature]
    return Thresholds(
        location=location,
        width=width,
        feature=boundaries.feature,
        coefficients=coefficients,
        origin=scaling.mean,
    )
