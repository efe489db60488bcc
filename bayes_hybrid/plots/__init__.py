"""Figures of a fit; each function returns a matplotlib ``Figure`` and touches no global state."""

from bayes_hybrid.plots.boundary import plot_boundary
from bayes_hybrid.plots.fit import plot_fit
from bayes_hybrid.plots.overview import plot_overview
from bayes_hybrid.plots.predictive import plot_coverage, plot_pit, plot_ppc, plot_statistics
from bayes_hybrid.plots.regime import plot_regime
from bayes_hybrid.plots.uncertainty import plot_regime_uncertainty

__all__ = [
    "plot_boundary",
    "plot_coverage",
    "plot_fit",
    "plot_overview",
    "plot_pit",
    "plot_ppc",
    "plot_regime",
    "plot_regime_uncertainty",
    "plot_statistics",
]
