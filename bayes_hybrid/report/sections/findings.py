"""Every check that was made, passed or not."""

from collections.abc import Mapping
from typing import Final

from bayes_hybrid.diagnostics import findings_frame
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import MAX_SHOWN, Table, formatted

__all__ = ["SECTION"]

_MEANINGS: Final = {
    "name": "what was checked; the same name in every fit",
    "value": "what was measured; n/a where it could not be",
    "wanted": "the bound that a healthy value keeps",
    "severity": "ok; warning: a reading needs care; error: predictions cannot be used",
    "meaning": "what the value says",
    "advice": "what to do; empty where there is nothing to do",
    "lower": "lower end of the value's 90% interval, where it has one",
    "upper": "upper end of the value's 90% interval",
    "comparison": "how a healthy value stands to the threshold",
    "threshold": "the bound",
}


def _content(evidence: Evidence) -> Mapping[str, object]:
    frame = findings_frame(evidence.findings)
    frame["wanted"] = [f"{f.comparison} {formatted(f.threshold)}" for f in evidence.findings]
    table = Table(
        key="findings",
        caption="Every finding, with what was wanted",
        frame=frame[list(_MEANINGS)],
        meanings=_MEANINGS,
        intervals=(("value", "lower", "upper"),),
        hidden=("lower", "upper", "comparison", "threshold"),
        num_shown=max(MAX_SHOWN, len(evidence.findings)),
    )
    return {"table": table}


SECTION: Final = Section(key="findings", title="All findings", content=_content)
