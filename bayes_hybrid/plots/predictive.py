"""Predictive checks as figures: densities, counts, PIT values, coverage and test statistics."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import constant_columns
from bayes_hybrid.diagnostics import PredictiveChecks, predictive_checks
from bayes_hybrid.diagnostics.scores.rootogram import rootogram
from bayes_hybrid.diagnostics.scores.scores import ALL
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, RegimeStyle, legend_above, new_axes, regime_styles, tidy
from bayes_hybrid.tabular import draws

__all__ = ["plot_coverage", "plot_pit", "plot_ppc", "plot_rootogram", "plot_statistics"]

_SIZE: Final = (5.2, 3.4)
_BAND: Final = "#777777"
_BINS: Final = (8, 40)
"""Fewer bins show no shape, more of them only noise."""

_LEVELS: Final = np.linspace(0.05, 0.95, 19)


@draws(PredictiveChecks)
def plot_ppc(
    source: "Source | PredictiveChecks",
    *,
    regime: str = ALL,
    prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Density of the data over those of replicated data, as histograms with the same bins.

    The band is the central ``prob`` of the replicated densities in each bin, the thin line their
    median.  Of N rows some bins leave a band by chance.

    Args:
        source: the finished fit or the fitted estimator, for its training rows; or what
            :func:`bayes_hybrid.diagnostics.scores.predictive_checks` says of other rows.
        regime: whose rows; ``"all"`` for every one.
        prob: probability of the band in each bin.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such regime, or one without rows.
    """
    checked = _checked(source)
    rows, style = checked.rows(regime), _style(checked, regime)
    y, replicated = checked.y[rows], checked.replicated[:, rows]
    edges = _edges(y, replicated)
    width = np.diff(edges)
    counts = np.array([np.histogram(values, edges)[0] for values in replicated])
    low, middle, high = np.quantile(
        counts / (y.size * width), [0.5 - prob / 2.0, 0.5, 0.5 + prob / 2.0], axis=0
    )
    figure, axes = new_axes(ax, _SIZE)
    axes.stairs(high, edges, baseline=low, fill=True, color=_BAND, alpha=0.28)
    axes.stairs(middle, edges, color=_BAND, linewidth=1.0)
    observed = np.histogram(y, edges)[0] / (y.size * width)
    axes.stairs(observed, edges, color=style.color, linewidth=1.8, linestyle=style.linestyle)
    tidy(axes)
    axes.set_xlabel(checked.output, color=INK)
    axes.set_ylabel("density", color=INK)
    _legend(axes, checked, regime, f"{prob:.0%} of replicated data")
    return figure


def plot_rootogram(
    source: "Source | PredictiveChecks",
    *,
    regime: str = ALL,
    prob: float = 0.9,
    ax: Axes | None = None,
) -> Figure:
    """Frequencies of counts as bars that hang from what the model expects, as square roots.

    The line is the mean root of the frequency over replicated data, and a bar is as long as the
    root of the frequency in the data.  A bar that ends above zero is too short: the data have fewer
    such counts than the model makes.  One that ends below zero is too long.  The band around zero
    is where bars end for the central ``prob`` of the replicated data, of each bar by itself.

    Args:
        source: the finished fit or the fitted estimator, for its training rows; or what
            :func:`bayes_hybrid.diagnostics.scores.predictive_checks` says of other rows.
        regime: whose rows; ``"all"`` for every one.
        prob: probability of the band.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        DataError: a target or a likelihood of other than counts.
        OptionError: no such regime, one without rows, or ``prob`` not between 0 and 1.

    Source: Kleiber and Zeileis (2016), The American Statistician 70, 296-303.
    """
    checked = _checked(source)
    rows, style = checked.rows(regime), _style(checked, regime)
    roots = rootogram(checked.y[rows], checked.replicated[:, rows], prob=prob)
    centres, width = 0.5 * (roots.edges[1:] + roots.edges[:-1]), np.diff(roots.edges)
    figure, axes = new_axes(ax, _SIZE)
    axes.bar(
        centres, roots.observed, 0.8 * width, roots.hanging, color=style.color, alpha=0.55, zorder=2
    )
    (expected,) = axes.plot(
        centres, roots.expected, color=INK, marker="o", markersize=3, linewidth=1.0
    )
    expected.set_label("expected")
    axes.stairs(
        roots.expected - roots.lower,
        roots.edges,
        baseline=roots.expected - roots.upper,
        fill=True,
        color=_BAND,
        alpha=0.28,
    )
    axes.axhline(0.0, color=_BAND, linewidth=1.0)
    tidy(axes)
    axes.set_xlabel(checked.output, color=INK)
    axes.set_ylabel("root of the number of rows", color=INK)
    axes.use_sticky_edges = False  # or the band has no margin below
    named: list[Line2D | Patch] = [
        Patch(color=style.color, alpha=0.55, linewidth=0.0, label=_whose(checked, regime)),
        expected,
        _named_band(f"{prob:.0%} of replicated data"),
    ]
    legend_above(axes, columns=3, handles=named)
    return figure


def plot_pit(
    source: "Source | PredictiveChecks",
    *,
    regime: str = ALL,
    prob: float = 0.95,
    ax: Axes | None = None,
) -> Figure:
    """The ecdf of the PIT values less the uniform one, with its simultaneous band.

    A calibrated fit stays inside the whole band with probability ``prob``.  Above the band on the
    left and below it on the right, predictions are too narrow; the other way round, too wide.

    Args:
        source: the finished fit or the fitted estimator, for its training rows, whose PIT values
            are those of leave-one-out; or what
            :func:`bayes_hybrid.diagnostics.scores.predictive_checks` says of other rows.
        regime: whose rows; ``"all"`` for every one.
        prob: probability of the band as a whole.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such regime, or ``prob`` not between 0 and 1.
        DataError: fewer than two rows, or a PIT value that is not finite.
    """
    checked = _checked(source)
    ecdf, style = checked.pit_ecdf(regime, prob=prob), _style(checked, regime)
    figure, axes = new_axes(ax, _SIZE)
    axes.fill_between(ecdf.points, ecdf.lower, ecdf.upper, color=_BAND, alpha=0.28, linewidth=0.0)
    axes.axhline(0.0, color=_BAND, linewidth=1.0)
    axes.plot(
        ecdf.points,
        ecdf.difference,
        color=style.color,
        linestyle=style.linestyle,
        linewidth=1.8,
    )
    tidy(axes)
    axes.set_xlim(0.0, 1.0)
    kind = "PIT" if checked.held_out else "leave-one-out PIT"
    axes.set_xlabel(f"{kind} of {checked.output}", color=INK)
    axes.set_ylabel("ecdf minus uniform", color=INK)
    _legend(axes, checked, regime, f"{prob:.0%} simultaneous band")
    return figure


def plot_coverage(
    source: "Source | PredictiveChecks", *, regime: str = ALL, ax: Axes | None = None
) -> Figure:
    """Share of rows inside central intervals against the probability that these claim.

    Below the diagonal intervals are too narrow.  The band is the central 90% of what a calibrated
    model would cover by chance, at each probability by itself.

    Args:
        source: the finished fit or the fitted estimator, for its training rows; or what
            :func:`bayes_hybrid.diagnostics.scores.predictive_checks` says of other rows.
        regime: whose rows; ``"all"`` for every one.
        ax: where to draw; a new figure without it.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such regime, or one without rows.
    """
    checked = _checked(source)
    table, style = checked.coverage(regime, levels=_LEVELS), _style(checked, regime)
    figure, axes = new_axes(ax, (3.8, 3.8))
    level = table["level"].to_numpy()
    axes.fill_between(level, table["lower"], table["upper"], color=_BAND, alpha=0.28, linewidth=0.0)
    axes.plot([0.0, 1.0], [0.0, 1.0], color=_BAND, linewidth=1.0)
    axes.plot(
        level,
        table["coverage"].to_numpy(),
        color=style.color,
        marker=style.marker,
        markersize=4,
        linestyle=style.linestyle,
        linewidth=1.4,
    )
    tidy(axes)
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1.0))
    axes.set_xlabel("probability of the central interval", color=INK)
    axes.set_ylabel(f"rows inside ({regime})", color=INK)
    return figure


def plot_statistics(source: "Source | PredictiveChecks", *, regime: str = ALL) -> Figure:
    """Each test statistic of the data over its histogram among replicated data.

    The number above each panel is the posterior predictive p-value: near 0 or 1, the model hardly
    ever makes data with such a value.

    Args:
        source: the finished fit or the fitted estimator, for its training rows; or what
            :func:`bayes_hybrid.diagnostics.scores.predictive_checks` says of other rows.
        regime: whose rows; ``"all"`` for every one.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no such regime, or one without rows.
    """
    checked = _checked(source)
    table, style = checked.statistics(regime), _style(checked, regime)
    _, replicated = checked.statistic_draws(regime)
    figure = Figure(figsize=(8.0, 3.8), dpi=150, layout="constrained")
    panels = figure.subplots(2, -(-len(table) // 2)).ravel()
    for axes, line in zip(panels, table.itertuples(), strict=False):
        values = replicated[str(line.statistic)]
        if np.isfinite(values).all():
            axes.hist(values, bins=20, color=_BAND, alpha=0.45)
        axes.axvline(float(str(line.observed)), color=style.color, linewidth=1.8)
        tidy(axes)
        axes.set_yticks([])
        axes.set_title(f"{line.statistic}, p = {line.p_value:.2f}", fontsize=9, color=INK)
    for axes in panels[len(table) :]:
        axes.set_axis_off()
    whose = "" if regime == ALL else f", rows of the regime {regime!r}"
    figure.suptitle(f"Test statistics of {checked.output}{whose}", fontsize=10, color=INK)
    return figure


def _checked(source: "Source | PredictiveChecks") -> PredictiveChecks:
    """The checks: what was given, or those of a fit's training rows, with the fit's own seed."""
    if isinstance(source, PredictiveChecks):
        return source
    fit = as_fit(source)
    return predictive_checks(fit, seed=fit.seed)


def _style(checked: PredictiveChecks, regime: str) -> RegimeStyle:
    """A regime's own style; ink for all rows."""
    everything = {ALL: RegimeStyle(color=INK, hatch="", marker="o", linestyle="-")}
    return (everything | regime_styles(checked.regime_names))[regime]


def _edges(y: FloatArray, replicated: FloatArray) -> FloatArray:
    """Bins over the data and nearly all replicated data, as wide as the data ask for."""
    low, high = np.quantile(replicated, [0.005, 0.995])
    low, high = min(low, y.min()), max(high, y.max())
    # The rule of Freedman and Diaconis, which has no width for values that are all equal.
    constant = constant_columns(y)
    asked = high - low if constant else np.ptp(np.histogram_bin_edges(y, "fd")[:2])
    count = int(np.clip((high - low) / asked, *_BINS))
    return np.asarray(np.histogram_bin_edges(y, count, range=(low, high)), dtype=np.float64)


def _legend(axes: Axes, checked: PredictiveChecks, regime: str, band: str) -> None:
    style, whose = _style(checked, regime), _whose(checked, regime)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.color, linestyle=style.linestyle, label=whose),
        _named_band(band),
    ]
    legend_above(axes, columns=2, handles=handles)


def _whose(checked: PredictiveChecks, regime: str) -> str:
    """How many rows, and whose."""
    whose = "rows" if regime == ALL else f"rows of {regime}"
    return f"{int(checked.rows(regime).sum())} {whose}"


def _named_band(name: str) -> Patch:
    return Patch(color=_BAND, alpha=0.28, linewidth=0.0, label=name)
