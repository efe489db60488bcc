"""Regimes are read from the restarts that explain the data best, predictions from all of them."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.cli.regimes import describe
from bayes_hybrid.diagnostics import (
    boundaries,
    contributions,
    effect_curve,
    expected_durations,
    partial_dependence,
    predictive_scores,
    regime_posterior,
    regions,
    restart_report,
    threshold_table,
)
from bayes_hybrid.errors import OptionError
from bayes_hybrid.plots import plot_fit, plot_regime

WEIGHTS = np.array([0.25, 0.75])
LEADING = np.array([1])


def _fitted(**settings):
    quick = FitOptions(
        num_restarts=8,
        warm_start=WarmStart(max_steps=60),
        variational=Variational(num_steps=100, selection_steps=20, num_draws=30),
        sampler=None,
        compile="never",
    )
    x = np.linspace(-1.0, 1.0, 40)
    y = np.where(x > 0.2, 1.0 + x, np.sin(3.0 * x)) + 0.1 * np.cos(40.0 * x)
    reg = HybridRegressor(
        num_units=4, noise="constant", fit_options=quick, random_state=0, progress=False, **settings
    )
    return reg.fit(x[:, None], y)


def _with_readings(fit, *members):
    """The fit with these restarts in each reading, the heaviest first."""
    found = [
        dataclasses.replace(
            fit.readings[0],
            weight=float(fit.posterior.restart_weights[index].sum()),
            members=np.array(index),
            order=np.tile(np.arange(2), (len(index), 1)),
        )
        for index in members
    ]
    vars(fit)["readings"] = tuple(found)
    return fit


def _fits(reg):
    """Two restarts as one reading; as two, led by the second restart; and that one alone."""
    some = reg.fit_._of(np.arange(2))
    posterior = dataclasses.replace(some.posterior, weights=WEIGHTS)
    every, read = (dataclasses.replace(some, posterior=posterior) for _ in range(2))
    alone = every._of(LEADING)
    return (
        _with_readings(every, [1, 0]),
        _with_readings(read, [1], [0]),
        _with_readings(alone, [0]),
    )


@pytest.fixture(scope="module")
def mixture():
    return _fitted()


@pytest.fixture(scope="module")
def fits(mixture):
    return _fits(mixture)


def _lines(figure):
    return np.array([line.get_ydata() for line in figure.axes[0].lines])


def _experts(fit):
    """Everything in a picture of the fit but the black line of the mean: it is by regime."""
    axes = plot_fit(fit).axes[0]
    drawn = [part for part in axes.collections if isinstance(part, LineCollection)]
    lines = [np.concatenate([segment.ravel() for segment in part.get_segments()]) for part in drawn]
    colors = [part.get_edgecolor().ravel() for part in drawn]
    points = [part.get_facecolor().ravel() for part in axes.collections if part not in drawn]
    return np.concatenate([*lines, *colors, *points])


def _without_feature(fit):
    """The fit with a feature that is constant, read as before."""
    other = dataclasses.replace(fit, x=np.zeros_like(fit.x))
    vars(other)["readings"] = fit.readings
    return other


REGIMES = {
    "rows of the fit": lambda fit: regime_posterior(fit).to_frame(),
    "new rows": lambda fit: regime_posterior(fit, [[0.1]], [0.3]).to_frame(),
    "boundaries": lambda fit: boundaries(fit).to_frame(),
    "boundaries of rows": lambda fit: boundaries(fit, of="rows").to_frame(),
    "regions": regions,
    "durations": expected_durations,
    "experts": lambda fit: effect_curve(fit, of="expert").to_frame(),
    "slopes of experts": lambda fit: effect_curve(fit, of="expert", derivative=True).to_frame(),
    "dependence of experts": lambda fit: partial_dependence(fit, of="expert").to_frame(),
    "words": describe,
    # Of a feature that is constant, and of several, these are about the rows.
    "words of rows": lambda fit: describe(_without_feature(fit)),
    "experts in a figure": _experts,
    "figure of the gate": lambda fit: _lines(plot_regime(fit)),
}
PREDICTIONS = {
    "mean": lambda fit: effect_curve(fit).to_frame(),
    "dependence": lambda fit: partial_dependence(fit).to_frame(),
    "contributions": lambda fit: contributions(fit).to_frame(),
    "scores": lambda fit: predictive_scores(fit, fit.x, fit.y, seed=0),
}


def _same(one, other):
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


@pytest.mark.parametrize("what", REGIMES)
def test_regimes_are_those_of_the_restarts_they_are_read_from(fits, what):
    fit, read, alone = (REGIMES[what](each) for each in fits)
    assert _same(read, alone)
    assert not _same(read, fit)


@pytest.mark.parametrize("what", PREDICTIONS)
def test_predictions_are_those_of_every_restart(fits, what):
    fit, read, alone = (PREDICTIONS[what](each) for each in fits)
    assert _same(read, fit)
    assert not _same(read, alone)


def test_a_figure_of_the_fit_has_the_mean_of_all(fits):
    fit, read, alone = (plot_fit(each).axes[0].lines[0].get_ydata() for each in fits)
    assert np.array_equal(read, fit)
    assert not np.array_equal(read, alone)


def test_the_estimator_tells_the_regimes_of_these_restarts(mixture, fits):
    found = []
    for fit in fits:
        reg = copy.copy(mixture)
        reg.fit_ = fit
        new = reg.predict_regime([[0.1]]), reg.predict_regime([[0.1]], [0.3])
        found.append((*new, reg.training_regimes()))
        assert reg.predict([[0.1]]) == fit.posterior.mean([[0.1]])
    for every, read, alone in zip(*found, strict=True):
        assert np.array_equal(read, alone)
        assert not np.array_equal(read, every)


def test_rows_of_a_regime_are_those_that_are_read(fits):
    fit, read, alone = (
        predictive_scores(each, each.x, each.y, seed=0, by_regime=True).set_index("regime")
        for each in fits
    )
    assert read.loc["all"].equals(fit.loc["all"])
    assert read["num_rows"].tolist() == alone["num_rows"].tolist()


def test_thresholds_are_read_from_these_restarts():
    fit, read, alone = map(threshold_table, _fits(_fitted(gate="threshold")))
    assert read.equals(alone)
    assert not read.equals(fit)


def test_a_fit_for_regimes_is_one_of_its_own(fits):
    fit, read, _ = fits
    found = read.for_regimes
    assert found.restarts.sources.tolist() == fit.restarts.sources[LEADING].tolist()
    assert found.restarts.elbo.tolist() == fit.restarts.elbo[LEADING].tolist()
    assert np.array_equal(found.restarts.log_ratios, fit.restarts.log_ratios[LEADING])
    assert found.posterior.num_restarts == len(LEADING)
    with pytest.raises(OptionError, match="reading: expected a number below 2, got 2"):
        read.reading(2)


def test_statistics_of_a_sampler_follow_their_restarts(fits):
    rates = np.arange(4.0).reshape(2, 2)
    read = dataclasses.replace(
        fits[1],
        restarts=dataclasses.replace(fits[1].restarts, sampler={"acceptance_rate": rates}),
    )
    read = _with_readings(read, [1], [0])
    assert np.array_equal(read.for_regimes.restarts.sampler["acceptance_rate"], rates[LEADING])


def test_restarts_are_listed_with_what_is_read_from_them(fits):
    fit, read = (restart_report(each) for each in fits[:2])
    assert read["reading"].tolist() == [1, 0]
    assert fit["reading"].tolist() == [0, 0]
    assert read["weight"].tolist() == WEIGHTS.tolist()
    assert read.drop(columns="reading").equals(fit.drop(columns="reading"))


def test_draws_that_count_alike_come_as_often_as_they_weigh(fits):
    equal = fits[0].equal
    assert equal.posterior.weights is None
    assert np.unique(equal.restarts.sources, return_counts=True)[1].tolist() == [8, 24]
    x = fits[0].x
    np.testing.assert_allclose(equal.posterior.mean(x), fits[0].posterior.mean(x), rtol=1e-9)
