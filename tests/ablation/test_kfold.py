"""K-fold against the same folds by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from bayes_hybrid import HybridRegressor
from bayes_hybrid.ablation import kfold
from bayes_hybrid.diagnostics import compare
from bayes_hybrid.errors import DataError, FitError, OptionError
from tests.ablation.conftest import BASE, make_rows


@pytest.fixture(scope="module")
def folds():
    return kfold(BASE, *make_rows(), num_folds=3)


def test_each_row_has_the_density_of_a_fit_that_has_not_seen_it(folds):
    X, y = make_rows()
    assert sorted(np.bincount(folds.fold)) == [10, 10, 10]
    cells: dict[int, int] = {}

    def watched(self, x, target):
        cells[len(cells)] = self.random_state
        return fit(self, x, target)

    fit = HybridRegressor.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HybridRegressor, "fit", watched)
        again = kfold(BASE, X, y, num_folds=3)
    np.testing.assert_array_equal(again.pointwise, folds.pointwise)
    test = folds.fold == 1
    by_hand = clone(BASE).set_params(random_state=cells[1]).fit(X[~test], y[~test])
    np.testing.assert_array_equal(folds.pointwise[test], by_hand.log_density(X[test], y[test]))
    assert folds.elpd == pytest.approx(folds.pointwise.sum())


def test_two_estimators_have_the_same_folds_and_are_compared(folds):
    other = kfold(clone(BASE).set_params(model__num_units=2), *make_rows(), num_folds=3)
    np.testing.assert_array_equal(other.fold, folds.fold)
    table = compare({"three": folds, "two": other}).table
    assert set(table.index) == {"three", "two"}


def test_the_estimator_is_left_as_it_is(folds):
    assert not hasattr(BASE, "fit_")
    assert BASE.random_state == 0


def test_what_cannot_be_folded_is_refused():
    X, y = make_rows()
    with pytest.raises(OptionError, match="num_folds"):
        kfold(BASE, X, y, num_folds=1)
    with pytest.raises(OptionError, match="estimator must be a HybridRegressor"):
        kfold("gaussian", X, y)  # (that is the point)
    with pytest.raises(OptionError, match="missing"):
        kfold(clone(BASE).set_params(missing="cubic"), X, y)
    with pytest.raises(DataError, match="too few"):
        kfold(BASE, X[:4], y[:4], num_folds=5)
    with pytest.raises(DataError, match="2 outputs"):
        kfold(BASE, X, pd.DataFrame({"a": y, "b": y}))


def test_a_fold_that_fails_is_an_error(monkeypatch):
    def broken(self, x, y):
        raise FitError("no")

    monkeypatch.setattr(HybridRegressor, "fit", broken)
    with pytest.raises(FitError, match="fold 0: FitError: no"):
        kfold(BASE, *make_rows(), num_folds=2)
