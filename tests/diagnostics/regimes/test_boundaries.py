"""Boundaries against closed forms, thresholds, and draws made by hand."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize, special

from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics import boundaries, regions
from bayes_hybrid.diagnostics.evaluation import evaluation
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from tests.diagnostics.fakes import FakeFit, FakePosterior, draw_quantiles, healthy
from tests.models import zoo

_WIDE = np.linspace(-8.0, 8.0, 9)


def zoo_fit(gate, num_regimes, *, scale=1.0):
    """Random draws of one of the package's own models; the two features run from -8 to 8."""
    model = zoo.MODELS[f"mixture of {num_regimes}, {gate}, constant"]
    table = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(2, 15, table.num_parameters, generator=generator, dtype=torch.float64)
    posterior = Posterior(
        model=model,
        theta=scale * theta,
        x_scaling=Standardizer(mean=np.array([0.5, -0.5]), scale=np.array([2.0, 1.5])),
        y_scaling=Standardizer(mean=np.array(0.0), scale=np.array(1.0)),
    )
    return FakeFit(
        posterior=posterior,  # (one of the package's own)
        x=np.column_stack([_WIDE, _WIDE]),
        y=np.zeros(9),
        feature_names=("a", "b"),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Places(FakePosterior):
    """Draws with sudden changes at given places; the first regime is the one below them all."""

    places: tuple[tuple[float, ...], ...] = ()
    first: tuple[int, ...] = ()

    def regime_probability_draws(self, x, y=None, labels=None):
        passed = [[(x[:, 0] > place) for place in each] for each in self.places]
        number = np.array([np.sum(each, axis=0) if each else np.zeros(len(x)) for each in passed])
        regime = (number + np.array(self.first)[:, None]) % 2
        return 0.1 + 0.8 * (regime[None, ..., None] == np.arange(2))


def made_of(places, first=None):
    """A fit of one restart, a draw for each tuple of places, over x from 0 to 10."""
    posterior = Places(
        sites={"scale": np.ones((1, len(places), 2))},
        places=tuple(places),
        first=tuple(first or [0] * len(places)),
    )
    return FakeFit(posterior=posterior, x=np.array([[0.0], [10.0]]), y=np.zeros(2))


# Against other answers


def test_a_logistic_gate_has_its_closed_form():
    fit = healthy(jitter=0.1)
    (found,) = boundaries(fit).boundaries
    # Its log odds are a straight line, so interpolation is exact up to rounding.
    np.testing.assert_allclose(found.draws, fit.posterior.sites["switch"], rtol=1e-9)
    switch = fit.posterior.sites["switch"]
    assert (found.mean, found.sd) == pytest.approx((switch.mean(), switch.std()), rel=1e-9)
    ends = draw_quantiles(switch, [0.05, 0.95])
    assert (found.lower, found.upper) == pytest.approx(tuple(ends), rel=1e-9)
    assert (found.below, found.above) == ("gaussian", "relu")
    # Weights of 400 draws add up to one, up to rounding.
    shares = (found.probability_exists, found.agreement, found.changes)
    assert shares == pytest.approx((1.0, 1.0, 1.0), rel=1e-12)


@pytest.mark.parametrize(("at", "b"), [(None, 0.0), ({"b": 1.0}, 1.0), ([99.0, -2.0], -2.0)])
def test_the_linear_gate_has_its_closed_form(at, b):
    fit = zoo_fit("linear", 2)
    sites, scaling = fit.posterior.sites, fit.posterior.x_scaling
    # A read-out's weights are sampled as raw numbers and a scale over the root of their fan-in.
    weight = sites["gate.head.weight_raw"][..., 0, :]
    bias = sites["gate.head.bias"][..., 0] / sites["gate.head.weight_scale"] * np.sqrt(2.0)
    held = (b - scaling.mean[1]) / scaling.scale[1]
    exact = -(bias + weight[..., 1] * held) / weight[..., 0] * scaling.scale[0] + scaling.mean[0]
    inside = (exact > -8.0) & (exact < 8.0)
    assert 5 < inside.sum() < 30
    # With a resolution of about the whole range there is one boundary.
    result = boundaries(fit, "a", at=at, resolution=0.99)
    (found,) = result.boundaries
    np.testing.assert_array_equal(~np.isnan(found.draws), inside)
    np.testing.assert_allclose(found.draws[inside], exact[inside], rtol=1e-7, atol=1e-9)
    assert found.probability_exists == inside.mean()
    assert result.probability_none == pytest.approx(1.0 - inside.mean())


@pytest.mark.parametrize("num_regimes", [2, 3])
@pytest.mark.parametrize("gate", ["threshold", "monotone"])
def test_gates_with_thresholds_have_their_thresholds(gate, num_regimes):
    fit = zoo_fit(gate, num_regimes, scale=0.7)
    thresholds = fit.posterior.thresholds
    assert thresholds is not None
    grid = 2_000
    result = boundaries(fit, thresholds.feature, resolution=0.99, grid=grid)
    assert len(result.boundaries) == num_regimes - 1
    # Interpolation is exact for a threshold; the monotone warp bends within a cell.
    tolerance = 1e-7 if gate == "threshold" else 16.0 / (grid - 1)
    for k, found in enumerate(result.boundaries):
        assert (found.below, found.above) == fit.posterior.regime_names[k : k + 2]
        exact = thresholds.location[..., k]
        exact = np.where(
            np.abs(exact) < 8.0, exact, np.nan
        )  # beyond the data nothing is looked for
        assert np.isfinite(exact).sum() > 20
        np.testing.assert_allclose(found.draws, exact, rtol=0.0, atol=tolerance)


def test_a_relu_gate_crosses_where_a_root_finder_says():
    fit = zoo_fit("relu", 2, scale=2.0)
    result = boundaries(fit, 0, resolution=0.2, grid=3_000)

    def odds(a, restart, draw):
        probs = fit.posterior.by_draw.regime_probability(np.array([[a, 0.0]]))[restart, draw, 0]
        return np.log(probs[1] / probs[0])

    checked = 0
    for found in result.boundaries:
        for restart, draw in zip(*np.nonzero(~np.isnan(found.draws)), strict=True):
            place = found.draws[restart, draw]
            cell = 16.0 / 2_999
            root = optimize.brentq(odds, place - cell, place + cell, args=(restart, draw))
            assert place == pytest.approx(root, abs=cell)
            checked += 1
    assert checked > 5


# From changes to boundaries


def test_draws_without_the_change_are_counted():
    result = boundaries(made_of([(4.0,), (4.2,), (), (4.1,)]))
    (found,) = result.boundaries
    assert found.probability_exists == 0.75
    assert result.probability_none == 0.25
    # A cell is 10 / 399 wide, and a sudden change is put into its middle.
    np.testing.assert_allclose(found.draws[0], [4.0, 4.2, np.nan, 4.1], atol=0.013)
    assert found.sd == pytest.approx(np.std([4.0, 4.2, 4.1]), abs=0.013)


def test_exchanged_roles_are_one_boundary():
    # The mean of p(z | x) is 1/2 everywhere, and crosses nowhere.
    (found,) = boundaries(made_of([(4.0,)] * 3 + [(4.1,)] * 2, first=[0, 0, 0, 1, 1])).boundaries
    assert (found.below, found.above) == ("gaussian", "relu")
    assert found.agreement == pytest.approx(0.6)
    assert found.probability_exists == 1.0
    # Named as most draws have it.
    (other,) = boundaries(made_of([(4.0,)] * 3, first=[0, 1, 1])).boundaries
    assert (other.below, other.above) == ("relu", "gaussian")
    assert other.agreement == pytest.approx(2 / 3)


def test_separate_changes_are_separate_boundaries_in_order():
    result = boundaries(made_of([(2.0, 7.0), (2.1, 7.2), (7.1,), (2.2, 5.0, 7.0)]))
    frame = result.to_frame()
    np.testing.assert_allclose(frame["mean"], [2.1, 5.0, 7.075], atol=0.02)
    assert frame["probability_exists"].tolist() == [0.75, 0.25, 1.0]
    assert frame["changes"].tolist() == [1.0, 1.0, 1.0]
    # Draw 3 begins below 7 in the first regime, where the others are in the second.
    assert frame["agreement"].tolist()[0] == 1.0


def test_changes_nearer_than_the_resolution_are_one_and_each_draw_gives_its_nearest():
    # The nearest is the first of two changes in one draw, the second in another.
    places = [(4.0,)] * 8 + [(4.0, 4.2), (3.8, 4.0)]
    (found,) = boundaries(made_of(places)).boundaries
    np.testing.assert_allclose(found.draws, 4.0, atol=0.03)
    assert found.changes == pytest.approx(1.2)
    # A finer look tells them apart.
    assert len(boundaries(made_of(places), resolution=0.01).boundaries) == 3


def test_a_boundary_of_next_to_no_draw_is_left_out():
    places = [(4.0,)] * 39 + [(4.0, 8.0)]
    assert len(boundaries(made_of(places)).boundaries) == 1
    assert len(boundaries(made_of(places[18:])).boundaries) == 1  # one of 22
    assert len(boundaries(made_of(places[20:])).boundaries) == 2  # one of 20


def test_no_change_is_no_boundary():
    result = boundaries(made_of([(), ()]))
    assert result.boundaries == ()
    assert result.probability_none == 1.0
    assert result.to_frame().empty
    assert list(result.to_frame()) == list(boundaries(made_of([(4.0,)])).to_frame())


def test_a_step_that_underflows_is_found():
    fit = healthy(restarts=1, draws=2, jitter=0.0, slope=1e6)
    (found,) = boundaries(fit).boundaries
    np.testing.assert_allclose(found.draws, 0.3, atol=4.0 / 399)
    assert np.isfinite(found.draws).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": "dosis"}, "did you mean 'dose'"),
        ({"prob": 90}, "prob"),
        ({"resolution": 0.0}, "resolution"),
        ({"grid": 1}, "grid"),
        ({"of": "row"}, "did you mean 'rows'"),
        ({"at": [1.0, 2.0]}, "at must be 1 numbers"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        boundaries(healthy(restarts=1, draws=2), **options)


def test_one_regime_and_a_constant_feature_are_refused():
    fit = healthy(restarts=1, draws=2)
    with pytest.raises(OptionError, match="'dose' is constant"):
        boundaries(dataclasses.replace(fit, x=np.ones((5, 1))))
    single = dataclasses.replace(fit.posterior, regime_names=("relu",))
    with pytest.raises(OptionError, match="one regime"):
        boundaries(dataclasses.replace(fit, posterior=single))


# Between fitted rows


def test_rows_say_between_which_of_them_and_no_more():
    flat = {"intercept": [0.0, 5.0], "weight": [0.0, 0.0], "slope": 1.0}
    fit = healthy(restarts=4, draws=250, jitter=1e-3, **flat)
    fit = dataclasses.replace(fit, y=5.0 * (fit.x[:, 0] > 0.3))
    (found,) = boundaries(fit, of="rows").boundaries
    # Experts five apart, and the noise a quarter: each row's own regime is certain.
    second = fit.y > 2.5
    x = fit.x[:, 0]
    assert np.abs(np.diff(second)).sum() == 1
    low, high = x[~second].max(), x[second].min()
    assert found.probability_exists == 1.0
    # Evenly over the gap: a thousand multiples of the golden ratio leave holes of at most 3 / 1000.
    expected = low + np.array([0.05, 0.95]) * (high - low)
    assert [found.lower, found.upper] == pytest.approx(expected, abs=0.003 * (high - low))
    for restart in found.draws:  # of each restart by itself, too
        ends = (np.quantile(restart, [0.05, 0.95]) - low) / (high - low)
        assert ends == pytest.approx([0.05, 0.95], abs=0.012)
    # The gate itself is vaguer than its draws' rows, where its slope is small.
    assert (found.below, found.above) == ("gaussian", "relu")


def test_rows_in_any_order_and_in_chunks_give_the_same(monkeypatch):
    fit = healthy(restarts=2, draws=20, jitter=0.1)
    whole = boundaries(fit, of="rows").to_frame()
    mixed = np.random.default_rng(0).permutation(len(fit.x))
    shuffled = dataclasses.replace(fit, x=fit.x[mixed], y=fit.y[mixed])
    monkeypatch.setattr(evaluation, "_CELLS_PER_CHUNK", 7 * 40 * 2)
    pd.testing.assert_frame_equal(boundaries(shuffled, of="rows").to_frame(), whole)


def test_labels_of_rows_count():
    fit = healthy(restarts=1, draws=10)
    labels = (np.arange(len(fit.x)) >= 30).astype(float)
    (found,) = boundaries(dataclasses.replace(fit, labels=labels), of="rows").boundaries
    assert fit.x[29, 0] <= found.lower < found.upper <= fit.x[30, 0]


def test_rows_of_several_features_are_refused():
    with pytest.raises(OptionError, match=r"one feature.*this one has 2; take of='gate'"):
        boundaries(healthy(restarts=1, draws=2, num_features=2), of="rows")


# Regions


def test_regions_of_a_step():
    fit = healthy(jitter=0.05)
    table = regions(fit, prob=0.8)
    assert table["regime"].tolist() == ["gaussian", "relu"]
    assert table["feature"].tolist() == ["dose", "dose"]
    assert (table["start"][0], table["stop"][1]) == (fit.x.min(), fit.x.max())
    assert table["stop"][0] == table["start"][1]

    def mean(x):
        return fit.posterior.by_draw.regime_probability(np.array([[x]]))[..., 1].mean() - 0.5

    assert table["stop"][0] == pytest.approx(optimize.brentq(mean, 0.0, 1.0), abs=4.0 / 399)
    # The average over a region is the integral of the logistic curve, here by Simpson's rule.
    sites = fit.posterior.sites
    x = np.linspace(table["start"][1], table["stop"][1], 2_001)
    curves = special.expit(sites["slope"][..., None] * (x - sites["switch"][..., None]))
    average = np.trapezoid(curves, x, axis=-1).ravel() / np.ptp(x)
    # A grid of 400 points against one of 2,001.
    assert table["probability"][1] == pytest.approx(average.mean(), abs=2e-3)
    assert table["lower"][1] == pytest.approx(draw_quantiles(average, 0.1), abs=2e-3)
    assert table["upper"][1] == pytest.approx(draw_quantiles(average, 0.9), abs=2e-3)


def test_regions_follow_the_mean_over_draws():
    table = regions(made_of([(2.0, 7.0)] * 3 + [()]))
    assert table["regime"].tolist() == ["gaussian", "relu", "gaussian"]
    np.testing.assert_allclose(table["stop"], [2.0, 7.0, 10.0], atol=0.013)
    np.testing.assert_allclose(table["probability"], [0.9, 0.75 * 0.9 + 0.25 * 0.1, 0.9])


def test_one_regime_is_one_region():
    fit = made_of([(), ()])
    table = regions(fit)
    row = table.iloc[0]
    assert len(table) == 1
    assert (row["regime"], row["start"], row["stop"]) == ("gaussian", 0.0, 10.0)
