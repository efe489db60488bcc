"""Fits with next to no training, of models that differ in all that a report shows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid import HybridRegressor, ThresholdGate
from bayes_hybrid.estimator import with_units
from bayes_hybrid.report.evidence import Evidence, gather
from bayes_hybrid.report.page import render
from tests.budgets import tiny

TINY = tiny(num_draws=60)

# What a header may hold that would run if it were taken for markup, script or a template.
HOSTILE_FEATURES = ('"><script>window.pwned=1</script>', "${alert(1)}{{7*7}}' onclick='pwned=1")
HOSTILE_TARGET = "</script><img src=x onerror=window.pwned=1>, =1+1"


def make_rows(num_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, (num_rows, 2))
    y = np.sin(2.0 * x[:, 0]) + 1.5 * (x[:, 0] > 0.3) + 0.1 * rng.standard_normal(num_rows)
    return x, y


def fitted(X, y, labels=None, random_state=0, **settings) -> HybridRegressor:
    reg = with_units(
        HybridRegressor(fit_options=TINY, random_state=random_state, **settings), num_units=4
    )
    return reg.fit(X, y, labels)


@pytest.fixture(scope="session")
def hostile() -> Evidence:
    """Two features and a target with hostile names; the first twenty rows as if held out."""
    x, y = make_rows()
    X = pd.DataFrame(x, columns=list(HOSTILE_FEATURES))
    reg = fitted(X, pd.Series(y, name=HOSTILE_TARGET), random_state=2)
    return gather(reg, x_test=x[:20], y_test=y[:20], command="bayes-hybrid report <b>fit</b>")


@pytest.fixture(scope="session")
def thresholds() -> Evidence:
    """Three regimes in an order along the first feature, of which nobody uses the last."""
    gate, experts = ThresholdGate(feature=0), ("gaussian", "gaussian", "relu")
    return gather(fitted(*make_rows(), gate=gate, experts=experts))


@pytest.fixture(scope="session")
def several() -> Evidence:
    """Two outputs with missing values, and regime labels of some rows."""
    x, y = make_rows()
    Y = pd.DataFrame({"first": y, "second": np.where(x[:, 1] > 1.0, np.nan, 2.0 * y)})
    labels = ["gaussian" if value > 0.0 else None for value in x[:, 1]]
    return gather(fitted(x, Y, labels, random_state=2))


@pytest.fixture(scope="session")
def single() -> Evidence:
    """One pathway, so no regimes, and a constant feature."""
    x, y = make_rows()
    X = np.column_stack([x, np.ones(len(x))])
    return gather(fitted(X, y, model="linear_mix", likelihood="student_t"))


@pytest.fixture(scope="session")
def one() -> Evidence:
    """Two regimes, of which the leading reading uses one, and another reading both."""
    return gather(fitted(*make_rows()))


@pytest.fixture(params=["hostile", "thresholds", "several", "single", "one"])
def evidence(request) -> Evidence:
    """Each of them in turn."""
    found: Evidence = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def pages(hostile, thresholds, several, single, one) -> dict[str, str]:
    """Their reports."""
    return {
        "hostile": render(hostile),
        "thresholds": render(thresholds),
        "several": render(several),
        "single": render(single),
        "one": render(one),
    }


def grown(evidence: Evidence, times: int) -> Evidence:
    """The same posterior with every row so many times."""
    fit = evidence.fit
    reg = HybridRegressor(**evidence.estimator.get_params(deep=False))
    for name, value in vars(evidence.estimator).items():
        setattr(reg, name, value)
    reg.fit_ = replace(fit, x=np.tile(fit.x, (times, 1)), y=np.tile(fit.y, times))
    return gather(reg)
