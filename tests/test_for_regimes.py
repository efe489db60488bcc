"""Regimes are read from the restarts that explain the data best, predictions from all of them."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import StepPatch

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.diagnostics import (
    boundaries,
    contributions,
    diagnose,
    effect_curve,
    expected_durations,
    partial_dependence,
    predictive_checks,
    predictive_scores,
    regime_posterior,
    regions,
    restart_report,
    threshold_table,
)
from bayes_hybrid.diagnostics.regimes.description import describe
from bayes_hybrid.diagnostics.regimes.thresholds import threshold_findings
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.plots import plot_boundary, plot_fit, plot_regime, plot_thresholds

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
    reg = with_units(
        HybridRegressor(
            noise="constant", fit_options=quick, random_state=0, progress=False, **settings
        ),
        num_units=4,
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
        assert reg.predict([[0.1]]) == fit.posterior.predictive.mean([[0.1]])
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


# -- weights count as copies would


def _weighed(reg):
    """Restarts 0 and 1 with weights 1/4 and 3/4; and 0, 1, 1, 1, which count alike."""
    one = _fits(reg)[0]
    copies = reg.fit_._of(np.array([0, 1, 1, 1]))
    copies = dataclasses.replace(copies, posterior=_with_weights(copies.posterior, None))
    return one, _with_readings(copies, [1, 2, 3, 0])


def _with_weights(posterior, weights):
    return dataclasses.replace(posterior, weights=weights)


@pytest.fixture(scope="module")
def weighed(mixture):
    return _weighed(mixture)


@pytest.fixture(scope="module")
def threshold():
    return _weighed(_fitted(gate="threshold"))


def _close(one, other, rtol=1e-9):
    """Equal up to the order in which weights are added."""
    if isinstance(one, pd.DataFrame):
        words = one.select_dtypes(exclude="number")
        pd.testing.assert_frame_equal(words, other.select_dtypes(exclude="number"))
        one, other = (frame.select_dtypes("number").to_numpy() for frame in (one, other))
    if isinstance(one, list):
        assert one == other
    else:
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-9)


COUNTED = {
    # 29 of 40 draws are 72.5%, which words round either way; rows have a test of their own.
    **{name: ask for name, ask in REGIMES.items() if name not in ("words", "boundaries of rows")},
    **{name: ask for name, ask in PREDICTIONS.items() if name != "scores"},
    "slopes": lambda fit: effect_curve(fit, derivative=True).to_frame(),
    "single rows": lambda fit: partial_dependence(fit).to_frame(individual=True),
    "figure of boundaries": lambda fit: _bars(plot_boundary(fit)),
    "new rows in a table": lambda fit: fit.posterior.predictive.regime_summary(fit.x, [0.05, 0.95]),
}


def _bars(figure):
    return np.array([bar.get_height() for bar in figure.axes[1].patches])


@pytest.mark.parametrize("what", COUNTED)
def test_weights_count_as_copies_would(weighed, what):
    _close(*(COUNTED[what](fit) for fit in weighed))


def test_boundaries_of_rows_count_by_weight(weighed):
    one, copied = (boundaries(fit, of="rows") for fit in weighed)
    assert one.probability_none == pytest.approx(copied.probability_none)
    assert len(one.boundaries) == len(copied.boundaries)
    gap = float(np.diff(weighed[0].x[:, 0]).max())
    for mine, other in zip(one.boundaries, copied.boundaries, strict=True):
        assert mine.probability_exists == pytest.approx(other.probability_exists)
        # Draws are spread over a gap between rows by their number, which copies have of their own.
        assert mine.mean == pytest.approx(other.mean, abs=gap)


def test_thresholds_count_by_weight(threshold):
    one, copied = threshold
    _close(threshold_table(one), threshold_table(copied))
    (mine,), (other,) = map(threshold_findings, threshold)
    assert mine.value == pytest.approx(other.value, rel=1e-9)
    assert mine.meaning == other.meaning


def test_a_histogram_of_thresholds_counts_by_weight(threshold):
    (bars,) = [part for part in plot_thresholds(threshold[0]).axes[0].patches if _steps(part)]
    density, edges, _ = bars.get_data()
    mean = density * np.diff(edges) @ (0.5 * (edges[1:] + edges[:-1]))
    # A draw is half a bin from the middle of its bin at most.
    expected = threshold_table(threshold[0])["mean"][0]
    assert mean == pytest.approx(expected, abs=0.5 * float(np.diff(edges)[0]))


def _steps(part):
    return isinstance(part, StepPatch)


def test_the_estimator_counts_by_weight(mixture, weighed):
    found = []
    for fit in weighed:
        reg = copy.copy(mixture)
        reg.fit_ = fit
        found.append((reg.training_regimes(), reg.predict_regime(fit.x, fit.y)))
    for one, copied in zip(*found, strict=True):
        np.testing.assert_allclose(one, copied, rtol=1e-9, atol=1e-12)


def test_scores_count_by_weight(weighed):
    one, copied = (predictive_scores(fit, fit.x, fit.y, seed=0) for fit in weighed)
    drawn = one["score"] == "crps"
    _close(one[~drawn], copied[~drawn], rtol=1e-4)  # quantiles stop at 1e-5 of the level
    (mine,), (other,) = (table[drawn].itertuples() for table in (one, copied))
    error = np.hypot(mine.monte_carlo_error, other.monte_carlo_error)
    assert abs(mine.value - other.value) < 4.0 * error
    assert mine.monte_carlo_error == pytest.approx(other.monte_carlo_error, rel=0.5)


def test_predictive_checks_count_by_weight(weighed):
    """Each mean of 400 replicated data sets is within four standard errors of the exact one."""
    one, copied = weighed
    x, y = one.x, one.y
    made = [predictive_checks(fit, x, y, num_replicates=400, seed=0) for fit in (one, copied)]
    for name in ("pit", "predicted"):
        np.testing.assert_allclose(getattr(made[0], name), getattr(made[1], name), rtol=1e-9)
    assert made[0].replicated.shape == (60, len(x))  # no more than there are draws
    for each in made:
        error = np.sqrt(one.posterior.predictive.variance(x) / len(each.replicated))
        assert (np.abs(each.replicated.mean(axis=0) - each.predicted) < 4.0 * error).all()


# These ask how restarts differ, of which copies of one are not two; or draw at random.
_OF_RESTARTS = {"regime_disagreement", "mean_disagreement", "seed_dependence", "guide_k"}
_AT_RANDOM = {"more_regimes", "pit_uniformity"}


@pytest.mark.parametrize("gate", ["weighed", "threshold"])
def test_findings_count_by_weight(gate, request):
    one, copied = ({f.name: f for f in diagnose(fit)} for fit in request.getfixturevalue(gate))
    assert one.keys() == copied.keys()
    assert {"usage[A]", "regime_worth[A]"} <= one.keys() or gate == "threshold"
    for name in one.keys() - _OF_RESTARTS - _AT_RANDOM:
        assert one[name].value == pytest.approx(copied[name].value, rel=1e-9, abs=1e-12), name
        assert one[name].severity == copied[name].severity
        if one[name].interval is not None:
            assert one[name].interval == pytest.approx(copied[name].interval, rel=1e-9), name


def test_a_light_restart_is_not_lost(fits):
    """A weight of 1% is less than one place in 32."""
    fit = fits[0]
    light = dataclasses.replace(fit, posterior=_with_weights(fit.posterior, np.array([0.01, 0.99])))
    light = _with_readings(light, [1, 0])
    assert light.for_regimes.posterior.num_restarts == 2
    draws = fit.posterior.by_draw.regime_probability(fit.x, fit.y).mean(axis=1)
    found = regime_posterior(light).probability
    np.testing.assert_allclose(found, 0.01 * draws[0] + 0.99 * draws[1], rtol=1e-9)
    assert np.abs(found - draws[1]).max() > 1e-4
