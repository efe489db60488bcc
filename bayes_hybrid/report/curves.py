"""What the interactive plot shows: curves along each feature, at a set of probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics import out_of_data
from bayes_hybrid.diagnostics.curves.slices import Slice, slice_along
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws
from bayes_hybrid.report.evidence import Evidence

__all__ = ["LEVELS", "MAX_FEATURES", "Curves", "curve_frame", "curves_along"]

LEVELS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities of the bands that the slider chooses from, and of the intervals checked."""

MAX_FEATURES: Final = 20
"""Features to choose from; more make the page heavy and the choice no choice."""

_GRID: Final = 120
"""Points along a feature: about six pixels apart on a wide page."""

_PLACES: Final = 5
"""Decimals of a probability in the table."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Curves:
    """The fit along one feature, the others at their medians.

    ============  =================  =============================================================
    field         shape              meaning
    ============  =================  =============================================================
    ``line``                         the points
    ``mean``      ``[G, Q]``         posterior predictive mean
    ``bands``     ``[2, L, G, Q]``   lower and upper ends of the predictive intervals
    ``experts``   ``[G, Q, K]``      mean of each regime that the leading reading uses
    ``gate``      ``[G, K]``         ``p(z = k | x)``, mean over the draws of that reading
    ``gates``     ``[2, L, G, K]``   lower and upper ends of its bands over the draws
    ``outside``   ``[G]``            whether the point lies where the fit has seen no data
    ============  =================  =============================================================
    """

    line: Slice
    mean: FloatArray
    bands: FloatArray
    experts: FloatArray
    gate: FloatArray
    gates: FloatArray
    outside: NDArray[np.bool_]


def curves_along(
    evidence: Evidence, features: Sequence[int], levels: Sequence[float] = LEVELS
) -> list[Curves]:
    """The curves along each of some features.

    Args:
        evidence: the fit.
        features: their positions.
        levels: probabilities L of the bands.
    """
    lines = [slice_along(evidence.fit, feature, _GRID) for feature in features]
    # Asked once: every call sorts all rows of the fit to find neighbours among them.
    flags = out_of_data(evidence.fit, np.concatenate([line.points for line in lines])).flag
    return [
        _curves(evidence, line, outside, levels)
        for line, outside in zip(lines, flags.reshape(len(lines), -1), strict=True)
    ]


def _curves(
    evidence: Evidence, line: Slice, outside: NDArray[np.bool_], levels: Sequence[float]
) -> Curves:
    posterior = evidence.light.posterior
    size, outputs = len(line.points), len(evidence.outputs)
    ends = np.array(
        [[0.5 - level / 2.0 for level in levels], [0.5 + level / 2.0 for level in levels]]
    )
    quantiles = posterior.predictive.quantile(line.points, ends.ravel()).reshape(
        size, outputs, 2, len(levels)
    )
    reading = evidence.light.for_regimes.posterior
    weights, (gate, means) = reading.restart_weights, reading.by_draw.gate_and_mean(line.points)
    gate = gate[..., evidence.used]
    gates = quantiles_over_draws(gate, ends.ravel(), weights).reshape(2, len(levels), size, -1)
    experts = mean_over_draws(means[..., evidence.used], weights)
    return Curves(
        line=line,
        mean=posterior.predictive.mean(line.points).reshape(size, outputs),
        bands=quantiles.transpose(2, 3, 0, 1),
        experts=experts.reshape(size, outputs, -1),
        gate=mean_over_draws(gate, weights),
        gates=gates,
        outside=outside,
    )


def curve_frame(
    curves: Sequence[Curves], outputs: Sequence[str], regimes: Sequence[str]
) -> pd.DataFrame:
    """All curves as a table, with their 90% bands."""
    level = LEVELS.index(0.9)
    parts = []
    for curve in curves:
        columns: dict[str, object] = {
            "feature": curve.line.name,
            "x": curve.line.along,
            "out of data": curve.outside,
        }
        for q, output in enumerate(outputs):
            columns |= {
                f"mean of {output}": curve.mean[:, q],
                f"lower, {output}": curve.bands[0, level, :, q],
                f"upper, {output}": curve.bands[1, level, :, q],
            }
        if len(regimes) > 1:
            for k, regime in enumerate(regimes):
                columns |= {
                    f"p({regime})": curve.gate[:, k].round(_PLACES),
                    f"lower, p({regime})": curve.gates[0, level, :, k].round(_PLACES),
                    f"upper, p({regime})": curve.gates[1, level, :, k].round(_PLACES),
                }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
