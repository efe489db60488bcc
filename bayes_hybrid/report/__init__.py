"""A fit as one HTML file that explains itself: verdict first, and no network."""

from bayes_hybrid.report.page import write_report

__all__ = ["write_report"]
