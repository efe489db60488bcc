"""How well the draws stand for the posterior: restarts, guide, chains, KL weight."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics import guide_report, restart_report
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS, good_k, pareto_k
from bayes_hybrid.diagnostics.findings.mixing import label_free, mixing
from bayes_hybrid.report.evidence import MAX_ROWS, Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table, formatted

__all__ = ["SECTION", "facts"]

_FACTS: Final = {
    "quantity": "what was measured or chosen",
    "value": "its value",
    "what it means": "how to read it",
}
_RESTARTS: Final = {
    "restart": "number of the restart; ArviZ calls it a chain",
    "weight": "what it counts in predictions",
    "reading": "the reading that it belongs to, 0 for the leading one",
    "elpd": "leave-one-out log density of the training rows in nats, by which it is weighed",
    "elbo": "evidence lower bound of its guide, in nats, as trained; larger is better, differences "
    "below 1 or 2 say nothing",
    "log_likelihood": "mean over rows and draws of the log density of the training rows",
    "rmse": "of the restart's own predictive mean on the training rows; of several outputs, in "
    "units of their sd",
    "distance": "share of the rows that it gives to another regime than the other restarts do",
    "acceptance rate": "of its Hamiltonian Monte Carlo chain; about 0.65 is best, below 0.4 it "
    "mostly stood still",
    "divergences": "share of its transitions that diverged; none is best",
    "temperature": "of its chain on minibatches; 1 is best, above it draws lie too far apart, and "
    "below it they have not spread yet",
}
_GUIDE: Final = {
    "restart": "number of the restart",
    "elbo": "mean log ratio of posterior to guide, in nats, with the features counted in full",
    "elbo_se": "its standard error",
    "iw_elbo": "importance-weighted bound: between the ELBO and the log evidence",
    "gap": "their difference: at most the guide's divergence from the posterior, on average",
    "log_ratio_sd": "spread of the log ratios; 0 for a perfect guide",
    "pareto_k": "k-hat of the ratios: below 0.7 the guide is close enough to be reweighted",
    "ess": "independent draws that the reweighted ones are worth",
    "num_draws": "draws of the guide that were compared",
}
_KL: Final = {
    "weight": "of the KL term of the hidden features: 0 holds them at a point, 1 is full "
    "variational Bayes",
    "held-out log density": "per row, standardised, of the restarts that did not see it; larger is "
    "better",
    "chosen": "whether it is the one that was used",
}


def facts(evidence: Evidence) -> list[tuple[str, object, str]]:
    """What was measured of the approximation: name, value, and how to read it."""
    fit, evaluation = evidence.fit, evidence.evaluation
    kept, total = fit.posterior.num_restarts, fit.posterior.num_restarts * fit.posterior.num_draws
    found: list[tuple[str, object, str]] = [
        (
            "method",
            fit.training.method,
            "svi: a variational approximation; with +hmc or +nuts its draws were moved on by "
            "Hamiltonian Monte Carlo, with +sghmc by one on minibatches, which is not exact",
        ),
        (
            "restarts",
            kept,
            "that make up the posterior, each by its weight",
        ),
        ("restarts dropped", fit.training.num_dropped, "they became non-finite or stood still"),
        (
            "restarts of no weight",
            fit.training.num_negligible,
            "left out: they explain the rows so much worse that they would change nothing",
        ),
        (
            "temperature",
            fit.training.temperature,
            "nats for a factor e of weight",
        ),
        ("draws", total, "of all restarts together"),
        (
            "weight of the features' KL term",
            fit.training.kl_weight,
            "chosen by held-out density, see below",
        ),
    ]
    if fit.posterior.num_draws > 3:
        r_hat, ess = mixing(label_free(evaluation), evaluation.weights).worst
        found += [
            (
                "largest r-hat",
                r_hat,
                "over regime usage, log likelihood and predictive means: near 1 the chains' first "
                "halves and their last say the same",
            ),
            (
                "smallest ESS",
                ess,
                "draws that are worth as much as independent ones, of the same quantities",
            ),
        ]
    if total >= MIN_PARETO_DRAWS:
        bad = ~(pareto_k(evaluation.log_likelihood, evaluation.weights) <= good_k(total))
        found.append(
            (
                f"share of rows with k-hat above {good_k(total):.2f}",
                float(bad.mean()),
                "rows that the posterior leans on; leave-one-out by importance sampling cannot be "
                "trusted for them",
            )
        )
    return found


def _restart_frame(evidence: Evidence) -> pd.DataFrame:
    fit = evidence.fit
    frame = restart_report(fit, max_rows=MAX_ROWS)
    for name, statistic in (
        ("acceptance rate", "acceptance_rate"),
        ("divergences", "diverging"),
        ("temperature", "temperature"),
    ):
        if statistic in fit.restarts.sampler:
            frame[name] = fit.restarts.sampler[statistic].astype(np.float64).mean(axis=1)
    return frame


def _usage(names: tuple[str, ...]) -> dict[str, str]:
    return {f"usage[{name}]": "share of the rows that the regime explains in it" for name in names}


def _content(evidence: Evidence) -> Mapping[str, object]:
    fit = evidence.fit
    scores = pd.DataFrame(
        [
            (weight, score, weight == fit.training.kl_weight)
            for weight, score in fit.training.kl_scores.items()
        ],
        columns=list(_KL),
    )
    rows = [(name, formatted(value), meaning) for name, value, meaning in facts(evidence)]
    return {
        "facts": Table(
            key="approximation",
            caption="The approximation in numbers",
            frame=pd.DataFrame(rows, columns=list(_FACTS)),
            meanings=_FACTS,
        ),
        "restarts": Table(
            key="restarts",
            caption="Restarts one by one",
            frame=_restart_frame(evidence),
            meanings=_RESTARTS | _usage(evidence.posterior.regime_names),
        ),
        "guide": Table(
            key="guide",
            caption="SVI's guide against the posterior",
            frame=guide_report(fit),
            meanings=_GUIDE,
            errors=(("elbo", "elbo_se"),),
        )
        if fit.restarts.log_ratios.size
        else None,
        "weights": Table(
            key="kl-weights",
            caption="Weights of the features' KL term that were tried",
            frame=scores,
            meanings=_KL,
        )
        if len(scores)
        else None,
    }


SECTION: Final = Section(key="approximation", title="Approximation", content=_content)
