"""Rows with a size: the exposure of a count, the trials of a proportion."""

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from pyro import poutine
from scipy import stats

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import build_model
from bayes_hybrid.gates import LinearGate, MonotoneGate, ObliqueGate, ThresholdGate
from bayes_hybrid.likelihoods import Binomial, NegativeBinomial, Normal, Poisson
from bayes_hybrid.models import HybridMixture, Line, Pathway, PathwayModel
from bayes_hybrid.models.latent import given
from bayes_hybrid.models.regularised import Regularised, neighbours
from bayes_hybrid.report import write_report
from tests.budgets import SHORT


def _rows(size=6):
    x = torch.randn(size, 3, dtype=torch.float64)
    x[:, 1] = torch.arange(size) + 2.0
    return x, torch.cat([x[:, :1], x[:, 2:]], dim=-1)


def _values(model, x):
    pyro.set_rng_seed(0)
    trace = poutine.trace(model.sampled).get_trace(x)
    return {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}


def _mixture(likelihood, gate, num_features):
    paths = tuple(Pathway(kind=k, num_units=3, likelihood=likelihood) for k in ("gaussian", "relu"))
    return HybridMixture(num_features=num_features, experts=paths, gate=gate)


@pytest.mark.parametrize(
    ("gate", "alone"),
    [
        (LinearGate(), LinearGate()),
        (ThresholdGate(feature=2), ThresholdGate(feature=1)),
        (MonotoneGate(feature=0), MonotoneGate(feature=0)),
        (ObliqueGate(), ObliqueGate()),
    ],
)
def test_gate_and_pathways_see_the_other_columns(gate, alone):
    x, others = _rows()
    model = _mixture(Poisson(base=2.0, exposure=1), gate, 3)
    plain = _mixture(Poisson(base=2.0), alone, 2)
    values = _values(plain, others)
    assert set(values) == set(_values(model, x))
    found, expected = model.parts(given(values), x)(x), plain.parts(given(values), others)(others)
    assert torch.equal(found.log_weights, expected.log_weights)
    for ours, theirs in zip(found.experts, expected.experts, strict=True):
        torch.testing.assert_close(ours.density.mean, x[:, 1] * theirs.density.mean)


def test_a_threshold_along_a_direction_has_a_place_for_every_column():
    x, _ = _rows()
    model = _mixture(Poisson(base=2.0, exposure=1), ObliqueGate(), 3)
    values = _values(model, x)
    found = model.boundaries(values)
    plain = _mixture(Poisson(base=2.0), ObliqueGate(), 2).boundaries(values)
    assert found.direction.shape == (3,)
    assert found.direction[1] == 0.0
    assert torch.equal(found.direction[[0, 2]], plain.direction)


def test_the_density_is_that_of_the_size():
    x, others = _rows()
    y = torch.arange(6.0, dtype=torch.float64)
    for likelihood, reference in (
        (NegativeBinomial(base=2.0, concentration=3.0, exposure=1), "rate"),
        (Binomial(base=0.4, trials=1), "share"),
    ):
        model = PathwayModel(num_features=3, pathway=Line(likelihood=likelihood))
        values = _values(model, x)
        location = torch.nn.functional.linear(
            others / np.sqrt(2.0),
            values["line.location.weight_scale"] * values["line.location.weight_raw"],
            values["line.location.bias"],
        )[:, 0].numpy()
        size = x[:, 1].numpy()
        if reference == "rate":
            mean = 2.0 * np.exp(location) * size
            expected = stats.nbinom(3.0, 3.0 / (3.0 + mean)).logpmf(y.numpy())
        else:
            chance = 1.0 / (1.0 + np.exp(-np.log(0.4 / 0.6) - location))
            expected = stats.binom(size, chance).logpmf(y.numpy())
        trace = poutine.trace(poutine.condition(model.marginal, values)).get_trace(x, y)
        trace.compute_log_prob()
        np.testing.assert_allclose(trace.nodes["y"]["log_prob"], expected, rtol=1e-6)


def test_smoothness_is_asked_along_features_alone():
    x, _ = _rows()
    below, above = neighbours(x, 1).chunk(2)
    moved = (above - below) != 0.0
    assert moved.sum(-1).tolist() == [1] * 6
    assert moved.any(0).tolist() == [True, False, True]
    model = _mixture(Poisson(base=2.0, exposure=1), LinearGate(), 3)
    pyro.set_rng_seed(0)
    trace = poutine.trace(Regularised(model, {"relu_smoothness": 1.0}).marginal).get_trace(x)
    assert bool(torch.isfinite(trace.nodes["relu_smoothness"]["fn"].log_factor))


@pytest.mark.parametrize(
    ("likelihood", "y", "size", "base"),
    [
        (Poisson(exposure=0), [3.0, 9.0], [1.0, 5.0], 2.0),
        (NegativeBinomial(exposure=0), [[0.0, 4.0], [np.nan, 8.0]], [2.0, 4.0], (0.25, 2.0)),
        (Binomial(trials=0), [1.0, 4.0], [4.0, 5.0], 5.5 / 10.0),
    ],
)
def test_the_base_is_that_of_one_unit(likelihood, y, size, base):
    assert likelihood.anchored(np.array(y), np.array(size)).base == pytest.approx(base)


@pytest.fixture(scope="module")
def rates():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"years": rng.uniform(1.0, 40.0, 100), "dose": rng.uniform(0.0, 10.0, 100)})
    y = rng.poisson(X["years"] * np.where(X["dose"] < 4.0, 0.3, 1.5))
    reg = HybridRegressor(
        likelihood=Poisson(exposure="years"),
        experts=("constant", "constant"),
        gate=ThresholdGate(feature="dose"),
        fit_options=SHORT,
        random_state=0,
    )
    return reg.fit(X, y), X, y


def test_counts_grow_with_their_exposure(rates):
    reg, X, y = rates
    model, scaling = reg.fit_.posterior.model, reg.fit_.posterior.x_scaling
    assert model.experts[0].likelihood == Poisson(exposure=0, base=y.sum() / X["years"].sum())
    assert (scaling.mean[0], scaling.scale[0]) == (0.0, 1.0)
    np.testing.assert_allclose(reg.predict(X.assign(years=2.0 * X["years"])), 2.0 * reg.predict(X))
    rate = reg.predict(X.assign(years=1.0))
    # Some 400 and 1,900 counts in all: four standard errors.
    assert abs(rate[X["dose"] < 3.5].mean() - 0.3) < 4.0 * 0.3 / 20.0
    assert abs(rate[X["dose"] > 4.5].mean() - 1.5) < 4.0 * 1.5 / 40.0
    assert abs(reg.fit_.posterior.thresholds.location.mean() - 4.0) < 0.5
    with pytest.raises(DataError, match="exposure: expected numbers above 0; got 0"):
        reg.predict(X.assign(years=0.0))


def test_the_only_other_column_is_the_gates():
    reg = HybridRegressor(gate="threshold", experts=("constant", "constant"))
    assert build_model(reg.set_params(likelihood=Poisson(exposure=0)), 2).gate.feature == 1
    assert build_model(reg.set_params(likelihood=Poisson(exposure=1)), 2).gate.feature == 0
    with pytest.raises(OptionError, match="expected the column that the gate reads"):
        build_model(reg, 3)


def test_a_fit_with_exposure_comes_back_and_is_reported(rates, tmp_path):
    reg, X, _ = rates
    reg.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    assert back.fit_.posterior.model == reg.fit_.posterior.model
    np.testing.assert_array_equal(back.predict(X), reg.predict(X))
    write_report(back, tmp_path / "report.html")
    assert "Its exposure is in column 1." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_events_among_trials_are_fitted():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-1.0, 1.0, 80), rng.integers(1, 30, 80)])
    y = rng.binomial(X[:, 1].astype(int), 0.3)
    reg = HybridRegressor(model="line", likelihood=Binomial(trials=1), fit_options=SHORT)
    reg.set_params(random_state=0).fit(X, y)
    # Some 1,200 trials: four standard errors.
    assert abs(reg.predict([[0.0, 1.0]])[0] - 0.3) < 4.0 * np.sqrt(0.21 / 1_200)
    assert reg.predict_interval(X)[:, 1].max() <= 29
    assert reg.log_density([[0.0, 4.0]], [5.0])[0] == -np.inf
    with pytest.raises(DataError, match=r"trials: expected whole numbers from 1 on; got 2\.5"):
        reg.predict([[0.0, 2.5]])


@pytest.mark.parametrize(
    ("likelihood", "X", "y", "words"),
    [
        (Poisson(exposure=0), [[0.0, 1.0]], [1.0], "exposure: expected numbers above 0; got 0"),
        (Poisson(exposure=2), [[1.0, 1.0]], [1.0], "exposure: expected an index below 2"),
        (Poisson(exposure=0), [[1.0]], [1.0], "exposure: expected a feature beside the sizes"),
        (Binomial(trials=0), [[2.5, 1.0]], [1.0], "trials: expected whole numbers from 1 on"),
        (Binomial(trials=0), [[3.0, 1.0]], [4.0], "as there are trials; got 4 of 3 in row 1"),
    ],
)
def test_what_no_row_has_is_refused(likelihood, X, y, words):
    X, y = np.repeat(X, 8, axis=0), np.repeat(y, 8)
    X[1:, 0] = 9.0  # one row is enough
    reg = HybridRegressor(model="line", likelihood=likelihood, fit_options=SHORT, random_state=0)
    with pytest.raises((DataError, OptionError), match=words):
        reg.fit(X, y)


def test_columns_that_cannot_be_sizes_are_refused():
    with pytest.raises(OptionError, match="trials: expected the column with the number of trials"):
        PathwayModel(num_features=2, pathway=Pathway(likelihood=Binomial()))
    with pytest.raises(OptionError, match=r"exposure must be an integer >= 0; got 1\.5"):
        Poisson(exposure=1.5)
    with pytest.raises(OptionError, match="the gate would read column 1, the size of the rows"):
        _mixture(Poisson(base=2.0, exposure=1), ThresholdGate(feature=1), 2).marginal(
            torch.ones(2, 2)
        )
    one, other = (Pathway(likelihood=Poisson(exposure=column)) for column in (0, 1))
    with pytest.raises(OptionError, match="are not of one"):
        HybridMixture(num_features=3, experts=(one, other))
    assert Normal().resolved(1, ()) == Normal()


def test_the_command_line_names_the_column():
    made = regressor(Settings(likelihood="negative_binomial", exposure="years"), quiet=True)
    assert made.likelihood == NegativeBinomial(exposure="years")
    made = regressor(Settings(likelihood="binomial", trials="shots"), quiet=True)
    assert made.likelihood == Binomial(trials="shots")
    for settings, words in (
        (Settings(likelihood="bernoulli", exposure="years"), "--exposure goes with --likelihood "),
        (Settings(likelihood="binomial", exposure="n"), "poisson or negative_binomial; got "),
    ):
        with pytest.raises(OptionError, match=words):
            regressor(settings, quiet=True)
