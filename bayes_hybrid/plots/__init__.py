"""Figures of a fit; each function returns a matplotlib ``Figure`` and touches no global state."""

from bayes_hybrid.plots.boundary import plot_boundary
from bayes_hybrid.plots.contributions import plot_contributions
from bayes_hybrid.plots.effect import plot_effect
from bayes_hybrid.plots.findings import plot_findings
from bayes_hybrid.plots.fit import plot_fit
from bayes_hybrid.plots.overview import plot_overview
from bayes_hybrid.plots.partial_dependence import plot_partial_dependence
from bayes_hybrid.plots.predictive import (
    plot_coverage,
    plot_pit,
    plot_ppc,
    plot_rootogram,
    plot_statistics,
)
from bayes_hybrid.plots.regime import plot_regime
from bayes_hybrid.plots.restarts import plot_restarts
from bayes_hybrid.plots.thresholds import plot_thresholds
from bayes_hybrid.plots.training import plot_training
from bayes_hybrid.plots.uncertainty import plot_regime_uncertainty

__all__ = [
    "plot_boundary",
    "plot_contributions",
    "plot_coverage",
    "plot_effect",
    "plot_findings",
    "plot_fit",
    "plot_overview",
    "plot_partial_dependence",
    "plot_pit",
    "plot_ppc",
    "plot_regime",
    "plot_regime_uncertainty",
    "plot_restarts",
    "plot_rootogram",
    "plot_statistics",
    "plot_thresholds",
    "plot_training",
]
