"""Do chains, or restarts, say the same?  Judged by quantities that depend on no numbering."""

import math
from typing import Final

import numpy as np

from bayes_hybrid.diagnostics.chains import ess_bulk, r_hat
from bayes_hybrid.diagnostics.evaluation import Evaluation
from bayes_hybrid.diagnostics.finding import Finding, judge
from bayes_hybrid.diagnostics.gate import DISTANT
from bayes_hybrid.diagnostics.interface import FloatArray

__all__ = [
    "MAX_R_HAT",
    "label_free",
    "material",
    "seed_dependence",
    "seed_finding",
    "worst_mixing",
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


def worst_mixing(draws: FloatArray) -> tuple[float, float]:
    """Largest r-hat and smallest bulk ESS of ``[R, S, L]``, chains by themselves.

    Restarts are modes, which no chain of theirs leaves, and what they count is found out otherwise.
    So each chain is asked by itself whether its halves agree: with B the mean over chains of the
    variance of their two halves' means, and W that of the variances within halves of n draws::

        r_hat = sqrt((n - 1) / n + B / W)

    The ESS of a reading is the sum of those of its chains.  Constant quantities are left out.

    Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16, 667-718,
    whose split is taken here, and not their ranks; Margossian et al. (2024), Bayesian Analysis,
    for chains that are asked in groups.

    Returns:
        ``(nan, nan)`` for fewer than four draws, or where nothing moves.
    """
    half = draws.shape[1] // 2
    with np.errstate(invalid="ignore"):  # what is infinite in every draw has no spread
        moves = np.isfinite(draws).all(axis=(0, 1)) & (np.ptp(draws, axis=1) > 0.0).any(axis=0)
    if half < 2 or not moves.any():
        return math.nan, math.nan
    draws = draws[..., moves]
    halves = np.stack([draws[:, :half], draws[:, -half:]], axis=1)  # [R, 2, n, L]
    between = halves.mean(axis=2).var(axis=1, ddof=1).mean(axis=0)
    within = halves.var(axis=2, ddof=1).mean(axis=(0, 1))
    worst = float((between / within).max())
    sizes = [np.nan_to_num(ess_bulk(chain[None])) for chain in draws]
    return math.sqrt((half - 1.0) / half + worst), float(np.sum(sizes, axis=0).min())


def seed_dependence(evaluation: Evaluation) -> tuple[float, int]:
    """Largest r-hat, with chain = restart, of quantities that differ between restarts by something.

    Two variational solutions never agree to within their own small spread, so that r-hat alone is
    far from one for every fit.  Only quantities whose standard deviation over restarts is more than
    :func:`material` are looked at, and predicted means only where those of more than a tenth of
    the rows are.  Copies of one candidate are left out.

    Returns:
        r-hat, 1 where no quantity differs by enough, and the number of those that do; NaN for fewer
        than two distinct restarts or four draws.
    """
    draws = label_free(evaluation)[evaluation.distinct]
    if draws.shape[0] < 2 or draws.shape[1] < 4:
        return math.nan, 0
    with np.errstate(invalid="ignore"):
        apart = draws.mean(axis=1).std(axis=0, ddof=1) > material(evaluation)
    means = apart[-evaluation.mean.shape[-1] :]
    means &= means.mean() > DISTANT  # of many rows, a few differ by chance
    if not apart.any():
        return 1.0, 0
    return float(r_hat(draws[..., apart]).max()), int(apart.sum())


def seed_finding(evaluation: Evaluation) -> list[Finding]:
    """``seed_dependence``, where there are two distinct restarts of four draws."""
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
            "(`num_restarts=64`)|`refine='always'`, which weighs them by what draws predict}.",
        )
    ]
