"""The findings of a fit as a table with a scale: each value against its threshold."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from bayes_hybrid.diagnostics.evaluation.finding import Finding
from bayes_hybrid.diagnostics.findings.verdict import diagnose
from bayes_hybrid.digits import figures
from bayes_hybrid.errors import OptionError
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK

__all__ = ["margin", "plot_findings"]

_LOOKS: Final = {
    "ok": ("o", "#0072B2"),
    "warning": ("^", "#E69F00"),
    "error": ("X", "#D55E00"),
}
"""Marker and colour of each severity; the marker tells them apart in grey."""

_PER_ROW: Final = 0.27
"""Inches."""


def plot_findings(source: Source, *, findings: Sequence[Finding] | None = None) -> Figure:
    """Each finding's value and threshold in words, and on a scale how far they are apart.

    The scale is :func:`margin`: right of the line is healthy, whichever way the threshold points.

    Args:
        source: the finished fit, or the fitted estimator.
        findings: those to draw, such as ``reg.diagnose(X_test, y_test)``; by default those of the
            fit by itself.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: an empty list of findings.
    """
    fit = as_fit(source)
    shown = diagnose(fit) if findings is None else list(findings)
    if not shown:
        raise OptionError("findings must hold at least one finding; got none")
    height = 0.9 + _PER_ROW * len(shown)
    figure = Figure(figsize=(8.4, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    axes.axvline(0.0, color=INK, linewidth=1.2)
    for place, finding in zip(places, shown, strict=True):
        marker, color = _LOOKS[finding.severity]
        distance = margin(finding)
        axes.plot([0.0, distance], [place, place], color=color, linewidth=1.2)
        axes.plot([distance], [place], marker=marker, color=color, markersize=7, clip_on=False)
    right = axes.secondary_yaxis("right")
    axes.set_yticks(places, [finding.name for finding in shown], fontsize=9)
    right.set_yticks(
        places,
        [
            f"{_value(finding)}   (should be {finding.comparison} {finding.threshold:.3g})   "
            f"{finding.severity}"
            for finding in shown
        ],
        fontsize=9,
    )
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xticks([-1.0, 0.0, 1.0], ["out of bounds", "threshold", "healthy"], fontsize=9)
    axes.grid(visible=True, axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in (axes, right):
        side.spines[:].set_visible(False)
        side.tick_params(length=0, labelcolor=INK)
    return figure


def _value(finding: Finding) -> str:
    """The value, with its 90% interval where it has one."""
    if finding.interval is None:
        return f"{finding.value:.3g}"
    low, high = finding.interval
    value, lower, upper = figures(high - low, finding.value, low, high)
    return f"{value} [{lower}, {upper}]"


def margin(finding: Finding) -> float:
    """``(v - t) / (|v| + |t|)`` for "v >= t", its negative for "v <= t"; from -1 to 1.

    0 is a value at its threshold, 1/3 one that is twice it on the healthy side.  NaN stays NaN and
    is not drawn.

    Args:
        finding: with its value v and threshold t.

    Example:
        >>> from bayes_hybrid.diagnostics.evaluation.finding import judge
        >>> round(margin(judge("r_hat", 1.3, "<=", 1.1, meaning="", advice="")), 3)
        -0.083
    """
    value, threshold = finding.value, finding.threshold
    if math.isinf(value) or math.isinf(threshold):
        relative = float(np.sign(value - threshold))
    else:
        size = abs(value) + abs(threshold)
        relative = (value - threshold) / size if size else 0.0
    return relative if finding.comparison == ">=" else -relative
