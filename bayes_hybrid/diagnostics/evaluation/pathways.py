"""What each pathway does for the prediction, and whether its parameters have settled."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.evaluation.gate_rows import GateRows
from bayes_hybrid.digits import percentages
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws

__all__ = [
    "NEAR_FLOOR",
    "layer_shares",
    "pathway_findings",
    "regime_shares",
    "settled_findings",
    "unsettled",
    "width_findings",
]

_NOTHING: Final = 1e-3
"""A pathway with a thousandth of the variance changes R^2 by 0.001 at most: nobody would see it
missing."""

_UNSETTLED: Final = 0.25
"""A linear model with p parameters and N rows has ``p / N = q / (1 - q)`` for this share q: at a
quarter there are three rows to a parameter, and a third of what the rows say is spent on them."""

NEAR_FLOOR: Final = 5.0
"""A scale, or a width, is its floor plus something with a LogNormal prior, which charges for coming
ever nearer: twenty nats for a hundredth of the floor.  Scales of repeated or rounded targets stop
at a few times it."""

_FLOOR_SHARE: Final = 0.05
"""One unit in twenty may be a kink; more, and the Gaussian pathway is no longer smooth."""


def regime_shares(spread: FloatArray) -> FloatArray:
    """``mean_n pi_k ((mu_k - ybar)^2 + sigma_k^2)`` over its sum over k, ``[..., K]``.

    The law of total variance splits the variance of y over rows and regimes, about the mean
    ``ybar`` of the targets, into what comes by way of each regime.

    Args:
        spread: the numerator, times any number, ``[..., K]``.

    Returns:
        NaN where a variance is infinite, as that of heavy tails.
    """
    total = spread.sum(axis=-1, keepdims=True)
    return np.asarray(spread / np.where(np.isfinite(total), total, np.nan))


def layer_shares(posterior: Posterior, x: FloatArray) -> dict[str, FloatArray]:
    """Share of each kind of unit in an expert's mean, where its layers mix them linearly.

    ::

        share_rs = Var_n(mu_rsn - mu_rsn without the units) / (the same, summed over the kinds)

    Returns:
        ``[R, S]`` for each kind, by a name such as ``"linear_mix.gaussian"``: the mean over the
        outputs whose mean is not constant, NaN without any.
    """
    added: dict[str, dict[str, FloatArray]] = {}
    for (regime, kind), part in posterior.by_draw.unit_mean(x).items():
        # Outputs have different units, and one expert splits each of them in its own way.
        of_rows = part.reshape(*part.shape[:3], -1).var(axis=2)
        added.setdefault(regime, {})[kind] = of_rows
    shares = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for regime, kinds in added.items():
            total = np.sum(list(kinds.values()), axis=0)
            for kind, of_rows in kinds.items():
                split = np.nansum(of_rows / total, axis=-1)
                shares[f"{regime}.{kind}"] = split / (total > 0.0).sum(axis=-1)
    return shares


def unsettled(mean: FloatArray, variance: FloatArray, weights: FloatArray) -> float:
    """``mean_n sum_r w_r Var_s(m_rsn) / mean_n Var[y | x_n]``, the variance between draws.

    By the law of total variance, the share of the predictive variance that is due to not knowing
    the mean, within a restart.

    Args:
        mean: ``m_rsn = E[y | x_n, theta_rs]``, ``[R, S, P]``.
        variance: of the predictive, ``[P]``.
        weights: of each restart ``[R]``.

    Returns:
        NaN where a predictive variance is not finite, as that of heavy tails.

    Example:
        >>> unsettled(np.array([[[0.0], [2.0]]]), np.array([4.0]), np.ones(1))
        0.25
    """
    if not np.isfinite(variance).all():
        return math.nan
    return float((weights @ mean.var(axis=1)).mean() / variance.mean())


def pathway_findings(
    rows: GateRows | None,
    regime_names: tuple[str, ...],
    layers: Mapping[str, FloatArray],
    weights: FloatArray,
) -> list[Finding]:
    """``pathway_share[...]`` of each regime, and of each kind of unit that a layer mixes.

    Args:
        rows: what gate and experts say of the rows; ``None`` for one regime.
        regime_names: K names.
        layers: share of each kind of unit, ``[R, S]``.
        weights: of each restart ``[R]``.
    """
    shares: dict[str, FloatArray] = {}
    if rows is not None:
        split = regime_shares(rows.spread)
        shares = {name: split[..., k] for k, name in enumerate(regime_names)}
    shares |= layers
    return [
        _share(name, draws, weights) for name, draws in shares.items() if np.isfinite(draws).all()
    ]


def width_findings(widths: FloatArray | None, weights: FloatArray) -> list[Finding]:
    """``width_floor``: the share of Gaussian units whose smoothing width is at its floor.

    Args:
        widths: over the smallest allowed, ``[R, S, U]``; ``None`` without Gaussian units.
        weights: of each restart ``[R]``.
    """
    if widths is None:
        return []
    value = float(mean_over_draws(widths <= NEAR_FLOOR, weights).mean())
    return [
        judge(
            "width_floor",
            value,
            "<=",
            _FLOOR_SHARE,
            meaning=f"{value:.1%} of the Gaussian units have the smallest smoothing width allowed, "
            "or one within five times of it.",
            advice="The Gaussian pathway imitates jumps. Let another part have them: {an expert "
            "with ReLU units (`model='mixture'`)|`gate='threshold'`|larger widths by their prior "
            "(`Priors(width=...)`)}.",
        )
    ]


def settled_findings(mean: FloatArray, variance: FloatArray, weights: FloatArray) -> list[Finding]:
    """``unsettled_mean``: how much of the predictive variance the draws of the mean make up.

    Left out where a predictive variance is infinite, as that of heavy tails.

    Args:
        mean: as for :func:`unsettled`.
        variance: as for :func:`unsettled`.
        weights: of each restart ``[R]``.
    """
    if np.isinf(variance).any():
        return []
    value = unsettled(mean, variance, weights)
    return [
        judge(
            "unsettled_mean",
            value,
            "<=",
            _UNSETTLED,
            meaning=f"Draws of the mean differ within a restart by so much that they make up "
            f"{value:.0%} of the predictive variance.",
            advice="The data have not settled the pathways' weights, and noise is overstated to "
            "make room for them. Use {a guide that takes weights as dependent "
            "(`Variational(guide='block')`)|`refine='always'`|fewer units (`num_units`)|"
            "`plan='gaussian_first'`}. With few rows for many features it is the data that are "
            "too few.",
        )
    ]


def _share(name: str, draws: FloatArray, weights: FloatArray) -> Finding:
    value = float(mean_over_draws(draws, weights))
    low, high = quantiles_over_draws(draws, [0.05, 0.95], weights)
    mean, lower, upper = percentages(high - low, value, low, high)
    return judge(
        f"pathway_share[{name}]",
        value,
        ">=",
        _NOTHING,
        meaning=f"By way of '{name}' comes {mean} of the variance (90% interval {lower} to "
        f"{upper}).",
        advice="The other pathway dominates. Fit without this one and compare held-out log "
        "densities (`ablate` does both). Or give it time of its own with {`plan='gaussian_first'` "
        "for a Gaussian pathway|`plan=('default', 'balanced')` for a regime}.",
        interval=(float(low), float(high)),
    )
