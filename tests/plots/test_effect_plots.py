"""Figures of effects, contributions, thresholds, findings, training and restarts hold the numbers
that they say they hold, and a regime looks the same in each of them."""

import dataclasses
import inspect
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch, StepPatch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from bayes_hybrid import HybridRegressor, plots
from bayes_hybrid.diagnostics import (
    Finding,
    contributions,
    diagnose,
    effect_curve,
    partial_dependence,
    threshold_table,
)
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.regimes.gate import regime_distance
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.inference.result import Stage
from bayes_hybrid.plots.findings import margin
from bayes_hybrid.plots.source import as_fit
from bayes_hybrid.plots.style import OUT_OF_DATA_HATCH, PALETTE, regime_styles
from tests.budgets import tiny
from tests.diagnostics.curves.test_effects import real
from tests.diagnostics.fakes import healthy, told, with_thresholds

pytestmark = pytest.mark.usefixtures("few_ratios")

STAGES = (
    Stage(name="recording", reason="compiled", steps=0, seconds=1.0),
    Stage(
        name="warm start: all",
        reason="held-out density stopped improving",
        steps=300,
        seconds=1.0,
        trace=(-2.0, -1.0, -0.5),
        usage_before=(0.5, 0.5),
        usage_after=(0.7, 0.3),
    ),
    Stage(
        name="SVI",
        reason="the ELBO has settled",
        steps=100,
        seconds=1.0,
        trace=(900.0, 20.0, 11.0, 10.0),
        usage_before=(0.7, 0.3),
        usage_after=(0.8, 0.2),
    ),
)


def small(**options):
    return told(
        with_thresholds(healthy(restarts=2, draws=20, jitter=0.1, **options)), stages=STAGES
    )


OF_RESULTS: dict[str, Any] = {"plot_effect": effect_curve, "plot_contributions": contributions}


def draw(name, source, **options):
    """The figure, with curves of few points."""
    if name in OF_RESULTS:
        return OF_RESULTS[name](as_fit(source), **({"grid": 20} | options)).plot()
    plot = getattr(plots, name)
    few = {"grid": 20} if "grid" in inspect.signature(plot).parameters else {}
    return plot(source, **few, **options)


def xy(line):
    """The points of a line, ``[2, G]``."""
    return np.asarray(line.get_data(), dtype=float)


# All of them

OF_COUNTS = {"plot_rootogram"}
"""test_predictive.py draws counts."""


@pytest.mark.parametrize("name", sorted({*plots.__all__} - OF_COUNTS))
def test_every_figure_is_drawn_and_nothing_global_changes(name, tmp_path):
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    figure = draw(name, small())
    figure.savefig(tmp_path / "figure.png")
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


@pytest.fixture(scope="module")
def estimator():
    """A fit of two features and one regime, good for nothing."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (30, 2))
    options = tiny(num_draws=30)
    model = with_units(
        HybridRegressor(model="relu", fit_options=options, random_state=0), num_units=3
    )
    return model.fit(X, X.sum(axis=1))


@pytest.mark.parametrize(
    "name", sorted({*plots.__all__} - {"plot_thresholds", "plot_boundary"} - OF_COUNTS)
)
def test_every_figure_takes_the_estimator_and_one_regime(name, estimator):
    figure, same = draw(name, estimator), draw(name, estimator.fit_)
    assert len(figure.axes) == len(same.axes) > 0


@pytest.mark.parametrize("name", sorted({*plots.__all__} - {*OF_RESULTS}))
@pytest.mark.parametrize(
    "source",
    [None, "fit/", xr.DataTree.from_dict({"posterior": xr.Dataset()})],
    ids=["none", "path", "tree"],
)
def test_what_is_no_fit_is_refused(name, source):
    with pytest.raises(OptionError, match=rf"fit_.*of type {type(source).__name__}"):
        draw(name, source)


def test_estimators_without_a_fit_are_refused():
    with pytest.raises(NotFittedError):
        plots.plot_fit(HybridRegressor())
    with pytest.raises(OptionError, match="LinearRegression"):
        plots.plot_fit(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))


@pytest.mark.parametrize("name", OF_RESULTS)
def test_what_is_no_result_is_refused(name):
    with pytest.raises(OptionError, match=r"must be a .*; got HybridRegressor"):
        getattr(plots, name)(HybridRegressor())


def regime_faces(figure, style):
    """Hatches of whatever is filled with the colour of a regime."""
    patches = [
        artist
        for axes in figure.axes
        for artist in (*axes.patches, *axes.collections)
        if isinstance(artist, Patch | PolyCollection)
    ]
    found = set()
    for artist in patches:
        faces = np.atleast_2d(artist.get_facecolor())
        faces = faces if len(faces) and faces[0, 3] > 0 else np.atleast_2d(artist.get_edgecolor())
        if len(faces) and to_hex(faces[0]) == style.color.lower():
            found.add(artist.get_hatch())
    return found


FILLED = [
    ("plot_fit", {}),
    ("plot_regime", {}),
    ("plot_overview", {}),
    ("plot_effect", {"of": "expert"}),
    ("plot_contributions", {}),
    ("plot_thresholds", {}),
    ("plot_training", {}),
    ("plot_partial_dependence", {"of": "contribution"}),
]


@pytest.mark.parametrize(("name", "options"), FILLED, ids=[name for name, _ in FILLED])
def test_a_regime_has_its_hatch_wherever_it_has_its_colour(name, options):
    figure = draw(name, small(), **options)
    for style in regime_styles(("gaussian", "relu")).values():
        assert regime_faces(figure, style) == {style.hatch}


def test_the_first_two_styles_differ_in_grey_and_hatches_differ():
    # Rec. 601 luma, which printers use; a quarter of the scale is seen at a glance.
    first, second = (np.dot(to_rgb(style.color), [0.299, 0.587, 0.114]) for style in PALETTE[:2])
    assert abs(first - second) > 0.25
    assert len({style.hatch for style in PALETTE} | {OUT_OF_DATA_HATCH}) == len(PALETTE) + 1


# Effects


@pytest.mark.parametrize("of", ["mean", "expert", "contribution"])
@pytest.mark.parametrize("derivative", [False, True])
def test_lines_and_bands_are_those_of_the_effect(of, derivative):
    fit = small()
    curve = effect_curve(fit, of=of, derivative=derivative, prob=0.8, grid=9)
    axes = plots.plot_effect(curve).axes[0]
    for number, name in enumerate(curve.names):
        np.testing.assert_array_equal(axes.lines[number].get_xdata(), curve.along)
        np.testing.assert_array_equal(axes.lines[number].get_ydata(), curve.mean[:, number])
        assert axes.lines[number].get_label() == name
        corners = np.asarray(axes.collections[number].get_paths()[0].vertices)
        assert corners[:, 1].min() == curve.lower[:, number].min()
        assert corners[:, 1].max() == curve.upper[:, number].max()
    assert ("slope" in axes.get_ylabel()) == derivative


def test_strips_without_data_are_hatched():
    fit = small()
    curve = effect_curve(fit, grid=np.linspace(1.4 * fit.x.min(), 1.4 * fit.x.max(), 50))
    axes = plots.plot_effect(curve).axes[0]
    strips = [patch for patch in axes.patches if patch.get_hatch() == OUT_OF_DATA_HATCH]
    inside = np.zeros(50, dtype=bool)
    for strip in strips:
        left, right = strip.get_extents().transformed(axes.transData.inverted()).intervalx
        # Pixels and back: the last digits of the outermost points.
        inside |= (left - 1e-9 <= curve.along) & (curve.along <= right + 1e-9)
    np.testing.assert_array_equal(inside, curve.out_of_data)
    assert 0 < inside.sum() < 50
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["mean", "out of data"]


def test_partial_dependence_has_a_panel_for_each_feature():
    fit = small(num_features=3)
    fit = dataclasses.replace(fit, x=fit.x * [1.0, 0.0, 1.0])  # the second is constant
    figure = plots.plot_partial_dependence(fit, grid=5, max_rows=7, individual=4)
    assert [axes.get_xlabel() for axes in figure.axes] == ["dose", "other 2"]
    for axes, feature in zip(figure.axes, (0, 2), strict=True):
        found = partial_dependence(fit, feature, grid=5, max_rows=7)
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.curve.mean[:, 0])
        assert len(axes.lines) == 1 + 4
        np.testing.assert_array_equal(axes.lines[2].get_ydata(), found.individual[2, :, 0])
    assert len(plots.plot_partial_dependence(fit, features=["other 2"], grid=3).axes) == 1
    (alone,) = partial_dependence(fit, 0, grid=5, max_rows=7).plot(individual=4).axes
    for line, same in zip(alone.lines, figure.axes[0].lines, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), same.get_ydata())


@pytest.mark.parametrize("features", [[], "dose"])
def test_features_have_to_be_a_list(features):
    with pytest.raises(OptionError, match="features must be a list"):
        plots.plot_partial_dependence(small(), features=features)


def test_contributions_are_lines_above_and_shares_below():
    fit = small()
    found = contributions(fit, grid=6)
    upper, lower = found.plot().axes
    for number in range(2):
        drawn = upper.lines[number].get_ydata()
        np.testing.assert_array_equal(drawn, found.pathways.mean[:, number])
    np.testing.assert_allclose(xy(upper.lines[2])[1], found.pathways.mean.sum(axis=1))
    tops = np.cumsum(found.share, axis=1)
    for part, area in enumerate(lower.collections):
        corners = np.asarray(area.get_paths()[0].vertices)
        assert corners[:, 1].max() == pytest.approx(tops[:, part].max())
    assert len(lower.collections) == 4


OUTPUTS = ["plot_effect", "plot_contributions", "plot_restarts", "plot_partial_dependence"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_one_of_several_outputs_is_drawn(name):
    fit = real("mixture of 2, 3 outputs")
    axes = draw(name, fit, output="output 2").axes[0]
    assert "output 2" in axes.get_ylabel()
    with pytest.raises(OptionError, match="did you mean 'output 2'"):
        draw(name, fit, output="outputs 2")


# Leaving rows out takes more draws than this fit has; test_predictive.py draws three regimes.
NEED_DRAWS = {"plot_coverage", "plot_pit", "plot_ppc", "plot_statistics"}


@pytest.mark.parametrize(
    "name", sorted({*plots.__all__} - NEED_DRAWS - OF_COUNTS - {"plot_training"})
)
def test_three_regimes_are_drawn(name):
    fit = real("mixture of 3, threshold, constant")
    draw(name, fit).draw_without_rendering()


# Thresholds


def test_the_threshold_is_its_draws_mean_and_interval():
    fit = small()
    axes = plots.plot_thresholds(fit, prob=0.8).axes[0]
    row = threshold_table(fit, prob=0.8).iloc[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [row["lower"], row["upper"]])
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [row["mean"]])
    histogram, *spans = axes.patches
    assert isinstance(histogram, StepPatch)
    values, edges, _ = histogram.get_data()
    density, _ = np.histogram(fit.posterior.sites["switch"], edges, density=True)
    np.testing.assert_allclose(values, density)
    assert [span.get_label() for span in spans] == ["gaussian", "relu"]
    boundary = spans[0].get_extents().transformed(axes.transData.inverted()).x1
    assert boundary == pytest.approx(row["mean"])
    assert axes.get_xlabel() == "dose"


def test_a_gate_without_thresholds_and_draws_that_are_all_alike():
    with pytest.raises(OptionError, match="no threshold"):
        plots.plot_thresholds(healthy(restarts=2, draws=20))
    still = with_thresholds(healthy(restarts=2, draws=20, jitter=0.0))
    plots.plot_thresholds(still).draw_without_rendering()


# Findings


def finding(value, comparison, threshold, severity="ok"):
    return Finding(
        name="f",
        value=value,
        comparison=comparison,
        threshold=threshold,
        severity=severity,
        meaning="",
    )


@pytest.mark.parametrize(
    ("value", "comparison", "threshold", "expected"),
    [
        (2.0, ">=", 1.0, 1 / 3),
        (2.0, "<=", 1.0, -1 / 3),
        (0.0, "<=", 0.0, 0.0),
        (0.0, "<=", 0.5, 1.0),
        (np.inf, "<=", 1.0, -1.0),
        (-np.inf, "<=", 1.0, 1.0),
    ],
)
def test_margin(value, comparison, threshold, expected):
    assert margin(finding(value, comparison, threshold)) == pytest.approx(expected)


def test_findings_are_all_there_at_their_margins():
    fit = small()
    expected = diagnose(fit)
    axes = plots.plot_findings(fit).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [f.name for f in expected]
    drawn = [xy(line)[0, 0] for line in axes.lines if xy(line).shape[1] == 1]
    np.testing.assert_array_equal(drawn, [margin(one) for one in expected])
    assert axes.get_xticks().tolist() == [-1.0, 0.0, 1.0]  # what a margin is at most


def test_findings_that_are_given_and_their_markers():
    given = [
        finding(np.nan, ">=", 1.0, "warning"),
        finding(3.0, "<=", 1.0, "error"),
        finding(0.5, "<=", 1.0),
    ]
    figure = plots.plot_findings(small(), findings=given)
    figure.draw_without_rendering()
    markers = [line.get_marker() for line in figure.axes[0].lines if xy(line).shape[1] == 1]
    assert markers == ["^", "X", "o"]
    with pytest.raises(OptionError, match="at least one"):
        plots.plot_findings(small(), findings=[])


# Training and restarts


def test_training_shows_traces_and_usage():
    start, svi, usage = plots.plot_training(small()).axes
    assert (start.get_title("left"), svi.get_title("left")) == ("warm start:\nall", "SVI")
    np.testing.assert_array_equal(start.lines[0].get_ydata(), [-2.0, -1.0, -0.5])
    np.testing.assert_allclose(xy(start.lines[0])[0], [100.0, 200.0, 300.0])
    assert start.get_ylabel() == "held-out log density"
    assert svi.get_ylabel() == "ELBO, nats"
    np.testing.assert_array_equal(svi.lines[0].get_ydata(), -np.array(STAGES[2].trace))
    bars = [bar.get_path().get_extents(bar.get_patch_transform()) for bar in usage.patches]
    heights = np.reshape([bar.height for bar in bars], (2, 3))
    np.testing.assert_allclose(heights, [[0.5, 0.7, 0.8], [0.5, 0.3, 0.2]])
    np.testing.assert_allclose([bar.y0 for bar in bars[3:]], heights[0])


def test_training_of_several_plans_wraps_and_says_where_other_restarts_begin():
    one, two = (
        dataclasses.replace(STAGES[1], name=f"warm start, {name}: all", usage_before=before)
        for name, before in (("a", (0.5, 0.5)), ("b", (0.4, 0.6)))
    )
    again = dataclasses.replace(one, usage_before=one.usage_after)
    stages = (one, again, again, two, STAGES[2])
    *traces, usage = plots.plot_training(told(small(), stages=stages)).axes
    assert len(traces) == 5
    places: list[Any] = [axes.get_subplotspec() for axes in (*traces, usage)]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [
        *((0, column) for column in range(4)),
        (1, 0),
        (2, 0),
    ]
    labels = [label.get_text() for label in usage.get_xticklabels()]
    assert labels[0] == "start"
    assert labels[4:6] == ["before\nb:\nall", "after\nb:\nall"]
    assert labels[-1] == "after\nSVI"


def test_a_fit_that_was_not_trained_here_has_no_training_to_show():
    with pytest.raises(OptionError, match="no trace"):
        plots.plot_training(told(small(), stages=()))


def test_restarts_show_their_curves_and_distances():
    fit = small()
    left, right, _ = plots.plot_restarts(fit, grid=5).axes
    curve = effect_curve(fit, grid=5)
    for restart, line in enumerate(left.lines):
        np.testing.assert_allclose(xy(line)[1], curve.draws[restart].mean(axis=0)[:, 0])
    distance = regime_distance(evaluate(fit, max_rows=None).responsibilities)
    np.testing.assert_allclose(np.asarray(right.images[0].get_array()), distance)
    assert right.texts[1].get_text() == f"{distance[0, 1]:.2f}"
