"""The answer first: can it be used, can the regimes be read, and what is to be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bayes_hybrid.diagnostics import (
    Finding,
    exit_code,
    verdict,
)
from bayes_hybrid.diagnostics.evaluation.finding import Severity
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.sections.thresholds import place_sentences

__all__ = ["QUESTIONS", "SECTION", "Answer", "answers"]

_SEVERITIES: Final[tuple[Severity, ...]] = ("ok", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a reader wants to know, and the findings that answer it, by their names' beginnings."""

    text: str
    names: tuple[str, ...]
    replies: tuple[str, str, str]


QUESTIONS: Final = (
    Question(
        text="Can the predictions be used?",
        names=("nonfinite_density", "trained_on", "coverage", "pit", "constant", "prior"),
        replies=(
            "Yes, as far as was checked.",
            "With care: see below.",
            "No: see below.",
        ),
    ),
    Question(
        text="Can the regimes be read?",
        names=(
            *("usage", "dominant", "effective", "gate", "regime", "twin"),
            *("threshold", "change", "more_regimes"),
        ),
        replies=(
            "Yes: they are used, told apart, and the same in all restarts of the leading reading.",
            "With care, or not at all: see below. Predictions may stand all the same.",
            "No: see below.",
        ),
    ),
    Question(
        text="Do the draws stand for the posterior?",
        names=("",),
        replies=(
            "Yes: training ended well, and the checks of the approximation passed.",
            "With care: see below. Uncertainty may be too small or too large.",
            "No: see below.",
        ),
    ),
)
"""A finding belongs to the first question that its name fits; the last one takes the rest."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question with its worst severity, a reply, and the findings that are not in order."""

    question: str
    severity: Severity
    reply: str
    flagged: tuple[Finding, ...]


def answers(findings: Sequence[Finding], num_regimes: int) -> list[Answer]:
    """An answer to each question that the model raises.

    Args:
        findings: all of them.
        num_regimes: K; with one regime there is none to read.
    """
    left, found = list(findings), []
    for question in QUESTIONS:
        mine = [finding for finding in left if finding.name.startswith(question.names)]
        left = [finding for finding in left if finding not in mine]
        # Nothing was asked of one regime, of a constant target, or of too few rows.
        if not mine and (num_regimes == 1 or question is not QUESTIONS[0]):
            continue
        code = exit_code(mine)
        found.append(
            Answer(
                question=question.text,
                severity=_SEVERITIES[code],
                reply=question.replies[code],
                flagged=tuple(finding for finding in mine if finding.severity != "ok"),
            )
        )
    return found


def _content(evidence: Evidence) -> Mapping[str, object]:
    code = exit_code(evidence.findings)
    return {
        "severity": _SEVERITIES[code],
        "headline": verdict(evidence.findings).partition("\n")[0],
        "answers": answers(evidence.findings, evidence.posterior.num_regimes),
        "status": evidence.status,
        "sentences": [f.meaning for f in evidence.findings if f.name == "leading_reading"]
        + place_sentences(evidence),
        "is_held_out": evidence.is_held_out,
    }


SECTION: Final = Section(key="verdict", title="Verdict", content=_content)
