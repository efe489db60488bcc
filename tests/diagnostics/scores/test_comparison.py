"""Comparisons against ArviZ and against sums by hand."""

import dataclasses
import warnings
from typing import Any

import arviz_stats as stats
import numpy as np
import pytest
from scipy.special import logsumexp

from bayes_hybrid import HybridRegressor
from bayes_hybrid.diagnostics import KFold, compare, to_datatree
from bayes_hybrid.diagnostics.scores.leave_one_out import leave_one_out
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import healthy

# Names that a type checker cannot see.
arviz_stats: Any = stats


@pytest.fixture(scope="module")
def fits():
    return {
        "wide": healthy(jitter=0.01, scale=[0.3, 0.4]),
        "good": healthy(jitter=0.01),
        "off": healthy(jitter=0.01, intercept=[0.5, 1.5]),
    }


def table_of(fits, **options) -> Any:
    return compare(fits, **options).table


def loo_of(fit, max_rows=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of k-hats, which the table shows
        return arviz_stats.loo(to_datatree(fit, seed=0, max_rows=max_rows), pointwise=True)


def test_the_table_is_that_of_arviz(fits):
    made = compare(fits)
    assert made.table.index.tolist() == ["good", "wide", "off"]
    loos = {name: loo_of(fit) for name, fit in fits.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ 1 looks forward to its next columns
        theirs = arviz_stats.compare(loos)
    for name, loo in loos.items():
        line = made.table.loc[name]
        # ArviZ reads the number of independent draws from all sites, and here from two of them.
        assert line["elpd"] == pytest.approx(float(loo.elpd), rel=1e-3)
        # ArviZ 1 divides by N - 1 rows, of which there are 119, and rounds to two digits.
        assert line["se"] == pytest.approx(float(loo.se), rel=5e-3)
        assert line["dse"] == pytest.approx(float(theirs.loc[name, "dse"]), rel=0.02, abs=0.05)
        assert line["weight"] == pytest.approx(float(theirs.loc[name, "weight"]), abs=0.01)
        assert line["max_k"] == pytest.approx(float(loo.pareto_k.max()), abs=0.05)
        assert line["bad_k"] == pytest.approx(float((loo.pareto_k > loo.good_k).mean()), abs=0.01)
        assert line["good_k"] == pytest.approx(float(loo.good_k))


@dataclasses.dataclass
class Estimator:
    fit_: Any


def test_estimators_are_compared_by_their_fits(fits):
    made = compare({name: Estimator(fit) for name, fit in fits.items()})
    assert made.table.equals(compare(fits).table)
    mixed = compare({"wide": fits["wide"], "good": Estimator(fits["good"])})
    assert mixed.table.index.tolist() == ["good", "wide"]


@pytest.mark.parametrize("other", [HybridRegressor(), None, "fit/", 3.0])
def test_what_is_no_fit_is_named_with_what_was_expected(fits, other):
    with pytest.raises(OptionError, match=r"'b' is .*; expected a fitted estimator, its fit_, or"):
        compare({"a": fits["good"], "b": other})


def test_differences_are_paired_by_row(fits):
    made = compare(fits)
    assert made.differences[["better", "worse"]].to_numpy().tolist() == [
        ["good", "wide"],
        ["good", "off"],
        ["wide", "off"],
    ]
    rows = [np.ravel(loo_of(fit).elpd_i) for fit in fits.values()]
    diff = rows[0] - rows[2]
    line = made.differences.loc[2]
    assert line["elpd_diff"] == pytest.approx(diff.sum(), rel=1e-3)
    assert line["dse"] == pytest.approx(np.sqrt(len(diff) * diff.var()), rel=1e-3)
    assert made.table.loc["wide", "elpd_diff"] == pytest.approx(-made.differences["elpd_diff"][0])


def test_rows_that_lean_on_few_draws_are_told():
    # Draws that scatter by a third of a noise sd: leaving a row out moves the posterior.
    fits = {"scattered": healthy(jitter=0.08, seed=2), "good": healthy(jitter=0.01)}
    made = compare(fits)
    assert table_of(fits).loc["scattered", "bad_k"] > 0.05
    assert any("cannot be trusted for scattered" in note for note in made.notes)
    assert not any("good" in note.split(":")[0] for note in made.notes)


def test_few_rows_and_small_differences_are_told():
    few = healthy(num_rows=30, jitter=0.01)
    again = dataclasses.replace(few, posterior=healthy(jitter=0.01, seed=9).posterior)
    notes = " ".join(compare({"a": few, "b": again}).notes)
    assert "With 30 rows" in notes
    assert "less than 4 nats" in notes


def test_max_rows(fits):
    made = compare(fits, max_rows=40)
    expected = float(loo_of(fits["good"], max_rows=40).elpd)
    assert made.table.loc["good", "elpd"] == pytest.approx(expected, rel=1e-3)
    with pytest.raises(OptionError, match="max_rows"):
        compare(fits, max_rows=0)


def folds(shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    pointwise = np.array([0.0, -1.0, -2.0, -0.5]) + shift
    return KFold(pointwise=pointwise, fold=rng.permutation(4) % 2, y=np.arange(4.0))


def test_folds_are_compared_by_row():
    made = table_of({"a": folds(-1.0), "b": folds()})
    assert made.index.tolist() == ["b", "a"]
    assert made["elpd"].tolist() == [-3.5, -7.5]
    assert made.loc["a", ["elpd_diff", "dse"]].tolist() == [-4.0, 0.0]
    assert made[["weight", "bad_k", "max_k", "good_k"]].isna().all(axis=None)


def test_what_cannot_be_compared_is_refused(fits):
    with pytest.raises(OptionError, match="two or more by name"):
        compare({"good": fits["good"]})
    with pytest.raises(OptionError, match=r"\['folds'\] are K-folds"):
        compare({**fits, "folds": folds()})
    with pytest.raises(OptionError, match="hold out different rows"):
        compare({"a": folds(), "b": folds(seed=1)})
    other = dataclasses.replace(fits["good"], y=fits["good"].y + 1.0)
    with pytest.raises(DataError, match="'good' and 'other' have learned from different targets"):
        compare({"good": fits["good"], "other": other})
    few = {name: healthy(restarts=2, draws=10) for name in "ab"}
    with pytest.raises(DataError, match="'a': leave-one-out needs 25 draws; there are 20"):
        compare(few)
    still = {name: healthy(jitter=0.0) for name in "ab"}
    with pytest.raises(DataError, match="compare by kfold"):
        compare(still)


def test_repeated_draws_have_a_leave_one_out():
    rng = np.random.default_rng(0)
    rows = rng.normal(-1.0, 0.3, (4, 30, 6))
    # Repeated draws around the end of the first row's tail.
    rows[..., 0].flat[np.argsort(rows[..., 0], axis=None)[18:60]] = -1.2
    arrays = {"log_likelihood": rows, "log_lik": rows.sum(-1), "usage": rng.random((4, 30, 2))}
    found = leave_one_out(arrays)
    plain = np.log(120.0) - logsumexp(-rows.reshape(120, 6), axis=0)
    # Smoothing moves a handful of weights out of 120.
    np.testing.assert_allclose(found.pointwise, plain, atol=0.05)
    assert np.isfinite(found.pareto_k).all()
