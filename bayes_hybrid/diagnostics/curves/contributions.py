"""What each pathway adds to the mean, and what the predictive variance is made of."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.effects import EffectCurve, curve_of, target_mean
from bayes_hybrid.diagnostics.curves.lines import At, Grid
from bayes_hybrid.diagnostics.curves.slices import one_output, slice_along
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, sd_over_draws
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Pictured

__all__ = ["Contributions", "contributions"]

_BETWEEN: Final = ("between regimes", "between draws")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Contributions(Pictured):
    """Mean and variance of the prediction along one feature, each as a sum of parts.

    Attributes:
        pathways: ``pi_k(x) (mu_k(x) - ybar)`` for each expert k, draw by draw.
        baseline: ``ybar``, the mean of the training targets.
        parts: K + 2 names: the regimes, ``"between regimes"`` and ``"between draws"``.
        variance: the parts of the predictive variance, in y's units squared, ``[G, K + 2]``.
    """

    pathways: EffectCurve
    baseline: float
    parts: tuple[str, ...]
    variance: FloatArray

    @property
    def share(self) -> FloatArray:
        """The parts over the whole variance, ``[G, K + 2]``; NaN where a variance is infinite."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.variance / self.variance.sum(axis=1, keepdims=True))

    def to_frame(self) -> pd.DataFrame:
        """A row for each part and point.

        Columns ``feature``, ``value``, ``part``; ``mean``, ``lower``, ``upper`` of what the pathway
        adds to the predicted mean, NaN for the last two parts, which are no pathways; ``variance``
        and its ``share``; ``out_of_data``.
        """
        curve = self.pathways
        num_parts = len(self.parts)
        nothing = np.full((len(curve.along), num_parts - len(curve.names)), np.nan)
        added = {
            name: np.concatenate([values, nothing], axis=1).T.ravel()
            for name, values in (
                ("mean", curve.mean),
                ("lower", curve.lower),
                ("upper", curve.upper),
            )
        }
        return pd.DataFrame(
            {
                "feature": curve.feature,
                "value": np.tile(curve.along, num_parts),
                "part": np.repeat(np.array(self.parts, dtype=object), len(curve.along)),
                **added,
                "variance": self.variance.T.ravel(),
                "share": self.share.T.ravel(),
                "out_of_data": np.tile(curve.out_of_data, num_parts),
            }
        )


def contributions(
    fit: Fit,
    feature: int | str = 0,
    *,
    at: At = None,
    output: int | str = 0,
    prob: float = 0.9,
    grid: Grid = 100,
) -> Contributions:
    """The predicted mean and variance along one feature, split among the pathways.

    The mean is ``ybar + sum_k pi_k(x) (mu_k(x) - ybar)``.  The level ``ybar``, the mean of the
    training targets, is taken off because a share of ``pi_k mu_k`` would depend on where y has its
    zero.  The predictive variance is split by the law of total variance, with ``m_s = sum_k pi_sk
    mu_sk`` and means and variances over the posterior draws s::

        Var[y | x] =  sum_k mean_s pi_sk sigma_sk^2          within expert k: its noise
                    + mean_s sum_k pi_sk (mu_sk - m_s)^2     between regimes: which one it is
                    + var_s m_s                              between draws: what is not known yet

    More data shrink the last part alone.

    Args:
        fit: the finished fit.
        feature: position or name of the feature that varies.
        at: where the others are held, see :func:`.effects.effect_curve`.
        output: position or name of the output, where there are several.
        prob: probability inside the bands.
        grid: number of points G over the range of the data, or G values, rising.

    Raises:
        OptionError: as :func:`.effects.effect_curve`.
    """
    checks.fraction("prob", prob)
    line, drawn = slice_along(fit, feature, grid, at=at, margin=0.0), one_output(fit, output)
    gate, several = fit.posterior.by_draw.gate_and_mean(line.points)
    means, baseline = drawn.of_draws(several), target_mean(fit, drawn)
    scales = drawn.of_draws(fit.posterior.by_draw.expert_scale(line.points))
    pathways = curve_of(fit, line, drawn, "contribution", gate * (means - baseline), prob=prob)
    return Contributions(
        pathways=pathways,
        baseline=baseline,
        parts=(*fit.posterior.regime_names, *_BETWEEN),
        variance=_variance_parts(gate, means, scales, fit.posterior.restart_weights),
    )


def _variance_parts(
    gate: FloatArray, means: FloatArray, scales: FloatArray, weights: FloatArray
) -> FloatArray:
    """The terms of the law of total variance, from draws ``[R, S, G, K]``, ``[G, K + 2]``."""
    whole = (gate * means).sum(axis=-1)
    within = mean_over_draws(gate * scales**2, weights)
    regimes = (gate * (means - whole[..., None]) ** 2).sum(axis=-1)
    draws = sd_over_draws(whole, weights) ** 2
    return np.column_stack([within, mean_over_draws(regimes, weights), draws])
