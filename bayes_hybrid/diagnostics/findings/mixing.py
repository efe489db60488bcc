"""Do chains, or restarts, say the same?  Judged by quantities that depend on no numbering."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.approximation import between_restarts
from bayes_hybrid.diagnostics.evaluation.chains import ess_bulk, r_hat
from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.regimes.gate import DISTANT

__all__ = [
    "MAX_R_HAT",
    "Mixing",
    "label_free",
    "material",
    "mixing",
    "seed_dependence",
    "seed_finding",
]

MAX_R_HAT: Final = 1.1
"""The factor by which longer chains might still narrow the posterior (Gelman and Rubin 1992).
Vehtari et al. (2021) ask for 1.01 of long runs; a few hundred draws cannot show that."""

_SHARE: Final = 0.05
"""A twentieth of the rows, or of the entropy's range: below it no plot or table reads otherwise."""

_NATS: Final = 0.1
"""A tenth of a nat per row, which a held-out comparison of a hundred rows can just see."""

_PREDICTIVE: Final = 1.0 / 3.0
"""As in ``mean_disagreement``: a third of the predictive standard deviation."""


def label_free(evaluation: Evaluation) -> FloatArray:
    """Draws of what depends on no numbering of regimes or hidden units, ``[R, S, L]``.

    The usages in ascending order, the mean entropy of the responsibilities (only of a mixture), the
    mean log likelihood per row, and the predictive mean at some rows.
    """
    parts = [np.sort(evaluation.usage, axis=-1)]
    if evaluation.gate is not None:
        parts.append(evaluation.gate.entropy[..., None] / evaluation.rows.size)
    parts += [evaluation.log_likelihood.mean(axis=-1, keepdims=True), evaluation.mean]
    return np.concatenate(parts, axis=-1)


def material(evaluation: Evaluation) -> FloatArray:
    """Standard deviation between restarts from which on a :func:`label_free` quantity matters."""
    num_regimes = evaluation.usage.shape[-1]
    parts = [np.full(num_regimes, _SHARE)]
    if evaluation.gate is not None:
        parts.append(np.array([_SHARE * math.log(num_regimes)]))
    parts += [np.array([_NATS]), _PREDICTIVE * np.sqrt(evaluation.variance)]
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Mixing:
    """How far R chains that do not change places are to be trusted, of each of L quantities.

    Restarts are modes, which no chain of theirs leaves, and what each counts is found out
    otherwise.  So it is asked whether what they say together still moves, and how well it is known.
    With the chains' weights w_c, and m_c, v_c and ess_c of each chain's mean, variance and ESS::

        r_hat^2 = 1 + (m_first - m_last)^2 / (2 W)
        mcse^2  = sum_c w_c^2 v_c / ess_c
        ess     = V / mcse^2

    m_first is the weighted mean over the first halves of all chains, m_last over their last ones, W
    the mean of the two variances about them, and V that of all draws.  NaN for constant quantities.

    Source: Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari and Gelman (2024), Nested R-hat,
    Bayesian Analysis, equation 8, whose two super-chains are here the halves of all chains.

    Args:
        r_hat: ``[L]``.
        ess: bulk effective sample size ``[L]``.
        mcse: Monte Carlo standard error of the mean ``[L]``.
    """

    r_hat: FloatArray
    ess: FloatArray
    mcse: FloatArray

    @property
    def worst(self) -> tuple[float, float]:
        """Largest r-hat and smallest ESS; NaN where nothing moves."""
        known = ~np.isnan(self.r_hat)
        if not known.any():
            return math.nan, math.nan
        return float(self.r_hat[known].max()), float(self.ess[known].min())


def mixing(draws: FloatArray, weights: FloatArray) -> Mixing:
    """:class:`Mixing` of ``draws [R, S, L]`` of chains with ``weights [R]``, which add up to one.

    All NaN for fewer than four draws.
    """
    half = draws.shape[1] // 2
    nothing = np.full(draws.shape[-1], math.nan)
    if half < 2:
        return Mixing(nothing, nothing, nothing)

    def moments(part: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = np.tensordot(weights, part.mean(axis=1), 1)
        return mean, np.tensordot(weights, np.square(part - mean).mean(axis=1), 1)

    with np.errstate(invalid="ignore", divide="ignore"):  # what does not move, or is infinite
        (first, before), (last, after) = moments(draws[:, :half]), moments(draws[:, -half:])
        sizes = np.stack([np.nan_to_num(ess_bulk(chain[None]), nan=1.0) for chain in draws])
        error = np.tensordot(np.square(weights), draws.var(axis=1) / sizes, 1)
        r_hat = np.sqrt(1.0 + np.square(first - last) / (before + after))
        moves = error > 0.0
        ess = moments(draws)[1] / error
    each = (np.where(moves, value, math.nan) for value in (r_hat, ess, np.sqrt(error)))
    return Mixing(*each)


def seed_dependence(evaluation: Evaluation) -> tuple[float, int]:
    """Largest r-hat, with chain = restart, of quantities that differ between restarts by something.

    Two variational solutions never agree to within their own small spread, so that r-hat alone is
    far from one for every fit.  Only quantities whose standard deviation over restarts, by weight,
    is more than :func:`material` are looked at, and predicted means only where those of more than a
    tenth of the rows are.  r-hat itself takes restarts alike: any may be what a seed finds.

    Returns:
        r-hat, 1 where no quantity differs by enough, and the number of those that do; NaN for fewer
        than two restarts or four draws.
    """
    draws = label_free(evaluation)
    if draws.shape[0] < 2 or draws.shape[1] < 4:
        return math.nan, 0
    with np.errstate(invalid="ignore"):
        apart = np.sqrt(between_restarts(draws, evaluation.weights)) > material(evaluation)
    means = apart[-evaluation.mean.shape[-1] :]
    means &= means.mean() > DISTANT  # of many rows, a few differ by chance
    if not apart.any():
        return 1.0, 0
    return float(r_hat(draws[..., apart]).max()), int(apart.sum())


def seed_finding(evaluation: Evaluation) -> list[Finding]:
    """``seed_dependence``, where there are two restarts of four draws."""
    value, count = seed_dependence(evaluation)
    if math.isnan(value) and count == 0:
        return []
    return [
        judge(
            "seed_dependence",
            value,
            "<=",
            MAX_R_HAT,
            meaning=f"Of usage, entropy, log likelihood and predicted means, {count} differ "
            "between restarts by enough to matter; their largest r-hat, restarts as chains, is "
            f"{value:.2f}.",
            advice="Another seed may give another answer. Fit with {more restarts "
            "(`num_restarts=128`)|`refine='always'`, which weighs them by what draws predict}.",
        )
    ]
