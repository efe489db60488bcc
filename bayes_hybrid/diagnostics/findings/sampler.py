"""After refinement by Hamiltonian Monte Carlo: did the chains work, and do they agree?"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.diagnostics.evaluation.evaluation import Evaluation
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.findings.mixing import MAX_R_HAT, label_free, material, mixing
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws

__all__ = ["sampler_findings"]

_DIVERGENT: Final = 0.01
"""A judgement: a long run should have none (Betancourt 2017, arXiv:1701.02434), a short
one whose step size is still settling has a few; one in a hundred is no longer a few."""

_ACCEPTANCE: Final = 0.2
"""The best rate is 0.65 (Beskos et al. 2013, Bernoulli 19).  Steps are spread over a factor of
four: at a rate of 0.2 the shortest of them still move the chain, and little else does."""

_HEAT: Final = 0.2
"""Of P directions this far from one in the mean, posterior sds are about a tenth off."""

_ERROR: Final = 1.0 / 3.0
"""Another run of the same chains then seldom differs by what would matter
(:func:`~bayes_hybrid.diagnostics.findings.mixing.material`): three standard errors are as large."""


def sampler_findings(
    sampler: Mapping[str, NDArray[np.generic]], evaluation: Evaluation, name: str = "HMC"
) -> list[Finding]:
    """Findings about a Hamiltonian Monte Carlo run; for those statistics that it recorded.

    Args:
        sampler: ``acceptance_rate`` and ``diverging``, or ``temperature``, each ``[R, S]``.
        evaluation: see :func:`bayes_hybrid.diagnostics.evaluation.evaluation.evaluate`.
        name: of the sampler's class.
    """
    findings = []
    if "diverging" in sampler:
        diverging = sampler["diverging"].astype(np.float64)
        findings.append(_divergences(float(mean_over_draws(diverging, evaluation.weights)), name))
    if "acceptance_rate" in sampler:
        rates = sampler["acceptance_rate"].astype(np.float64).mean(axis=1)
        findings.append(
            _acceptance(float(rates.min()), int(evaluation.numbers[rates.argmin()]), name)
        )
    if "temperature" in sampler:
        heat = sampler["temperature"].astype(np.float64).mean(axis=1)
        worst = int(np.abs(heat - 1.0).argmax())
        findings.append(_temperature(float(heat[worst]), int(evaluation.numbers[worst])))
    return findings + _mixing(evaluation, name)


def _divergences(value: float, name: str) -> Finding:
    return judge(
        "divergences",
        value,
        "<=",
        _DIVERGENT,
        meaning=f"{value:.1%} of the sampler's transitions diverged.",
        advice="Parts of the posterior were not reached. Take smaller steps "
        f"(`{name}(target_acceptance=0.95)`), or fit without a sampler (`refine='never'`) and "
        "compare held-out log densities.",
    )


def _acceptance(value: float, restart: int, name: str) -> Finding:
    return judge(
        "acceptance_rate",
        value,
        ">=",
        _ACCEPTANCE,
        meaning=f"The lowest acceptance rate of a chain is {value:.2f}, in restart {restart}.",
        advice=f"Take smaller steps (`{name}(target_acceptance=0.95)`) or adapt them for longer "
        f"(`{name}(num_warmup=...)`).",
    )


def _temperature(value: float, restart: int) -> Finding:
    return judge(
        "temperature",
        abs(value - 1.0),
        "<=",
        _HEAT,
        meaning=f"The temperature farthest from 1 of a chain on minibatches is {value:.2f}, in "
        f"restart {restart}: "
        + ("it is too wide." if value > 1.0 else "it has not spread as far as the posterior does."),
        advice="Take more rows a step (`SGHMC(batch_size=...)`) or more iterations "
        "(`SGHMC(num_warmup=..., num_iterations=...)`), refine by HMC on all rows "
        "(`refine='always'`), or fit without a sampler (`refine='never'`).",
    )


def _mixing(evaluation: Evaluation, name: str) -> list[Finding]:
    found = mixing(label_free(evaluation), evaluation.weights)
    errors = found.mcse / material(evaluation)
    r_hat, ess = found.worst
    error = math.nan if math.isnan(r_hat) else float(np.nanmax(errors))
    advice = f"Run the sampler longer (`{name}(num_warmup=300, num_iterations=400)`)."
    of = "usage, entropy, log likelihood and predictive means"
    if math.isnan(r_hat):
        said = "cannot be computed: it takes four draws that move"
        meanings = f"r-hat {said}.", f"The Monte Carlo error {said}."
    else:
        meanings = (
            f"The largest r-hat over {of}, of the chains' first halves and their last, is "
            f"{r_hat:.2f}.",
            f"The largest Monte Carlo error of {of} is {error:.0%} of what would matter; the "
            f"smallest effective sample size is {ess:.0f}.",
        )
    return [
        judge("r_hat", r_hat, "<=", MAX_R_HAT, meaning=meanings[0], advice=advice),
        judge("mcse", error, "<=", _ERROR, meaning=meanings[1], advice=advice),
    ]
