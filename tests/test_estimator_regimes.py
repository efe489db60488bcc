"""The estimator's regime posterior and boundaries: the diagnostics', on checked rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from bayes_hybrid import HybridRegressor
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import with_units
from tests.budgets import tiny


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"hour": rng.uniform(0, 24, 30), "load": rng.uniform(-1, 1, 30)})
    y = pd.Series(100 + 20 * (X["hour"] > 12) + X["load"] + rng.normal(size=30), name="power")
    return X, y


@pytest.fixture(scope="module")
def fitted(table):
    X, y = table
    label = np.where(X["hour"] > 12, "relu", "gaussian").astype(object)
    label[3:] = None
    reg = with_units(
        HybridRegressor(gate="linear", fit_options=tiny(), random_state=0), num_units=3
    )
    return reg.fit(X, y, regime_label=label)


def test_it_has_the_probabilities_of_the_estimator(fitted, table):
    X, y = table
    # float64 sums in another order.
    for given in ((X,), (X, y)):
        found = fitted.regime_posterior(*given).probability
        np.testing.assert_allclose(found, fitted.predict_regime(*given), rtol=1e-10)
    own = fitted.regime_posterior()
    np.testing.assert_allclose(own.probability, fitted.training_regimes(), rtol=1e-10)
    assert own.to_frame(X.index).shape == (30, 2 + 3 * 2 + 3)
    narrow, wide = (fitted.regime_posterior(X, prob=prob) for prob in (0.5, 0.9))
    assert (wide.upper - wide.lower >= narrow.upper - narrow.lower).all()


def test_rows_are_checked(fitted, table):
    X, y = table
    with pytest.raises(DataError, match="feature names"):
        fitted.regime_posterior(X.rename(columns={"hour": "day"}))
    with pytest.raises(DataError, match="y came without x"):
        fitted.regime_posterior(None, y)
    with pytest.raises(DataError, match="NaN"):
        fitted.regime_posterior(X, y.where(y > y.min()))


def test_boundaries_along_either_feature(fitted, table):
    by_name = fitted.boundaries("load", at={"hour": 12.0}, prob=0.5)
    by_position = fitted.boundaries(1, at=[12.0, 0.0], prob=0.5)
    assert (by_name.feature, by_name.prob) == ("load", 0.5)
    pd.testing.assert_frame_equal(by_name.to_frame(), by_position.to_frame())
    with pytest.raises(OptionError, match="one feature"):
        fitted.boundaries("hour", of="rows")


def test_a_single_pathway_has_no_boundary_and_certain_regimes(table):
    reg = with_units(HybridRegressor(model="relu", fit_options=tiny(), random_state=0), num_units=3)
    reg.fit(*table)
    with pytest.raises(OptionError, match="one regime"):
        reg.boundaries()
    np.testing.assert_array_equal(reg.regime_posterior().confidence, 1.0)


@pytest.mark.parametrize("call", [HybridRegressor.boundaries, HybridRegressor.regime_posterior])
def test_nothing_works_before_fit(call):
    with pytest.raises(NotFittedError):
        call(HybridRegressor())
