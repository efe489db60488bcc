"""Where observations fall in their predictive distributions, and whether that is uniform."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.chains import BAD_K, psis_weights
from bayes_hybrid.diagnostics.evaluation.evaluation import row_chunks
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.tabular import Tabular

__all__ = ["PitEcdf", "loo_pit", "pit_ecdf", "pit_finding"]

_MAX_POINTS: Final = 100
"""Points at which the ecdf is held against its band: between two of them it moves by one percent,
which is less than the band's half width up to some ten thousand rows."""

_NUM_SIMULATIONS: Final = 4_000
"""The band's coverage then has a Monte Carlo error of sqrt(0.95 * 0.05 / 4000) = 0.3 points."""

_BAND_SEED: Final = 0
"""A band belongs to a number of rows, not to a fit: every fit is held against the same one."""

_PROB: Final = 0.95
_SLACK: Final = 0.02
"""As for coverage: with thousands of rows a miss of less than two points shows, and does not
matter."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PitEcdf(Tabular):
    """The ecdf of probability integral transforms, less that of uniform ones.

    =====================================  ================================================
    difference                             reading
    =====================================  ================================================
    inside the band                        no departure from calibration shows
    above it on the left, below it right   predictions are too narrow
    below it on the left, above it right   predictions are too wide
    above it all along, or below it        observations are lower, or higher, than predicted
    =====================================  ================================================

    Attributes:
        points: where both are compared, ``[G]``, inside (0, 1).
        difference: ``ecdf(u) - u`` at the points, ``[G]``.
        lower: lower end of the simultaneous band of the difference, ``[G]``.
        upper: its upper end, ``[G]``.
        prob: chance that uniform and independent values stay inside the whole band.
        p_value: share of uniform samples that come as near to the edge of a band, or leave it, with
            the values themselves as one of them, so that it is never 0.
        num_rows: values that the ecdf is made of.
    """

    points: FloatArray
    difference: FloatArray
    lower: FloatArray
    upper: FloatArray
    prob: float
    p_value: float
    num_rows: int

    @property
    def inside(self) -> bool:
        """Whether the whole ecdf is inside the band."""
        return bool(((self.difference >= self.lower) & (self.difference <= self.upper)).all())

    def to_frame(self) -> pd.DataFrame:
        """A row for each point: ``point``, ``difference``, ``lower``, ``upper``."""
        return pd.DataFrame(
            {
                "point": self.points,
                "difference": self.difference,
                "lower": self.lower,
                "upper": self.upper,
            }
        )


def pit_ecdf(pit: FloatArray, *, prob: float = _PROB) -> PitEcdf:
    """The ecdf of PIT values less the identity, with a simultaneous band.

    At each point the count of values up to it is binomial when the values are uniform.  The band
    has the same tail probability at every point, chosen by simulation such that ``prob`` of all
    uniform samples stay inside everywhere.

    Args:
        pit: values in [0, 1], ``[N]`` with N >= 2.
        prob: chance that a calibrated sample stays inside the whole band.

    Returns:
        Points, difference and band.

    Raises:
        DataError: fewer than two values, values outside [0, 1], or NaN.
        OptionError: ``prob`` is not strictly between 0 and 1.

    Source: Säilynoja, Bürkner and Vehtari (2022), Statistics and Computing 32 (32).

    Example:
        >>> pit_ecdf((np.arange(50) + 0.5) / 50).inside, pit_ecdf(np.linspace(0, 0.5, 50)).inside
        (True, False)
    """
    level = checks.fraction("prob", prob)
    values = np.asarray(pit, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise DataError(
            f"pit must be two or more values in [0, 1], [N]; got shape {values.shape}"
            + (f" with {values.min():g} to {values.max():g}" if values.size else "")
        )
    num_rows = values.size
    points, tails = _simulated(num_rows)
    # The lower of two neighbours, because counts are whole: at least prob of the samples pass.
    # A hair below, or a count whose tail is just this one could round to outside.
    tail = np.quantile(tails, 1.0 - level, method="lower") * (1.0 - 1e-9)
    counts = np.searchsorted(np.sort(values), points, side="right")
    near = (tails <= _smallest_tail(counts, num_rows, points) * (1.0 + 1e-9)).sum()
    return PitEcdf(
        points=points,
        difference=counts / num_rows - points,
        lower=stats.binom.ppf(tail, num_rows, points) / num_rows - points,
        upper=stats.binom.isf(tail, num_rows, points) / num_rows - points,
        prob=level,
        p_value=float((near + 1) / (len(tails) + 1)),
        num_rows=num_rows,
    )


@lru_cache(maxsize=32)
def _simulated(num_rows: int) -> tuple[FloatArray, FloatArray]:
    """Points ``[G]``, and the smallest tail probability of each of many uniform samples."""
    size = min(num_rows, _MAX_POINTS)
    points = np.arange(1, size) / size
    rng = np.random.default_rng(_BAND_SEED)
    cells = rng.multinomial(num_rows, np.full(size, 1.0 / size), size=_NUM_SIMULATIONS)
    return points, _smallest_tail(cells.cumsum(axis=1)[:, :-1], num_rows, points)


def _smallest_tail(counts: NDArray[np.int64], num_rows: int, points: FloatArray) -> FloatArray:
    """``min_u min(P(B <= count_u), P(B >= count_u))`` with B binomial, over the last axis."""
    below = stats.binom.cdf(counts, num_rows, points)
    above = stats.binom.sf(counts - 1, num_rows, points)
    return np.asarray(np.minimum(below, above).min(axis=-1))


def loo_pit(
    posterior: Posterior, x: FloatArray, y: FloatArray, log_likelihood: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """``sum_s w_ns F(y_n | x_n, theta_s)``: each training row in its leave-one-out predictive.

    The weights are the Pareto-smoothed ``w_s / p(y_n | x_n, theta_s)`` of draws that count by the
    weight ``w_s`` of their restart; F is the exact distribution
    function of the mixture, so that there is no Monte Carlo error but that of the posterior draws.

    Args:
        posterior: the draws, 25 or more.
        x: training features ``[N, D]``.
        y: training targets ``[N]``, or ``[N, Q]``; a row is left out with all its outputs.
        log_likelihood: of those rows, ``[R, S, N]``, where it is known.

    Returns:
        PIT values ``[N]``, or ``[N, Q]``, NaN where y is or where a log likelihood is not finite;
        and the Pareto k-hat of each row ``[N]``.

    Source: Gelfand, Dey and Chang (1992); weights as in Vehtari, Gelman and Gabry (2017),
    Statistics and Computing 27.
    """
    pit, k = np.full(y.shape, np.nan), np.full(len(y), np.nan)
    prior = np.log(draw_weights(posterior.restart_weights, posterior.num_draws))
    num_draws = posterior.num_restarts * posterior.num_draws
    for part in row_chunks(len(y), num_draws * int(np.prod(y.shape[1:], dtype=int))):
        known = None if log_likelihood is None else log_likelihood[:, :, part]
        logs = posterior.by_draw.log_likelihood(x[part], y[part]) if known is None else known
        logs = logs.reshape(num_draws, -1)
        cdf = posterior.by_draw.pit(x[part], y[part])
        cdf = cdf.reshape(num_draws, *cdf.shape[2:])
        for row in np.flatnonzero(np.isfinite(logs).all(axis=0)):
            weights, k[part.start + row] = psis_weights(logs[:, row] - prior)
            pit[part.start + row] = weights @ cdf[:, row]
    # Sums of probabilities are probabilities, up to rounding.
    return np.clip(pit, 0.0, 1.0), k


def pit_finding(pit: FloatArray, k: FloatArray, name: str = "pit_uniformity") -> Finding:
    """How far the ecdf of LOO-PIT values is outside its 95% simultaneous band.

    ``max_u`` of the distance beyond the band at ``u``, 0 inside.  The band is widened to at least
    two points on each side.  A calibrated model leaves it less than once in twenty.

    Args:
        pit: see :func:`loo_pit`; one output, two or more values that are there, ``[N]``.
        k: their Pareto k-hat ``[N]``.
        name: of the finding.
    """
    what, value = "cannot be computed", float("nan")
    if np.isfinite(pit).all():
        ecdf = pit_ecdf(pit)
        beyond = np.maximum(
            ecdf.difference - np.maximum(ecdf.upper, _SLACK),
            np.minimum(ecdf.lower, -_SLACK) - ecdf.difference,
        )
        value = max(0.0, float(beyond.max()))
        at = float(ecdf.points[beyond.argmax()])
        what = "stays inside its 95% simultaneous band"
        if value > 0.0:
            share = float((pit <= at).mean())
            what = (
                f"leaves its 95% simultaneous band: {share:.0%} of the rows lie below the "
                f"{at:.0%} quantile that the other rows predict"
            )
    # Written so that a k that is NaN counts as bad.
    bad = float((~(k <= BAD_K)).mean())
    said = f" ({bad:.0%} of them lean on few draws: k-hat above {BAD_K})" if bad else ""
    return judge(
        name,
        value,
        "<=",
        0.0,
        meaning=f"The distribution of leave-one-out PIT values of {pit.size} rows{said} {what}.",
        advice="The predictive distribution has a wrong shape, width or place: `plot_pit` shows "
        "where. Look at coverage on held-out rows. Try {noise that depends on the features "
        "(`noise='input'`)|another likelihood (`likelihood`)|refinement by HMC "
        "(`refine='always'`)}.",
    )
