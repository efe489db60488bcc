"""Experts of few coefficients: what they compute, and posteriors that are known exactly."""

import math

import numpy as np
import pytest
import torch
from pyro import poutine
from scipy import special

from bayes_hybrid import FitOptions, HybridRegressor, Pathway, Variational, WarmStart, load
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.models import Constant, HybridMixture, Line, PathwayModel, Polynomial
from bayes_hybrid.models.latent import given
from bayes_hybrid.report.equations import expert_equations

_TINY = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=300),
    variational=Variational(num_steps=100, kl_weights=(0.0,), num_draws=200),
    sampler=None,
    compile="never",
)


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_features_are_orthonormal_polynomials(degree):
    x = torch.randn(40, 2, dtype=torch.float64)
    found = Polynomial(degree=max(degree, 2)).build(2)(x)[:, : 2 * degree]
    for n in range(1, degree + 1):
        expected = special.eval_hermitenorm(n, x.numpy()) / math.sqrt(math.factorial(n))
        np.testing.assert_allclose(found[:, 2 * (n - 1) : 2 * n], expected, rtol=1e-12, atol=1e-12)


def _location(pathway, num_features=2, num_outputs=1):
    model = PathwayModel(num_features=num_features, pathway=pathway, num_outputs=num_outputs)
    x = torch.randn(9, num_features, dtype=torch.float64)
    trace = poutine.trace(model.marginal).get_trace(x)
    values = {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}
    (expert,) = model.parts(given(values), x)(x).experts
    return x, values, expert.location


def test_a_line_is_linear():
    x, values, found = _location(Line())
    assert set(values) == {
        "noise",
        "line.noise_ratio",
        *(f"line.location.{leaf}" for leaf in ("weight_scale", "weight_raw", "bias")),
        "y",
        "rows",
    }
    slopes = (
        values["line.location.weight_scale"] / math.sqrt(2) * values["line.location.weight_raw"]
    )
    torch.testing.assert_close(found, x @ slopes[0] + values["line.location.bias"])


@pytest.mark.parametrize("num_outputs", [1, 3])
def test_a_constant_is_one_number(num_outputs):
    x, values, found = _location(Constant(noise="input"), num_outputs=num_outputs)
    assert not any("weight" in name or "slope" in name for name in values)
    expected = values["constant.location.bias"].expand(len(x), num_outputs)
    assert torch.equal(found, expected if num_outputs > 1 else expected[:, 0])


def test_what_they_have_not_is_refused():
    with pytest.raises(OptionError, match="num_units: Line has no hidden units"):
        Line(num_units=4)
    with pytest.raises(OptionError, match=r"Constant has degree 0; use Polynomial\(degree=3\)"):
        Constant(degree=3)
    with pytest.raises(OptionError, match="degree must be an integer >= 2; got 1"):
        Polynomial(degree=1)
    X, y = np.arange(9.0)[:, None], np.arange(9.0) ** 2
    for settings in ({"model": "line"}, {"experts": ("line", "constant")}):
        with pytest.raises(OptionError, match="num_units=4 would be ignored"):
            with_units(HybridRegressor(**settings), num_units=4).fit(X, y)
    with pytest.raises(OptionError, match="a straight line is the expert 'line'"):
        HybridRegressor(experts=("linear", "line")).fit(X, y)


def test_names_and_objects_are_the_same_model():
    experts = HybridMixture(experts=(Line(), Line(), Polynomial(), Pathway())).regime_names
    assert experts == ("line_1", "line_2", "polynomial", "gaussian")
    (equation, *_) = expert_equations(Line())
    assert "straight line" in equation.words


def test_a_line_is_least_squares(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) * [1.0, 20.0] + [5.0, 0.0]
    y = 3.0 - 2.0 * X[:, 0] + 0.5 * X[:, 1] + 0.1 * rng.normal(size=400)
    reg = HybridRegressor(model="line", fit_options=_TINY, random_state=0).fit(X, y)
    at = np.array([[0.0, 0.0], [9.0, -70.0]])
    # Far outside the data, too; standard errors are some hundredths.
    np.testing.assert_allclose(reg.predict(at), [3.0, -50.0], atol=0.15)
    reg.save(tmp_path / "fit")
    assert np.array_equal(load(tmp_path / "fit").predict(at), reg.predict(at))


def test_levels_on_both_sides_of_a_threshold():
    rng = np.random.default_rng(1)
    x = np.linspace(0.0, 1.0, 120)
    y = np.where(x < 0.4, 10.0, 12.0) + 0.5 * rng.normal(size=120)
    reg = HybridRegressor(
        experts=("constant", "constant"), gate="threshold", fit_options=_TINY, random_state=0
    ).fit(x[:, None], y)
    assert reg.regimes_ == ("constant_1", "constant_2")
    (threshold,) = reg.thresholds().itertuples()
    assert abs(threshold.mean - 0.4) < 0.03
    np.testing.assert_allclose(reg.predict([[0.1], [0.9]]), [10.0, 12.0], atol=0.3)
