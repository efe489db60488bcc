"""The fit and its regimes along each feature, to be looked at with mouse, finger or keyboard."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    fitted_regimes,
    output_scales,
    spread_rows,
)
from bayes_hybrid.digits import figures
from bayes_hybrid.plots.style import used_styles
from bayes_hybrid.report.charts import Chart, limits, rounded
from bayes_hybrid.report.curves import LEVELS, MAX_FEATURES, Curves, curve_frame, curves_along
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.explorer import FIT_HEIGHT, GATE_HEIGHT, explorer, tone_of
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["MARKERS", "MAX_POINTS", "SECTION"]

MAX_POINTS: Final = 2_000
"""More points than that only hide the bands."""

_SHOWN: Final = 0.05
"""An expert is hidden where the probability of its regime is below this."""

MARKERS: Final = {
    "o": "circle",
    "^": "triangle",
    "s": "square",
    "D": "diamond",
    "v": "inverted_triangle",
    "P": "plus",
}
"""Bokeh's names of the markers of the other figures."""

_SHAPES: Final = {
    "o": "M10 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "^": "M14 1.5l4.5 8h-9z",
    "s": "M10.5 2.5h7v7h-7z",
    "D": "M14 1l5 5l-5 5l-5-5z",
    "v": "M14 10.5l4.5-8h-9z",
    "P": "M12.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
}
"""The same as paths for the legend, about (14, 6)."""

_SHOWN_ROWS: Final = 12
_FIRST_LEVEL: Final = LEVELS.index(0.9)


def _numbers(values: FloatArray) -> list[object]:
    """Nested lists, with ``None`` for what is not finite, as JSON wants it."""
    short = rounded(values).astype(object)
    short[~np.isfinite(values)] = None
    nested: list[object] = short.tolist()
    return nested


def _feature(curves: Curves, outputs: Sequence[FloatArray]) -> dict[str, object]:
    """One feature's curves for the page's script."""
    shown = np.where(curves.gate > _SHOWN, 1.0, np.nan)
    along = curves.line.along
    panels = []
    for q, y in enumerate(outputs):
        widest = curves.bands[:, -2, :, q]
        low, high = limits([y, widest])
        panels.append(
            {
                "mean": _numbers(curves.mean[:, q]),
                "lower": _numbers(curves.bands[0, :, :, q]),
                "upper": _numbers(curves.bands[1, :, :, q]),
                "experts": _numbers((curves.experts[:, q] * shown).T),
                "range": [low, high],
            }
        )
    return {
        "name": curves.line.name,
        "x": _numbers(along),
        "range": [float(along[0]), float(along[-1])],
        "outputs": panels,
        "outside": curves.outside.tolist(),
        "gate": _numbers(curves.gate.T),
        "gateLower": _numbers(np.moveaxis(curves.gates[0], -1, 0)),
        "gateUpper": _numbers(np.moveaxis(curves.gates[1], -1, 0)),
    }


def _points(evidence: Evidence, features: Sequence[int]) -> dict[str, object]:
    """At most ``MAX_POINTS`` training rows with their most probable regimes."""
    fit = evidence.fit
    rows = spread_rows(len(fit.x), MAX_POINTS)
    given_y = fitted_regimes(fit.for_regimes, rows)[:, evidence.used]
    return {
        "x": _numbers(fit.x[rows][:, features].T),
        "y": [_numbers(evidence.target(q)[rows]) for q in range(len(evidence.outputs))],
        "regime": given_y.argmax(axis=1).tolist(),
        "probability": _numbers(np.round(given_y.max(axis=1), 3)),
    }


def _label(evidence: Evidence, curves: Curves) -> str:
    """The first view in words."""
    mean, target = curves.mean[:, 0], evidence.outputs[0]
    x = curves.line.along
    # A tenth of the range, so that it has three digits; two of the distance between points.
    lowest, highest = figures(np.ptp(mean) / 10.0, mean.min(), mean.max())
    bottom, top = figures(x[1] - x[0], x[mean.argmin()], x[mean.argmax()])
    words = (
        f"Predictive mean of {target} along {curves.line.name}: lowest {lowest} at {bottom}, "
        f"highest {highest} at {top}."
    )
    if len(evidence.regimes) > 1:
        shares = (curves.gate.argmax(axis=1)[:, None] == np.arange(curves.gate.shape[1])).mean(0)
        parts = [
            f"{name} ({how}) on {share:.0%} of the range"
            for (name, how), share in zip(evidence.regimes.items(), shares, strict=True)
        ]
        words += f" Most probable regime: {', '.join(parts)}."
    return words


def _meanings(outputs: Sequence[str], regimes: Sequence[str]) -> dict[str, str]:
    found = {
        "feature": "what varies; the other features are at their medians",
        "x": "its value",
        "out of data": "beyond the range of a feature, or far from every row of the fit",
    }
    for name in outputs:
        found[f"mean of {name}"] = "posterior predictive mean"
        found[f"lower, {name}"] = "lower end of the central 90% predictive interval of a new row"
        found[f"upper, {name}"] = "upper end of that interval"
    for name in regimes:
        found[f"p({name})"] = "probability of the regime before the target is seen, within the "
        found[f"p({name})"] += "leading reading"
        found[f"lower, p({name})"] = "lower end of its central 90% over the posterior draws"
        found[f"upper, p({name})"] = "upper end of it; a wide band is a switch whose place is not "
        found[f"upper, p({name})"] += "known"
    return found


def _intervals(outputs: Sequence[str], regimes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Columns of a mean and of the ends of its interval."""
    means = [(name, f"mean of {name}") for name in outputs]
    if len(regimes) > 1:
        means += [(f"p({name})", f"p({name})") for name in regimes]
    return [(mean, f"lower, {name}", f"upper, {name}") for name, mean in means]


def _sorted_curves(evidence: Evidence) -> list[Curves]:
    """Curves along each feature: where regimes differ most, then where the mean moves most."""
    scales = output_scales(evidence.fit.y)

    def place(curves: Curves) -> tuple[bool, float]:
        moves = float((np.ptp(curves.mean, axis=0) / scales).max())
        return curves.line.column != evidence.lead, -moves

    return sorted(curves_along(evidence, evidence.features(MAX_FEATURES)), key=place)


def _content(evidence: Evidence) -> Mapping[str, object]:
    curves = _sorted_curves(evidence)
    names, outputs = list(evidence.regimes), evidence.outputs
    styles = used_styles(evidence.fit)
    targets = [evidence.target(q) for q in range(len(outputs))]
    state = {
        "levels": list(LEVELS),
        "features": [_feature(curve, targets) for curve in curves],
        "outputs": list(outputs),
        "regimes": [
            {"name": name, "tone": tone_of(style), "marker": MARKERS[style.marker]}
            for name, style in styles.items()
        ],
        "points": _points(evidence, [curve.line.column for curve in curves]),
    }
    has_gate = len(names) > 1
    return {
        "state": state,
        "first_level": _FIRST_LEVEL,
        "last_place": len(curves[0].line.along) - 1,
        "chart": Chart(
            key="explorer",
            label=_label(evidence, curves[0]),
            model=explorer(names, styles),
            height=FIT_HEIGHT + (GATE_HEIGHT if has_gate else 0),
        ),
        "features": [curve.line.name for curve in curves],
        "has_lead": evidence.lead is not None,
        "num_hidden": evidence.fit.x.shape[1] - len(curves),
        "outputs": outputs,
        "weight": evidence.fit.readings[0].weight,
        "styles": [
            (f"{name}: {evidence.regimes[name]}", tone_of(style), style)
            for name, style in styles.items()
        ],
        "shapes": _SHAPES,
        "num_rows": len(evidence.fit.x),
        "num_points": min(len(evidence.fit.x), MAX_POINTS),
        "table": Table(
            key="curves",
            caption="The fit along each feature, with 90% bands",
            frame=curve_frame(curves, outputs, names),
            meanings=_meanings(outputs, names),
            intervals=_intervals(outputs, names),
            num_shown=_SHOWN_ROWS,
        ),
    }


SECTION: Final = Section(key="regimes", title="Data, fit and regimes", content=_content)
