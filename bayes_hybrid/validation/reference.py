"""A fit's answer beside that of Pyro's NUTS, on some of its rows."""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils.validation import check_is_fitted

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics.evaluation.approximation import SPREAD
from bayes_hybrid.diagnostics.evaluation.chains import ess_bulk, r_hat
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate, spread_rows
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.findings.advice import resolved_findings
from bayes_hybrid.diagnostics.findings.mixing import MAX_R_HAT, label_free
from bayes_hybrid.diagnostics.regimes.gate import DISTANT
from bayes_hybrid.estimator import HybridRegressor, build_options, reporting, settings_of
from bayes_hybrid.inference import NUTS, Fit, FitOptions, Posterior, Progress, fit
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, sd_over_draws
from bayes_hybrid.models import HybridModel
from bayes_hybrid.random import stream_seed

__all__ = ["ReferenceCheck", "check_against_nuts", "compared", "nuts_options"]

_MAX_COMPARED: Final = 500
"""Rows at which the answers are compared: a quantile of each takes a root search over all draws."""

_WIDTHS: Final = (0.8, 1.25)
"""A 90% interval of four fifths its width covers 81% where the posterior is normal."""

_LOSS: Final = -0.05
"""In nats per row; what SVI alone may lose against a long sampler (docs/how-good-is-it.md)."""

_SHIFT: Final = 0.5
"""A 90% interval shifted by half a posterior sd covers 86% where the posterior is normal."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceCheck:
    """The recipe's posterior beside that of NUTS, both of the same rows.

    Attributes:
        findings: the differences, each with its bound; the last one is NUTS's own r-hat.
        recipe: the fit by the estimator's own options.
        reference: the fit by NUTS.
        num_compared: rows at which predictions were compared.
        held_out: whether these are rows that neither has seen.
    """

    findings: tuple[Finding, ...]
    recipe: Fit
    reference: Fit
    num_compared: int
    held_out: bool

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        *differences, mixing = self.findings
        beyond = [finding.name for finding in differences if finding.severity != "ok"]
        said = "The fit agrees with NUTS on these rows."
        if beyond:
            said = f"The fit differs from NUTS in {', '.join(beyond)}."
        if mixing.severity != "ok":
            why = f"do not agree (r-hat {mixing.value:.2f})"
            if math.isnan(mixing.value):
                why = "are too few or too short for an r-hat"
            said += (
                f" NUTS's own chains {why}: a difference may be theirs, and agreement proves "
                "little. Give it more iterations."
            )
        return said


def check_against_nuts(
    estimator: HybridRegressor,
    *,
    num_rows: int = 200,
    num_chains: int = 2,
    num_warmup: int = 150,
    num_draws: int = 150,
    max_tree_depth: int = 6,
) -> ReferenceCheck:
    """Is the recipe's posterior that of Pyro's NUTS?

    The same model is fitted twice to the same random subsample of the training rows: by the
    estimator's own options, and by those with NUTS in place of the short HMC.  The two share no
    seed, so that NUTS starts from a search for modes of its own; it is not free of that search,
    and with a few chains of a few hundred iterations it is itself an approximation, whose r-hat is
    the last finding.  NUTS takes at most ``chains (warmup + draws) (2^depth - 1)`` gradient
    evaluations of a few milliseconds each, one after another.

    =======================  ====================================================================
    finding                  recipe beside NUTS
    =======================  ====================================================================
    ``mean_difference``      root mean square over rows of the means' difference, in predictive sd;
                             NaN where one is infinite
    ``interval_width``       mean width of the 90% intervals, ratio
    ``log_density``          mean log density per row, difference
    ``regime_distance``      ``mean_n (1/2) sum_k |p_k(x_n) - p_k'(x_n)|``, under the names for
                             regimes that agree best where the gate gives them no order, or one
                             that may as well be turned round
    ``threshold_shift``      difference of a threshold's posterior means, in NUTS's posterior sd;
                             of several thresholds ``threshold_shift[1]`` and so on
    ``threshold_sd``         its posterior sd, ratio
    ``nuts_r_hat``           largest r-hat of NUTS's chains over label-free quantities, and over
                             thresholds on a feature: NUTS may stick there, see
                             :class:`~bayes_hybrid.inference.samplers.HMC`
    =======================  ====================================================================

    Args:
        estimator: fitted.
        num_rows: rows of the subsample, two or more; all where the fit has fewer.  Predictions are
            compared at up to 500 of the other rows, or at the subsample where there are none.
        num_chains: chains of NUTS, two or more for an r-hat.
        num_warmup: iterations of a chain that adapt and are thrown away.
        num_draws: iterations that are kept.
        max_tree_depth: doublings of a trajectory, at most.

    Raises:
        NotFittedError: the estimator has no fit.
        OptionError: a number cannot be what it is.
        FitError: every restart of one of the two failed.

    Source: NUTS: Hoffman and Gelman (2014), JMLR 15, as in ``pyro.infer.NUTS``.
    """
    check_is_fitted(estimator)
    checks.positive_int("num_rows", num_rows, minimum=2)
    options = build_options(estimator)
    by_nuts = nuts_options(
        options,
        estimator.fit_.posterior.model,
        num_chains=num_chains,
        num_warmup=num_warmup,
        num_draws=num_draws,
        max_tree_depth=max_tree_depth,
    )
    whole = estimator.fit_
    row_seed, recipe_seed, reference_seed = (
        stream_seed(whole.seed, f"reference_{name}") for name in ("rows", "recipe", "nuts")
    )
    order = np.random.default_rng(row_seed).permutation(len(whole.x))
    rows, others = np.sort(order[:num_rows]), np.sort(order[num_rows:])
    at = others if others.size else rows
    at = at[spread_rows(at.size, _MAX_COMPARED)]
    with reporting(estimator.progress) as report:
        recipe = _fitted(whole, rows, options, recipe_seed, report)
        reference = _fitted(whole, rows, by_nuts, reference_seed, report)
    findings = compared(recipe.posterior, reference.posterior, whole.x[at], whole.y[at])
    found = resolved_findings([*findings, _mixing(reference)], settings_of(estimator))
    return ReferenceCheck(
        findings=tuple(found),
        recipe=recipe,
        reference=reference,
        num_compared=at.size,
        held_out=bool(others.size),
    )


def nuts_options(
    options: FitOptions,
    model: HybridModel,
    *,
    num_chains: int,
    num_warmup: int,
    num_draws: int,
    max_tree_depth: int,
) -> FitOptions:
    """The same options with NUTS for a sampler, and as many restarts as chains.

    Raises:
        OptionError: a number cannot be what it is.
    """
    checks.positive_int("num_chains", num_chains, minimum=2)
    checks.positive_int("num_draws", num_draws, minimum=4)
    return replace(
        options,
        num_restarts=num_chains,
        variational=replace(options.variational, num_draws=num_draws),
        sampler=NUTS(
            budget=None,
            num_warmup=num_warmup,
            num_iterations=num_draws,
            max_tree_depth=max_tree_depth,
        ),
    )


def compared(
    recipe: Posterior, reference: Posterior, x: FloatArray, y: FloatArray
) -> list[Finding]:
    """What two posteriors of one model say of the same rows, see :func:`check_against_nuts`.

    Args:
        recipe: the one in question.
        reference: the one that it is held against.
        x: features ``[N, D]``.
        y: targets ``[N]``, or ``[N, Q]``, NaN where missing.
    """
    variance = reference.predictive.variance(x)
    # Beside an infinite variance every difference looks small.
    sd = np.sqrt(np.where(np.isinf(variance), np.nan, variance))
    away = (recipe.predictive.mean(x) - reference.predictive.mean(x)) / sd
    findings = [
        _difference(
            "mean_difference",
            float(np.sqrt(np.mean(away**2))),
            SPREAD,
            "The predicted means differ by {value:.2f} predictive standard deviations.",
        ),
        _ratio("interval_width", _width(recipe, x), _width(reference, x), "90% intervals are"),
        _density(
            float(
                np.mean(
                    recipe.predictive.log_density(x, y) - reference.predictive.log_density(x, y)
                )
            )
        ),
    ]
    if recipe.num_regimes > 1:
        value, order = _regime_distance(recipe, reference, x)
        meaning = "The two give {value:.1%} of the rows to different regimes."
        findings.append(_difference("regime_distance", value, DISTANT, meaning))
        findings += _thresholds(recipe, reference, turned=bool(order[0]))
    return findings


def _fitted(
    whole: Fit, rows: NDArray[np.intp], options: FitOptions, seed: int, progress: Progress
) -> Fit:
    """The fit's model, fitted to some of its rows."""
    x = whole.x[rows]
    return fit(
        whole.posterior.model,
        x,
        whole.y[rows],
        seed=seed,
        options=options,
        labels=None if whole.labels is None else whole.labels[rows],
        scalings=(Standardizer.fit(x, log=whole.posterior.x_scaling.log.tolist()), None),
        progress=progress,
    ).named(whole.feature_names, whole.output_names)


def _width(posterior: Posterior, x: FloatArray) -> float:
    """Mean width of the 90% intervals, each output in units of its own sd."""
    ends = posterior.predictive.quantile(x, [0.05, 0.95])
    return float(np.mean((ends[..., 1] - ends[..., 0]) / posterior.y_scaling.scale))


def _regime_distance(
    recipe: Posterior, reference: Posterior, x: FloatArray
) -> tuple[float, NDArray[np.intp]]:
    """Mean total variation distance of the regimes, and which of the reference each one is."""
    one, other = recipe.predictive.regime_probability(x), reference.predictive.regime_probability(x)
    distance = np.abs(one[:, :, None] - other[:, None, :]).mean(axis=0)
    rows = np.arange(one.shape[1])
    order = rows
    if not recipe.model.has_thresholds:
        order = linear_sum_assignment(distance)[1]
    elif recipe.model.exchangeable(0, len(rows) - 1):
        # Along a linear combination, whose sign is free: the same regimes in the reverse order.
        order = min(rows, rows[::-1], key=lambda tried: distance[rows, tried].sum())
    return float(0.5 * distance[rows, order].sum()), order


def _thresholds(recipe: Posterior, reference: Posterior, *, turned: bool) -> list[Finding]:
    """A shift and a ratio of sds for each threshold; none where the gate has none.

    Args:
        recipe: the one in question.
        reference: the one that it is held against.
        turned: whether its linear combination has the opposite sign.
    """
    if recipe.thresholds is None or reference.thresholds is None:
        return []
    findings = []
    moments = [
        (mean_over_draws(draws, weights), sd_over_draws(draws, weights))
        for draws, weights in (
            (recipe.thresholds.location, recipe.restart_weights),
            (reference.thresholds.location, reference.restart_weights),
        )
    ]
    if turned:
        mean, sd = moments[0]
        moments[0] = -mean[::-1], sd[::-1]
    (mean, sd), (other_mean, other_sd) = moments
    for k, (below, above) in enumerate(itertools.pairwise(reference.regime_names)):
        name = "" if recipe.num_regimes == 2 else f"[{k + 1}]"
        change = f"the change from {below!r} to {above!r}"
        shift = float(abs(mean[k] - other_mean[k]) / other_sd[k])
        findings += [
            _difference(
                f"threshold_shift{name}",
                shift,
                _SHIFT,
                f"The means of {change} are {{value:.2f}} posterior standard deviations apart.",
            ),
            _ratio(
                f"threshold_sd{name}", float(sd[k]), float(other_sd[k]), f"The sd of {change} is"
            ),
        ]
    return findings


_ADVICE: Final = (
    "Give NUTS more iterations first. If the difference stays, {refine the fit "
    "(`refine='always'`)|give it more restarts (`num_restarts`)}."
)


def _difference(name: str, value: float, bound: float, meaning: str) -> Finding:
    return judge(name, value, "<=", bound, meaning=meaning.format(value=value), advice=_ADVICE)


def _ratio(name: str, recipe: float, reference: float, subject: str) -> Finding:
    """A ratio, held against the bound on its own side of one."""
    value = float(recipe / reference)
    meaning = f"{subject} {value:.2f} times that of NUTS."
    if value < 1.0:
        return judge(name, value, ">=", _WIDTHS[0], meaning=meaning, advice=_ADVICE)
    return judge(name, value, "<=", _WIDTHS[1], meaning=meaning, advice=_ADVICE)


def _density(value: float) -> Finding:
    meaning = f"The mean log density per row is {value:+.3f} nats beside NUTS's."
    return judge("log_density", value, ">=", _LOSS, meaning=meaning, advice=_ADVICE)


def _mixing(reference: Fit) -> Finding:
    draws = label_free(evaluate(reference, max_rows=_MAX_COMPARED))
    thresholds = reference.posterior.thresholds
    if thresholds is not None and reference.posterior.model.names_regimes:
        draws = np.concatenate([draws, thresholds.location], axis=-1)
    draws = draws[..., np.ptp(draws, axis=(0, 1)) > 0.0]
    worst, ess = math.nan, math.nan
    if draws.size and draws.shape[1] > 3:
        worst, ess = float(r_hat(draws).max()), float(ess_bulk(draws).min())
    return judge(
        "nuts_r_hat",
        worst,
        "<=",
        MAX_R_HAT,
        meaning=f"NUTS's chains have r-hat {worst:.2f} and ESS {ess:.0f} at worst.",
        advice="Give NUTS more warm-up and draws, or read its chains as separate modes.",
    )
