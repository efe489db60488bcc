"""Where the regimes change, for a gate that has a parameter for it."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from bayes_hybrid.diagnostics import threshold_sentences, threshold_table
from bayes_hybrid.diagnostics.thresholds import boundary_names
from bayes_hybrid.gates import THRESHOLD_GATES
from bayes_hybrid.report.charts import PALETTE_TONES, Chart, bars, limits, new_figure, rounded
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION"]

_HEIGHT: Final = 180
_NUM_BINS: Final = 40

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
}


def _content(evidence: Evidence) -> Mapping[str, object]:
    fit = evidence.fit
    found = fit.posterior.thresholds
    if found is None:
        return {"table": None, "gates": THRESHOLD_GATES}
    frame = threshold_table(fit)
    coefficients = {
        name: "posterior mean of the feature's coefficient, per unit of the feature"
        for name in frame.columns
        if name not in _MEANINGS
    }
    draws = found.location.reshape(-1, found.location.shape[-1])
    charts = []
    for place, name in enumerate(boundary_names(fit)):
        values = draws[:, place]
        edges = np.linspace(*limits([values]), _NUM_BINS + 1)
        density = np.histogram(values, edges, density=True)[0]
        plot = new_figure(f"threshold, {name}", "posterior density", height=_HEIGHT)
        bars(
            plot,
            rounded(edges),
            rounded(density),
            tone=PALETTE_TONES[(place + 1) % len(PALETTE_TONES)],
        )
        label = f"Posterior of the threshold, {name}: {threshold_sentences(fit)[place]}"
        charts.append(Chart(key=f"threshold-{place}", label=label, model=plot, height=_HEIGHT))
    table = Table(
        key="thresholds",
        caption="Thresholds with their 90% credible intervals",
        frame=frame,
        meanings=_MEANINGS | coefficients,
    )
    return {"table": table, "sentences": threshold_sentences(fit), "charts": charts}


SECTION: Final = Section(key="thresholds", title="Thresholds", content=_content)
