"""Where the regimes change: thresholds of the gate, or places read off any other gate."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics import threshold_sentences, threshold_table
from bayes_hybrid.diagnostics.regimes.boundaries import Boundary, BoundaryPosterior
from bayes_hybrid.diagnostics.regimes.thresholds import boundary_names, threshold_draws
from bayes_hybrid.digits import figures
from bayes_hybrid.gates import THRESHOLD_GATES
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.report.charts import PALETTE_TONES, Chart, bars, limits, new_figure, rounded
from bayes_hybrid.report.evidence import MAX_FEATURES, Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "place_sentences"]

_HEIGHT: Final = 180
_NUM_BINS: Final = 40
_MAX_CHARTS: Final = 8

_MEANINGS: Final = {
    "below": "regime below the threshold",
    "above": "regime above it",
    "feature": "what the threshold is on",
    "mean": "posterior mean of the threshold, in the feature's units",
    "sd": "posterior standard deviation: how well the data place it",
    "lower": "lower end of its credible interval",
    "upper": "upper end of its credible interval",
    "prob": "posterior probability that the threshold lies between the two ends",
    "width": "median distance over which the odds of the two regimes go from 1 : 9 to 9 : 1",
    "width_lower": "lower end of the width's credible interval",
    "width_upper": "upper end of the width's credible interval",
    "probability_outside": "share of the draws with the threshold beyond the data: no row changes",
    "probability_no_row": "share of the draws, these included, in which one of the two regimes has "
    "no row",
}


_BOUNDARY_MEANINGS: Final = {
    "below": "regime below the boundary in most draws that have it",
    "above": "regime above it",
    "feature": "the feature along which it lies; the others are at their medians",
    "mean": "posterior mean of the place, in the feature's units, given that the change is there",
    "sd": "posterior standard deviation of the place",
    "lower": "lower end of its credible interval",
    "upper": "upper end of its credible interval",
    "prob": "posterior probability that the place lies between the two ends, given the change",
    "probability_exists": "share of the draws in which the regime changes there at all",
    "agreement": "share of these in which the two regimes are this way round",
    "changes": "mean number of changes there in a draw that has one",
}


def _content(evidence: Evidence) -> Mapping[str, object]:
    fit = evidence.fit
    parameters = None if fit.posterior.thresholds is None else _parameters(evidence)
    # A threshold says it better, and one regime has no boundary.
    found = parameters is None and len(evidence.regimes) > 1
    return {
        "parameters": parameters,
        "boundaries": _boundaries(evidence) if found else None,
        "num_regimes": len(evidence.regimes),
        "num_features": min(fit.x.shape[1], MAX_FEATURES),
        "num_others": max(0, fit.x.shape[1] - MAX_FEATURES),
        "gates": THRESHOLD_GATES,
    }


def _parameters(evidence: Evidence) -> Mapping[str, object]:
    """Thresholds that are parameters of the gate: table, sentences and charts."""
    fit = evidence.fit
    draws, sentences = threshold_draws(fit).location, threshold_sentences(fit)
    weights = fit.for_regimes.posterior.restart_weights
    frame = threshold_table(fit)
    coefficients = {
        name: "posterior mean of the feature's coefficient, per unit of the feature"
        for name in frame.columns
        if name not in _MEANINGS
    }
    table = Table(
        key="thresholds",
        caption="Thresholds with their 90% credible intervals",
        frame=frame,
        meanings=_MEANINGS | coefficients,
        intervals=(("mean", "sd", "lower", "upper"), ("width", "width_lower", "width_upper")),
    )
    names = boundary_names(fit)
    charts = [
        _chart(place, f"threshold, {name}", draws[..., place], weights, sentences[place])
        for place, name in enumerate(names)
    ]
    return {"table": table, "sentences": sentences, "charts": charts}


def _boundaries(evidence: Evidence) -> Mapping[str, object]:
    """Where the most probable regime changes along each feature, read off any gate."""
    if not evidence.boundaries:
        return {"table": None, "sentences": [], "charts": []}
    table = Table(
        key="boundaries",
        caption="Where the most probable regime changes, with 90% credible intervals",
        frame=pd.concat([each.to_frame() for each in evidence.boundaries], ignore_index=True),
        meanings=_BOUNDARY_MEANINGS,
        intervals=(("mean", "sd", "lower", "upper"),),
    )
    charts: list[Chart] = []
    for each, one in _one_by_one(evidence)[:_MAX_CHARTS]:
        name = f"{each.feature}, {one.below} to {one.above}"
        charts.append(_chart(len(charts), name, one.draws, each.weights, _sentence(each, one)))
    return {"table": table, "sentences": place_sentences(evidence), "charts": charts}


def place_sentences(evidence: Evidence) -> list[str]:
    """A sentence for each threshold, or, of another gate, for each boundary.

    Args:
        evidence: the fit.
    """
    found = [_sentence(each, one) for each, one in _one_by_one(evidence)]
    return threshold_sentences(evidence.fit) or found


def _one_by_one(evidence: Evidence) -> list[tuple[BoundaryPosterior, Boundary]]:
    return [(each, one) for each in evidence.boundaries for one in each.boundaries]


def _sentence(each: BoundaryPosterior, one: Boundary) -> str:
    mean, low, high = figures(one.upper - one.lower, one.mean, one.lower, one.upper)
    return (
        f"Along {each.feature}, {one.below} gives way to {one.above} at {mean} "
        f"({each.prob:.0%} interval {low} to {high}) in "
        f"{one.probability_exists:.0%} of the draws."
    )


def _chart(place: int, name: str, draws: FloatArray, weights: FloatArray, words: str) -> Chart:
    """The posterior of a place as a histogram, from draws ``[R, S]``, NaN where it is nowhere."""
    there, each = np.isfinite(draws).ravel(), draw_weights(weights, draws.shape[1])
    values = draws.ravel()[there]
    edges = np.linspace(*limits([values]), _NUM_BINS + 1)
    density = np.histogram(values, edges, weights=each[there], density=True)[0]
    plot = new_figure(name, "posterior density", height=_HEIGHT)
    tone = PALETTE_TONES[(place + 1) % len(PALETTE_TONES)]
    bars(plot, rounded(edges), rounded(density), tone=tone)
    label = f"Posterior of a place where the regime changes. {words}"
    return Chart(key=f"threshold-{place}", label=label, model=plot, height=_HEIGHT)


SECTION: Final = Section(key="thresholds", title="Thresholds", content=_content)
