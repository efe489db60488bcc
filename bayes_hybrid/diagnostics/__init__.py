"""What a fit is worth: its ArviZ export, findings about it, and a verdict."""

from bayes_hybrid.diagnostics.datatree import to_datatree
from bayes_hybrid.diagnostics.finding import Finding
from bayes_hybrid.diagnostics.guide import correction_report, guide_report
from bayes_hybrid.diagnostics.interface import FitLike, PosteriorLike
from bayes_hybrid.diagnostics.regime_scores import regime_scores
from bayes_hybrid.diagnostics.thresholds import threshold_sentences, threshold_table
from bayes_hybrid.diagnostics.training import restart_report, training_report
from bayes_hybrid.diagnostics.verdict import diagnose, exit_code, findings_frame, verdict

__all__ = [
    "Finding",
    "FitLike",
    "PosteriorLike",
    "correction_report",
    "diagnose",
    "exit_code",
    "findings_frame",
    "guide_report",
    "regime_scores",
    "restart_report",
    "threshold_sentences",
    "threshold_table",
    "to_datatree",
    "training_report",
    "verdict",
]
