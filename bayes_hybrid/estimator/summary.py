"""A fitted estimator on one page: the verdict, the regimes, and a picture."""

import base64
import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_hybrid.diagnostics import Finding, diagnose, verdict
from bayes_hybrid.diagnostics.regimes.description import describe
from bayes_hybrid.estimator.build import settings_of
from bayes_hybrid.inference.result import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = ["Summary", "summarised"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Summary:
    """What a fit found, and whether it can be used.  It prints as text, in a notebook as a page.

    Attributes:
        fit: what was fitted.
        findings: all of them, see :func:`bayes_hybrid.diagnostics.diagnose`.
        sentences: where the regimes are, and how sure that is.
    """

    fit: Fit
    findings: tuple[Finding, ...]
    sentences: tuple[str, ...]

    def plot(self) -> "Figure":
        """:func:`bayes_hybrid.plots.plot_overview` along the first feature."""
        # matplotlib takes a second to import, which a text should not cost.
        from bayes_hybrid.plots import plot_overview

        return plot_overview(self.fit)

    def __repr__(self) -> str:
        """The fit in a sentence, its regimes, the verdict with advice."""
        return "\n".join([repr(self.fit), "", *self.sentences, "", verdict(self.findings)])

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png")
        source = base64.b64encode(picture.getvalue()).decode()
        text = html.escape(repr(self))
        return (
            f'<pre>{text}</pre><img alt="The fit and its regime probabilities" '
            f'src="data:image/png;base64,{source}">'
        )


def summarised(estimator: "HybridRegressor") -> Summary:
    """The summary of a fitted estimator."""
    fit, held = estimator.fit_, estimator.held_out_
    x, y = (None, None) if held is None else (held.x, held.y)
    findings = diagnose(fit, x_test=x, y_test=y, settings=settings_of(estimator))
    return Summary(fit=fit, findings=tuple(findings), sentences=tuple(describe(fit)))
