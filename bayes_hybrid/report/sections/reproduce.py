"""How to get the same fit and the same report again."""

import ast
import builtins
import platform
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import metadata
from typing import Final

import pandas as pd

import bayes_hybrid
from bayes_hybrid import __version__
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.report.evidence import Evidence
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.tables import Table

__all__ = ["SECTION", "estimator_code", "fit_code", "imports_of"]

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
    lines = [f"    {name}={_value_code(value)}" for name, value in changed.items()]
    return "\n".join(["HybridRegressor(", *lines, ")"])


def _value_code(value: object) -> str:
    """A setting as code, with its comma; an object of somebody's own may have no such form."""
    code = repr(value)
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        return f"...,  # to be replaced: {' '.join(code.split())}"
    return f"{code},"


def imports_of(code: str, *values: object) -> list[str]:
    """The lines that import every name that code reads.

    Args:
        code: an expression.
        values: the settings in it, which say where classes of somebody's own are from.

    Example:
        >>> imports_of("HybridRegressor(gate=ReLUGate(num_units=4))")
        ['from bayes_hybrid import HybridRegressor, ReLUGate']
    """
    nodes = ast.walk(ast.parse(code))
    names = {node.id for node in nodes if isinstance(node, ast.Name)} - set(dir(builtins))
    ours = sorted(names & set(bayes_hybrid.__all__))
    homes = {
        "np": "import numpy as np",
        "inf": "from math import inf",
        "nan": "from math import nan",
    }
    homes |= {
        kind.__name__: f"from {kind.__module__} import {kind.__name__}" for kind in _kinds(values)
    }
    unknown = "# to be replaced: where is {}?"
    others = sorted(homes.get(name, unknown.format(name)) for name in names - set(ours))
    return [*others, f"from bayes_hybrid import {', '.join(ours)}"]


def _kinds(value: object) -> set[type]:
    """The classes of an object and of what it holds."""
    parts: list[object] = []
    if isinstance(value, list | tuple):
        parts = [*value]
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    return {type(value)}.union(*map(_kinds, parts))


def fit_code(evidence: Evidence) -> str:
    """Python that fits the same model to the same rows."""
    fit, held_out = evidence.fit, evidence.estimator.held_out_
    features, outputs = [*evidence.columns], [*evidence.outputs]
    X, y = repr(features), repr(outputs[0] if len(outputs) == 1 else outputs)
    estimator = estimator_code(evidence.estimator)
    settings = evidence.estimator.get_params(deep=False).values()
    lines = [
        *imports_of(estimator if held_out is None else f"load, {estimator}", *settings),
        "from bayes_hybrid.data import read_table",
        "from bayes_hybrid.report import write_report",
        "",
    ]
    tested = ""
    if held_out is None:
        lines.append('table = read_table("data.csv")  # the table that was fitted')
    else:
        tested = f", X_test=test[{X}], y_test=test[{y}]"
        lines += [
            'table = read_table("data.csv")  # the table, held-out rows included',
            'rows = load("fit").held_out_.rows  # "fit" is the folder of this fit',
            "test, table = table.loc[rows], table.drop(index=rows)  # held out, fitted",
        ]
    labels = ""
    if fit.labels is not None:
        # The fit keeps the labels, not the name of their column.
        lines.append('labels = "regime_label"  # to be replaced by the name of the labels\' column')
        labels = ", regime_label=table[labels]"
    lines += [
        f"reg = {estimator}",
        f"reg.fit(table[{X}], table[{y}]{labels})",
        f'write_report(reg, "report.html"{tested})',
    ]
    return "\n".join(lines)


def _content(evidence: Evidence) -> Mapping[str, object]:
    versions = [("bayes-hybrid", __version__), ("python", platform.python_version())]
    versions += [(name, metadata.version(name)) for name in _PACKAGES]
    fit, held_out = evidence.fit, evidence.estimator.held_out_
    return {
        "code": fit_code(evidence),
        "num_rows": len(fit.x),
        "num_held_out": 0 if held_out is None else len(held_out),
        "command": evidence.command,
        "seed": fit.seed,
        "device": fit.training.device,
        "compiled": fit.training.compiled,
        "table": Table(
            key="versions",
            caption="Versions",
            frame=pd.DataFrame(versions, columns=list(_MEANINGS)),
            meanings=_MEANINGS,
        ),
    }


SECTION: Final = Section(key="reproduce", title="How to reproduce", content=_content)
