"""One section of a report: what it is called, and what its template is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bayes_hybrid.report.evidence import Evidence

__all__ = ["Section"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        key: its anchor, and the name of its template, ``templates/sections/{key}.html``.
        title: its heading.
        content: from the evidence to what the template names; ``None`` leaves the section out.
    """

    key: str
    title: str
    content: Callable[[Evidence], Mapping[str, object] | None]
