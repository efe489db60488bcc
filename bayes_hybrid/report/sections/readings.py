"""Readings: the ways to group the rows into regimes, and what each is worth."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics import readings_frame, regime_descriptions
from bayes_hybrid.diagnostics.evaluation.evaluation import spread_rows
from bayes_hybrid.diagnostics.regimes.readings import reading_rows
from bayes_hybrid.plots.style import regime_styles
from bayes_hybrid.report.charts import Chart, limits, new_figure, rounded, toned
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.explorer import tone_of
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.sections.regimes import MARKERS
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION"]

_HEIGHT: Final = 190
_MAX_POINTS: Final = 300
"""Of a small picture."""

_MEANINGS: Final = {
    "reading": "0 is the leading one, whose regimes this report shows",
    "weight": "its share of the posterior",
    "elpd": "leave-one-out log density of its restarts in nats, of standardised targets",
    "restarts": "how many group the rows so",
    "regime": "its name, the same in every restart of the reading",
    "where and how": "its pieces of the feature that tells the regimes apart, or how many rows it "
    "has; quiet or noisy where its noise is half or twice another regime's",
    "usage": "share of the training rows in it",
    "expert": "what serves it, with its share of the reading where restarts differ",
}


def _frame(evidence: Evidence) -> pd.DataFrame:
    """A row for each regime of each reading that is used."""
    rows = [
        {name: row[name] for name in ("reading", "weight", "elpd", "restarts")}
        | {
            "regime": name,
            "where and how": row[f"where[{name}]"],
            "usage": row[f"usage[{name}]"],
            "expert": row[f"expert[{name}]"],
        }
        for row in readings_frame(evidence.fit).to_dict("records")
        for name in evidence.posterior.regime_names
        if row[f"where[{name}]"]
    ]
    return pd.DataFrame(rows, columns=list(_MEANINGS))


def _picture(evidence: Evidence, number: int) -> tuple[Chart, str]:
    """The rows by their regimes in one reading, and what they are."""
    fit, reading = evidence.fit, evidence.fit.readings[number]
    feature, target = evidence.features(1)[0], evidence.outputs[0]
    some = spread_rows(len(reading.responsibilities), _MAX_POINTS)
    rows = reading_rows(fit, number)[some]
    x, y = fit.x[rows, feature], evidence.target(0)[rows]
    plot = new_figure(fit.feature_names[feature], target, height=_HEIGHT, y_range=limits([y]))
    told, styles = regime_descriptions(fit, number), regime_styles(fit.posterior.regime_names)
    used = np.flatnonzero(reading.used)
    likeliest = used[reading.responsibilities[np.ix_(some, used)].argmax(axis=1)]
    for k in used:
        style, mine = styles[fit.posterior.regime_names[k]], (likeliest == k) & ~np.isnan(y)
        dots = plot.scatter(
            rounded(x[mine]), rounded(y[mine]), marker=MARKERS[style.marker], size=5
        )
        toned(dots, tone_of(style))
    caption = f"Reading {number}, {reading.weight:.0%} of the posterior. " + "; ".join(
        f"{name}: {how}" for name, how in told.items()
    )
    label = f"{target} along {fit.feature_names[feature]}, rows by regime. {caption}"
    return Chart(key=f"reading-{number}", label=label, model=plot, height=_HEIGHT), caption


def _content(evidence: Evidence) -> Mapping[str, object] | None:
    if not evidence.told:
        return None
    table = Table(
        key="readings",
        caption="Readings and their regimes",
        frame=_frame(evidence),
        meanings=_MEANINGS,
        hidden=("restarts",),
    )
    # A single one is in the picture above.
    pictures = [_picture(evidence, number) for number in evidence.told] if evidence.told[1:] else []
    return {"table": table, "pictures": pictures, "num_readings": len(evidence.fit.readings)}


SECTION: Final = Section(key="readings", title="Readings", content=_content)
