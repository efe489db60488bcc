"""Do intervals cover what they say? Coverage at several levels, and the PIT histogram."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hybrid.diagnostics.calibration import coverage_bounds
from bayes_hybrid.diagnostics.interface import FloatArray
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
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["LEVELS", "SECTION", "coverage_table"]

LEVELS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
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
        f"Histogram of the predictive distribution function at {name}. Of a calibrated model it is "
        f"flat at 1, and nine bins in ten lie in the grey band; here {outside:.0%} lie outside."
    )
    return Chart(key=f"pit-{place}", label=label, model=plot, height=_HEIGHT)


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
    frame = pd.concat(tables, ignore_index=True)
    table = Table(
        key="coverage",
        caption="Coverage of central predictive intervals",
        frame=frame,
        meanings=_MEANINGS,
        hidden=("target",) if len(evidence.outputs) == 1 else (),
    )
    return {
        "is_held_out": evidence.is_held_out,
        "num_rows": len(evidence.cdf),
        "charts": [_coverage(frame, tuple(outputs)), *charts],
        "table": table,
    }


SECTION: Final = Section(key="calibration", title="Calibration", content=_content)
