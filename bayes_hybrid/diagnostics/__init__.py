"""What a fit is worth: its ArviZ export, findings about it, and a verdict."""

from bayes_hybrid.diagnostics.curves.contributions import Contributions, contributions
from bayes_hybrid.diagnostics.curves.effects import EffectCurve, effect_curve
from bayes_hybrid.diagnostics.curves.partial_dependence import PartialDependence, partial_dependence
from bayes_hybrid.diagnostics.curves.support import OutOfData, out_of_data
from bayes_hybrid.diagnostics.evaluation.finding import Finding
from bayes_hybrid.diagnostics.export.datatree import to_datatree
from bayes_hybrid.diagnostics.findings.guide import correction_report, guide_report
from bayes_hybrid.diagnostics.findings.health import is_gate_health
from bayes_hybrid.diagnostics.findings.training import restart_report, training_report
from bayes_hybrid.diagnostics.findings.verdict import diagnose, exit_code, findings_frame, verdict
from bayes_hybrid.diagnostics.regimes.boundaries import Boundary, BoundaryPosterior, boundaries
from bayes_hybrid.diagnostics.regimes.durations import expected_durations
from bayes_hybrid.diagnostics.regimes.readings import readings_frame, regime_descriptions
from bayes_hybrid.diagnostics.regimes.regime_posterior import RegimePosterior, regime_posterior
from bayes_hybrid.diagnostics.regimes.regime_scores import regime_scores
from bayes_hybrid.diagnostics.regimes.regions import regions
from bayes_hybrid.diagnostics.regimes.thresholds import threshold_sentences, threshold_table
from bayes_hybrid.diagnostics.scores.comparison import Comparison, KFold, compare
from bayes_hybrid.diagnostics.scores.pit import PitEcdf, pit_ecdf
from bayes_hybrid.diagnostics.scores.predictive_checks import PredictiveChecks, predictive_checks
from bayes_hybrid.diagnostics.scores.scores import predictive_scores
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws

__all__ = [
    "Boundary",
    "BoundaryPosterior",
    "Comparison",
    "Contributions",
    "EffectCurve",
    "Finding",
    "KFold",
    "OutOfData",
    "PartialDependence",
    "PitEcdf",
    "PredictiveChecks",
    "RegimePosterior",
    "boundaries",
    "compare",
    "contributions",
    "correction_report",
    "diagnose",
    "effect_curve",
    "exit_code",
    "expected_durations",
    "findings_frame",
    "guide_report",
    "is_gate_health",
    "mean_over_draws",
    "out_of_data",
    "partial_dependence",
    "pit_ecdf",
    "predictive_checks",
    "predictive_scores",
    "quantiles_over_draws",
    "readings_frame",
    "regime_descriptions",
    "regime_posterior",
    "regime_scores",
    "regions",
    "restart_report",
    "threshold_sentences",
    "threshold_table",
    "to_datatree",
    "training_report",
    "verdict",
]
