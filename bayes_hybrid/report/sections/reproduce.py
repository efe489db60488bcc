"""How to get the same fit and the same report again."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Final

import pandas as pd

from bayes_hybrid import __version__
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "estimator_code"]

_PACKAGES: Final = (
    "torch",
    "pyro-ppl",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "arviz",
    "bokeh",
)
_MEANINGS: Final = {
    "package": "what was installed when the report was made",
    "version": "numbers may differ in the last digits with another",
}


def estimator_code(estimator: HybridRegressor) -> str:
    """The estimator as an expression, with the settings that are not its defaults.

    Args:
        estimator: fitted; its seed is that of the fit, whatever ``random_state`` was.

    Example:
        >>> from types import SimpleNamespace
        >>> reg = HybridRegressor(noise="constant")
        >>> reg.fit_ = SimpleNamespace(seed=3)
        >>> print(estimator_code(reg))
        HybridRegressor(
            noise='constant',
            random_state=3,
        )
    """
    defaults = HybridRegressor().get_params(deep=False)
    changed = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        # A progress function has no code, and neither changes a number.
        if name not in ("progress", "random_state") and repr(value) != repr(defaults[name])
    } | {"random_state": estimator.fit_.seed}
    lines = [f"    {name}={value!r}," for name, value in changed.items()]
    return "\n".join(["HybridRegressor(", *lines, ")"])


def _code(evidence: Evidence) -> str:
    """Python that fits the same model to the same table."""
    fit = evidence.fit
    used = [
        name
        for name in ("Pathway", "FitOptions", "Priors", "LabelHead")
        if f"{name}(" in estimator_code(evidence.estimator)
    ]
    features, outputs = [*fit.feature_names], [*evidence.outputs]
    target = repr(outputs[0]) if len(outputs) == 1 else repr(outputs)
    lines = [
        f"from bayes_hybrid import {', '.join(sorted(['HybridRegressor', *used]))}",
        "from bayes_hybrid.data import read_table",
        "from bayes_hybrid.report import write_report",
        "",
        'table = read_table("data.csv")  # the table that was fitted',
        f"reg = {estimator_code(evidence.estimator)}",
        f"reg.fit(table[{features!r}], table[{target}]"
        + (", regime_label=table[...])" if fit.labels is not None else ")"),
        'write_report(reg, "report.html")',
    ]
    return "\n".join(lines)


def _content(evidence: Evidence) -> Mapping[str, object]:
    versions = [("bayes-hybrid", __version__), ("python", platform.python_version())]
    versions += [(name, metadata.version(name)) for name in _PACKAGES]
    fit = evidence.fit
    return {
        "code": _code(evidence),
        "command": evidence.command,
        "seed": fit.seed,
        "device": fit.device,
        "compiled": fit.compiled,
        "table": Table(
            key="versions",
            caption="Versions",
            frame=pd.DataFrame(versions, columns=list(_MEANINGS)),
            meanings=_MEANINGS,
        ),
    }


SECTION: Final = Section(key="reproduce", title="How to reproduce", content=_content)
