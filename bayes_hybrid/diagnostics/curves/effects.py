"""What changes where: the fitted function along a feature, and its slope, draw by draw."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.lines import At, Grid
from bayes_hybrid.diagnostics.curves.slices import Output, Slice, one_output, slice_along
from bayes_hybrid.diagnostics.curves.support import out_of_data
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Pictured

__all__ = [
    "QUANTITIES",
    "EffectCurve",
    "Quantity",
    "curve_draws",
    "curve_names",
    "curve_of",
    "curve_posterior",
    "curve_used",
    "effect_curve",
    "target_mean",
]

Quantity = Literal["mean", "expert", "contribution"]
"""``"mean"`` is that of the whole mixture, ``"expert"`` that of each expert by itself, and
``"contribution"`` what each pathway adds to the mean, see :func:`curve_draws`."""

QUANTITIES: Final[tuple[Quantity, ...]] = ("mean", "expert", "contribution")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EffectCurve(Pictured):
    """C curves along one feature, each a function for every posterior draw.

    Attributes:
        feature: name of the feature that varies.
        column: its position.
        output: name of the output.
        held: what happens to the other features, in words; empty where there are none.
        names: of the C curves: ``("mean",)``, or the regimes.
        used: whether the leading reading uses a curve's regime, C flags; pictures leave out the
            others.
        of: what they are curves of.
        derivative: whether the curves are slopes, in y's units per unit of the feature.
        prob: probability inside the bands.
        along: values of the feature, ``[G]``.
        weights: what each restart counts, ``[R]``.
        draws: ``[R, S, G, C]``; along G each draw is one function, so that a statement about the
            whole curve, such as where it peaks, can be read draw by draw.
        out_of_data: the points where the fit has seen no data, ``[G]``, see
            :func:`~bayes_hybrid.diagnostics.curves.support.out_of_data`.
    """

    feature: str
    column: int
    output: str
    held: str
    names: tuple[str, ...]
    used: tuple[bool, ...]
    of: Quantity
    derivative: bool
    prob: float
    along: FloatArray
    weights: FloatArray
    draws: FloatArray
    out_of_data: NDArray[np.bool_]

    @property
    def mean(self) -> FloatArray:
        """Mean over the draws, ``[G, C]``."""
        return mean_over_draws(self.draws, self.weights)

    @property
    def lower(self) -> FloatArray:
        """Lower end of the central band, point by point, ``[G, C]``."""
        return self._quantile(0.5 - self.prob / 2.0)

    @property
    def upper(self) -> FloatArray:
        """Upper end of the central band, point by point, ``[G, C]``."""
        return self._quantile(0.5 + self.prob / 2.0)

    def _quantile(self, prob: float) -> FloatArray:
        return np.asarray(quantiles_over_draws(self.draws, prob, self.weights)[0])

    def to_frame(self) -> pd.DataFrame:
        """A row for each curve and point.

        Columns ``feature``, ``value``, ``curve``, ``mean``, ``lower``, ``upper``, ``prob`` and
        ``out_of_data``.
        """
        num_curves, num_points = len(self.names), len(self.along)
        return pd.DataFrame(
            {
                "feature": self.feature,
                "value": np.tile(self.along, num_curves),
                "curve": np.repeat(np.array(self.names, dtype=object), num_points),
                "mean": self.mean.T.ravel(),
                "lower": self.lower.T.ravel(),
                "upper": self.upper.T.ravel(),
                "prob": self.prob,
                "out_of_data": np.tile(self.out_of_data, num_curves),
            }
        )


def effect_curve(
    fit: Fit,
    feature: int | str = 0,
    *,
    at: At = None,
    of: Quantity = "mean",
    derivative: bool = False,
    output: int | str = 0,
    prob: float = 0.9,
    grid: Grid = 100,
) -> EffectCurve:
    """``E[y | x, theta_s]`` along one feature for every posterior draw s, or its slope.

    The mean of the whole is ``sum_k pi_k(x) mu_k(x)``; its slope ``sum_k pi_k' mu_k + pi_k mu_k'``
    has a part that the gate makes, where regimes change.  Bands hold for each point by itself, and
    are those of the function, not of new targets.

    Slopes are exact, by automatic differentiation of each draw.  An expert of ReLU units is
    piecewise linear: at a kink the slope jumps, and neither side's value is the derivative there.
    A single draw's slope curve is therefore a staircase; the mean over draws is smooth as far as
    their kinks lie in different places.  Slopes of an expert are those of its location, which is
    its mean where it has one.

    Args:
        fit: the finished fit.
        feature: position or name of the feature that varies.
        at: where the other features are held: all D values in order, or some of them by name,
            the rest at their medians; ``None`` holds all at their medians.
        of: ``"mean"`` for the whole, ``"expert"`` for each expert by itself (in the draws of
            ``fit.for_regimes``, which are not those of the other two), ``"contribution"`` for
            ``pi_k(x) (mu_k(x) - ybar)``, which sum to the mean less the mean ``ybar`` of the
            training targets.
        derivative: whether to return slopes, in y's units per unit of the feature.
        output: position or name of the output, where there are several.
        prob: probability inside the bands.
        grid: number of points G over the range of the data, or G values of the feature, rising;
            points without data are flagged.  The result holds R S G numbers per curve.

    Raises:
        OptionError: no such feature, output or quantity, ``prob`` not strictly between 0 and 1, a
            grid that is none, a constant feature whose values do not come, or ``at`` that is not D
            finite numbers.
    """
    checks.fraction("prob", prob)
    checks.choice("of", of, QUANTITIES)
    line = slice_along(fit, feature, grid, at=at, margin=0.0)
    drawn = one_output(fit, output)
    draws = curve_draws(fit, line.points, drawn, of, slope=line.column if derivative else None)
    return curve_of(fit, line, drawn, of, draws, prob=prob, derivative=derivative)


def curve_of(
    fit: Fit,
    line: Slice,
    drawn: Output,
    of: Quantity,
    draws: FloatArray,
    *,
    prob: float,
    derivative: bool = False,
) -> EffectCurve:
    """The curve with these draws ``[R, S, G, C]`` along a line."""
    return EffectCurve(
        feature=line.name,
        column=line.column,
        output=drawn.name,
        held=line.held,
        names=curve_names(fit, of),
        used=curve_used(fit, of),
        of=of,
        derivative=derivative,
        prob=prob,
        along=line.along,
        weights=curve_posterior(fit, of).restart_weights,
        draws=draws,
        out_of_data=out_of_data(fit, line.points).flag,
    )


def curve_names(fit: Fit, of: Quantity) -> tuple[str, ...]:
    """What the C curves of that quantity are called."""
    return ("mean",) if of == "mean" else curve_posterior(fit, of).regime_names


def curve_used(fit: Fit, of: Quantity) -> tuple[bool, ...]:
    """Whether the leading reading uses each of the C curves' regimes."""
    return (True,) if of == "mean" else tuple(map(bool, fit.readings[0].used))


def curve_posterior(fit: Fit, of: Quantity) -> Posterior:
    """The posterior that the quantity is read from."""
    return (fit.for_regimes if of == "expert" else fit).posterior


def curve_draws(
    fit: Fit, x: FloatArray, drawn: Output, of: Quantity, *, slope: int | None = None
) -> FloatArray:
    """The quantity at rows ``x [N, D]`` for each draw, ``[R, S, N, C]``.

    With ``pi_k`` the gate, ``mu_k`` the experts and ``ybar`` the mean of the training targets::

        mean          sum_k pi_k mu_k
        expert        mu_k, of the draws that regimes are read from
        contribution  pi_k (mu_k - ybar)

    Args:
        fit: the finished fit.
        x: rows ``[N, D]``.
        drawn: the output.
        of: which of the three.
        slope: position of the feature whose derivative is wanted; ``None`` for the values.
    """
    posterior = curve_posterior(fit, of)
    if of == "expert":
        means = (
            posterior.by_draw.expert_mean(x)
            if slope is None
            else posterior.by_draw.slopes(x, slope)[1]
        )
        return drawn.of_draws(means)
    gate, several = posterior.by_draw.gate_and_mean(x)
    # The gate's slopes sum to 0, so that ybar has no part in the slope of the mean.
    level = target_mean(fit, drawn)
    above = drawn.of_draws(several) - level
    if slope is None:
        terms = gate * above
    else:
        gate_slopes, several = posterior.by_draw.slopes(x, slope)
        terms, level = gate_slopes * above + gate * drawn.of_draws(several), 0.0
    return terms if of == "contribution" else terms.sum(axis=-1, keepdims=True) + level


def target_mean(fit: Fit, drawn: Output) -> float:
    """``ybar``, the mean of the training targets, missing ones left out."""
    return float(np.nanmean(drawn.of(fit.y)))
