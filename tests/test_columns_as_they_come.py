"""Tables of text, dates, booleans and gaps through the estimator: fitted, saved, loaded, read."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone

from bayes_hybrid import (
    FitOptions,
    HybridRegressor,
    Poisson,
    ThresholdGate,
    Variational,
    WarmStart,
    load,
)
from bayes_hybrid.ablation.run import usable_rows
from bayes_hybrid.errors import DataError, DataTypeError, FileFormatError, OptionError
from bayes_hybrid.estimator import build_model, training_rows
from bayes_hybrid.report import write_report

pytestmark = pytest.mark.usefixtures("few_ratios")

TINY = FitOptions(
    num_restarts=1,
    warm_start=WarmStart(max_steps=20),
    variational=Variational(num_steps=5, selection_steps=5, kl_weights=(0.0,), num_draws=6),
    sampler=None,
    compile="never",
)
RNG = np.random.default_rng(0)
N = 40
X = pd.DataFrame(
    {
        "colour": RNG.choice(["red", "blue", "green"], N),
        "age": np.where(np.arange(N) % 9 == 0, np.nan, RNG.uniform(20, 60, N)),
        "date": pd.date_range("2020-01-05", periods=N, tz="UTC"),
        "on": RNG.random(N) < 0.5,
        "years": RNG.uniform(1, 2, N),
    }
)
Y = pd.Series(RNG.poisson(3, N).astype(float), name="events")
NAMES = [
    *("colour=green", "colour=red", "age", "age is missing"),
    *("date (days since 2020-01-05)", "on", "years"),
]


def make(**changes):
    settings = {"gate": ThresholdGate(feature="date"), "likelihood": Poisson(exposure="years")}
    settings |= {"noise": "input", "fit_options": TINY, "random_state": 0}
    return HybridRegressor().set_params(**(settings | changes))


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns") / "fit"
    fitted.save(folder)
    return folder


def test_names_are_those_of_the_table_and_features_those_of_the_fit(fitted):
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    assert fitted.n_features_in_ == 5
    assert list(fitted.fit_.feature_names) == NAMES == list(fitted.encoding_.names)
    np.testing.assert_array_equal(fitted.fit_.x, fitted.encoding_.encode(X))
    assert fitted.thresholds()["feature"].tolist() == [NAMES[4]]
    assert fitted.fit_.posterior.model.likelihoods.size_column == 6


def test_predictions_are_those_of_the_encoded_table(fitted):
    encoded = fitted.encoding_.encode(X)
    plain = make(gate=ThresholdGate(feature=NAMES[4])).fit(encoded, Y)
    assert plain.encoding_ is None
    np.testing.assert_array_equal(plain.predict(encoded), fitted.predict(X))
    # Row by row, in another type, as text, and as an array.
    parts = np.concatenate([fitted.predict(X.iloc[n : n + 8]) for n in range(0, N, 8)])
    np.testing.assert_allclose(parts, fitted.predict(X), rtol=1e-5)  # float32 in other batches
    other = X.astype({"colour": "category", "on": float, "date": str})
    np.testing.assert_array_equal(fitted.predict(other), fitted.predict(X))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(fitted.predict(X.to_numpy()), fitted.predict(X))


def test_save_and_load(fitted, saved):
    again = load(saved)
    assert again.encoding_ == fitted.encoding_
    assert again.feature_names_in_.tolist() == X.columns.tolist()
    assert again.n_features_in_ == 5
    np.testing.assert_array_equal(again.predict_interval(X), fitted.predict_interval(X))
    np.testing.assert_array_equal(again.log_density(X, Y), fitted.log_density(X, Y))


def test_an_encoding_of_other_features_is_damage(saved, monkeypatch):
    from bayes_hybrid.estimator import saved as module

    read = module.read_saved(saved)
    read.config["encoding"]["columns"][0]["levels"].pop()
    monkeypatch.setattr(module, "read_saved", lambda path: read)
    with pytest.raises(FileFormatError, match="is damaged: its columns become 'colour=green', 'ag"):
        load(saved)
    read.config["encoding"]["columns"][0]["type"] = "pickle"
    with pytest.raises(FileFormatError, match="settings that this version does not take"):
        load(saved)


def test_a_fit_of_numbers_is_saved_as_ever(tmp_path):
    reg = make(model="relu", gate="relu", likelihood="normal", noise="constant")
    reg.fit(X[["years"]], Y).save(tmp_path / "fit")
    assert reg.encoding_ is None
    assert "encoding" not in json.loads((tmp_path / "fit" / "fit.json").read_text())["config"]
    with pytest.raises(DataError, match="column 'years' has 40 missing values"):
        reg.predict(X[["years"]] * np.nan)
    with pytest.raises(DataTypeError, match="column 'years' holds text"):
        reg.predict(X[["years"]].astype(object).assign(years="u"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"colour": "pink"}, DataError, "column 'colour' has the level 'pink' in row 1"),
        ({"years": np.nan}, DataError, "column 'years' has 40 missing values"),
        ({"date": "soon"}, DataTypeError, "column 'date', row 1: 'soon' is no date"),
        ({"age": "old"}, DataTypeError, "column 'age' holds text, first in row 1: 'old'"),
    ],
)
def test_rows_that_cannot_be_encoded_are_refused_by_every_method(fitted, change, error, message):
    bad = X.assign(**change)
    calls = [fitted.predict, fitted.sample_predictive, fitted.predict_regime]
    for call in calls:
        with pytest.raises(error, match=message):
            call(bad)
    for call in (fitted.score, fitted.log_density, fitted.diagnose, fitted.score_predictions):
        with pytest.raises(error, match=message):
            call(bad, Y)


def test_other_columns_are_refused_in_the_words_of_scikit_learn(fitted):
    with pytest.raises(DataError, match="missing:\n- colour\n"):
        fitted.predict(X.drop(columns="colour"))
    with pytest.raises(DataError, match="same order"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(DataError, match="0 sample"):
        fitted.predict(X.iloc[:0])
    with pytest.raises(DataError, match="Expected 2D array"):
        fitted.predict(X["age"].to_numpy())


def test_gaps_may_be_refused_and_arrays_take_none():
    with pytest.raises(DataError, match=r"column 'age' has 5 missing values .*'refuse'"):
        make(missing="refuse").fit(X, Y)
    with pytest.raises(OptionError, match="missing must be one of 'impute', 'refuse'"):
        make(missing="drop").fit(X, Y)
    with pytest.raises(DataError, match="X has 5 missing values"):
        make().fit(X[["age", "years"]].to_numpy(), Y)
    with pytest.raises(DataTypeError, match="X holds text"):
        make().fit(X[["colour", "years"]].to_numpy(), Y)


@pytest.mark.parametrize(
    ("feature", "position"), [("date", 4), (NAMES[4], 4), (2, 4), ("colour=red", 1), ("on", 5)]
)
def test_a_gate_is_told_its_feature(feature, position):
    reg = make(gate=ThresholdGate(feature=feature))
    x, _ = training_rows(reg, X, Y)
    assert build_model(reg, x.shape[1]).gate.feature == position
    # Folds of an ablation are arrays.
    resolved, _, _ = usable_rows(clone(reg), X, Y)
    assert resolved.gate.feature == position
    assert resolved.likelihood.exposure == 6


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"gate": ThresholdGate(feature="colour")}, OptionError, "is a column of text; name one"),
        ({"gate": ThresholdGate(feature="dat")}, OptionError, "did you mean 'date'"),
        ({"likelihood": Poisson(exposure="colour")}, OptionError, "exposure='colour' is a column"),
        ({"likelihood": Poisson(exposure="age")}, DataError, "'age' has missing cells; expected"),
    ],
)
def test_parts_that_name_no_single_column_are_refused(changes, error, message):
    reg = make(**changes)
    with pytest.raises(error, match=message):
        reg.fit(X, Y)
    assert vars(reg) == vars(make(**changes))


def test_one_column_with_gaps_is_the_gate_s():
    reg = make(gate="threshold", likelihood="normal")
    x, _ = training_rows(reg, X[["age"]], Y)
    assert x.shape == (N, 2)
    assert build_model(reg, 2).gate.feature == 0


def test_columns_without_names():
    reg = make(model="relu", gate="relu", likelihood="normal", noise="constant")
    table = X[["colour", "age"]].set_axis([0, 1], axis=1)
    reg.fit(table, Y)
    assert reg.fit_.feature_names == ("x0=green", "x0=red", "x1", "x1 is missing")
    assert not hasattr(reg, "feature_names_in_")
    assert reg.predict(table).shape == (N,)


def test_effects_take_names_of_the_table_and_dates(fitted):
    held = fitted.effect("age", at={"date": "2020-01-15", "on": 1}, grid=3)
    same = fitted.effect("age", at={NAMES[4]: 10.0, "on": 1}, grid=3)
    np.testing.assert_array_equal(held.mean, same.mean)
    along = fitted.effect("date", grid=3)
    assert along.feature == NAMES[4]
    assert fitted.partial_dependence("date", grid=3, max_rows=4).curve.feature == NAMES[4]
    assert fitted.boundaries("date").feature == NAMES[4]
    with pytest.raises(OptionError, match="feature='colour' is a column of text"):
        fitted.effect("colour")


def test_a_target_of_an_encoded_name_is_refused():
    with pytest.raises(DataError, match="the target 'colour=red' has the name of a column that"):
        make().fit(X, Y.rename("colour=red"))


def test_the_report_says_what_became_of_each_column(fitted, tmp_path):
    write_report(fitted, tmp_path / "report.html", X_test=X, y_test=Y)
    page = (tmp_path / "report.html").read_text()
    assert "events from colour, age, date, on, years" in page.partition("</title>")[0]
    assert "5 columns to predict from, which became 7 features" in page
    for sentence in fitted.encoding_.words():
        assert f"<li>{sentence.replace(chr(39), '&#39;')}</li>" in page
    assert "table[[&#39;colour&#39;, &#39;age&#39;, &#39;date&#39;" in page


# Logarithms


def test_a_logarithm_is_read_as_from_a_column_of_logarithms(tmp_path):
    table = X[["age", "on", "years"]].assign(years=np.exp(5.0 * RNG.normal(size=N)))
    settings = {"gate": ThresholdGate(feature="years"), "likelihood": "normal"}
    reg = make(log=("years",), **settings).fit(table, Y)
    by_hand = make(**settings).fit(table.assign(years=np.log(table["years"])), Y)
    np.testing.assert_array_equal(reg.fit_.x[:, -1], table["years"])
    logs = table.assign(years=np.log(table["years"]))
    np.testing.assert_array_equal(reg.predict(table), by_hand.predict(logs))
    np.testing.assert_array_equal(
        reg.fit_.posterior.thresholds.location, np.exp(by_hand.fit_.posterior.thresholds.location)
    )
    lower, by_hand_lower = reg.thresholds()["lower"], by_hand.thresholds()["lower"]
    # An interpolated quantile of the exponentials lies between those of two draws.
    np.testing.assert_allclose(np.log(lower), by_hand_lower, atol=0.5)
    curve, by_hand_curve = (each.effect("years", grid=9) for each in (reg, by_hand))
    np.testing.assert_allclose(curve.along, np.exp(by_hand_curve.along), rtol=1e-12)
    assert (curve.along.min(), curve.along.max()) == (table["years"].min(), table["years"].max())
    np.testing.assert_allclose(curve.draws, by_hand_curve.draws, rtol=1e-6)
    assert not curve.out_of_data[[0, -1]].any()
    again, expected = (each.boundaries("years").boundaries for each in (reg, by_hand))
    assert len(again) == len(expected)
    for one, other in zip(again, expected, strict=True):
        np.testing.assert_allclose(one.draws, np.exp(other.draws), rtol=1e-9)
    reg.save(tmp_path / "fit")
    loaded = load(tmp_path / "fit")
    assert loaded.encoding_ == reg.encoding_
    np.testing.assert_array_equal(loaded.predict(table), reg.predict(table))
    assert loaded.thresholds().equals(reg.thresholds())
    with pytest.raises(DataError, match="column 'years', row 1: 0 has no logarithm"):
        loaded.predict(table.assign(years=0.0))
    write_report(reg, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<li>years: the model reads its logarithm</li>" in page


def test_logarithms_that_a_saved_fit_is_not_sure_of_are_damage(tmp_path, monkeypatch):
    from bayes_hybrid.estimator import saved as module

    settings = {"model": "line", "gate": "relu", "likelihood": "normal", "noise": "constant"}
    reg = make(log=("years",), **settings).fit(X[["years", "on"]], Y)
    reg.save(tmp_path / "fit")
    read = module.read_saved(tmp_path / "fit")
    monkeypatch.setattr(module, "read_saved", lambda path: read)
    assert read.config["encoding"]["columns"][0]["log"]
    read.config["encoding"]["columns"][0]["log"] = False
    with pytest.raises(FileFormatError, match="differ on whose logarithm is read"):
        load(tmp_path / "fit")
    del read.config["encoding"]
    with pytest.raises(FileFormatError, match="differ on whose logarithm is read"):
        load(tmp_path / "fit")


def test_logarithms_in_an_ablation():
    table = X[["age", "colour", "years"]]
    settings = {"model": "line", "gate": "relu", "likelihood": "normal", "noise": "constant"}
    base = make(log=("years",), **settings)
    resolved, x, y = usable_rows(base, table, Y)
    assert resolved.log == (4,)
    direct = clone(base).fit(table, Y).fit_.posterior
    np.testing.assert_array_equal(resolved.fit(x, y).fit_.posterior.theta, direct.theta)


def test_logarithms_of_an_array():
    array = X[["years", "on"]].to_numpy(dtype=float)
    settings = {"model": "line", "gate": "relu", "likelihood": "normal"}
    settings |= {"noise": "constant"}
    reg = make(log=(0,), **settings).fit(array, Y)
    assert reg.encoding_.names == ("x0", "x1") == reg.fit_.feature_names
    assert not hasattr(reg, "feature_names_in_")
    by_hand = make(**settings).fit(np.column_stack([np.log(array[:, 0]), array[:, 1]]), Y)
    np.testing.assert_array_equal(reg.fit_.posterior.theta, by_hand.fit_.posterior.theta)
    with pytest.raises(DataError, match=r"column 'x1', row \d+: 0 has no logarithm"):
        make(log=(1,), **settings).fit(array, Y)
    with pytest.raises(DataError, match="X has 21 missing values"):
        make(log=(0,), **settings).fit(np.where(array > 1.5, np.nan, array), Y)


def test_the_logarithm_of_sizes_is_refused():
    with pytest.raises(OptionError, match="log: column 7 is the size of the rows"):
        make(log=("years",)).fit(X, Y)
    with pytest.raises(OptionError, match=r"log must be several names or positions .* 'years'"):
        make(log="years").fit(X, Y)


# Tables of other libraries


def arrow(table):
    """A table of PyArrow, its categories a dictionary."""
    return pa.Table.from_pandas(table.astype({"colour": "category"}), preserve_index=False)


def polars(table):
    made = pytest.importorskip("polars").from_arrow(arrow(table))
    assert str(made["colour"].dtype).startswith("Categorical")
    return made


@pytest.mark.parametrize("other", [arrow, polars])
def test_tables_of_other_libraries_are_read_like_those_of_pandas(other, fitted):
    table = other(X)
    np.testing.assert_array_equal(fitted.predict(table), fitted.predict(X))
    target = other(X.assign(events=Y))["events"]
    np.testing.assert_array_equal(fitted.log_density(table, target), fitted.log_density(X, Y))
    reg = make().fit(table, target)
    assert reg.encoding_ == fitted.encoding_
    assert reg.feature_names_in_.tolist() == X.columns.tolist()
    np.testing.assert_array_equal(reg.fit_.posterior.theta, fitted.fit_.posterior.theta)
    bad = X.assign(years=np.nan)
    with pytest.raises(DataError, match="column 'years' has 40 missing values"):
        reg.predict(other(bad))
    with pytest.raises(DataError, match="column 'colour' has the level 'pink' in row 1"):
        reg.predict(other(X.assign(colour="pink")))
    resolved, x, _ = usable_rows(make(), table, target)
    np.testing.assert_array_equal(x, fitted.fit_.x)
    assert resolved.gate.feature == 4


def test_several_targets_of_another_table_keep_their_names():
    outputs = pa.table({"first": Y.tolist(), "second": [None, *Y.tolist()[1:]]})
    settings = {"model": "line", "gate": "relu", "likelihood": "normal", "noise": "constant"}
    reg = make(**settings).fit(pa.table({"years": X["years"].tolist()}), outputs)
    assert reg.fit_.output_names == ("first", "second")
    assert np.isnan(reg.fit_.y[0, 1])
    assert reg.encoding_ is None
    assert reg.fit_.feature_names == ("years",)
    with pytest.raises(DataTypeError, match="column 'years' holds ndarray values, first in row 1"):
        reg.predict(pa.table({"years": [[1.0], [2.0]]}))
