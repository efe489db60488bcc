"""Do intervals cover what they say? Coverage at several levels, and the PIT histogram."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics import pit_ecdf, predictive_scores
from bayes_hybrid.diagnostics.scores.calibration import coverage_bounds
from bayes_hybrid.random import stream_seed
from bayes_hybrid.report.charts import (
    PALETTE_TONES,
    Chart,
    band,
    bars,
    line,
    new_figure,
    rounded,
    steps,
    toned,
)
from bayes_hybrid.report.curves import LEVELS
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "coverage_table"]

_NUM_BINS: Final = 20
_HEIGHT: Final = 240

_MEANINGS: Final = {
    "target": "what is predicted",
    "interval": "probability that the central predictive interval claims",
    "covered": "share of the rows inside of their interval",
    "rows": "rows that were looked at",
    "lower": "smallest coverage that chance allows a calibrated model (99%, and at least two "
    "points of slack)",
    "upper": "largest coverage that chance allows a calibrated model",
    "as it should be": "whether the coverage lies between the two",
}

_SCORES: Final = {
    "score": "log_score: minus the log density, in nats; crps, interval_score, pinball, rmse, mae: "
    "in the target's units, smaller is better; coverage: share of rows inside",
    "regime": "all rows, or those whose most probable regime given x is this one",
    "output": "which target",
    "value": "mean over the rows",
    "standard_error": "of the mean, rows taken as independent",
    "num_rows": "rows that were scored",
    "monte_carlo_error": "what is left from drawing at random; only the CRPS is drawn",
}


def coverage_table(name: str, cdf: FloatArray) -> pd.DataFrame:
    """Coverage of central intervals at several levels, from ``F(y_n | x_n) [M]``."""
    rows = []
    for level in LEVELS:
        covered = float((np.abs(cdf - 0.5) <= 0.5 * level).mean())
        low, high = coverage_bounds(len(cdf), level)
        high = min(high, 1.0)
        rows.append((name, level, covered, len(cdf), low, high, low <= covered <= high))
    return pd.DataFrame(rows, columns=list(_MEANINGS))


def _pit(place: int, name: str, cdf: FloatArray) -> Chart:
    edges = np.linspace(0.0, 1.0, _NUM_BINS + 1)
    heights = np.histogram(cdf, edges)[0] * _NUM_BINS / len(cdf)
    allowed = stats.binom.ppf(np.array([0.05, 0.95]), len(cdf), 1.0 / _NUM_BINS)
    ends = np.asarray(allowed) * _NUM_BINS / len(cdf)
    low, high = (np.full(_NUM_BINS, end) for end in ends)
    plot = new_figure(f"PIT of {name}", "density", height=_HEIGHT, x_range=(0.0, 1.0))
    bars(plot, rounded(edges), rounded(heights), highest=float(ends[1]))
    steps(plot, rounded(edges), rounded(low), rounded(high))
    line(plot, np.array([0.0, 1.0]), np.array([1.0, 1.0]), dash="dashed")
    outside = float(((heights < low) | (heights > high)).mean())
    label = (
        f"Histogram of the predictive distribution function at {name}. A calibrated model has "
        f"nine bins in ten in the grey band about 1; here {outside:.0%} lie outside."
    )
    return Chart(key=f"pit-{place}", label=label, model=plot, height=_HEIGHT)


def _ecdf(place: int, name: str, cdf: FloatArray) -> Chart:
    found = pit_ecdf(cdf)
    plot = new_figure(f"PIT of {name}", "ecdf less the diagonal", height=_HEIGHT)
    band(plot, rounded(found.points), rounded(found.lower), rounded(found.upper))
    line(plot, rounded(found.points), rounded(found.difference), tone=PALETTE_TONES[0])
    label = (
        f"Distribution of the PIT values of {name}, less the uniform one, with the band that "
        f"{found.prob:.0%} of calibrated models keep to everywhere: it "
        f"{'stays inside' if found.inside else 'leaves it'}."
    )
    return Chart(key=f"ecdf-{place}", label=label, model=plot, height=_HEIGHT)


def _scores(evidence: Evidence) -> Table | None:
    """Scores of held-out rows; those of training rows would flatter."""
    if evidence.test_rows is None:
        return None
    seed = stream_seed(evidence.fit.seed, "scores")
    by_regime = evidence.posterior.num_regimes > 1
    return Table(
        key="scores",
        caption="Scores of the predictions of held-out rows",
        frame=predictive_scores(evidence.fit, *evidence.test_rows, by_regime=by_regime, seed=seed),
        meanings=_SCORES,
        errors=(("value", "standard_error"),),
        hidden=("monte_carlo_error",) if len(evidence.outputs) > 1 else ("output",),
        num_shown=200,
    )


def _coverage(frame: pd.DataFrame, outputs: tuple[str, ...]) -> Chart:
    plot = new_figure("probability claimed", "share covered", height=_HEIGHT)
    first = frame[frame["target"] == outputs[0]]
    levels = first["interval"].to_numpy()
    if len(outputs) == 1:
        band(plot, levels, first["lower"].to_numpy(), first["upper"].to_numpy())
    line(plot, np.array([levels[0], 1.0]), np.array([levels[0], 1.0]), dash="dashed")
    for q, name in enumerate(outputs):
        tone = PALETTE_TONES[q % len(PALETTE_TONES)]
        mine = frame.loc[frame["target"] == name, "covered"].to_numpy()
        line(plot, levels, mine, tone=tone)
        toned(plot.scatter(levels, mine, size=8), tone)
    covered = ", ".join(
        f"{row.interval:.0%} covers {row.covered:.0%}" for row in first.itertuples()
    )
    label = f"Coverage of central intervals of {outputs[0]}: {covered}."
    return Chart(key="coverage", label=label, model=plot, height=_HEIGHT)


def _content(evidence: Evidence) -> Mapping[str, object]:
    tables, charts, outputs = [], [], []
    for q, name in enumerate(evidence.outputs):
        cdf = evidence.cdf[:, q]
        cdf = cdf[~np.isnan(cdf)]
        if not cdf.size:
            continue
        outputs.append(name)
        tables.append(coverage_table(name, cdf))
        charts.append(_pit(q, name, cdf))
        if cdf.size > 1:
            charts.append(_ecdf(q, name, cdf))
    frame = pd.concat(tables, ignore_index=True)
    table = Table(
        key="coverage",
        caption="Coverage of central predictive intervals",
        frame=frame,
        meanings=_MEANINGS,
        intervals=(("covered", "lower", "upper"),),
        hidden=("target",) if len(evidence.outputs) == 1 else (),
    )
    return {
        "is_held_out": evidence.is_held_out,
        "is_left_out": evidence.is_left_out,
        "scores": _scores(evidence),
        "num_rows": len(evidence.cdf),
        "charts": [_coverage(frame, tuple(outputs)), *charts],
        "table": table,
    }


SECTION: Final = Section(key="calibration", title="Calibration", content=_content)
