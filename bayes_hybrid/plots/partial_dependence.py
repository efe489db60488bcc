"""Partial dependence on several features, with the curves of single rows."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.curves.effects import Quantity
from bayes_hybrid.diagnostics.curves.partial_dependence import PartialDependence, partial_dependence
from bayes_hybrid.diagnostics.evaluation.evaluation import spread_rows
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.plots.effect import draw_curves
from bayes_hybrid.plots.source import Source, as_fit
from bayes_hybrid.plots.style import INK, legend_above, new_axes
from bayes_hybrid.tabular import draws

__all__ = ["plot_partial_dependence"]

_MOST_PANELS: Final = 9
"""Drawn where no features are named: three rows of three."""

_PER_ROW: Final = 3


def plot_partial_dependence(
    source: Source,
    *,
    features: Sequence[int | str] | None = None,
    of: Quantity = "mean",
    individual: int = 30,
    output: int | str = 0,
    prob: float = 0.9,
    grid: int = 40,
    max_rows: int = 100,
) -> Figure:
    """A panel for each feature: partial dependence with its band, over curves of single rows.

    The panels share their vertical axis, so that the features can be compared.  See
    :func:`~bayes_hybrid.diagnostics.curves.partial_dependence.partial_dependence`.

    Args:
        source: the finished fit, or the fitted estimator.
        features: positions or names; by default the first nine that are not constant.
        of: ``"mean"``, ``"expert"`` or ``"contribution"``; single rows are drawn for the mean.
        individual: how many single rows are drawn, evenly spread; 0 for none.
        output: position or name of the output, where there are several.
        prob: probability of the band.
        grid: number of points along each feature.
        max_rows: at most so many training rows are read.

    Returns:
        The figure, which belongs to no window and can be saved with ``savefig``.

    Raises:
        OptionError: no feature, or as
            :func:`~bayes_hybrid.diagnostics.curves.partial_dependence.partial_dependence`.
    """
    fit = as_fit(source)
    if individual:
        checks.positive_int("individual", individual)
    chosen = _varying(fit) if features is None else features
    if isinstance(chosen, str) or not len(chosen):
        raise OptionError(f"features must be a list of names or positions; got {features!r}")
    columns = min(_PER_ROW, len(chosen))
    rows = -(-len(chosen) // columns)
    size = (max(4.0, 2.6 * columns), 0.5 + 2.4 * rows)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, feature in zip(panels, chosen, strict=False):
        found = partial_dependence(
            fit, feature, of=of, output=output, prob=prob, grid=grid, max_rows=max_rows
        )
        _panel(axes, found, individual)
        if axes in panels[::columns]:
            axes.set_ylabel(f"{of} of {found.curve.output}", color=INK)
    for axes in panels[len(chosen) :]:
        axes.remove()
    legend_above(panels[0], columns=2)
    return figure


@draws(PartialDependence)
def _plot_one(found: PartialDependence, *, individual: int = 30, ax: Axes | None = None) -> Figure:
    """The panel of one feature."""
    figure, axes = new_axes(ax, (5.2, 3.2))
    _panel(axes, found, individual)
    axes.set_ylabel(f"{found.curve.of} of {found.curve.output}", color=INK)
    legend_above(axes)
    return figure


def _panel(axes: Axes, found: PartialDependence, individual: int) -> None:
    """The mean curve over those of some rows."""
    draw_curves(axes, found.curve)
    axes.set_xlabel(found.curve.feature, color=INK)
    if found.curve.of == "mean" and individual:
        shown = found.individual[spread_rows(len(found.rows), individual), :, 0]
        single = axes.plot(
            found.curve.along, shown.T, color=INK, alpha=0.25, linewidth=0.6, zorder=1.5
        )
        single[0].set_label("single rows")


def _varying(fit: Fit) -> list[int | str]:
    """The first features with more than one value."""
    return [int(d) for d in np.flatnonzero(np.ptp(fit.x, axis=0) > 0.0)[:_MOST_PANELS]]
