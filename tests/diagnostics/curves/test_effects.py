"""Curves along a feature: the fake's closed forms, brute force, and a real model's differences."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special

from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics import contributions, effect_curve, partial_dependence
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from tests.diagnostics.fakes import FakeFit, draw_quantiles, healthy
from tests.models import zoo

# The same sums in another order, of numbers of size 1 to 1e4.
EXACT = 1e-10


def small(**options):
    return healthy(restarts=2, draws=20, jitter=0.2, **options)


def by_hand(fit, along):
    """Gate of the second regime and means of both, each ``[R, S, G]``, from the fake's formula."""
    sites = {name: draws[:, :, None] for name, draws in fit.posterior.sites.items()}
    gate = special.expit(sites["slope"] * (along - sites["switch"]))
    first, second = (sites["intercept"][..., k] + sites["weight"][..., k] * along for k in range(2))
    return gate, first, second


def real(name, *, num_rows=15, seed=0):
    """A fit of two features by a model of the package, in units far from 1; nothing is trained."""
    rng = np.random.default_rng(seed)
    model = zoo.MODELS[name]
    x = rng.standard_normal((num_rows, zoo.NUM_FEATURES)) * [10.0, 0.1] + [100.0, -3.0]
    shape = (num_rows,) if model.num_outputs == 1 else (num_rows, model.num_outputs)
    y = 1e3 * rng.standard_normal(shape) + 5e3
    if y.ndim > 1:
        y[3, 1] = np.nan
    size = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES)).num_parameters
    generator = torch.Generator().manual_seed(1)
    posterior = Posterior(
        model=model,
        theta=0.5 * torch.randn(2, 3, size, generator=generator, dtype=torch.float64),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y, missing=y.ndim > 1),
    )
    names = ("y",) if y.ndim == 1 else tuple(f"output {q}" for q in range(y.shape[1]))
    return FakeFit(
        posterior=posterior,  # (one of the package's own)
        x=x,
        y=y,
        feature_names=("dose", "other"),
        target_name="y",
        output_names=names,
    )


# Effect curves


def test_curves_are_the_closed_forms():
    fit = small()
    mean = effect_curve(fit, "dose", grid=7)
    np.testing.assert_allclose(mean.along, np.linspace(fit.x.min(), fit.x.max(), 7))
    gate, first, second = by_hand(fit, mean.along)
    whole = (1.0 - gate) * first + gate * second
    np.testing.assert_allclose(mean.draws[..., 0], whole, rtol=EXACT, atol=EXACT)
    experts = effect_curve(fit, 0, of="expert", grid=7)
    np.testing.assert_allclose(experts.draws, np.stack([first, second], -1), rtol=EXACT, atol=EXACT)
    added = effect_curve(fit, 0, of="contribution", grid=7)
    expected = np.stack([(1.0 - gate) * (first - fit.y.mean()), gate * (second - fit.y.mean())], -1)
    np.testing.assert_allclose(added.draws, expected, rtol=EXACT, atol=EXACT)
    assert (mean.names, experts.names) == (("mean",), ("gaussian", "relu"))


def test_slopes_of_the_mean_are_the_closed_form():
    fit = small()
    curve = effect_curve(fit, derivative=True, grid=9)
    gate, first, second = by_hand(fit, curve.along)
    sites = {name: draws[:, :, None] for name, draws in fit.posterior.sites.items()}
    rise = sites["slope"] * gate * (1.0 - gate)
    weights = sites["weight"][..., 0] * (1.0 - gate) + sites["weight"][..., 1] * gate
    expected = rise * (second - first) + weights
    np.testing.assert_allclose(curve.draws[..., 0], expected, rtol=EXACT, atol=EXACT)
    assert curve.derivative


def test_mean_and_band_are_those_of_the_draws():
    curve = effect_curve(small(), prob=0.5, grid=4)
    flat = curve.draws[..., 0].reshape(-1, 4)
    np.testing.assert_allclose(curve.mean[:, 0], flat.mean(axis=0))
    np.testing.assert_allclose(curve.lower[:, 0], draw_quantiles(flat, 0.25, axis=0))
    np.testing.assert_allclose(curve.upper[:, 0], draw_quantiles(flat, 0.75, axis=0))
    frame = effect_curve(small(), of="expert", prob=0.5, grid=4).to_frame()
    assert frame.shape == (8, 8)
    relu = frame[frame["curve"] == "relu"]
    np.testing.assert_allclose(relu["value"], curve.along)
    experts = effect_curve(small(), of="expert", prob=0.5, grid=4)
    for name in ("mean", "lower", "upper"):
        np.testing.assert_allclose(relu[name], getattr(experts, name)[:, 1])


REAL = [
    "mixture of 2, relu, input",
    "mixture of 3, threshold, constant",
    "mixture of mixed families",
    "mixture of 2, 3 outputs",
    "mixture of 2, constant, constant",
    "gaussian, deep",
]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("of", ["mean", "expert", "contribution"])
@pytest.mark.parametrize("feature", [0, 1])
def test_slopes_are_the_limit_of_differences(name, of, feature):
    fit = real(name)
    exact = effect_curve(fit, feature, of=of, derivative=True, output=-1 % len(fit.output_names))
    # Differences over 2e-5 of the range: cut-off and rounding errors are near 1e-9 of the values.
    step = 1e-5 * np.ptp(fit.x[:, feature])
    sides = []
    for sign in (-1.0, 1.0):
        x = fit.x.copy()
        x[:, feature] += sign * step
        at = np.median(fit.x, axis=0)
        moved = dataclasses.replace(fit, x=x)
        curve = effect_curve(moved, feature, of=of, at=at, output=-1 % len(fit.output_names))
        sides.append(curve.draws)
    differences = (sides[1] - sides[0]) / (2.0 * step)
    # A kink between the two sides makes a difference of its own: a point in 20,000 has one.
    error = np.abs(exact.draws - differences) / np.abs(differences).max()
    assert np.quantile(error, 0.99) < 1e-5
    assert exact.draws.shape == differences.shape


def test_the_mean_is_the_posteriors_own_and_contributions_sum_to_it():
    fit = real("mixture of 2, 3 outputs")
    for q, name in enumerate(fit.output_names):
        curve = effect_curve(fit, 1, output=name, grid=6)
        points = np.column_stack([np.full(6, np.median(fit.x[:, 0])), curve.along])
        np.testing.assert_allclose(
            curve.mean[:, 0], fit.posterior.predictive.mean(points)[:, q], rtol=1e-8
        )
        added = effect_curve(fit, 1, of="contribution", output=q, grid=6)
        total = added.draws.sum(axis=-1) + np.nanmean(fit.y[:, q])
        np.testing.assert_allclose(total, curve.draws[..., 0], rtol=1e-8)


@pytest.mark.parametrize(
    "at",
    [
        [99.0, -2.5],
        {"dose": 99.0, "other": -2.5},
        pd.Series({"dose": 99.0, "other": -2.5}),
    ],
    ids=["values", "names", "series"],
)
def test_the_other_features_are_held_where_they_are_asked_to_be(at):
    fit = real("mixture of 2, relu, input")
    curve = effect_curve(fit, "other", at=at, grid=5)
    points = np.column_stack([np.full(5, 99.0), curve.along])
    np.testing.assert_allclose(curve.mean[:, 0], fit.posterior.predictive.mean(points), rtol=1e-8)
    assert curve.held == "other features at the given values"


def test_points_beyond_the_data_are_flagged():
    fit = small()
    low, high = fit.x.min(), fit.x.max()
    curve = effect_curve(fit, grid=np.linspace(1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low, 201))
    outside = (curve.along < low) | (curve.along > high)
    assert outside.sum() > 90
    assert curve.out_of_data[outside].all()
    middle = (curve.along > -1.5) & (curve.along < 1.5)  # where rows are dense
    # About one training row in a hundred is itself called far, and so are points beside it.
    assert curve.out_of_data[middle].mean() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": 1}, r"0\.\.0"),
        ({"feature": 0.0}, r"0\.\.0; got 0\.0"),
        ({"feature": None}, r"0\.\.0; got None"),
        ({"feature": True}, r"0\.\.0; got True"),
        ({"feature": "dosis"}, "did you mean 'dose'"),
        ({"of": "means"}, "did you mean 'mean'"),
        ({"prob": 90}, "percentage"),
        ({"grid": 1}, "grid"),
        ({"grid": [0.0]}, "values that rise"),
        ({"grid": [1.0, 0.0]}, "values that rise"),
        ({"grid": [0.0, np.inf]}, "values that rise"),
        ({"grid": ["low", "high"]}, "values that rise"),
        ({"output": 1}, "output"),
        ({"at": {"dosis": 1.0}}, "did you mean 'dose'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        effect_curve(small(), **options)


@pytest.mark.parametrize(
    "at",
    [[1.0, 2.0], [np.nan], {"dose": np.inf}, [[1.0]], ["high"], {"dose": "high"}, {"dose": []}],
)
def test_a_row_that_is_none_is_refused(at):
    with pytest.raises(OptionError, match=r"at must be 1 numbers|at: expected a finite number"):
        effect_curve(small(), at=at)


def test_a_constant_feature_has_no_effect_to_show():
    fit = small()
    fit = dataclasses.replace(fit, x=np.ones_like(fit.x))
    with pytest.raises(OptionError, match=r"'dose' is 1 in every row.*the values as the grid"):
        effect_curve(fit)
    assert effect_curve(fit, grid=[0.5, 1.0, 1.5]).along.tolist() == [0.5, 1.0, 1.5]


# Partial dependence


def test_partial_dependence_is_the_mean_over_rows_of_each_draw(monkeypatch):
    fit = real("mixture of 2, relu, input")
    found = partial_dependence(fit, "other", grid=4)
    expected = np.zeros((2, 3, 4))
    for row in fit.x:
        points = np.column_stack([np.full(4, row[0]), found.curve.along])
        gate, means = fit.posterior.by_draw.gate_and_mean(points)
        expected += (gate * means).sum(axis=-1) / len(fit.x)
    np.testing.assert_allclose(found.curve.draws[..., 0], expected, rtol=1e-8)
    one = np.column_stack([np.full(4, fit.x[6, 0]), found.curve.along])
    np.testing.assert_allclose(
        found.individual[6, :, 0], fit.posterior.predictive.mean(one), rtol=1e-8
    )
    # One row at a time gives the same.
    monkeypatch.setattr("bayes_hybrid.diagnostics.evaluation.evaluation._CELLS_PER_CHUNK", 1)
    chunked = partial_dependence(fit, "other", grid=4)
    np.testing.assert_allclose(chunked.curve.draws, found.curve.draws, rtol=1e-10)
    np.testing.assert_allclose(chunked.individual, found.individual, rtol=1e-10)


def test_with_one_feature_it_is_the_effect():
    fit = small()
    found, curve = partial_dependence(fit, grid=5, max_rows=3), effect_curve(fit, grid=5)
    np.testing.assert_allclose(found.curve.draws, curve.draws, rtol=EXACT, atol=EXACT)
    assert found.rows.tolist() == [0, 60, 119]
    assert found.individual.shape == (3, 5, 1)


def test_frames_of_partial_dependence():
    fit = real("mixture of 2, relu, input")
    found = partial_dependence(fit, 0, of="expert", grid=4, max_rows=5)
    pd.testing.assert_frame_equal(found.to_frame(), found.curve.to_frame())
    frame = found.to_frame(individual=True)
    assert len(frame) == 5 * 4 * 2
    part = frame[(frame["row"] == found.rows[2]) & (frame["curve"] == "relu")]
    np.testing.assert_array_equal(part["mean"], found.individual[2, :, 1])
    np.testing.assert_array_equal(part["value"], found.curve.along)
    np.testing.assert_array_equal(part["out_of_data"], found.out_of_data[2])


def test_combinations_that_never_came_are_flagged():
    # Two features that move together: half way along one, the rows of the ends are far from all.
    rng = np.random.default_rng(0)
    fit = small(num_features=2)
    t = rng.uniform(-2.0, 2.0, 120)
    fit = dataclasses.replace(fit, x=np.column_stack([t, t + 0.01 * rng.standard_normal(120)]))
    found = partial_dependence(fit, 0, grid=21, max_rows=120)
    near = np.abs(found.curve.along - fit.x[:, 1:]) < 0.02
    far = np.abs(found.curve.along - fit.x[:, 1:]) > 1.0
    assert found.out_of_data[far].all()
    assert near.sum() > 10
    assert found.out_of_data[near].mean() < 0.2
    assert found.curve.out_of_data.mean() > 0.9  # most rows are elsewhere


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_rows": 0}, "max_rows"), ({"of": "relu"}, "of must be one of"), ({"prob": 0}, "prob")],
)
def test_bad_options_of_partial_dependence(options, message):
    with pytest.raises(OptionError, match=message):
        partial_dependence(small(), **options)


# Contributions


def test_the_parts_sum_to_the_predictive_variance():
    fit = real("mixture of 2, 3 outputs")
    found = contributions(fit, 0, output=2, grid=6)
    points = np.column_stack([found.pathways.along, np.full(6, np.median(fit.x[:, 1]))])
    variance = fit.posterior.predictive.variance(points)[:, 2]
    np.testing.assert_allclose(found.variance.sum(axis=1), variance, rtol=1e-8)
    np.testing.assert_allclose(found.share.sum(axis=1), 1.0)
    assert found.parts == ("gaussian", "relu", "between regimes", "between draws")
    assert found.baseline == pytest.approx(np.nanmean(fit.y[:, 2]))


def test_each_part_is_its_term_of_the_law_of_total_variance():
    fit = small()
    found = contributions(fit, grid=3)
    gate, first, second = by_hand(fit, found.pathways.along)
    scale = fit.posterior.sites["scale"][:, :, None]
    whole = (1.0 - gate) * first + gate * second
    expected = [
        ((1.0 - gate) * scale[..., 0] ** 2).mean(axis=(0, 1)),
        (gate * scale[..., 1] ** 2).mean(axis=(0, 1)),
        (gate * (1.0 - gate) * (second - first) ** 2).mean(axis=(0, 1)),  # of a Bernoulli
        whole.reshape(-1, 3).var(axis=0),
    ]
    np.testing.assert_allclose(found.variance, np.transpose(expected), rtol=EXACT)


def test_the_parts_are_those_of_simulated_draws():
    fit = small()
    found = contributions(fit, grid=2)
    rng = np.random.default_rng(0)
    gate, first, second = by_hand(fit, found.pathways.along)
    size = (4_000, *gate.shape)
    z = rng.random(size) < gate
    scale = fit.posterior.sites["scale"][:, :, None]
    y = np.where(z, second, first)
    y = y + np.where(z, scale[..., 1], scale[..., 0]) * rng.standard_normal(size)
    total = y.reshape(-1, 2).var(axis=0)
    # 160,000 draws: the relative standard error of a variance is about 0.4%; five of them.
    np.testing.assert_allclose(found.variance.sum(axis=1), total, rtol=0.02)


def test_one_regime_has_nothing_between_regimes():
    found = contributions(real("relu, constant"), grid=3)
    assert found.parts == ("relu", "between regimes", "between draws")
    # (mu - m)^2 with m = 1 * mu, but for the rounding of exp(0).
    np.testing.assert_allclose(found.variance[:, 1], 0.0, atol=1e-6)
    frame = found.to_frame()
    assert frame["mean"].notna().sum() == 3
    np.testing.assert_allclose(frame["share"].groupby(frame["value"]).sum(), 1.0)
