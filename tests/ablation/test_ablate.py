"""The comparison: pairs, figures, failures, what is refused, and the plot."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arviz_stats.loo import loo
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold

from bayes_hybrid import HybridRegressor, ablate
from bayes_hybrid.ablation import Variant
from bayes_hybrid.ablation.result import corrected_error
from bayes_hybrid.cli.ablating import write_folder
from bayes_hybrid.data import read_table
from bayes_hybrid.errors import DataError, DataTypeError, FitError, OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.gates import LinearGate, ThresholdGate
from bayes_hybrid.random import spawn_seeds
from tests.ablation.conftest import BASE, OPTIONS, PLAN, RELU, again, make_rows

# What is measured


def test_a_cell_is_a_fit_to_the_other_rows(shared):
    _, result = shared
    X, y = make_rows()
    split_seed, _, first_seed, _ = spawn_seeds(0, 4)
    train, test = next(RepeatedKFold(n_splits=2, n_repeats=1, random_state=split_seed).split(X))
    for name, settings in (("base", {}), ("relu", RELU.settings)):
        reg = clone(BASE).set_params(**settings, random_state=first_seed).fit(X[train], y[train])
        chosen = (result.rows["variant"] == name) & (result.rows["fold"] == 0)
        rows = result.rows[chosen]
        assert rows["row"].tolist() == test.tolist()
        np.testing.assert_array_equal(rows["log_density"], reg.log_density(X[test], y[test]))
        cell = result.cells.query("variant == @name and fold == 0").iloc[0]
        low, high = reg.predict_interval(X[test]).T
        assert cell["log_density"] == rows["log_density"].mean()
        assert cell["coverage"] == ((low <= y[test]) & (y[test] <= high)).mean()
        assert cell["rmse"] == np.sqrt(np.mean((reg.predict(X[test]) - y[test]) ** 2))
        findings = reg.diagnose(X[test], y[test])
        assert cell["num_flagged"] == sum(finding.severity != "ok" for finding in findings)
        assert cell["status"] == reg.fit_.training.status


def test_pairs_share_rows_and_seeds_and_every_row_is_held_out_once(shared, fits):
    _, result = shared
    rows = result.rows.pivot(index="row", columns="variant", values="fold")
    assert (rows["base"] == rows["relu"]).all()
    assert rows.index.tolist() == list(range(30))
    ablate(*make_rows(), base=BASE, variants=[RELU], **PLAN)
    assert len({seed for _, seed, _ in fits}) == 3
    assert {fit[1:] for fit in fits if fit[0] == "gaussian"} == {
        fit[1:] for fit in fits if fit[0] == "relu"
    }


def test_the_table_is_the_mean_of_the_pairs(shared):
    _, result = shared
    base, relu = (result.cells.query("variant == @name and fold >= 0") for name in ("base", "relu"))
    line = result.table.set_index("variant").loc["relu"]
    for score in ("log_density", "rmse"):
        pairs = relu[score].to_numpy() - base[score].to_numpy()
        assert line[f"{score}_diff"] == pytest.approx(pairs.mean(), rel=1e-12)
        # Two folds of equal size, J = 2 and n_test / n_train = 1: (1/2 + 1) s^2.
        expected = np.sqrt(1.5 * pairs.var(ddof=1))
        assert line[f"{score}_se"] == pytest.approx(expected, rel=1e-12)
    first = result.table.iloc[0]
    assert (first["variant"], first["log_density_diff"], first["elpd_diff"]) == ("base", 0.0, 0.0)


def test_the_corrected_error_has_the_right_size_where_the_theory_holds():
    # Differences with variance 1 and correlation 1/5 between any two, as Nadeau and Bengio take
    # five folds to be: their rule has the mean's variance in expectation, 1/J + (J-1)/J/5, when
    # test to train is rho / (1 - rho) = 1/4.
    rng, num_cells, rho = np.random.default_rng(0), 10, 0.2
    common = rng.normal(size=(20_000, 1)) * np.sqrt(rho)
    draws = common + rng.normal(size=(20_000, num_cells)) * np.sqrt(1.0 - rho)
    estimated = np.mean([corrected_error(draw, 0.25) ** 2 for draw in draws])
    # The relative standard error of the mean of 20,000 scaled chi-squares of 9 degrees is 0.33%:
    # four of them, a false alarm once in 16,000 seeds.
    assert estimated == pytest.approx((1.0 - rho) * (0.1 + 0.25), rel=0.0134)
    assert draws.mean(axis=1).var() == pytest.approx(estimated, rel=0.05)
    assert np.isnan(corrected_error(np.array([1.0]), 0.25))


def test_leave_one_out_is_arviz_own(shared):
    _, result = shared
    X, y = make_rows()
    _, full_seed = spawn_seeds(0, 2)
    line = result.table.set_index("variant").loc["relu"]
    reg = clone(BASE).set_params(model="relu", random_state=full_seed).fit(X, y)
    with pytest.warns(UserWarning, match="Pareto"):
        data = loo(reg.to_datatree(), pointwise=True)
    # Kept in float32; and the length of the tail follows summaries instead of all sites.
    assert line["elpd_loo"] == pytest.approx(float(data.elpd), rel=1e-3)
    arviz = result.comparison
    worse = arviz.iloc[-1]
    # ArviZ 1 rounds an error to two digits, and a difference to the error's first.
    assert line["dse"] == pytest.approx(worse["dse"], rel=0.05)
    assert abs(line["elpd_diff"]) == pytest.approx(abs(worse["elpd_diff"]), abs=0.5 * line["dse"])
    assert (line["elpd_diff"] < 0.0) == (worse.name == "relu")
    assert set(arviz.index) == {"base", "relu"}
    assert 0.0 <= line["bad_k"] <= 1.0


def test_arvizs_comparison_is_written(shared, tmp_path):
    _, result = shared
    write_folder(tmp_path, result, "y from x")
    written = read_table(tmp_path / "comparison.csv").set_index("variant")
    assert sorted(written.index) == ["base", "relu"]
    pd.testing.assert_frame_equal(written, result.comparison, check_names=False)


# Failures


def test_a_variant_that_cannot_be_fitted_has_failed_cells(shared):
    _, result = shared
    line = result.table.set_index("variant").loc["broken"]
    assert line["failed_cells"] == 3
    assert line.drop("failed_cells").isna().all()
    failures = result.cells.query("variant == 'broken'")["failure"]
    assert failures.str.startswith("OptionError: missing must be one of").all()
    assert any(note.startswith("broken: 3 of 3 cells failed") for note in result.notes)
    assert result.table["failed_cells"].tolist() == [0, 0, 3]


def test_pairs_without_one_half_are_left_out(monkeypatch):
    fit = HybridRegressor.fit

    def fails_once(self, X, y):
        if self.model == "relu" and len(X) == 15 and self.random_state == spawn_seeds(0, 3)[2]:
            raise FitError("planted")
        return fit(self, X, y)

    monkeypatch.setattr(HybridRegressor, "fit", fails_once)
    result = ablate(*make_rows(), base=BASE, variants=[RELU], **PLAN)
    line = result.table.set_index("variant").loc["relu"]
    base, relu = (result.cells.query("variant == @name and fold == 1") for name in ("base", "relu"))
    assert line["log_density_diff"] == relu["log_density"].iloc[0] - base["log_density"].iloc[0]
    assert np.isnan(line["log_density_se"])
    assert line["failed_cells"] == 1


def test_nothing_but_failures_is_an_error(monkeypatch):
    def fails(self, X, y):
        raise MemoryError("planted")

    monkeypatch.setattr(HybridRegressor, "fit", fails)
    with pytest.raises(
        FitError, match="every one of the 6 cells failed; base: MemoryError: planted"
    ):
        ablate(*make_rows(), base=BASE, variants=[RELU], **PLAN)


def test_a_density_that_is_not_finite_is_a_failure(monkeypatch):
    monkeypatch.setattr(HybridRegressor, "log_density", lambda self, X, y: np.full(len(y), -np.inf))
    result = ablate(*make_rows(), base=BASE, variants=[], **PLAN)
    assert result.table["failed_cells"].tolist() == [2]
    assert result.cells["failure"].str.contains("held-out row is not finite").sum() == 2
    assert "The base failed in every fold, so there are no differences to it." in result.notes


def test_too_few_draws_for_leave_one_out_fail_that_cell_only():
    few = replace(OPTIONS, variational=replace(OPTIONS.variational, num_draws=12))
    base = clone(BASE).set_params(fit_options=few)
    result = ablate(*make_rows(), base=base, variants=[], **PLAN)
    assert result.cells["failure"].tolist() == [
        "ValueError: leave-one-out needs 25 draws; there are 24",
        "",
        "",
    ]
    assert result.table["log_density"].notna().all()


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_folds": 1}, "num_folds must be an integer >= 2"),
        ({"num_repeats": -1}, "num_repeats must be an integer >= 0"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"n_jobs": "two"}, "n_jobs must be"),
        ({"variants": ["rellu"]}, "did you mean 'relu'"),
        ({"base": "relu"}, "base must be a HybridRegressor"),
        ({"base": HybridRegressor(gate="rellu")}, "did you mean 'relu'"),
        ({"variants": [{"model": "relu"}]}, "a variant must be a Variant"),
        ({"variants": [RELU, RELU]}, "'relu' 2 times"),
        ({"variants": [Variant("base", {"model": "relu"})]}, "'base' is the base as it is"),
        ({"base": clone(BASE).set_params(random_state=None), "folder": "out"}, "random_state"),
    ],
)
def test_bad_options_are_refused(fits, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=message):
        ablate(*make_rows(), **({"base": BASE, "variants": [RELU]} | options))
    assert (fits, os.listdir(tmp_path)) == ([], [])


def test_a_setting_of_ones_own_cannot_be_kept(tmp_path):
    class Own(LinearGate):
        """Stands for a gate that this package has never heard of."""

    mine = Variant("mine", {"model": "mixture", "gate": Own()})
    with pytest.raises(OptionError, match="cannot be saved"):
        again(tmp_path / "out", variants=[mine])


def test_bad_rows_are_refused(fits):
    X, y = make_rows()
    with pytest.raises(DataError, match="NaN"):
        ablate(np.where(X > 1.0, np.nan, X), y, base=BASE)
    with pytest.raises(DataTypeError, match="text"):
        ablate(X.astype(str), y, base=BASE)
    with pytest.raises(DataError, match="y has 2 outputs; expected one"):
        ablate(X, np.column_stack([y, y]), base=BASE)
    with pytest.raises(DataError, match="3 rows are too few for 2 folds"):
        ablate(X[:3], y[:3], base=BASE, num_folds=2)
    with pytest.raises(DataError, match="too few for 31 folds"):
        ablate(X, y, base=BASE, num_folds=31)
    assert fits == []


# The plot


def test_the_plot_has_the_differences(shared, tmp_path):
    _, result = shared
    figure = result.plot()
    figure.savefig(tmp_path / "plot.png")
    folds, loo_axes = figure.axes
    assert [label.get_text() for label in folds.get_yticklabels()] == ["relu", "broken"]
    line = result.table.set_index("variant").loc["relu"]
    for axes, column in ((folds, "log_density_diff"), (loo_axes, "elpd_diff")):
        points = np.concatenate([drawn[0].get_xdata() for drawn in axes.containers])
        assert np.isclose(points, line[column]).any()
    # Hollow where k-hats are bad, as the legend says.
    reliable = result.table.assign(bad_k=0.0)
    assert figure.legends
    assert not replace(result, table=reliable).plot().legends


def test_a_gate_may_name_its_column(fits):
    X, y = make_rows()
    table = pd.DataFrame(X, columns=[f"c{column}" for column in range(X.shape[1])])
    name = table.columns[-1]
    gate = ThresholdGate(feature=name)
    base = with_units(HybridRegressor(gate=gate, fit_options=OPTIONS, random_state=0), num_units=3)
    result = ablate(table, y, base=base, variants=["base"], **PLAN)
    assert result.table["failed_cells"].sum() == 0
    with pytest.raises(OptionError, match="must be one of"):
        ablate(table, y, base=base.set_params(gate=ThresholdGate(feature="no")), **PLAN)


def test_a_base_that_cannot_be_is_refused_before_any_fit():
    x, y = np.random.default_rng(0).normal(size=(12, 1)), np.arange(12.0)
    base = with_units(
        HybridRegressor(gate="oblique", fit_options=OPTIONS, random_state=0), num_units=3
    )
    with pytest.raises(OptionError, match="two features or more, but there is 1"):
        ablate(x, y, base=base, variants=["gaussian"], **PLAN)


def test_gates_that_have_to_be_told_a_column_are_no_variants_by_themselves(monkeypatch):
    asked: list[str] = []

    def listed(base, selected, *rest):
        asked.extend(variant.name for variant in selected)
        raise KeyboardInterrupt

    monkeypatch.setattr("bayes_hybrid.ablation.run.fold_cells", listed)
    base = with_units(HybridRegressor(fit_options=OPTIONS, random_state=0), num_units=3)
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12.0)
    for features, offered in ((x[:, :1], True), (x, False)):
        asked.clear()
        with pytest.raises(KeyboardInterrupt):
            ablate(features, y, base=base, **PLAN)
        assert ("gate_threshold" in asked) is offered
        # A linear combination needs two columns.
        assert ("gate_oblique" in asked) is not offered
