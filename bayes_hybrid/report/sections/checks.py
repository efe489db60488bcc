"""Does the fitted model make data like the data? Draws of the predictive against the targets."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.scores.rootogram import are_counts, rootogram
from bayes_hybrid.diagnostics.scores.statistics import statistic_table, statistic_values
from bayes_hybrid.random import stream_seed
from bayes_hybrid.report.charts import (
    PALETTE_TONES,
    Chart,
    bars,
    limits,
    line,
    new_figure,
    rounded,
    steps,
    toned,
)
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION"]

_MAX_DRAWS: Final = 200
"""Replicated data sets: the ends of a 90% band then rest on ten of them each."""

_MAX_CHARTS: Final = 6
_NUM_BINS: Final = 30
_HEIGHT: Final = 240
_ENDS: Final = (0.05, 0.95)

_MEANINGS: Final = {
    "target": "what is predicted",
    "statistic": "a number that describes the whole column; sign_changes and lag_1 are of "
    "residuals along the first feature: share of neighbours of different sign, and their "
    "correlation",
    "observed": "its value in the training rows that were looked at",
    "expected": "its mean over data sets drawn from the posterior predictive at the same rows",
    "lower": "lower end of the central 90% of those data sets",
    "upper": "upper end of the central 90% of those data sets",
    "p_value": "share of the data sets in which it is larger than in the data, ties counted half; "
    "close to 0 or 1 the model does not make data like these",
}


def _replicated(evidence: Evidence) -> FloatArray:
    """Data sets drawn from the posterior predictive at the rows looked at, ``[S', M, Q]``."""
    seed = stream_seed(evidence.fit.seed, "replicates")
    x = evidence.fit.x[evidence.rows]
    draws = evidence.posterior.predictive.sample(x, _MAX_DRAWS, seed)
    return draws.reshape(*draws.shape[:2], -1)


def _statistics(name: str, y: FloatArray, drawn: FloatArray, x: FloatArray) -> pd.DataFrame:
    """Statistics of the targets ``[M]`` and of drawn data sets ``[S', M]``, a row for each."""
    about = drawn.mean(axis=0), x[:, 0]
    frame = statistic_table(statistic_values(y, *about), statistic_values(drawn, *about))
    return frame.assign(target=name)[list(_MEANINGS)]


def _density(place: int, name: str, y: FloatArray, drawn: FloatArray) -> Chart:
    # The model's few most extreme draws would squeeze everything else.
    central = drawn[(drawn >= np.quantile(drawn, 0.001)) & (drawn <= np.quantile(drawn, 0.999))]
    edges = np.linspace(*limits([y, central], margin=0.02), _NUM_BINS + 1)
    width = edges[1] - edges[0]
    data = np.histogram(y, edges)[0] / (len(y) * width)
    model = np.stack([np.histogram(one, edges)[0] for one in drawn]) / (len(y) * width)
    low, high = np.quantile(model, _ENDS, axis=0)
    mean, centres = model.mean(axis=0), 0.5 * (edges[1:] + edges[:-1])
    plot = new_figure(name, "density", height=_HEIGHT)
    bars(plot, rounded(edges), rounded(data), highest=float(high.max()))
    steps(plot, rounded(edges), rounded(low), rounded(high))
    line(plot, rounded(centres), rounded(mean))
    outside = float(((data < low) | (data > high)).mean())
    label = (
        f"Density of {name} in the data (bars) and in data sets drawn from the model (line: mean, "
        f"grey: central 90%). The data leave the grey band in {outside:.0%} of the bins."
    )
    return Chart(key=f"density-{place}", label=label, model=plot, height=_HEIGHT)


def _rootogram(place: int, name: str, y: FloatArray, drawn: FloatArray) -> Chart:
    roots = rootogram(y, drawn)
    low, high = roots.expected - roots.upper, roots.expected - roots.lower
    left, right = roots.edges[:-1], roots.edges[1:]
    plot = new_figure(name, "root of the number of rows", height=_HEIGHT)
    hanging = plot.quad(
        left=left + 0.1 * (right - left),
        right=right - 0.1 * (right - left),
        bottom=rounded(roots.hanging),
        top=rounded(roots.expected),
        fill_alpha=0.45,
        line_alpha=0.9,
    )
    toned(hanging, PALETTE_TONES[0])
    steps(plot, roots.edges, rounded(low), rounded(high))
    line(plot, 0.5 * (left + right), rounded(roots.expected))
    outside = float(((roots.hanging < low) | (roots.hanging > high)).mean())
    label = (
        f"Hanging rootogram of {name}: bars of the data hang from the line, the mean over data "
        f"sets drawn from the model; they end outside the grey band in {outside:.0%} of the counts."
    )
    return Chart(key=f"rootogram-{place}", label=label, model=plot, height=_HEIGHT)


def _content(evidence: Evidence) -> Mapping[str, object]:
    drawn = _replicated(evidence)
    tables: list[pd.DataFrame] = []
    charts: list[Chart] = []
    hanging = False
    for q, name in enumerate(evidence.outputs):
        y = evidence.target(q)[evidence.rows]
        there = ~np.isnan(y)
        if not there.any():
            continue
        x = evidence.fit.x[evidence.rows[there]]
        tables.append(_statistics(name, y[there], drawn[:, there, q], x))
        if len(charts) < _MAX_CHARTS:
            counts = are_counts(y[there], drawn[:, there, q])
            hanging |= counts
            draw = _rootogram if counts else _density
            charts.append(draw(q, name, y[there], drawn[:, there, q]))
    table = Table(
        key="statistics",
        caption="Statistics of the data and of data sets drawn from the model",
        frame=pd.concat(tables, ignore_index=True),
        meanings=_MEANINGS,
        intervals=(("observed", "expected", "lower", "upper"),),
        hidden=("target",) if len(evidence.outputs) == 1 else (),
    )
    return {
        "charts": charts,
        "hanging": hanging,
        "table": table,
        "num_rows": len(evidence.rows),
        "num_draws": len(drawn),
    }


SECTION: Final = Section(key="checks", title="Predictive checks", content=_content)
