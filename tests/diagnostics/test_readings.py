"""Readings in words, and what follows from them."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.evaluation import evaluate
from bayes_hybrid.diagnostics.readings import explained_by_one
from tests.diagnostics.fakes import FakeFit, collapsed, healthy


class TwoReadings(FakeFit):
    """Beside its own reading another one, in which both regimes are used."""

    @property
    def readings(self):
        (own,) = super().readings
        halves = np.full_like(own.responsibilities, 0.5)
        return (own, dataclasses.replace(own, weight=0.2, responsibilities=halves))


def two(fit):
    return TwoReadings(**{f.name: getattr(fit, f.name) for f in dataclasses.fields(fit)})


@pytest.mark.parametrize(
    ("fit", "expected"),
    [(collapsed(), False), (two(collapsed()), True), (two(healthy()), False)],
    ids=["collapsed", "weighed against others", "two are used"],
)
def test_one_regime_is_an_answer_where_it_was_weighed_against_others(fit, expected):
    assert explained_by_one(fit, evaluate(fit, max_rows=None)) is expected
    asked = {finding.name.partition("[")[0] for finding in diagnose(fit)}
    assert ("usage" in asked) is not expected
    assert "leading_reading" in asked
