"""Figures of predictive checks: what is drawn is what was checked."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from bayes_hybrid.diagnostics import predictive_checks
from bayes_hybrid.diagnostics.scores.statistics import STATISTICS
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.plots import (
    plot_coverage,
    plot_pit,
    plot_ppc,
    plot_rootogram,
    plot_statistics,
)
from bayes_hybrid.plots.style import regime_styles
from tests.diagnostics.fakes import healthy, make_data

PLOTS = [plot_ppc, plot_pit, plot_coverage, plot_statistics]


@pytest.fixture(scope="module")
def checked():
    return predictive_checks(healthy(restarts=2, draws=30), seed=0)


@pytest.mark.parametrize("plot", PLOTS)
def test_a_figure_of_one_regime_is_drawn_and_nothing_global_changes(plot, checked, tmp_path):
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    plot(checked, regime="relu").savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


@pytest.mark.parametrize("plot", PLOTS)
def test_a_regime_that_is_none_is_refused(plot, checked):
    with pytest.raises(OptionError, match="did you mean 'relu'"):
        plot(checked, regime="relo")


@pytest.mark.parametrize("plot", PLOTS[:3])
def test_axes_that_are_given_are_used(plot, checked):
    figure = Figure()
    assert plot(checked, ax=figure.add_subplot()) is figure


def test_densities_are_those_of_the_data_and_their_replicates(checked):
    axes = checked.plot(regime="gaussian", prob=0.8).axes[0]
    band, middle, line = (p for p in axes.patches if isinstance(p, StepPatch))
    values, edges, _ = line.get_data()
    rows = checked.rows("gaussian")
    np.testing.assert_allclose(values, np.histogram(checked.y[rows], edges, density=True)[0])
    assert values @ np.diff(edges) == pytest.approx(1.0)
    made = [np.histogram(draw, edges)[0] for draw in checked.replicated[:, rows]]
    made = np.array(made) / (rows.sum() * np.diff(edges))
    high, _, low = band.get_data()
    ends = np.asarray(low), np.asarray(high)
    np.testing.assert_allclose(ends, np.quantile(made, [0.1, 0.9], axis=0))
    np.testing.assert_allclose(middle.get_data()[0], np.median(made, axis=0))
    assert line.get_edgecolor()[:3] == mpl.colors.to_rgb(
        regime_styles(("gaussian", "relu"))["gaussian"].color
    )


@pytest.fixture(scope="module")
def counted(checked):
    rng = np.random.default_rng(1)
    y = rng.poisson(3.0, checked.y.shape).astype(float)
    made = rng.poisson(3.0, checked.replicated.shape).astype(float)
    return dataclasses.replace(checked, y=y, replicated=made)


def test_bars_of_counts_hang_from_what_is_expected(counted, tmp_path):
    figure = plot_rootogram(counted, regime="relu", prob=0.8)
    figure.savefig(tmp_path / "figure.png")
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    centres, expected = np.asarray(axes.lines[0].get_data())
    rows = counted.rows("relu")
    numbers = [round(bar.get_x() + bar.get_width() / 2.0) for bar in bars]
    np.testing.assert_array_equal(numbers, centres)
    made = np.sqrt([[(each[rows] == n).sum() for n in numbers] for each in counted.replicated])
    np.testing.assert_allclose(expected, made.mean(axis=0))
    for n, bar, top in zip(numbers, bars, expected, strict=True):
        assert bar.get_height() == pytest.approx(np.sqrt((counted.y[rows] == n).sum()))
        assert bar.get_y() + bar.get_height() == pytest.approx(top)
    (band,) = (patch for patch in axes.patches if isinstance(patch, StepPatch))
    high, _, low = band.get_data()
    ends = expected - np.quantile(made, [0.9, 0.1], axis=0)
    np.testing.assert_allclose(np.stack([low, high]), ends, atol=1e-12)
    other = Figure()
    assert plot_rootogram(counted, ax=other.add_subplot()) is other


def test_a_rootogram_is_of_counts(checked, counted):
    with pytest.raises(DataError, match=r"a rootogram is of counts, .* take plot_ppc"):
        plot_rootogram(checked)
    with pytest.raises(DataError, match="and of a likelihood of counts"):
        plot_rootogram(dataclasses.replace(checked, y=counted.y))
    with pytest.raises(OptionError, match="did you mean 'relu'"):
        plot_rootogram(counted, regime="relo")


def test_the_pit_is_that_of_the_checks(checked):
    axes = plot_pit(checked, prob=0.9).axes[0]
    ecdf = checked.pit_ecdf(prob=0.9)
    np.testing.assert_allclose(np.asarray(axes.lines[1].get_data()), [ecdf.points, ecdf.difference])
    outline = np.asarray(axes.collections[0].get_paths()[0].vertices)
    assert outline[:, 1].min() == pytest.approx(ecdf.lower.min())
    assert outline[:, 1].max() == pytest.approx(ecdf.upper.max())
    assert axes.get_xlabel() == "leave-one-out PIT of response"
    held_out = predictive_checks(healthy(), *make_data(20), seed=0)
    assert plot_pit(held_out).axes[0].get_xlabel() == "PIT of response"


def test_coverage_is_that_of_the_checks(checked):
    axes = plot_coverage(checked, regime="relu").axes[0]
    level, coverage = np.asarray(axes.lines[1].get_data())
    np.testing.assert_allclose(coverage, checked.coverage("relu", levels=level)["coverage"])


def test_statistics_have_a_panel_each_with_its_p_value(checked):
    figure = plot_statistics(checked)
    table = checked.statistics()
    titles = [axes.get_title() for axes in figure.axes[: len(STATISTICS)]]
    expected = zip(table["statistic"], table["p_value"], strict=True)
    assert titles == [f"{name}, p = {value:.2f}" for name, value in expected]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), table["observed"][0])


@pytest.mark.parametrize("plot", [plot_ppc, plot_statistics, plot_coverage])
def test_a_constant_target_and_a_single_row_are_drawn(plot):
    fit = healthy(restarts=2, draws=30)
    for value in (1.0, 1e20):  # at which bins of width one cannot be told apart
        constant = dataclasses.replace(fit, y=np.full_like(fit.y, value))
        plot(predictive_checks(constant, seed=0)).draw_without_rendering()
    one = predictive_checks(fit, np.zeros((1, 1)), np.zeros(1), seed=0)
    plot(one).draw_without_rendering()
