"""Figures: what is in them, and that nothing else changes."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bayes_hybrid.diagnostics import boundaries, effect_curve, regime_posterior
from bayes_hybrid.errors import OptionError
from bayes_hybrid.plots import (
    plot_boundary,
    plot_effect,
    plot_fit,
    plot_overview,
    plot_regime,
    plot_regime_uncertainty,
)
from bayes_hybrid.plots.style import PALETTE, blend, regime_styles
from tests.diagnostics.fakes import collapsed, healthy
from tests.diagnostics.outputs import several_outputs

PLOTS = [plot_fit, plot_regime, plot_overview]


def small(**options):
    return healthy(restarts=2, draws=20, **options)


@pytest.mark.parametrize("plot", PLOTS)
def test_labels_come_from_the_data(plot):
    fit = dataclasses.replace(small(), feature_names=("time in ms",), target_name="force")
    axes = plot(fit, grid=5).axes
    assert axes[-1].get_xlabel() == "time in ms"
    assert axes[0].get_ylabel() == ("regime probability" if plot is plot_regime else "force")


@pytest.mark.parametrize("plot", PLOTS)
def test_other_features_are_held_and_the_caption_says_so(plot):
    fit = small(num_features=3)
    by_position, by_name = plot(fit, feature=1, grid=5), plot(fit, feature="other 1", grid=5)
    for figure in (by_position, by_name):
        assert figure.axes[-1].get_xlabel() == "other 1  (other features at their medians)"


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": 1}, r"0\.\.0"),
        ({"feature": -1}, r"0\.\.0"),
        ({"feature": "dosis"}, "did you mean 'dose'"),
        ({"prob": 90}, "prob"),
        ({"grid": 1}, "grid"),
    ],
)
def test_bad_options_are_refused(plot, options, message):
    with pytest.raises(OptionError, match=message):
        plot(small(), **options)


def test_bands_are_the_quantiles_and_the_line_is_the_mean():
    fit = small()
    axes = plot_fit(fit, prob=0.8, grid=7).axes[0]
    x, mean = np.asarray(axes.lines[0].get_data())
    grid = x[:, None]
    np.testing.assert_allclose(mean, fit.posterior.predictive.mean(grid))
    outer = np.asarray(axes.collections[0].get_paths()[0].vertices)
    quantiles = fit.posterior.predictive.quantile(grid, [0.1, 0.9])
    assert outer[:, 1].min() == pytest.approx(quantiles.min())
    assert outer[:, 1].max() == pytest.approx(quantiles.max())


def test_regime_lines_are_means_over_draws():
    fit = small()
    axes = plot_regime(fit, grid=9).axes[0]
    for regime, line in enumerate(axes.lines):
        x, mean = np.asarray(line.get_data())
        draws = fit.posterior.by_draw.regime_probability(x[:, None])
        np.testing.assert_allclose(mean, draws[..., regime].mean(axis=(0, 1)))
    assert [line.get_label() for line in axes.lines] == ["gaussian", "relu"]


def test_every_point_is_inside_and_the_legend_outside():
    fit = small()
    y = fit.y.copy()
    y[3], y[7] = 40.0, -40.0
    figure = plot_fit(dataclasses.replace(fit, y=y), grid=5)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert low < -40.0
    assert high > 40.0
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1


def test_axes_that_are_given_are_used():
    figure = Figure()
    axes = figure.subfigures(1, 2)[0].add_subplot()
    assert plot_fit(small(), grid=5, ax=axes) is figure
    assert axes.get_ylabel() == "response"


def test_a_collapsed_gate_and_a_constant_feature_can_be_drawn():
    fit = collapsed(restarts=2, draws=20)
    plot_overview(fit, grid=5)
    plot_overview(dataclasses.replace(fit, x=np.ones_like(fit.x)), grid=5)


def test_styles_differ_and_a_pathway_keeps_its_own():
    names = ("relu", "gaussian", "a", "b", "c", "d")
    styles = regime_styles(names)
    assert len({style.color for style in styles.values()}) == 6
    assert len({style.marker for style in styles.values()}) == 6
    assert regime_styles(("relu",))["relu"] == styles["relu"]
    assert regime_styles(("gaussian", "relu"))["gaussian"] == styles["gaussian"]
    assert len(regime_styles(tuple("abcdefgh"))) == 8


def test_the_first_two_colours_differ_in_grey():
    # Rec. 601 luma, which printers use.
    first, second = (np.dot(to_rgb(style.color), [0.299, 0.587, 0.114]) for style in PALETTE[:2])
    assert abs(first - second) > 0.25


def test_blend_mixes_in_proportion():
    styles = regime_styles(("gaussian", "relu"))
    pure = blend(np.eye(2), styles)
    np.testing.assert_allclose(pure, [to_rgb(style.color) for style in styles.values()])
    np.testing.assert_allclose(blend(np.array([0.5, 0.5]), styles), pure.mean(axis=0))


# Boundaries and uncertainty


@pytest.mark.parametrize("plot", [plot_boundary, plot_regime_uncertainty])
def test_the_new_figures_are_drawn_and_nothing_global_changes(plot, tmp_path):
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    figure = plot(small(num_features=2), feature="dose", grid=20)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
    assert figure.axes[-1].get_xlabel() == "dose  (other features at their medians)"
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


@pytest.mark.parametrize("plot", [plot_boundary, plot_regime_uncertainty])
@pytest.mark.parametrize(
    ("options", "message"), [({"feature": "dosis"}, "did you mean 'dose'"), ({"grid": 1}, "grid")]
)
def test_bad_options_of_the_new_figures_are_refused(plot, options, message):
    with pytest.raises(OptionError, match=message):
        plot(small(), **options)


def test_the_bars_hold_the_share_of_draws_that_change():
    fit = small(jitter=0.1)
    fit.posterior.sites["switch"][0] = 50.0  # the first of two restarts never changes
    axes = plot_boundary(fit, prob=0.8).axes[1]
    # The bars sum to the share of the draws, whatever their width.
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert sum(heights) == pytest.approx(0.5)
    (found,) = boundaries(fit, prob=0.8).boundaries
    interval, dot = axes.lines
    np.testing.assert_allclose(np.asarray(interval.get_xdata()), [found.lower, found.upper])
    np.testing.assert_allclose(np.asarray(dot.get_xdata()), [found.mean])
    assert [text.get_text() for text in axes.texts] == ["in 50% of draws"]


def test_no_boundary_is_said():
    axes = plot_boundary(small(switch=50.0), grid=5).axes[1]
    assert "no boundary" in axes.texts[0].get_text()


def test_the_stack_is_the_split_of_the_entropy():
    fit = small(jitter=0.1)
    axes = plot_regime_uncertainty(fit, grid=9).axes[0]
    x, total = np.asarray(axes.lines[0].get_data())
    found = regime_posterior(fit, x[:, None])
    np.testing.assert_allclose(total, found.total_entropy)
    tops = [np.asarray(part.get_paths()[0].vertices)[:, 1].max() for part in axes.collections]
    assert tops[0] == pytest.approx(found.ambiguity.max())
    assert tops[1] == pytest.approx(found.total_entropy.max())


# Several outputs


@pytest.fixture(scope="module")
def several():
    return several_outputs()


@pytest.mark.parametrize("plot", [plot_fit, plot_overview])
@pytest.mark.parametrize(("output", "q"), [(None, 0), (1, 1), ("heat", 1), ("glow", 2)])
def test_one_of_several_outputs_is_drawn(several, plot, output, q):
    wanted = {} if output is None else {"output": output}
    axes = plot(several, prob=0.8, grid=5, **wanted).axes[0]
    assert axes.get_ylabel() == several.output_names[q]
    x = axes.lines[0].get_xdata()
    points = np.column_stack([x, np.full(5, np.median(several.x[:, 1]))])
    np.testing.assert_allclose(
        axes.lines[0].get_ydata(), several.posterior.predictive.mean(points)[:, q]
    )
    outer = np.asarray(axes.collections[0].get_paths()[0].vertices)
    quantiles = several.posterior.predictive.quantile(points, [0.1, 0.9])[:, q]
    assert outer[:, 1].min() == pytest.approx(quantiles.min())
    assert outer[:, 1].max() == pytest.approx(quantiles.max())
    shown = np.concatenate([np.asarray(c.get_offsets()) for c in axes.collections[-2:]])
    assert np.ma.masked_invalid(shown[:, 1]).compressed().size == 12 - (q == 1)
    low, high = axes.get_ylim()
    assert low <= np.nanmin(several.y[:, q]) < np.nanmax(several.y[:, q]) <= high


def test_the_regimes_of_several_outputs_are_drawn_as_ever(several):
    axes = plot_regime(several, grid=5).axes[0]
    assert [line.get_label() for line in axes.lines] == list(several.posterior.regime_names)


@pytest.mark.parametrize(
    ("output", "message"), [(3, r"0\.\.2"), (-1, r"0\.\.2"), ("heatt", "did you mean 'heat'")]
)
def test_an_output_that_is_none_is_refused(several, output, message):
    with pytest.raises(OptionError, match=message):
        plot_fit(several, output=output)


def test_the_only_output_may_be_named():
    fit = small()
    assert plot_fit(fit, output="response", grid=5).axes[0].get_ylabel() == "response"
    with pytest.raises(OptionError, match=r"output must be a name or lie in 0\.\.0"):
        plot_fit(fit, output=1)


# A regime that nobody uses


def test_a_regime_that_nobody_uses_is_not_drawn():
    fit = collapsed(restarts=2, draws=20)
    assert fit.readings[0].used.tolist() == [True, False]
    (line,) = plot_regime(fit, grid=5).axes[0].lines
    assert line.get_label() == "gaussian"
    axes = plot_fit(fit, grid=5).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == ["gaussian", "predictive mean"]
    # Every row has a marker.
    assert len(np.asarray(axes.collections[-1].get_offsets())) == len(fit.x)
    (expert,) = plot_effect(effect_curve(fit, of="expert", grid=5)).axes[0].lines
    assert expert.get_label() == "gaussian"
