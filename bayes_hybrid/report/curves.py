"""What the interactive plot shows: curves along each feature, at a set of probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics.interface import FloatArray
from bayes_hybrid.diagnostics.slices import Slice, slice_along
from bayes_hybrid.inference import Posterior
from bayes_hybrid.report.evidence import Evidence

__all__ = ["LEVELS", "MAX_FEATURES", "Curves", "curve_frame", "curves_along", "thinned"]

LEVELS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities of the bands that the slider chooses from."""

MAX_FEATURES: Final = 20
"""Features to choose from; more make the page heavy and the choice no choice."""

_GRID: Final = 120
"""Points along a feature: about six pixels apart on a wide page."""

_MAX_DRAWS: Final = 400
"""Posterior draws behind a band, in all.  Its ends are quantiles of a mixture of so many densities,
and move by about a twentieth of a posterior sd of a quantile if all draws are taken."""


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
    ``experts``   ``[G, Q, K]``      mean of each expert
    ``gate``      ``[G, K]``         ``p(z = k | x)``, mean over the draws
    ``gates``     ``[2, L, G, K]``   lower and upper ends of its bands over the draws
    ============  =================  =============================================================
    """

    line: Slice
    mean: FloatArray
    bands: FloatArray
    experts: FloatArray
    gate: FloatArray
    gates: FloatArray


def thinned(posterior: Posterior, max_draws: int = _MAX_DRAWS) -> Posterior:
    """The posterior with at most so many draws in all, evenly spread over each restart's."""
    stride = -(-posterior.num_restarts * posterior.num_draws // max_draws)
    return replace(posterior, theta=posterior.theta[:, ::stride]) if stride > 1 else posterior


def curves_along(evidence: Evidence, feature: int, levels: Sequence[float] = LEVELS) -> Curves:
    """The curves along one feature.

    Args:
        evidence: the fit.
        feature: its position.
        levels: probabilities L of the bands.
    """
    posterior = thinned(evidence.posterior)
    line = slice_along(evidence.fit, feature, _GRID)
    size, outputs, regimes = len(line.points), len(evidence.outputs), posterior.num_regimes
    ends = np.array(
        [[0.5 - level / 2.0 for level in levels], [0.5 + level / 2.0 for level in levels]]
    )
    quantiles = posterior.quantile(line.points, ends.ravel()).reshape(size, outputs, 2, len(levels))
    draws = posterior.regime_probability_draws(line.points)
    gates = np.quantile(draws, ends.ravel(), axis=(0, 1)).reshape(2, len(levels), size, regimes)
    experts = posterior.expert_mean_draws(line.points).mean(axis=(0, 1))
    return Curves(
        line=line,
        mean=posterior.mean(line.points).reshape(size, outputs),
        bands=quantiles.transpose(2, 3, 0, 1),
        experts=experts.reshape(size, outputs, regimes),
        gate=draws.mean(axis=(0, 1)),
        gates=gates,
    )


def curve_frame(
    curves: Sequence[Curves], outputs: Sequence[str], regimes: Sequence[str]
) -> pd.DataFrame:
    """All curves as a table, with their 90% bands."""
    level = LEVELS.index(0.9)
    parts = []
    for curve in curves:
        columns: dict[str, object] = {"feature": curve.line.name, "x": curve.line.along}
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
