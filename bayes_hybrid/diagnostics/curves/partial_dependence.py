"""Partial dependence: the mean curve over the rows of the data, and the curve of each row."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.curves.effects import (
    QUANTITIES,
    EffectCurve,
    Quantity,
    curve_draws,
    curve_names,
    curve_posterior,
    curve_used,
)
from bayes_hybrid.diagnostics.curves.lines import Grid
from bayes_hybrid.diagnostics.curves.slices import one_output, slice_along
from bayes_hybrid.diagnostics.curves.support import out_of_data
from bayes_hybrid.diagnostics.evaluation.evaluation import row_chunks, spread_rows
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Pictured

__all__ = ["PartialDependence", "partial_dependence"]

_MOSTLY: Final = 0.5
"""A point of the mean curve is out of data where more than half of its rows are."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PartialDependence(Pictured):
    """The mean curve, and the individual ones that it is the mean of.

    Attributes:
        curve: partial dependence with its band over the posterior draws; ``out_of_data`` is where
            that holds for more than half of the rows.
        rows: indices of the M training rows that were read, ``[M]``.
        individual: the curve of each row, mean over the draws, ``[M, G, C]``.
        out_of_data: whether the row with its feature set to that value is out of data, ``[M, G]``.
    """

    curve: EffectCurve
    rows: NDArray[np.intp]
    individual: FloatArray
    out_of_data: NDArray[np.bool_]

    def to_frame(self, *, individual: bool = False) -> pd.DataFrame:
        """The mean curve, see :meth:`EffectCurve.to_frame`, or a line for each row's points.

        Args:
            individual: whether to return the individual curves instead, with the columns
                ``feature``, ``row``, ``value``, ``curve``, ``mean`` and ``out_of_data``.
        """
        if not individual:
            return self.curve.to_frame()
        size = self.individual.shape
        row, point, curve = (index.ravel() for index in np.indices(size))
        return pd.DataFrame(
            {
                "feature": self.curve.feature,
                "row": self.rows[row],
                "value": self.curve.along[point],
                "curve": np.array(self.curve.names, dtype=object)[curve],
                "mean": self.individual.ravel(),
                "out_of_data": self.out_of_data[row, point],
            }
        )


def partial_dependence(
    fit: Fit,
    feature: int | str = 0,
    *,
    of: Quantity = "mean",
    output: int | str = 0,
    prob: float = 0.9,
    grid: Grid = 40,
    max_rows: int = 100,
) -> PartialDependence:
    """``(1/M) sum_n f_s(v, x_n without j)`` for each value v of feature j and each draw s.

    The mean over rows is taken within each draw, so the band is that of the curve.  The individual
    curves ``f(v, x_n without j)`` show what the mean hides: where they are not parallel, the
    feature's effect depends on the other features.  Features that move together in the data are
    moved apart here, and the flag says where such combinations never came.

    Args:
        fit: the finished fit.
        feature: position or name of the feature.
        of: ``"mean"``, ``"expert"`` or ``"contribution"``, see :func:`.effects.effect_curve`.
        output: position or name of the output, where there are several.
        prob: probability inside the bands.
        grid: number of points G over the range of the data, or G values, rising.
        max_rows: at most so many training rows, evenly spread, are read; time grows with
            ``max_rows * grid``, memory does not.

    Raises:
        OptionError: no such feature, output or quantity, ``prob`` not strictly between 0 and 1,
            a grid that is none, ``max_rows`` below 1, or a constant feature whose values do not
            come.

    Source:
        Friedman (2001), Annals of Statistics 29, 1189-1232, section 8.2; individual curves:
        Goldstein, Kapelner, Bleich and Pitkin (2015), Journal of Computational and Graphical
        Statistics 24, 44-65.
    """
    checks.fraction("prob", prob)
    checks.choice("of", of, QUANTITIES)
    line, drawn = slice_along(fit, feature, grid, margin=0.0), one_output(fit, output)
    rows = spread_rows(fit.x.shape[0], checks.positive_int("max_rows", max_rows))
    names = curve_names(fit, of)
    posterior = curve_posterior(fit, of)
    size = len(line.along)
    total = np.zeros((posterior.num_restarts, posterior.num_draws, size, len(names)))
    individual = np.empty((rows.size, size, len(names)))
    points = np.repeat(fit.x[rows][:, None], size, axis=1)  # [M, G, D]
    points[:, :, line.column] = line.along
    cells = total.size * max(1, posterior.num_regimes) * len(fit.output_names)
    for part in row_chunks(rows.size, cells):
        draws = curve_draws(fit, points[part].reshape(-1, points.shape[-1]), drawn, of)
        draws = draws.reshape(*draws.shape[:2], -1, size, len(names))
        total += draws.sum(axis=2)
        individual[part] = mean_over_draws(draws, posterior.restart_weights)
    outside = out_of_data(fit, points.reshape(-1, points.shape[-1])).flag.reshape(-1, size)
    others = f"mean over {rows.size} rows" if len(fit.feature_names) > 1 else ""
    curve = EffectCurve(
        feature=line.name,
        column=line.column,
        output=drawn.name,
        held=others,
        names=names,
        used=curve_used(fit, of),
        of=of,
        derivative=False,
        prob=prob,
        along=line.along,
        weights=posterior.restart_weights,
        draws=total / rows.size,
        out_of_data=outside.mean(axis=0) > _MOSTLY,
    )
    return PartialDependence(curve=curve, rows=rows, individual=individual, out_of_data=outside)
