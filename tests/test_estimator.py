"""The estimator: scikit-learn's own contract, then ours."""

import inspect
import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import bayes_hybrid
from bayes_hybrid import (
    Constant,
    FitOptions,
    HybridRegressor,
    Line,
    LinearGate,
    MonotoneGate,
    Pathway,
    Polynomial,
    Priors,
    ThresholdGate,
    load,
)
from bayes_hybrid.data import HeldOut
from bayes_hybrid.diagnostics import effect_curve, partial_dependence
from bayes_hybrid.errors import DataError, FileFormatError, OptionError, OutputExistsError
from bayes_hybrid.estimator import (
    MODELS,
    POSTERIOR_FILE,
    SAVED_FILES,
    SETTING_CLASSES,
    build_model,
    build_options,
    with_units,
)
from bayes_hybrid.estimator.saved import _refuse_larger, _setting_class
from bayes_hybrid.gates import THRESHOLD_GATES, Gate, ReLUGate
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.saving.encoding import decode, encode
from bayes_hybrid.inference.saving.manifest import MANIFEST, sealed
from bayes_hybrid.inference.saving.storage import HELD_OUT, RECORD, read_saved
from bayes_hybrid.likelihoods import Laplace, StudentT
from bayes_hybrid.models import HybridMixture, PathwayModel
from bayes_hybrid.nn import COMBINATIONS
from tests.budgets import tiny

pytestmark = pytest.mark.usefixtures("few_ratios")

# One pathway and constant noise, because recording the graph of each check's shape costs most.
CHECKED = with_units(
    HybridRegressor(model="relu", noise="constant", fit_options=tiny()), num_units=4
)


@pytest.mark.slow
@parametrize_with_checks([CHECKED])
def test_scikit_learn_contract(request, estimator, check):
    # These ask for half of the variance.
    if "check_regressors_train" in request.node.name:
        estimator.set_params(fit_options=tiny(150))
    check(estimator)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"hour": rng.uniform(0, 24, 30), "load": rng.uniform(-1, 1, 30)})
    y = pd.Series(100 + 20 * (X["hour"] > 12) + X["load"] + rng.normal(size=30), name="power")
    return X, y


@pytest.fixture(scope="module")
def fitted(table):
    return with_units(HybridRegressor(fit_options=tiny(), random_state=0), num_units=3).fit(*table)


# What it returns


def test_predictions_are_scored_overall_and_by_regime(fitted, table):
    X, y = table
    scores = fitted.score_predictions(X, y, by_regime=True).set_index(["regime", "score"])
    log_score = scores.loc[("all", "log_score"), "value"]
    assert log_score == pytest.approx(-fitted.log_density(X, y).mean())
    counts = scores.xs("log_score", level="score")["num_rows"]
    assert counts["all"] == counts.drop("all").sum() == 30
    again = fitted.score_predictions(X, y)
    np.testing.assert_array_equal(again["value"], scores.loc["all", "value"])
    with pytest.raises(DataError, match="NaN"):
        fitted.score_predictions(X, y.where(y > y.min()))


def test_shapes_and_ranges(fitted, table):
    X, y = table
    assert fitted.regimes_ == ("A", "B")
    assert fitted.predict(X).shape == (30,)
    interval = fitted.predict_interval(X, prob=0.5)
    assert interval.shape == (30, 2)
    assert (interval[:, 0] < interval[:, 1]).all()
    quantiles = fitted.predict_quantile(X, [0.25, 0.5, 0.75])
    assert quantiles.shape == (30, 3)
    np.testing.assert_array_equal(quantiles[:, [0, 2]], interval)
    for given in (None, y):
        regimes = fitted.predict_regime(X, given)
        assert regimes.shape == (30, 2)
        np.testing.assert_allclose(regimes.sum(axis=1), 1.0)
    assert fitted.score(X, y) == r2_score(y, fitted.predict(X))


def test_effects_are_those_of_the_diagnostics(fitted):
    row = {"load": 0.5}
    along = [-1.0, 0.0, 2.0, 30.0]
    curve = fitted.effect("hour", at=row, of="expert", derivative=True, prob=0.5, grid=along)
    same = effect_curve(fitted.fit_, 0, at=row, of="expert", derivative=True, prob=0.5, grid=along)
    assert curve.along.tolist() == along
    pd.testing.assert_frame_equal(curve.to_frame(), same.to_frame())
    found = fitted.partial_dependence("load", of="expert", prob=0.5, grid=along, max_rows=5)
    same_mean = partial_dependence(fitted.fit_, 1, of="expert", prob=0.5, grid=along, max_rows=5)
    pd.testing.assert_frame_equal(found.to_frame(), same_mean.to_frame())
    for ask in (HybridRegressor().effect, HybridRegressor().partial_dependence):
        with pytest.raises(NotFittedError):
            ask(0)


def test_training_regimes_are_the_mean_of_the_responsibilities(fitted, table, monkeypatch):
    regimes = fitted.training_regimes()
    draws = fitted.fit_.for_regimes.posterior.by_draw.regime_probability(*table)
    np.testing.assert_allclose(regimes, draws.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(regimes.sum(axis=1), 1.0)
    # Draws that explain a new y better count more, so this is another question.
    assert np.abs(regimes - fitted.predict_regime(*table)).max() > 1e-6
    # Chunks of 3 rows, and of 1 where not even that would fit.
    for entries in (3 * draws[:, :, 0].size, 1):
        monkeypatch.setattr(
            "bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", entries
        )
        np.testing.assert_allclose(fitted.training_regimes(), regimes, rtol=1e-12)


def test_training_regimes_hold_a_chunk_at_a_time(fitted, monkeypatch):
    kind = type(fitted.fit_.posterior.by_draw)
    sizes, ask = [], kind.regime_probability

    def watch(self, x, y, labels):
        sizes.append(len(x))
        return ask(self, x, y, labels)

    monkeypatch.setattr(kind, "regime_probability", watch)
    per_row = ask(fitted.fit_.for_regimes.posterior.by_draw, [[1.0, 2.0]], [3.0]).size
    monkeypatch.setattr(
        "bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", 7 * per_row + 1
    )
    assert fitted.training_regimes().shape == (30, 2)
    assert sizes == [7, 7, 7, 7, 2]


def test_log_density_is_that_of_the_quantiles(fitted, table):
    # The derivative of the cdf, by a difference of two quantiles that lie close together.
    X = table[0].iloc[:3]
    low, high = fitted.predict_quantile(X, [0.5, 0.5005]).T
    density = fitted.log_density(X, (low + high) / 2)
    # The error of a central difference over 5e-4 of probability is far below a percent.
    np.testing.assert_allclose(density, np.log(5e-4 / (high - low)), atol=0.01)


def test_samples_follow_their_seed(fitted, table):
    X = table[0]
    draws = fitted.sample_predictive(X, num_draws=20, random_state=3)
    assert draws.shape == (20, 30)
    np.testing.assert_array_equal(draws, fitted.sample_predictive(X, 20, 3))
    assert (draws != fitted.sample_predictive(X, 20, 4)).all()
    assert fitted.sample_predictive(X).shape == (1, 30)


def test_the_fit_keeps_names_seed_and_data(fitted, table):
    fit = fitted.fit_
    assert fit.feature_names == ("hour", "load")
    assert fit.target_name == "power"
    assert fit.seed == 0
    np.testing.assert_array_equal(fit.x, table[0].to_numpy())
    assert not np.shares_memory(fit.x, table[0].to_numpy())


def test_one_seed_one_fit_without_a_warning(fitted, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = clone(fitted).fit(*table)
    assert torch.distributions.Distribution._validate_args
    np.testing.assert_array_equal(again.predict(table[0]), fitted.predict(table[0]))


def test_datatree_and_findings(fitted, table):
    X, y = table
    tree = fitted.to_datatree(X, y)
    groups = {"posterior", "posterior_predictive", "log_likelihood", "sample_stats"}
    assert groups | {"observed_data", "constant_data", "predictions"} <= set(tree.children)
    assert list(tree["constant_data"]["x"].coords["feature"].values) == ["hour", "load"]
    names = [finding.name for finding in fitted.diagnose(X, y)]
    assert "coverage_90" in names
    assert "coverage_90" not in [finding.name for finding in fitted.diagnose()]
    with pytest.raises(ValueError, match="y_test came without X_test"):
        fitted.diagnose(y_test=y)


@pytest.mark.parametrize(
    "call",
    [
        lambda reg: reg.predict([[0.0]]),
        lambda reg: reg.predict_interval([[0.0]]),
        lambda reg: reg.predict_regime([[0.0]]),
        lambda reg: reg.training_regimes(),
        lambda reg: reg.log_density([[0.0]], [0.0]),
        lambda reg: reg.sample_predictive([[0.0]]),
        lambda reg: reg.to_datatree(),
        lambda reg: reg.diagnose(),
        lambda reg: reg.save("never"),
    ],
    ids=range(9),
)
def test_nothing_works_before_fit(call):
    with pytest.raises(NotFittedError):
        call(HybridRegressor())


# In scikit-learn's company


def test_pipeline_cross_validation_and_grid_search(table):
    X, y = table
    reg = clone(CHECKED).set_params(fit_options=tiny())
    pipe = make_pipeline(StandardScaler(), reg)
    assert np.isfinite(cross_val_score(pipe, X, y, cv=2)).all()
    search = GridSearchCV(reg, {"random_state": [0, 1]}, cv=2, error_score="raise")
    search.fit(X, y)
    assert search.best_params_["random_state"] in (0, 1)
    assert search.best_estimator_.predict(X).shape == (30,)


def test_repr_shows_what_was_set():
    assert repr(HybridRegressor(gate="linear")) == "HybridRegressor(gate='linear')"


def test_results_print_as_tables(fitted, table):
    found = fitted.effect(0, grid=4)
    name, header, *rows = repr(found).splitlines()
    assert name == "EffectCurve"
    assert header.split()[:3] == ["feature", "value", "curve"]
    assert [row.split()[1] for row in rows[:4]] == ["hour"] * 4
    assert "<table" in found._repr_html_()
    words = repr(fitted.fit_)
    assert words.startswith(f"Fit of power by hour, load: {len(table[1])} rows, regimes A, B, ")
    assert words.endswith(fitted.fit_.training.status)


# Save and load


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "fit"
    fitted.save(folder)
    return folder


def test_predictions_after_a_round_trip_are_the_same(fitted, saved, table):
    X, y = table
    again = load(saved)
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(again.predict_interval(X), fitted.predict_interval(X))
    np.testing.assert_array_equal(again.log_density(X, y), fitted.log_density(X, y))
    np.testing.assert_array_equal(again.predict_regime(X, y), fitted.predict_regime(X, y))
    np.testing.assert_array_equal(again.training_regimes(), fitted.training_regimes())
    assert again.regimes_ == fitted.regimes_
    assert list(again.feature_names_in_) == ["hour", "load"]
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.rename(columns={"hour": "day"}))


def test_a_loaded_estimator_saves_and_fits_again(saved, tmp_path, table):
    load(saved).save(tmp_path / "copy")
    again = load(tmp_path / "copy")
    before = again.predict(table[0])
    np.testing.assert_array_equal(again.fit(*table).predict(table[0]), before)


def test_the_netcdf_file_is_the_datatree(fitted, saved):
    with xr.open_datatree(saved / POSTERIOR_FILE, engine="h5netcdf") as tree:
        expected = fitted.to_datatree()
        assert set(tree.children) == set(expected.children)
        xr.testing.assert_equal(
            tree["log_likelihood"].to_dataset(), expected["log_likelihood"].to_dataset()
        )


def test_an_array_fit_loads_without_names(tmp_path, table):
    reg = with_units(HybridRegressor(model="relu", fit_options=tiny(), random_state=0), num_units=3)
    reg.fit(table[0].to_numpy(), table[1].to_numpy()).save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert "feature_names_in_" not in vars(again)
    assert again.n_features_in_ == 2
    assert again.regimes_ == ("relu",)


def test_settings_come_back(tmp_path, fitted, table):
    reg = clone(fitted).set_params(
        gate=LinearGate(),
        experts=[Pathway(num_units=np.int64(3)), "relu"],
        priors=Priors(noise_floor=1e-3),
        progress=lambda stage, done, total: None,
        random_state=np.random.RandomState(0),
    )
    reg.fit(*table).save(tmp_path / "fit")
    params = load(tmp_path / "fit").get_params()
    assert params["experts"] == (Pathway(num_units=3), "relu")
    assert (params["gate"], params["priors"]) == (LinearGate(), Priors(noise_floor=1e-3))
    # A function and a generator cannot be written; the fit records the seed that was used.
    assert (params["progress"], params["random_state"]) == ("auto", None)


THRESHOLDS = {
    "threshold": ThresholdGate(feature="load"),
    "monotone": MonotoneGate(feature=1, num_units=3),
    "oblique": "oblique",
}


@pytest.mark.parametrize("name", THRESHOLD_GATES)
def test_thresholds_survive_a_round_trip(name, table, tmp_path):
    X, y = table
    experts = (Pathway(kind="relu", num_units=3), Pathway(kind="relu", num_units=3))
    settings = {"gate": THRESHOLDS[name], "experts": experts, "fit_options": tiny()}
    reg = HybridRegressor(**settings, random_state=0).fit(X, y)
    found = reg.thresholds(prob=0.8)
    assert list(found[["below", "above"]].iloc[0]) == ["relu_1", "relu_2"]
    assert (found["lower"] < found["upper"]).all()
    if name == "oblique":
        assert {"coefficient[hour]", "coefficient[load]"} <= set(found.columns)
    else:
        assert list(found["feature"]) == ["load"]
    reg.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    pd.testing.assert_frame_equal(again.thresholds(prob=0.8), found)
    assert again.gate == reg.gate
    np.testing.assert_array_equal(again.predict(X), reg.predict(X))
    with xr.open_datatree(tmp_path / "fit" / POSTERIOR_FILE, engine="h5netcdf") as tree:
        draws = tree["posterior"]["threshold"]
        assert draws.dims == ("chain", "draw", "boundary")
        # Of all restarts; the table is of those of the leading reading.
        np.testing.assert_array_equal(draws, reg.fit_.posterior.thresholds.location)


def test_a_fit_without_thresholds_says_which_gates_have_them(fitted):
    with pytest.raises(OptionError, match="'threshold', 'monotone', 'oblique'"):
        fitted.thresholds()
    with pytest.raises(NotFittedError):
        clone(fitted).thresholds()


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("threshold", "2 columns, 'hour', 'load'; say which"),
        ("monotone", "2 columns, 'hour', 'load'; say which"),
        (ThresholdGate(feature="laod"), "feature must be one of 'hour', 'load'.*mean 'load'"),
        (MonotoneGate(feature=2), "expected an index below 2"),
    ],
)
def test_a_column_that_the_gate_cannot_read_is_refused(gate, message, table):
    with pytest.raises(OptionError, match=message):
        HybridRegressor(gate=gate, fit_options=tiny()).fit(*table)


def test_a_gate_on_the_only_column_needs_no_name(table):
    X, y = table
    reg = with_units(
        HybridRegressor(gate="threshold", fit_options=tiny(), random_state=0), num_units=3
    )
    assert list(reg.fit(X[["load"]], y).thresholds()["feature"]) == ["load"]
    assert list(reg.fit(X[["load"]].to_numpy(), y).thresholds()["feature"]) == ["x0"]
    with pytest.raises(OptionError, match="expected an index below 1"):
        clone(reg).set_params(gate=ThresholdGate(feature="load")).fit(X[["load"]].to_numpy(), y)


def test_saving_twice_needs_force_and_never_costs_other_files(fitted, tmp_path):
    folder = tmp_path / "fit"
    fitted.save(folder)
    with pytest.raises(OutputExistsError, match="force=True"):
        fitted.save(folder)
    fitted.save(folder, force=True)
    assert {path.name for path in folder.iterdir()} == {*SAVED_FILES} - {HELD_OUT}
    (folder / "predictions.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"also holds 'predictions\.csv'"):
        fitted.save(folder, force=True)
    assert (folder / "predictions.csv").read_text() == "mine"


def resealed(saved, folder, change):
    """A copy of a saved fit with another configuration, and the manifest that belongs to it."""
    files = {path.name: path.read_bytes() for path in saved.iterdir() if path.name != MANIFEST}
    record = json.loads(files[RECORD])
    change(record["config"])
    files[RECORD] = json.dumps(record).encode()
    for name, content in {**files, MANIFEST: sealed(files)}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("model"),
        lambda config: config.update(model={"type": "Pathway"}),
        lambda config: config.update(model={"type": "Nonsense"}),
        lambda config: config.update(params=[]),
        lambda config: config.update(surprise=1),
        lambda config: config["params"].update(surprise=1),
        lambda config: config["params"].update(gate={"type": "ReLUGate", "num_units": "many"}),
        lambda config: config["model"].update(num_features=-1),
        lambda config: config["model"].update(num_outputs=2),
        lambda config: config["model"].update(label_head={"type": "LabelHead"}),
        lambda config: config.update(regime_labels=["a"]),
        lambda config: config.update(regime_labels=[None, None]),
        lambda config: config.update(named_features=1),
    ],
    ids=itertools.count(),
)
def test_a_configuration_of_another_version_is_refused(saved, tmp_path, change):
    with pytest.raises(FileFormatError) as caught:
        load(resealed(saved, tmp_path, change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, FitOptions(num_restarts=7)])
def test_a_fit_with_the_settings_of_before_loads(fitted, saved, table, tmp_path, given):
    def before(config):
        config["params"] |= {"num_units": 3, "depth": 1, "smoothing": "bump"}
        config["params"] |= {"num_restarts": 2, "plan": "plain", "refine": False}
        config["params"] |= {"batch_size": None, "device": "cpu", "compile": "never"}
        config["params"] |= {"experts": ["gaussian", "relu"], "noise": "constant"}
        config["params"]["fit_options"] = encode(given, SETTING_CLASSES)

    again = load(resealed(saved, tmp_path, before))
    options = FitOptions(num_restarts=2, plan="plain", sampler=None, device="cpu", compile="never")
    assert again.fit_options == (given or options)
    first, second = again.experts
    assert first == Pathway("gaussian", num_units=3, noise="constant")
    assert second == Pathway("relu", num_units=3, noise="constant")
    np.testing.assert_array_equal(again.predict(table[0]), fitted.predict(table[0]))


def test_a_setting_of_before_that_cannot_be_is_refused(saved, tmp_path):
    with pytest.raises(FileFormatError, match="settings that this version does not take"):
        load(resealed(saved, tmp_path, lambda config: config["params"].update(refine="no")))


@pytest.mark.parametrize("curve", [Constant(), Line(), Polynomial(degree=3)])
def test_a_curve_of_before_has_a_number_of_units(curve):
    written = encode(curve, SETTING_CLASSES)
    assert decode(written | {"num_units": 32}, _setting_class) == curve
    assert decode(written, _setting_class) == curve


@pytest.mark.parametrize("size", [5, 10**9, 10**30])
@pytest.mark.parametrize(
    "change",
    [
        lambda model, size: model["experts"][0].update(num_units=size),
        lambda model, size: model["experts"][1].update(depth=size),
        lambda model, size: model.update(gate={"type": "ReLUGate", "num_units": 10 * size}),
        lambda model, size: model.update(gate={"type": "MonotoneGate", "num_units": 100 * size}),
        lambda model, size: model.update(num_features=size),
        lambda model, size: model.update(num_outputs=size),
        lambda model, size: model.update(experts=model["experts"] * min(size, 10_000)),
    ],
    ids=itertools.count(),
)
def test_sizes_other_than_those_of_the_draws_are_refused_unbuilt(
    saved, tmp_path, monkeypatch, change, size
):
    # Far too large ones before anything is allocated.
    if size > 5:
        monkeypatch.setattr(SiteTable, "of", lambda *_: pytest.fail("built"))
    with pytest.raises(FileFormatError) as caught:
        load(resealed(saved, tmp_path, lambda config: change(config["model"], size)))
    assert len(str(caught.value)) < 1_000


def test_every_model_has_as_many_parameters_as_are_asked_of_it(saved):
    # Or a fit could not be loaded again.
    tight = [
        HybridMixture(num_features=features, experts=(one, one), gate=gate)
        for features in (1, 3)
        for kind in COMBINATIONS
        for one in (
            Pathway(kind=kind, num_units=units, depth=depth) for units in (1, 4) for depth in (1, 3)
        )
        for gate in (ReLUGate(num_units=9), MonotoneGate(feature=0, num_units=9), LinearGate())
    ]
    alone = [PathwayModel(pathway=Pathway(kind=kind, num_units=1)) for kind in COMBINATIONS]
    models: list[HybridMixture | PathwayModel] = [*tight, *alone]
    for model in models:
        size = SiteTable.of(model, torch.zeros(1, model.num_features)).num_parameters
        shaped = replace(read_saved(saved), tensors={"theta": torch.zeros(1, 1, size)})
        _refuse_larger(model, shaped)


def test_held_out_rows_come_back_and_are_judged_by(fitted, tmp_path, table):
    X, y = table
    rng = np.random.default_rng(3)
    new = HeldOut(rows=np.array([2, 0]), x=rng.normal(size=(2, 2)), y=rng.normal(size=2))
    fitted.save(tmp_path / "fit", held_out=new)
    again = load(tmp_path / "fit")
    assert again.held_out_ is not None
    np.testing.assert_array_equal(again.held_out_.x, new.x)
    assert fitted.held_out_ is None
    named = pd.DataFrame(new.x, columns=X.columns)
    assert again.diagnose() == fitted.diagnose(named, new.y)
    assert again.diagnose(X, y) == fitted.diagnose(X, y)
    # They go where the fit goes, but not with another fit.
    again.save(tmp_path / "copy")
    copy = load(tmp_path / "copy").held_out_
    assert copy is not None
    assert copy.rows.tolist() == [2, 0]
    assert again.fit(X, y).held_out_ is None


def test_held_out_rows_of_other_columns_are_not_saved(fitted, tmp_path):
    for x, y in ((np.zeros((1, 3)), np.zeros(1)), (np.zeros((1, 2)), np.zeros((1, 2)))):
        with pytest.raises(DataError, match="held_out must have the columns of the fit"):
            fitted.save(tmp_path / "fit", held_out=HeldOut(rows=np.array([0]), x=x, y=y))
    assert list(tmp_path.iterdir()) == []


# From settings to the model and the recipe


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_is_built(kind):
    model = build_model(HybridRegressor(model=kind), 4)
    assert model.num_features == 4
    if kind == "mixture":
        assert isinstance(model, HybridMixture)
        assert model.regime_names == ("gaussian", "relu")
    else:
        assert isinstance(model, PathwayModel)
        assert model.regime_names == (kind,)


def test_settings_reach_every_expert():
    given = Pathway(kind="relu", num_units=7)
    settings = HybridRegressor(experts=["gaussian", given, "linear_mix"], noise="constant")
    model = build_model(settings, 4)
    assert isinstance(model, HybridMixture)
    first, second, third = model.experts
    assert first == Pathway("gaussian", num_units=50, noise="constant")
    assert second is given
    assert third.kind == "linear_mix"


def test_pathways_of_ones_own_are_taken_as_they_are():
    given = [Pathway(kind="linear_mix", noise="constant"), Pathway(kind="relu", num_units=7)]
    model = build_model(HybridRegressor(experts=given), 4)
    assert isinstance(model, HybridMixture)
    assert model.experts == (replace(given[0], num_units=50), given[1])


@pytest.mark.parametrize("alone", ["relu", "line"])
def test_a_pathway_alone_is_the_model(alone):
    of_word = HybridRegressor(model=alone, likelihood="student_t")
    own = {"relu": Pathway("relu", likelihood=StudentT()), "line": Line(likelihood=StudentT())}
    model = build_model(HybridRegressor(model=own[alone]), 4)
    assert model == build_model(of_word, 4)
    assert model.regime_names == (alone,)


def test_words_become_pathways_with_units():
    units = {"num_units": 3, "depth": 2, "smoothing": "step"}
    words = HybridRegressor(
        experts=("relu", "line"), likelihood="laplace", noise="constant", random_state=1
    )
    own = Pathway("relu", noise="constant", likelihood=Laplace(), **units)
    expected = HybridRegressor(experts=(own, Line(likelihood=Laplace())), random_state=1)
    assert with_units(words, **units).get_params() == expected.get_params()
    assert words.likelihood == "laplace"
    assert with_units(HybridRegressor(model="relu"), depth=2).model == Pathway("relu", depth=2)
    with pytest.raises(OptionError, match="depth=2 would be ignored, because no expert"):
        with_units(HybridRegressor(model="line"), depth=2)


def test_the_default_experts_may_come_as_a_list():
    model = build_model(HybridRegressor(model="gaussian", experts=["gaussian", "relu"]), 4)
    assert isinstance(model, PathwayModel)


@pytest.mark.parametrize(("num_features", "num_units"), [(1, 32), (3, 32), (4, 50), (20, 50)])
def test_automatic_width(num_features, num_units):
    model = build_model(HybridRegressor(), num_features)
    assert isinstance(model, HybridMixture)
    assert [expert.num_units for expert in model.experts] == [num_units, num_units]


def test_default_options_are_the_defaults_of_the_recipe():
    assert build_options(HybridRegressor()) == FitOptions()


def test_the_options_are_those_given():
    assert build_options(HybridRegressor(fit_options=tiny())) == tiny()


# Progress


def test_a_function_hears_of_the_stages(table):
    heard = []
    reg = with_units(
        HybridRegressor(fit_options=tiny(), progress=lambda *stage: heard.append(stage)),
        num_units=3,
    )
    reg.fit(*table)
    # Twenty steps of the plan "direct", one of the slow gate before as many of "even_gate".
    assert ("warm start", 41, 41) in heard


@pytest.mark.parametrize(("progress", "shown"), [("auto", False), (False, False), (True, True)])
def test_a_pipe_sees_no_bar(table, capsys, progress, shown):
    with_units(HybridRegressor(fit_options=tiny(), progress=progress), num_units=3).fit(*table)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert bool(captured.err) == shown


# The package's door


def test_every_public_name_is_there():
    for name in set(bayes_hybrid.__all__) - {"ABRUPT"}:
        assert getattr(bayes_hybrid, name).__name__ == name
    assert ThresholdGate(sharpness=bayes_hybrid.ABRUPT).sharpness is bayes_hybrid.ABRUPT
    assert set(bayes_hybrid.__all__) <= set(dir(bayes_hybrid))
    with pytest.raises(AttributeError, match="no attribute 'HybridRegresor'"):
        _ = bayes_hybrid.HybridRegresor


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, bayes_hybrid; print(sorted({'torch', 'pyro', 'pandas'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_predicting_does_not_load_arviz(saved):
    code = (
        "import sys, bayes_hybrid; reg = bayes_hybrid.load(sys.argv[1]);"
        "reg.fit_.posterior.predictive.mean([[1.0, 2.0]]);"
        "print(sorted({'arviz_base', 'xarray', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(saved)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_gate_is_forgotten_when_saving():
    from bayes_hybrid.estimator import SETTING_CLASSES

    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    gates = {kind for kind in below(Gate) if kind.__module__.startswith("bayes_hybrid.")}
    assert {kind for kind in gates if not inspect.isabstract(kind)} <= set(SETTING_CLASSES.values())
    assert LinearGate in gates
