"""Bad, odd and extreme input to the estimator: a clear error, or an answer that makes sense.

One row is an error: there is no spread to learn a scale from.  Everything else that has two finite
rows is fitted.
"""

import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from bayes_hybrid import FitOptions, HybridRegressor, load
from bayes_hybrid.errors import DataError, DataTypeError, FileFormatError, OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.likelihoods import Normal
from bayes_hybrid.models import Pathway
from tests.budgets import tiny

pytestmark = pytest.mark.usefixtures("few_ratios")

TINY = tiny(num_restarts=3)
# Steps of SVI are reported by the fifty.
HEARD = tiny(40, num_steps=50, num_restarts=3)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
Y = np.sin(2 * X[:, 0]) + 0.1 * RNG.normal(size=20)
DATES = pd.date_range("2020-01-01", periods=20)
ALL_PATHWAYS = {
    "model": "mixture",
    "experts": [Pathway(), Pathway()],
    "noise": "input",
}


def make(**changes):
    """One pathway and constant noise: what is bad about data does not depend on the model."""
    settings = {"model": "relu", "noise": "constant"}
    settings |= {"fit_options": TINY, "random_state": 0}
    return HybridRegressor().set_params(**(settings | changes))


@pytest.fixture(scope="module")
def plain():
    """No test changes this fit, nor the next two."""
    return make().fit(X, Y)


@pytest.fixture(scope="module")
def outputs():
    return make().fit(X, np.c_[Y, Y])


@pytest.fixture(scope="module")
def fitted():
    return make(model="mixture").fit(pd.DataFrame(X, columns=["a", "b"]), Y)


def with_value(values, value, place):
    changed = values.copy()
    changed[place] = value
    return changed


# Refused, by name


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            with_value(X, np.nan, (3, 1)),
            Y,
            r"^X has 1 missing value \(NaN, .* first in row 4, column 2; ",
        ),
        (with_value(X, np.inf, (3, 1)), Y, "^X has 1 infinite value, first in row 4, column 2; "),
        (X, with_value(Y, np.nan, 4), r"^y has 1 missing value \(NaN, .* first in row 5; "),
        (X, with_value(Y, -np.inf, 4), "^y has 1 infinite value, first in row 5; "),
        (X[:, 0], Y, "Expected 2D array, got 1D array"),
        (X[:, :, None], Y, "dim 3"),
        (X, Y[:-1], "inconsistent numbers of samples"),
        (X, np.c_[Y, Y][:, None], "Found array with dim 3"),
        (X[:0], Y[:0], "0 sample"),
        (X[:, :0], Y, "0 feature"),
        (X[:1], Y[:1], "1 sample.* minimum of 2 is required"),
        (X, None, "target y is None"),
    ],
)
def test_arrays_that_cannot_be_used(x, y, message):
    reg = make()
    with pytest.raises(DataError, match=message):
        reg.fit(x, y)
    assert vars(reg) == vars(make())


def test_objects_that_are_no_numbers_are_refused():
    with pytest.raises(DataTypeError, match="argument must be a string or a real number"):
        make().fit(with_value(X.astype(object), {"foo": "bar"}, (0, 0)), Y)
    with pytest.raises(DataTypeError, match="Sparse data was passed"):
        make().fit(sparse.csr_matrix(X), Y)


@pytest.mark.parametrize("form", ["list", "object"])
def test_text_in_lists_and_objects_is_refused_even_when_it_spells_numbers(form, plain):
    def text(values):
        values = values.astype(str)
        return values.tolist() if form == "list" else values.astype(object)

    with pytest.raises(DataTypeError, match="X holds text"):
        make().fit(text(X), Y)
    with pytest.raises(DataTypeError, match="y holds text"):
        make().fit(X, text(Y))
    with pytest.raises(DataTypeError, match="X holds text"):
        plain.predict(text(X))
    with pytest.raises(DataTypeError, match="y holds text"):
        plain.log_density(X, text(Y))


@pytest.mark.parametrize("kind", ["U", "S"])
def test_text_arrays_are_refused_even_when_they_spell_numbers(kind):
    with pytest.raises(DataTypeError, match="X holds text"):
        make().fit(X.astype(kind), Y)
    with pytest.raises(DataTypeError, match="y holds text"):
        make().fit(X, Y.astype(kind))


def test_date_arrays_are_refused():
    with pytest.raises(DataTypeError, match="X holds dates"):
        make().fit(DATES.to_numpy()[:, None], Y)
    with pytest.raises(DataTypeError, match="X holds durations"):
        make().fit((DATES - DATES[0]).to_numpy()[:, None], Y)
    with pytest.raises(DataTypeError, match=r"X holds dates or times, first in row 1, .* numbers"):
        make().fit(DATES.to_numpy(dtype=object)[:, None], Y)


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["low"] * 20, DataTypeError, "column 'odd' holds text, first in row 1: 'low'"),
        (["1.5"] * 20, DataTypeError, "column 'odd' holds numbers written as text"),
        (DATES, DataTypeError, "column 'odd' holds dates or times"),
        (pd.Categorical(["u", "v"] * 10), DataTypeError, "column 'odd' holds categories"),
        ([1.0, None] * 10, DataError, "column 'odd' has 10 missing values .* first in row 2"),
        ([1.0] * 19 + [np.inf], DataError, "column 'odd' has 1 infinite value, first in row 20"),
    ],
)
def test_a_bad_target_is_named(column, error, message):
    with pytest.raises(error, match=message):
        make().fit(X, pd.DataFrame({"odd": column})["odd"])


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["1.5"] * 20, DataTypeError, "column 'odd' holds numbers written as text"),
        (DATES - DATES[0], DataTypeError, "column 'odd' holds dates or times"),
        ([1.0] * 19 + [np.inf], DataError, "column 'odd' has 1 infinite value, first in row 20"),
    ],
)
def test_a_bad_feature_is_named(column, error, message):
    reg = make()
    with pytest.raises(error, match=message):
        reg.fit(pd.DataFrame({"fine": X[:, 0], "odd": column}), Y)
    assert vars(reg) == vars(make())


def test_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"names columns \['a'\] twice"):
        make().fit(pd.DataFrame(X, columns=["a", "a"]), Y)


def test_features_that_changed_are_refused(fitted, plain):
    table = pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(DataError, match="unseen at fit time:\n- c\n"):
        fitted.predict(table.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(table[["b", "a"]])
    with pytest.raises(ValueError, match="missing:\n- b\n"):
        fitted.predict(table[["a"]])
    with pytest.raises(ValueError, match="column 'b' has 20 missing"):
        fitted.predict(table.assign(b=np.nan))
    assert plain.predict(X).shape == (20,)
    with pytest.raises(ValueError, match=r"has 3 features, but .* is expecting 2 features"):
        plain.predict(np.c_[X, X[:, 0]])


def test_values_beyond_float32_are_refused(plain):
    far = with_value(X, 1e60, (2, 1))
    with pytest.raises(DataError, match="X, row 3, column 2: 1e\\+60 lies more than 1e\\+15"):
        plain.predict(far)
    with pytest.raises(DataError, match="y, row 5: -1e\\+60 lies"):
        plain.predict_regime(X, with_value(Y, -1e60, 4))
    # R² takes no density.  One row is all of the error, and 19 / 20 of it all of the variance.
    assert plain.score(X, with_value(Y, -1e60, 4)) == pytest.approx(1 - 20 / 19)
    # Far outside, but not beyond: a number comes back.
    edge = with_value(X, 1e14, (2, 1))
    assert np.isfinite(plain.predict_interval(edge)).all()
    assert np.isfinite(plain.log_density(edge, with_value(Y, 1e14, 2))).all()
    assert np.isfinite(plain.predict_regime(edge, with_value(Y, 1e14, 2))).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"model": "mixtrue"}, "model must be one of .* did you mean 'mixture'"),
        ({"model": "mixture", "gate": "rellu"}, "gate must be one of .* did you mean 'relu'"),
        ({"model": "mixture", "gate": None}, "gate must be one of"),
        ({"likelihood": "norml"}, "likelihood must be one of .* did you mean 'normal'"),
        ({"noise": "imput"}, "noise must be one of .* did you mean 'input'"),
        (
            {"model": "mixture", "experts": ("gaussian", "rleu")},
            "experts must be one of .* did you mean 'relu'",
        ),
        (
            {"model": "mixture", "experts": "gaussian"},
            r"experts: .* such as \('gaussian', 'relu'\)",
        ),
        ({"model": "mixture", "experts": ("gaussian",)}, "experts: expected two or more"),
        ({"priors": "flat"}, r"priors must be None or Priors\(...\)"),
        ({"fit_options": {"num_restarts": 2}}, r"fit_options must be None or FitOptions\(...\)"),
        ({"progress": "atuo"}, "progress must be .* did you mean 'auto'"),
        (
            {"progress": "Auto"},
            "progress must be 'auto', True, False or a function; got 'Auto'; did you mean 'auto'",
        ),
        ({"progress": None}, "progress must be 'auto', True, False or a function; got None"),
        ({"random_state": "zero"}, "random_state must be an integer"),
        ({"random_state": -1}, "random_state must be an integer"),
        ({"fit_options": FitOptions(device="tpux")}, "device: expected 'auto', 'cpu'"),
        # Settings that would have no effect are refused too.
        ({"model": "relu", "gate": "linear"}, "gate='linear' would be ignored"),
        ({"model": "relu", "experts": (Pathway(), Pathway())}, "experts=.* would be ignored"),
        ({"model": "relu", "experts": np.array(["gaussian", "relu"])}, "would be ignored"),
        # noise is not at its default here.
        (
            {"model": "mixture", "experts": (Pathway(), Pathway())},
            "noise='constant' would be ignored, because a Pathway has its own",
        ),
        ({"model": Pathway()}, "noise='constant' would be ignored, because a Pathway has its own"),
        (
            {**ALL_PATHWAYS, "likelihood": Normal()},
            r"likelihood=Normal\(censored=None\) would be ignored",
        ),
        # What is no value at all is said to be none.
        ({**ALL_PATHWAYS, "noise": "loud"}, "noise must be one of"),
        ({**ALL_PATHWAYS, "likelihood": "norml"}, "likelihood must be one of"),
    ],
    ids=str,
)
def test_a_mistyped_setting_is_named(setting, message):
    reg = make(**setting)
    with pytest.raises(OptionError, match=message):
        reg.fit(X, Y)
    assert "fit_" not in vars(reg)
    assert "n_features_in_" not in vars(reg)


@pytest.mark.parametrize("prob", [0, 1, 90, -0.1, "0.9", None, True])
def test_a_probability_lies_between_zero_and_one(fitted, prob):
    with pytest.raises(OptionError, match="prob must lie strictly between 0 and 1"):
        fitted.predict_interval(pd.DataFrame(X, columns=["a", "b"]), prob=prob)


def test_an_interval_leaves_something_outside(fitted):
    table = pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(OptionError, match=r"^prob must be 1 - 2e-12 at most, .*; got 0\.99999"):
        fitted.predict_interval(table, prob=1.0 - 1e-15)
    with pytest.raises(OptionError, match=r"^probs\[0\] must keep 1e-12 away from 0 and 1"):
        fitted.predict_quantile(table, [1e-16])
    ends = fitted.predict_interval(table, prob=1.0 - 2e-12)
    below = np.column_stack([fitted.fit_.posterior.predictive.pit(X, end) for end in ends.T])
    # A cdf near 1 is known to 4 eps: a thousandth of what is left.
    np.testing.assert_allclose(np.abs(below - [0.0, 1.0]), 1e-12, rtol=1e-2)


@pytest.mark.parametrize("probs", [0.5, [], [0.5, 1.0], [[0.5]], ["half"]])
def test_probabilities_are_a_flat_list(fitted, probs):
    with pytest.raises(OptionError, match="probs"):
        fitted.predict_quantile(pd.DataFrame(X, columns=["a", "b"]), probs)


@pytest.mark.parametrize("num_draws", [0, 2.5, "3"])
def test_draws_are_counted_in_whole_numbers(fitted, num_draws):
    with pytest.raises(OptionError, match="num_draws must be an integer >= 1"):
        fitted.sample_predictive(pd.DataFrame(X, columns=["a", "b"]), num_draws)


# Odd, but an answer exists


def answers(reg, x):
    predicted = reg.predict(x)
    interval = reg.predict_interval(x)
    assert np.isfinite(predicted).all()
    assert np.isfinite(interval).all()
    assert (interval[:, 0] < interval[:, 1]).all()
    return predicted


def test_a_column_vector_is_ravelled_with_a_warning(plain):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        reg = make().fit(X, Y[:, None])
    np.testing.assert_array_equal(reg.predict(X), plain.predict(X))
    with pytest.warns(DataConversionWarning):
        assert reg.log_density(X, Y[:, None]).shape == (20,)
    with pytest.warns(DataConversionWarning):
        make().fit(X, pd.DataFrame({"y": Y}))


def test_fewer_rows_than_restarts():
    reg = make(fit_options=HEARD).fit(X[:2], Y[:2])
    assert reg.fit_.posterior.num_restarts + reg.fit_.training.num_negligible == 3
    answers(reg, X)


def test_constant_and_repeated_columns():
    x = np.c_[np.full(20, 7.0), X[:, 0]]
    answers(make().fit(x, Y), x)
    answers(make().fit(X[:, [0, 0]], Y), X[:, [0, 0]])
    constant = np.ones((20, 2))
    predicted = answers(make().fit(constant, Y), constant)
    # Nothing tells the rows apart but the rounding of sums, which a vectorised kernel may order
    # differently for the rows at the end of an array: a few units in the last place of float64.
    np.testing.assert_allclose(predicted, predicted[0], rtol=1e-13)


def test_a_feature_constant_up_to_rounding_carries_nothing():
    x = np.c_[X[:, 0], np.where(np.arange(20) % 2, 0.1 + 0.2, 0.3)]
    reg = make().fit(x, Y)
    exact = make().fit(np.c_[X[:, 0], np.full(20, 0.3)], Y)
    at = np.c_[np.full(4, 0.5), [0.3, 0.3001, 0.31, 0.2]]
    predicted = answers(reg, at)
    # A tenth of the feature is a tenth of a unit for weights of a few units at most.
    np.testing.assert_allclose(predicted, predicted[0], atol=1.0)
    np.testing.assert_allclose(predicted, exact.predict(at), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "value"),
    [
        *(("relu", value) for value in (0.0, -3.5, 1e20, 1e-6, 1e-300, 14.62)),
        *(("mixture", value) for value in (0.0, 14.62)),
    ],
)
def test_a_constant_target_is_predicted_at_once(model, value, tmp_path):
    target = np.full(20, value)
    reg = make(model=model, fit_options=None).fit(X, target)  # the default budget
    np.testing.assert_array_equal(reg.predict(X), target)
    assert reg.score(X, target) == 1.0
    interval = reg.predict_interval(X)
    assert (interval[:, 0] <= value).all()
    assert (interval[:, 1] >= value).all()
    assert np.ptp(interval, axis=1).max() <= 1e-8 * max(1.0, abs(value))
    assert np.isfinite(reg.log_density(X, target)).all()
    assert reg.fit_.training.seconds == 0.0
    assert reg.fit_.training.converged
    assert [f.name for f in reg.diagnose() if f.severity != "ok"] == ["constant_target"]
    assert reg.training_regimes().shape == (20, len(reg.regimes_))
    assert np.ptp(reg.sample_predictive(X, 3, random_state=0)) <= 1e-8 * max(1.0, abs(value))
    reg.save(tmp_path / "fit")
    np.testing.assert_array_equal(load(tmp_path / "fit").predict(X), target)


def test_a_target_constant_up_to_rounding_is_constant():
    target = 1e-6 * np.where(np.arange(20) % 2, 0.1 + 0.2, 0.3)
    reg = make().fit(X, target)
    np.testing.assert_allclose(reg.predict(X), target, rtol=1e-13)
    assert "up to rounding" in reg.diagnose()[-1].meaning


def test_a_constant_output_changes_nothing_about_the_others():
    step = np.where(X[:, 0] > 0, 2.0, -1.0) + 0.01 * Y
    settings = {"model": "mixture", "noise": "input"}
    reg = make(**settings).fit(X, np.c_[np.full(20, 5.0), step, np.zeros(20)])
    predicted, interval = reg.predict(X), reg.predict_interval(X)
    np.testing.assert_array_equal(predicted[:, [0, 2]], np.tile([5.0, 0.0], (20, 1)))
    assert np.ptp(interval[:, [0, 2]], axis=-1).max() < 1e-7
    assert np.ptp(interval[:, 1], axis=-1).min() > 1e-3
    # What it says of the regimes is nothing: those of the rows are the same without it.
    alone = np.c_[np.full(20, np.nan), step, np.full(20, np.nan)]
    np.testing.assert_allclose(
        reg.predict_regime(X, np.c_[np.full(20, 5.0), step, np.zeros(20)]),
        reg.predict_regime(X, alone),
        atol=1e-12,
    )
    names = [f.name for f in reg.diagnose()]
    assert {"constant_target[y0]", "constant_target[y2]"} <= set(names)
    assert not {"constant_target", "constant_target[y1]", "pit_uniformity[y0]"} & set(names)


@pytest.mark.parametrize("y_scale", [1.0, 1e12, 1e-12])
@pytest.mark.parametrize("x_scale", [1e12, 1e-12])
def test_scaled_data_give_scaled_predictions(plain, x_scale, y_scale):
    reg = make().fit(x_scale * X, y_scale * Y)
    predicted = reg.predict(x_scale * X)
    # Standardised data agree to float32's rounding (1e-7), which Adam's steps may enlarge.
    np.testing.assert_allclose(predicted / y_scale, plain.predict(X), atol=1e-3)
    interval = reg.predict_interval(x_scale * X) / y_scale
    np.testing.assert_allclose(interval, plain.predict_interval(X), atol=1e-2)
    shifted = reg.log_density(x_scale * X, y_scale * Y) + np.log(y_scale)
    np.testing.assert_allclose(shifted, plain.log_density(X, Y), atol=1e-2)


def test_a_large_offset_keeps_its_digits(plain):
    predicted = make().fit(X, Y + 1e9).predict(X)
    # float64 keeps 1e-7 at 1e9; float32 would have lost everything below 64.
    np.testing.assert_allclose(predicted - 1e9, plain.predict(X), atol=1e-3)


def test_number_types_give_one_answer():
    x, y = (X > 0) * 1.0, (Y > 0) * 1.0
    expected = make().fit(x, y).predict(x)
    for dtype in ("float64", "float32", "int64", "int8", "bool", "object"):
        for reg in (make().fit(x.astype(dtype), y), make().fit(x, y.astype(dtype))):
            np.testing.assert_array_equal(reg.predict(x), expected, dtype)
            np.testing.assert_array_equal(reg.predict(x.astype(dtype)), expected, dtype)


def test_mixed_and_nullable_columns():
    table = pd.DataFrame({"on": X[:, 0] > 0, "count": np.arange(20)})
    nullable = table.astype({"on": "boolean", "count": "Int64"})
    expected = make().fit(table.to_numpy(dtype=float), Y).predict(table.to_numpy(dtype=float))
    np.testing.assert_array_equal(make().fit(table, Y).predict(nullable), expected)
    np.testing.assert_array_equal(make().fit(nullable, pd.Series(Y)).predict(table), expected)
    assert make().fit(X.tolist(), Y.tolist()).predict(X.tolist()).shape == (20,)


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (np.asfortranarray(x), y),
        lambda x, y: (np.repeat(x, 2, axis=0)[::2], np.repeat(y, 2)[::2]),
        lambda x, y: (x.astype(">f8"), y.astype(np.longdouble)),
        lambda x, y: (frozen(x), frozen(y)),
        lambda x, y: (np.ma.array(x), np.ma.array(y, mask=False)),
        lambda x, y: (pd.DataFrame(x).astype("Float64"), pd.array(y)),
        lambda x, y: (torch.as_tensor(x), pd.Index(y)),
        lambda x, y: (list(x), y.tolist()),
    ],
    ids=range(8),
)
def test_forms_of_an_array_give_one_answer(form, plain):
    x, y = form(X, Y)
    reg = make().fit(x, y)
    np.testing.assert_array_equal(reg.predict(x), plain.predict(X))
    np.testing.assert_array_equal(reg.log_density(x, y), plain.log_density(X, Y))
    assert reg.score(x, y) == plain.score(X, Y)


def frozen(values):
    values = values.copy()
    values.setflags(write=False)
    return values


def masked(values, place):
    """``values`` with a masked entry, under which something absurd stands."""
    result = np.ma.array(with_value(values, -999.0, place))
    result[place] = np.ma.masked
    return result


def test_masked_values_are_refused_or_missing(fitted, plain):
    table = pd.DataFrame(X, columns=["a", "b"])
    x, y = masked(X, (3, 1)), masked(Y, 4)
    of_x, of_y = "X has 1 missing .* in row 4, column 2", "y has 1 missing .* first in row 5"
    for call in (
        lambda: make().fit(x, Y),
        lambda: plain.predict(x),
        lambda: plain.predict([*X[:3].tolist(), x[3]]),
        lambda: plain.log_density(x, Y),
    ):
        with pytest.raises(DataError, match=of_x):
            call()
    for call in (
        lambda: make().fit(X, y),
        lambda: make().fit(X, list(y)),
        lambda: plain.log_density(X, y),
        lambda: plain.score(X, y),
        lambda: plain.predict_regime(X, y),
        lambda: plain.diagnose(X, y),
    ):
        with pytest.raises(DataError, match=of_y):
            call()
    target = masked(np.c_[Y, Y], (3, 1))
    two = make().fit(X, target)
    assert np.argwhere(np.isnan(two.fit_.y)).tolist() == [[3, 1]]
    missing = np.ma.filled(target, np.nan)
    np.testing.assert_array_equal(two.log_density(X, target), two.log_density(X, missing))
    labels = np.ma.array(np.where(X[:, 0] > 0, "relu", "gaussian"), mask=np.arange(20) % 2 == 0)
    known = make(model="mixture").fit(X, Y, regime_label=labels)
    assert np.isfinite(known.fit_.labels).tolist() == (np.arange(20) % 2 == 1).tolist()
    assert set(fitted.score_regimes(table, labels)["num_rows"]) == {10}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ma.array(np.ones(20), mask=np.arange(20) == 2), "sample_weight has 1 missing"),
        (with_value(np.ones(20), np.nan, 2), "sample_weight has 1 missing"),
        (with_value(np.ones(20), -1.0, 2), "not negative"),
        (np.zeros(20), "not all zero"),
        (np.ones(3), r"must be 20 numbers, .* got shape \(3,\)"),
        (2.0, r"got shape \(\)"),
        (["a"] * 20, "sample_weight holds text"),
    ],
    ids=range(7),
)
def test_weights_of_rows_are_numbers(plain, outputs, weights, message):
    for reg, target in ((plain, Y), (outputs, np.c_[Y, Y])):
        assert reg.score(X, target, sample_weight=[2] * 20) == pytest.approx(reg.score(X, target))
        with pytest.raises((DataError, DataTypeError), match=message):
            reg.score(X, target, sample_weight=weights)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, with_value(Y, 1e300, 3), r"^y, row 4: 1e\+300 is beyond 1e\+75"),
        (X, 1e300 * Y, "^y, row 1: .* is beyond"),
        (X, np.full(20, 1.7e308), "^y, row 1: .* is beyond"),
        (X, pd.Series(1e300 * Y, name="kg"), "^y, row 1, column 'kg': .* is beyond"),
        (X, pd.DataFrame({"a": Y, "b": -1e300 * Y}), "^y, row 1, column 'b': .* is beyond"),
        (with_value(X, -1e300, (3, 1)), Y, r"^X, row 4, column 2: -1e\+300 is beyond"),
        (pd.DataFrame(1e300 * X, columns=["a", "b"]), Y, "^X, row 1, column 'a': .* is beyond"),
        (1e-300 * X, Y, "^X, column 1: values differ by .* at most, less than 1e-75"),
        (X, 1e-310 * Y, "^y: values differ by .* at most, less than 1e-75"),
    ],
    ids=range(9),
)
def test_sizes_that_no_power_survives_are_refused(x, y, message):
    with pytest.raises(DataError, match=message):
        make().fit(x, y)


@pytest.mark.parametrize("size", [1e-74, 1e74])
def test_sizes_up_to_the_bound_are_fitted(fitted, size):
    """No power that a summary takes overflows: numpy's warnings are errors here."""
    table = pd.DataFrame(X, columns=["a", "b"])
    reg = make(model="mixture").fit(table, size * Y)
    np.testing.assert_allclose(reg.predict(table) / size, fitted.predict(table), atol=1e-3)
    assert reg.score(table, size * Y) == pytest.approx(fitted.score(table, Y), abs=1e-3)
    scores = reg.score_predictions(table, size * Y)
    assert np.isfinite(scores[["value", "standard_error"]]).all(axis=None)
    assert {f.name for f in reg.diagnose()} == {f.name for f in fitted.diagnose()}


# Interrupted


class Interrupt:
    """Presses Ctrl-C when a stage reports."""

    def __init__(self, stage):
        self.stage = stage

    def __call__(self, stage, done, total):
        if stage == self.stage:
            raise KeyboardInterrupt


def surroundings():
    return {
        "torch seed": torch.random.get_rng_state().tolist(),
        "numpy seed": str(np.random.get_state(legacy=False)),  # noqa: NPY002 (watched, not used)
        "validation": torch.distributions.Distribution._validate_args,
        "settings": pyro.settings.get(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "parameters": {name: id(p) for name, p in pyro.get_param_store().named_parameters()},
    }


@pytest.mark.parametrize("stage", ["warm start", "SVI"])
def test_an_interrupted_fit_leaves_no_trace(stage, plain):
    pyro.param("of the user", torch.ones(2))
    try:
        before = surroundings()
        reg = make(progress=Interrupt(stage), fit_options=HEARD)
        settings = dict(vars(reg))
        with pytest.raises(KeyboardInterrupt):
            reg.fit(pd.DataFrame(X, columns=["a", "b"]), Y)
        assert vars(reg) == settings
        assert surroundings() == before
        reg.set_params(progress="auto", fit_options=TINY).fit(X, Y)
        assert surroundings() == before
        np.testing.assert_array_equal(reg.predict(X), plain.predict(X))
    finally:
        del pyro.get_param_store()["of the user"]


def test_an_interrupted_refit_keeps_the_old_fit():
    reg = make().fit(pd.DataFrame(X, columns=["a", "b"]), Y)
    before = dict(vars(reg))
    with pytest.raises(KeyboardInterrupt):
        reg.set_params(progress=Interrupt("SVI"), fit_options=HEARD).fit(X[:, :1], -Y)
    assert vars(reg) == before | {"progress": reg.progress, "fit_options": HEARD}


# Nowhere to write, nothing to read


def test_an_unwritable_folder(fitted, tmp_path, monkeypatch):
    if os.name == "posix" and os.geteuid() != 0:  # nothing is unwritable for root
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    else:

        def refuse(path, *arguments, **options):
            if path.is_relative_to(tmp_path):
                raise PermissionError(13, os.strerror(13), str(path))
            return mkdir(path, *arguments, **options)

        mkdir = Path.mkdir
        monkeypatch.setattr(Path, "mkdir", refuse)
    try:
        with pytest.raises(PermissionError, match="nothing was written to fit: Permission"):
            fitted.save(tmp_path / "fit")
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [100, 5_000])
def test_a_full_disk(fitted, tmp_path, limit, capfd):
    resource = pytest.importorskip("resource")
    fitted.to_datatree()  # what is imported for it may write caches of its own
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match="nothing was written to fit"):
            fitted.save(tmp_path / "fit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    # HDF5 would complain on standard error for every object that it cannot flush.
    assert capfd.readouterr().err == ""


def test_a_truncated_file_does_not_load(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    for file in ("manifest.json", "fit.json", "draws.safetensors", "posterior.nc"):
        path = tmp_path / "fit" / file
        content = path.read_bytes()
        path.write_bytes(content[:-20])
        with pytest.raises(FileFormatError, match="damaged or cut off"):
            load(tmp_path / "fit")
        path.write_bytes(content)
    load(tmp_path / "fit")


# What the caller lets NumPy raise


@pytest.mark.parametrize("num_outputs", [1, 40])
def test_what_vanishes_raises_nothing(tmp_path, num_outputs):
    target = Y if num_outputs == 1 else Y[:, None] * 10.0 ** np.arange(num_outputs)
    with np.errstate(all="raise"):
        reg = with_units(make(model="mixture"), num_units=3).fit(X, target)
        reg.save(tmp_path / "fit")
        reg = load(tmp_path / "fit")
        reg.diagnose(X, target)
        reg.predict_interval(1e3 * X, 0.999)
        reg.predict_regime(X, target)
        reg.training_regimes()
        reg.regime_posterior(X, target)
        reg.log_density(1e3 * X, target)
        reg.score_predictions(X, target)
        reg.effect(0)
        reg.to_datatree(X, target)
        assert np.geterr()["under"] == "raise"


def test_tiny_numbers_are_refused_whatever_numpy_raises():
    far_too_small = X * 2.0**-1060
    with np.errstate(all="raise"), pytest.raises(DataError, match=r"values differ by .* at most"):
        make().fit(far_too_small, Y)
