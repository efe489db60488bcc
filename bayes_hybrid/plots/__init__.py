"""Figures of a fit; each function returns a matplotlib ``Figure`` and touches no global state."""

from bayes_hybrid.plots.boundary import plot_boundary
from bayes_hybrid.plots.fit import plot_fit
from bayes_hybrid.plots.overview import plot_overview
from bayes_hybrid.plots.regime import plot_regime
from bayes_hybrid.plots.uncertainty import plot_regime_uncertainty

__all__ = ["plot_boundary", "plot_fit", "plot_overview", "plot_regime", "plot_regime_uncertainty"]
