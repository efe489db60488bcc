"""The estimator with several outputs, and with regime labels."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.diagnostics import regime_scores
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import POSTERIOR_FILE, with_units
from bayes_hybrid.models import LabelHead
from tests.budgets import tiny

pytestmark = pytest.mark.usefixtures("few_ratios")


def make(*, max_steps=10, num_steps=5, **settings):
    """Every stage of a fit with next to no training."""
    options = tiny(max_steps, num_steps=num_steps)
    return with_units(HybridRegressor(fit_options=options, random_state=0, **settings), num_units=3)


# Several outputs


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"hour": rng.uniform(0, 24, 30), "load": rng.uniform(-1, 1, 30)})
    late = X["hour"] > 12
    power = 100 + 20 * late + X["load"] + rng.normal(size=30)
    heat = 0.01 * (X["load"] - 3 * late) + 0.01 * rng.normal(size=30)
    Y = pd.DataFrame({"power": power, "heat": heat})
    Y.iloc[::7, 1] = np.nan
    Y.iloc[3::7, 0] = np.nan
    return X, Y


@pytest.fixture(scope="module")
def fitted(table):
    return make().fit(*table)


def test_everything_has_an_axis_of_outputs(fitted, table):
    X, Y = table
    assert fitted.fit_.output_names == ("power", "heat")
    assert fitted.predict(X).shape == (30, 2)
    interval = fitted.predict_interval(X)
    assert interval.shape == (30, 2, 2)
    assert (interval[..., 0] < interval[..., 1]).all()
    quantiles = fitted.predict_quantile(X, [0.05, 0.5, 0.95])
    assert quantiles.shape == (30, 2, 3)
    np.testing.assert_allclose(quantiles[..., [0, 2]], interval, rtol=1e-12)
    assert fitted.sample_predictive(X, 4, random_state=0).shape == (4, 30, 2)
    assert fitted.log_density(X, Y).shape == (30,)
    for regimes in (fitted.predict_regime(X, Y), fitted.training_regimes()):
        assert regimes.shape == (30, 2)
        np.testing.assert_allclose(regimes.sum(axis=1), 1.0)


def test_the_score_is_the_mean_over_outputs_of_what_is_there(fitted, table):
    X, Y = table
    mean = fitted.predict(X)
    weight = np.linspace(1.0, 2.0, 30)
    for weights in (None, weight):
        parts = []
        for q, name in enumerate(Y):
            there = Y[name].notna()
            part = None if weights is None else weights[there]
            parts.append(r2_score(Y[name][there], mean[there, q], sample_weight=part))
        assert fitted.score(X, Y, weights) == pytest.approx(np.mean(parts), rel=1e-12)
    whole = Y.fillna(0.0)
    # With nothing missing it is scikit-learn's own.
    assert fitted.score(X, whole) == pytest.approx(r2_score(whole, mean), rel=1e-12)


@pytest.mark.parametrize("q", [0, 1])
def test_a_missing_output_leaves_the_density_of_the_other(fitted, table, q):
    # The derivative of the cdf, by a difference of two quantiles that lie close together.
    X = table[0].iloc[:3]
    low, high = fitted.predict_quantile(X, [0.5, 0.5005])[:, q].T
    target = np.full((3, 2), np.nan)
    target[:, q] = (low + high) / 2
    # The error of a central difference over 5e-4 of probability is far below a percent.
    np.testing.assert_allclose(
        fitted.log_density(X, target), np.log(5e-4 / (high - low)), atol=0.01
    )


def test_save_and_load(fitted, table, tmp_path):
    X, Y = table
    fitted.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert again.fit_.output_names == ("power", "heat")
    np.testing.assert_array_equal(again.fit_.y, Y.to_numpy())
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(again.log_density(X, Y), fitted.log_density(X, Y))
    np.testing.assert_array_equal(again.training_regimes(), fitted.training_regimes())


def test_the_tree_names_the_outputs(fitted, table):
    X, Y = table
    tree = fitted.to_datatree(X, Y)
    for group in ("observed_data", "posterior_predictive", "predictions"):
        assert list(tree[group].data_vars) == ["power", "heat"]
    for name in Y:
        np.testing.assert_array_equal(tree["observed_data"][name], Y[name].dropna())
    held_out = tree["predictions_constant_data"]["y"]
    assert list(held_out.coords["output"].values) == ["power", "heat"]
    np.testing.assert_array_equal(held_out, Y.to_numpy())
    heat = fitted.to_datatree(X, Y, output="heat")
    np.testing.assert_array_equal(heat["observed_data"]["heat"], Y["heat"].dropna())
    np.testing.assert_array_equal(heat["predictions_constant_data"]["y"], Y["heat"])
    with pytest.raises(OptionError, match="did you mean 'heat'"):
        fitted.to_datatree(output="haet")
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "obs")
    np.testing.assert_allclose(
        tree["predictions_constant_data"]["log_density"], fitted.log_density(X, Y)
    )


def test_coverage_counts_every_value_that_is_there(fitted, table):
    X, Y = table
    interval = fitted.predict_interval(X, prob=0.9)
    there = Y.notna().to_numpy()
    inside = Y.ge(interval[..., 0]) & Y.le(interval[..., 1])
    (coverage,) = (f for f in fitted.diagnose(X, Y) if f.name == "coverage_90")
    assert coverage.value == pytest.approx(inside.to_numpy()[there].mean())
    assert f"of {there.sum()} held-out" in coverage.meaning


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Y: Y["power"].fillna(0.0), r"y must have 2 outputs, .*got shape \(30,\)"),
        (lambda Y: Y.assign(third=1.0), r"y must have 2 outputs, .*got shape \(30, 3\)"),
        (lambda Y: Y[["heat", "power"]], "has other outputs than the fit, or in another order"),
        (lambda Y: Y.assign(heat=np.inf), "column 'heat' has 30 infinite values"),
        (lambda Y: Y[:5], "inconsistent numbers of samples"),
    ],
)
def test_targets_of_another_form_are_refused(fitted, table, change, message):
    X, Y = table
    with pytest.raises(DataError, match=message):
        fitted.log_density(X, change(Y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Y: pd.concat([Y[:4], Y[4:5] * np.nan, Y[5:]]), "y, row 5: every output is missing"),
        (lambda Y: Y.assign(heat=np.nan, other=1.0), "y, column 'heat': 0 of 30"),
        (lambda Y: Y.assign(heat="warm"), "column 'heat' holds text"),
        (lambda Y: Y.replace(np.nan, np.inf), "infinite"),
    ],
)
def test_targets_that_cannot_be_fitted_are_refused(table, change, message):
    X, Y = table
    with pytest.raises((DataError, TypeError), match=message):
        make().fit(X, change(Y.assign(power=Y["power"].fillna(0.0))))


def test_one_output_refuses_two(table):
    X, Y = table
    reg = make(model="relu").fit(X, Y["power"].fillna(0.0))
    with pytest.raises(DataError, match=r"y must be \[N\]"):
        reg.log_density(X, Y)


def test_a_single_column_is_the_one_output(table):
    X, Y = table
    power = Y["power"].fillna(0.0)
    plain = make(model="relu").fit(X, power)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        column = make(model="relu").fit(X, power.to_frame())
    assert column.fit_.target_name == plain.fit_.target_name == "power"
    np.testing.assert_array_equal(column.predict(X), plain.predict(X))


# Regime labels


@pytest.fixture(scope="module")
def labelled():
    """Two branches that x cannot tell apart, and a label on every third row."""
    rng = np.random.default_rng(1)
    x, upper = rng.uniform(-1, 1, (60, 1)), rng.random(60) < 0.5
    y = np.where(upper, 1.0, -1.0) + 0.1 * rng.normal(size=60)
    names = np.where(upper, "wet", "dry").astype(object)
    names[np.arange(60) % 3 > 0] = None
    return x, y, upper, names


def test_labels_that_are_the_truth_pin_the_regimes(labelled):
    x, y, upper, names = labelled
    reg = make(label_head=LabelHead(noise="none")).fit(x, y, names)
    assert reg.regime_labels_ == ("dry", "wet")
    known = np.array([name is not None for name in names])
    # exp(-inf) is zero exactly.
    np.testing.assert_array_equal(reg.training_regimes()[known, 1], upper[known])
    assert 0.0 < reg.training_regimes()[~known].max() < 1.0


@pytest.mark.parametrize("noise", ["learned", "none"])
def test_training_regimes_condition_on_the_labels(labelled, noise):
    x, y, _, names = labelled
    reg = make(label_head=LabelHead(noise=noise, weight=0.5)).fit(x, y, names)
    posterior = reg.fit_.for_regimes.posterior
    plain, sites = posterior.by_draw.regime_probability(x, y), posterior.sites
    confusion = sites.get("label_confusion", np.broadcast_to(np.eye(2), (*plain.shape[:2], 2, 2)))
    expected = plain.copy()
    for row, name in enumerate(names):
        if name is not None:
            expected[:, :, row] *= np.sqrt(confusion[..., int(name == "wet")])
    expected /= expected.sum(axis=-1, keepdims=True)
    # The sites are read in float32.
    np.testing.assert_allclose(reg.training_regimes(), expected.mean((0, 1)), rtol=1e-6)


def test_names_of_regimes_stand_for_these(labelled):
    x, y, upper, _ = labelled
    # In the order of the alphabet the first regime would be the upper branch.
    names = np.where(upper, "gaussian", "relu")
    reg = make(label_head=LabelHead(noise="none")).fit(x, y, names)
    assert reg.regime_labels_ == ("gaussian", "relu")
    np.testing.assert_array_equal(reg.training_regimes()[:, 0], upper)


def test_labels_say_which_branch_is_which_also_on_rows_without_one(labelled):
    x, y, upper, names = labelled
    hidden = np.array([name is None for name in names])
    for first, second in (("dry", "wet"), ("wet", "dry")):
        # The second name in the alphabet is the second regime, whichever branch that is.
        renamed = [{"dry": first, "wet": second, None: None}[name] for name in names]
        reg = make(max_steps=100, num_steps=20).fit(x, y, renamed)
        truth = (upper if second == "wet" else ~upper).astype(int)
        loss = -np.log(reg.training_regimes()[hidden, truth[hidden]]).mean()
        # A fit without labels is the same under both names, p once and 1 - p once: the mean of its
        # two losses cannot be below log 2 = 0.69.
        assert loss < 0.35


def test_a_labelled_fit_comes_back(labelled, tmp_path):
    x, y, upper, _ = labelled
    head = LabelHead(weight=2.0)
    reg = make(label_head=head).fit(x, y, pd.Series(upper, dtype="boolean"))
    reg.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert again.regime_labels_ == (False, True)
    assert again.get_params()["label_head"] == head
    with xr.open_datatree(tmp_path / "fit" / POSTERIOR_FILE, engine="h5netcdf") as tree:
        assert tree.attrs["label_weight"] == 2.0
        confusion = tree["posterior"]["label_confusion"]
        assert confusion.dims == ("chain", "draw", "regime", "label")
        assert list(confusion.coords["label"].values) == ["False", "True"]
        assert list(confusion.coords["regime"].values) == ["gaussian", "relu"]
        np.testing.assert_array_equal(confusion, reg.fit_.posterior.sites["label_confusion"])
    np.testing.assert_array_equal(again.fit_.labels, upper)
    np.testing.assert_array_equal(again.training_regimes(), reg.training_regimes())


def test_several_outputs_and_labels_together(labelled):
    x, y, upper, names = labelled
    Y = np.column_stack([y, 1e3 * x[:, 0] * upper])
    Y[::5, 1] = np.nan
    reg = make(label_head=LabelHead(noise="none")).fit(x, Y, names)
    known = np.array([name is not None for name in names])
    np.testing.assert_array_equal(reg.training_regimes()[known, 1], upper[known])
    assert np.isfinite(reg.log_density(x, Y)).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 59, "each of 60 rows, got shape \\(59,\\)"),
        (["a"] * 60, "1 different label,"),
        (["a", "b", "c"] * 20, "3 different labels"),
        (["relu", "wet"] * 30, "'relu' is the name of a regime and 'wet' is not"),
    ],
)
def test_wrong_labels_are_refused_and_leave_the_estimator_as_it_was(labelled, labels, message):
    x, y, _, _ = labelled
    reg = make()
    with pytest.raises(DataError, match=message):
        reg.fit(x, y, labels)
    assert set(vars(reg)) == set(reg.get_params(deep=False))


def test_labels_need_more_than_one_regime(labelled):
    x, y, _, names = labelled
    with pytest.raises(OptionError, match="has one regime, of which labels say nothing"):
        make(model="gaussian").fit(x, y, names)
    with pytest.raises(OptionError, match="label_head must be None or LabelHead"):
        make(label_head="none").fit(x, y, names)


def test_a_label_head_without_labels_is_refused(labelled):
    x, y = labelled[:2]
    with pytest.raises(OptionError, match="because no regime_label came"):
        make(label_head=LabelHead(noise="none")).fit(x, y)


def test_labels_of_ones_own_are_refused_where_the_gate_orders_the_regimes(labelled):
    x, y = labelled[:2]
    labels = np.where(x[:, 0] > 0, "cold", "warm")
    with pytest.raises(OptionError, match="in the order of its feature"):
        make(gate="threshold").fit(x, y, regime_label=labels)
    names = np.where(x[:, 0] > 0, "relu", "gaussian")
    assert make(gate="threshold").fit(x, y, regime_label=names).regime_labels_ == (
        "gaussian",
        "relu",
    )


def test_without_labels_there_is_no_head(labelled):
    x, y, _, _ = labelled
    reg = make().fit(x, y)
    assert reg.regime_labels_ == ()
    assert reg.fit_.labels is None
    assert reg.fit_.posterior.model.label_head is None
    assert "label_weight" not in reg.to_datatree().attrs


# Scores of regimes


def test_regimes_are_scored_against_labels(labelled):
    x, y, upper, names = labelled
    reg = make(label_head=LabelHead(noise="none")).fit(x, y, names)
    for given in (None, y):
        expected = regime_scores(reg.predict_regime(x, given), upper, reg.regimes_)
        found = reg.score_regimes(x, np.where(upper, "wet", "dry"), given)
        pd.testing.assert_frame_equal(found, expected)
    # One of the fit's labels is enough, and rows without one do not count.
    some = np.where(upper, "wet", "")
    scores = reg.score_regimes(x, some, y)
    assert scores["num_rows"].tolist() == [upper.sum()] * 4
    assert scores["value"].isna().to_dict()["auc"]
    with pytest.raises(DataError, match=r"expected those of the fit, \['dry', 'wet'\], got"):
        reg.score_regimes(x, upper)
    with pytest.raises(DataError, match="no row has a known regime"):
        reg.score_regimes(x, [None] * 60)


def test_without_labels_in_the_fit_names_of_regimes_are_scored(labelled):
    x, y, upper, _ = labelled
    reg = make().fit(x, y)
    by_name = reg.score_regimes(x, np.where(upper, "relu", "gaussian"), y)
    # Labels of one's own stand for the regimes in their own order.
    pd.testing.assert_frame_equal(by_name, reg.score_regimes(x, upper, y))
    swapped = reg.score_regimes(x, ~upper, y)
    assert swapped["value"]["auc"] == pytest.approx(1.0 - by_name["value"]["auc"])


def test_one_regime_has_no_scores(table):
    X, Y = table
    reg = make(model="relu").fit(X, Y["power"].fillna(0.0))
    with pytest.raises(OptionError, match="one regime"):
        reg.score_regimes(X, ["relu"] * 30)
