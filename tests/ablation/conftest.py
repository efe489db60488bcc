"""A small table, and one ablation of it that the tests share."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bayes_hybrid import HybridRegressor, Pathway, ablate
from bayes_hybrid.ablation import Variant
from tests.budgets import tiny

# The least that leave-one-out takes is 25 draws.
OPTIONS = replace(tiny(), variational=replace(tiny().variational, num_draws=30))
# A single pathway and constant noise, because recording the graph of a fit costs most.
BASE = HybridRegressor(
    model=Pathway("gaussian", num_units=3, noise="constant"), fit_options=OPTIONS, random_state=0
)
RELU = Variant("relu", {"model": "relu"})
BROKEN = Variant("broken", {"missing": "cubic"})
PLAN: dict[str, Any] = {"num_folds": 2, "num_repeats": 1}


def make_rows(num_rows=30, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, size=(num_rows, 1))
    return X, np.sin(2.0 * X[:, 0]) + 0.3 * rng.normal(size=num_rows)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Folder and result of an ablation with a variant that works and one that cannot."""
    folder = tmp_path_factory.mktemp("ablations") / "shared"
    variants = [RELU, BROKEN]
    return folder, ablate(*make_rows(), base=BASE, variants=variants, folder=folder, **PLAN)


def again(folder, *rows, **options):
    given = {"base": BASE, "variants": [RELU, BROKEN], "folder": folder} | PLAN | options
    return ablate(*(rows or make_rows()), **given)


def figures(result):
    """The table without what a clock says."""
    return result.table.drop(columns="seconds")


@pytest.fixture
def fits(monkeypatch):
    """The variants' models, as they are fitted."""
    fitted, fit = [], HybridRegressor.fit

    def watched(self, X, y):
        fitted.append((getattr(self.model, "kind", self.model), self.random_state, len(X)))
        return fit(self, X, y)

    monkeypatch.setattr(HybridRegressor, "fit", watched)
    return fitted
