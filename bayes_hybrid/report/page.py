"""The page: sections, style and scripts in one file that needs no network."""

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from bayes_hybrid import __version__
from bayes_hybrid.data import atomic_file, refuse_existing
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.estimator.rows import held_out_or_saved
from bayes_hybrid.report.evidence import Evidence, gather
from bayes_hybrid.report.sections import SECTIONS
from bayes_hybrid.report.tables import formatted
from bayes_hybrid.words import SPAN

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["content_policy", "render", "write_page", "write_report"]

_TEMPLATES: Final = "templates"


def write_report(
    estimator: HybridRegressor,
    path: str | os.PathLike[str],
    *,
    X_test: "ArrayLike | pd.DataFrame | None" = None,
    y_test: "ArrayLike | pd.Series | pd.DataFrame | None" = None,
    force: bool = False,
) -> None:
    """Write a fit as one HTML file: verdict, data with fit and regimes, readings, checks, model.

    The file holds all that it shows and opens without a network.  Rows are aggregated or thinned,
    so that its size does not grow with their number.

    Args:
        estimator: fitted.
        path: the file to be; it appears whole or not at all.
        X_test: held-out features ``[M, D]``, to measure calibration on; by default those that the
            fit was saved with.
        y_test: held-out targets ``[M]``, or ``[M, Q]``, NaN where missing.
        force: whether an existing file may be replaced.

    Raises:
        NotFittedError: before the estimator's ``fit``.
        DataError: held-out targets without features, or held-out rows that do not fit.
        OutputExistsError: ``path`` exists and ``force`` is false, or is a folder.
        OSError: the folder is missing or not writable, or the disk is full.
    """
    check_is_fitted(estimator)
    refuse_existing(path, force=force)
    x, y = held_out_or_saved(estimator, X_test, y_test)
    write_page(gather(estimator, x_test=x, y_test=y), path, force=force)


def write_page(evidence: Evidence, path: str | os.PathLike[str], *, force: bool) -> None:
    """Write what :func:`render` returns; arguments and errors are those of :func:`write_report`."""
    page = render(evidence)
    with atomic_file(path, force=force) as handle:
        handle.write(page.encode())


def render(evidence: Evidence) -> str:
    """The page as text.

    Args:
        evidence: the fit and what was found about it.
    """
    environment = _environment()
    parts = []
    for section in SECTIONS:
        content = section.content(evidence)
        if content is not None:
            template = environment.get_template(f"sections/{section.key}.html")
            parts.append((section, Markup(template.render(content))))  # escaped by the template
    scripts = [_plotting_library(), _own("report.js")]
    return environment.get_template("page.html").render(
        title=f"{', '.join(evidence.outputs)} from {', '.join(evidence.columns)}",
        version=__version__,
        sections=parts,
        style=Markup(_own("report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
    )


def content_policy(scripts: Sequence[str]) -> str:
    """The page's Content-Security-Policy: no network, and no script but these.

    A script is named by its hash, so that one that came in with data would not run even if it got
    past the escaping.  Styles cannot be named so: the plotting library makes them as it draws.

    Args:
        scripts: text of each script, as it stands between its tags.

    Source: Content Security Policy Level 3 (W3C), section 8.3.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bayes_hybrid.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
    )
    # NaN is no JSON and would stop the page's script; and Bokeh reads a reference only after what
    # it refers to, so keys stay in their order.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "sort_keys": False}
    environment.filters["formatted"] = formatted
    environment.filters["coded"] = _coded
    return environment


def _coded(text: str) -> Markup:
    """Text with what stands in backquotes as code."""
    return Markup(SPAN.sub(r"<code>\1</code>", str(escape(text))))


def _own(name: str) -> str:
    return (resources.files("bayes_hybrid.report") / _TEMPLATES / name).read_text(encoding="utf-8")


def _plotting_library() -> str:
    """Bokeh's own script, as it is shipped with its Python package."""
    path = resources.files("bokeh") / "server" / "static" / "js" / "bokeh.min.js"
    # A script ends at the first closing tag, even inside of a string.
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")
