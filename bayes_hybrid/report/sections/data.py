"""The rows that were fitted: how many, which columns, what is missing or constant."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import constant_columns
from bayes_hybrid.diagnostics import out_of_data
from bayes_hybrid.diagnostics.evaluation.evaluation import spread_rows
from bayes_hybrid.digits import figures
from bayes_hybrid.report.charts import Chart, bars, new_figure, rounded
from bayes_hybrid.report.evidence import MAX_ROWS, Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "column_table"]

_MAX_CHARTS: Final = 12
"""Histograms on the page; the table has every column."""

_MAX_BINS: Final = 40
_HEIGHT: Final = 150

_MEANINGS: Final = {
    "column": "name in the data",
    "role": "feature: predicted from; target: predicted",
    "rows": "rows in which it is there",
    "missing": "rows in which it is missing: features never are, because something stands in "
    "their place; a missing target is left out",
    "distinct": "different values; few of them in a target mean rounding, which invites a regime "
    "to close in on one value",
    "min": "smallest value",
    "median": "half of the values are below",
    "mean": "average",
    "sd": "standard deviation, over the number of rows",
    "max": "largest value",
    "note": "what to know of the column",
}


def column_table(evidence: Evidence) -> Table:
    """A row for each feature and target, in its own units."""
    columns = _columns(evidence)
    frame = pd.DataFrame([_summary(name, role, values) for name, role, values in columns])
    return Table(
        key="columns",
        caption="Columns of the training rows, in the units of the data",
        frame=frame,
        meanings=_MEANINGS,
        ranges=(("median", "mean", "sd", "min", "max"),),
    )


def _columns(evidence: Evidence) -> list[tuple[str, str, FloatArray]]:
    fit = evidence.fit
    features = [(name, "feature", fit.x[:, d]) for d, name in enumerate(fit.feature_names)]
    return features + [
        (name, "target", evidence.target(q)) for q, name in enumerate(evidence.outputs)
    ]


def _summary(name: str, role: str, values: FloatArray) -> dict[str, object]:
    there = values[~np.isnan(values)]
    distinct = len(np.unique(there))
    return {
        "column": name,
        "role": role,
        "rows": len(there),
        "missing": len(values) - len(there),
        "distinct": distinct,
        "min": there.min(),
        "median": np.median(there),
        "mean": there.mean(),
        "sd": there.std(),
        "max": there.max(),
        "note": "constant: it says nothing about the other columns"
        if constant_columns(there)
        else "",
    }


def _histogram(place: int, name: str, values: FloatArray) -> Chart:
    there = values[~np.isnan(values)]
    # Freedman and Diaconis's rule, capped: heavy tails ask for thousands.
    edges = np.histogram_bin_edges(there, min(_MAX_BINS, _num_bins(there)), _range(there))
    counts = np.histogram(there, edges)[0]
    plot = new_figure(name, "rows", height=_HEIGHT)
    bars(plot, rounded(edges), counts.astype(np.float64))
    most = edges[counts.argmax() : counts.argmax() + 2]
    low, high, start, stop = figures(np.ptp(most), there.min(), there.max(), *most)
    label = (
        f"Histogram of {name}: {len(there)} values from {low} to {high}, most of them between "
        f"{start} and {stop}."
    )
    return Chart(key=f"histogram-{place}", label=label, model=plot, height=_HEIGHT)


def _share_outside(evidence: Evidence) -> float | None:
    """Share of the held-out rows that lie where the fit has seen no data."""
    if evidence.x_test is None:
        return None
    rows = spread_rows(len(evidence.x_test), MAX_ROWS)
    return float(out_of_data(evidence.fit, evidence.x_test[rows]).flag.mean())


def _range(values: FloatArray) -> tuple[float, float]:
    """From the least to the largest value, or about a constant, which has no bins of its own."""
    low, high = float(values.min()), float(values.max())
    if constant_columns(values):
        pad = 0.5 * max(1.0, abs(low))
        return low - pad, high + pad
    return low, high


def _num_bins(values: FloatArray) -> int:
    spread = float(np.subtract(*np.percentile(values, [75, 25])))
    if spread <= 0.0:
        return _MAX_BINS // 2
    width = 2.0 * spread / len(values) ** (1.0 / 3.0)
    return int(np.clip(np.ceil(np.ptp(values) / width), 5, _MAX_BINS))


def _content(evidence: Evidence) -> Mapping[str, object]:
    fit, columns = evidence.fit, _columns(evidence)
    # Targets last in the table, but first here: they are what the report is about.
    ordered = columns[fit.x.shape[1] :] + columns[: fit.x.shape[1]]
    return {
        "num_rows": len(fit.x),
        "num_columns": len(evidence.columns),
        "num_features": fit.x.shape[1],
        "encoded": evidence.encoded,
        "outputs": evidence.outputs,
        "num_labels": None if fit.labels is None else int((~np.isnan(fit.labels)).sum()),
        "num_held_out": None if evidence.x_test is None else len(evidence.x_test),
        "share_outside": _share_outside(evidence),
        "table": column_table(evidence),
        "charts": [
            _histogram(place, name, values)
            for place, (name, _, values) in enumerate(ordered[:_MAX_CHARTS])
        ],
        "num_without_chart": max(0, len(columns) - _MAX_CHARTS),
    }


SECTION: Final = Section(key="data", title="Columns of the data", content=_content)
