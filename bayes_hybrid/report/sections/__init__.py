"""The sections of a report, in the order of the page; a new one is a file and a line here."""

from bayes_hybrid.report.section import Section
from bayes_hybrid.report.sections import (
    approximation,
    calibration,
    checks,
    data,
    findings,
    model,
    readings,
    regimes,
    reproduce,
    thresholds,
    training,
    verdict,
)

SECTIONS: tuple[Section, ...] = (
    verdict.SECTION,
    regimes.SECTION,
    readings.SECTION,
    thresholds.SECTION,
    checks.SECTION,
    calibration.SECTION,
    approximation.SECTION,
    training.SECTION,
    findings.SECTION,
    data.SECTION,
    model.SECTION,
    reproduce.SECTION,
)

__all__ = ["SECTIONS"]
