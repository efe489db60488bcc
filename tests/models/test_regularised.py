"""Regularisers: their formulas, and their factors in the Pyro program."""

import math
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, TraceEnum_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam  # type: ignore[attr-defined]

from bayes_hybrid.errors import OptionError
from bayes_hybrid.models.regularised import (
    REGULARISERS,
    Regularised,
    mean_entropy,
    neighbours,
    regularisers,
    roughness,
    usage_variation,
)
from tests.models import zoo

_WEIGHTS = {"gate_entropy": 0.7, "load_balance": 1.3, "relu_smoothness": 0.9}
_MIXTURE = zoo.MODELS["mixture of combinations"]


@pytest.fixture(params=zoo.MODELS)
def model(request):
    return zoo.MODELS[request.param]


def _values(model, x):
    pyro.set_rng_seed(0)
    trace = poutine.trace(model.marginal).get_trace(x)
    names = (name for name in trace.stochastic_nodes if name not in {"y", "rows"})
    return {name: trace.nodes[name]["value"] for name in names}


def _log_weights(rows=50, regimes=3):
    generator = torch.Generator().manual_seed(1)
    logits = 3.0 * torch.randn(rows, regimes, generator=generator, dtype=torch.float64)
    return torch.log_softmax(logits, -1)


def _factors(program, x, y, *arguments):
    """Value of every factor in a trace."""
    trace: Any = poutine.trace(program).get_trace(x, y, *arguments)
    trace.compute_log_prob()
    return {name: trace.nodes[name]["log_prob_sum"] for name in REGULARISERS if name in trace.nodes}


def test_entropy_is_its_formula():
    log_weights = _log_weights()
    terms = [-p * math.log(p) for row in log_weights.exp().tolist() for p in row]
    # Two orders of summation in float64, here and below.
    assert float(mean_entropy(log_weights)) == pytest.approx(sum(terms) / 50, rel=1e-12)


def test_variation_is_the_squared_coefficient_of_variation():
    log_weights = _log_weights()
    usage = log_weights.exp().numpy().mean(0)
    expected = usage.var() / usage.mean() ** 2
    assert float(usage_variation(log_weights)) == pytest.approx(expected, rel=1e-12)
    alone = torch.tensor([[0.0, -100.0, -100.0]], dtype=torch.float64)
    assert float(usage_variation(alone)) == pytest.approx(2.0)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (128, 1), (129, 2), (300, 3)])
def test_roughness_is_its_formula(size, stride):
    x = np.random.default_rng(0).normal(size=(size, 2))
    step = 0.25

    def f(points):
        first, second = points[..., 0], points[..., 1]
        # Two outputs of two experts, one of which bends along the second feature only.
        one = np.stack([np.sin(3.0 * first), second**2], -1)
        other = np.stack([np.abs(second), first * second], -1)
        return np.stack([one, other], -1)

    total = 0.0
    chosen = x[::stride]
    for number, row in enumerate(chosen):
        shift = np.zeros(2)
        shift[number % 2] = step
        total += ((f(row + shift) - 2.0 * f(row) + f(row - shift)) ** 2).sum()
    around = f(neighbours(torch.as_tensor(x)).numpy())
    found = roughness(torch.as_tensor(f(x)), torch.as_tensor(around))
    assert float(found) == pytest.approx(total / len(chosen), rel=1e-12)


def test_a_jump_is_rough_and_a_line_is_not():
    x = torch.linspace(-2.0, 2.0, 101, dtype=torch.float64).unsqueeze(-1)
    around = neighbours(x)
    lines = (3.0 * x, 3.0 * around)
    jumps = ((x > 0.01).double(), (around > 0.01).double())
    # What is left of a line are roundings of numbers up to six.
    assert float(roughness(*lines)) < 1e-28
    # Of 101 rows 0.04 apart, 12 have the jump on one side within a quarter, or 13 with the ends.
    assert 12 / 101 <= float(roughness(*jumps)) <= 13 / 101


def test_every_factor_is_in_the_trace_under_its_name(model):
    x, y = zoo.rows(model=model)
    values = _values(model, x)
    regularised = poutine.condition(Regularised(model, _WEIGHTS).marginal, data=values)
    factors = _factors(regularised, x, y, 40)
    regimes = poutine.condition(model.sampled, data=values)(x).regimes
    around = poutine.condition(model.sampled, data=values)(
        neighbours(x, model.likelihoods.size_column)
    ).regimes
    smooth = {"gaussian", "constant", "line", "polynomial"}
    kinds = [name.partition("_")[0] for name in model.regime_names]
    relu = [k for k, kind in enumerate(kinds) if kind not in smooth]
    if "gaussian_stabilizes_relu" in model.regime_names:
        relu.append(model.regime_names.index("gaussian_stabilizes_relu"))
    expected = {}
    if model.num_regimes > 1:
        expected["gate_entropy"] = 0.7 * 40 * mean_entropy(regimes.log_weights)
        expected["load_balance"] = -1.3 * 40 * usage_variation(regimes.log_weights)
    if relu:
        means = (
            torch.stack([r.experts[k].numbers[0] for k in relu], -1) for r in (regimes, around)
        )
        rough = roughness(*means)
        expected["relu_smoothness"] = -0.9 * 40 * rough
    assert tuple(expected) == regularisers(model)
    assert set(factors) == set(expected)
    for name, factor in factors.items():
        torch.testing.assert_close(factor, expected[name], rtol=1e-12, atol=1e-12)
    # Weighted factors only, and no site a second time.
    assert _factors(poutine.condition(model.marginal, data=values), x, y) == {}
    one = Regularised(model, {"load_balance": 1.0}).marginal
    assert set(_factors(poutine.condition(one, data=values), x, y)) <= {"load_balance"}


@pytest.mark.parametrize("num_rows", [None, 63])
def test_enumerated_is_marginal_with_regularisers(model, num_rows):
    x, y = zoo.rows(model=model)
    values = _values(model, x)
    regularised = Regularised(model, _WEIGHTS)
    enumerated = poutine.condition(regularised.enumerated, data=values)
    elbo = TraceEnum_ELBO(max_plate_nesting=1)
    ours = -elbo.loss(enumerated, lambda *_: None, x, y, num_rows)
    marginal = poutine.condition(regularised.marginal, data=values)
    theirs = poutine.trace(marginal).get_trace(x, y, num_rows).log_prob_sum()
    # Pyro sums in another order, in float64.
    assert ours == pytest.approx(float(theirs), rel=1e-12)


def test_regularisers_leave_the_draws_alone():
    x, _ = zoo.rows()
    _MIXTURE.sampled(x)  # layers are built at first use, with random numbers
    drawn = []
    for model in (_MIXTURE, Regularised(_MIXTURE, _WEIGHTS)):
        pyro.set_rng_seed(3)
        # In a trace: Pyro warns of factors outside of inference.
        trace: Any = poutine.trace(model.marginal).get_trace(x)
        drawn.append(trace.nodes["y"]["value"])
    assert torch.equal(*drawn)


def test_plain_svi_is_moved_by_them():
    x, y = (part.float() for part in zoo.rows(size=12))
    guide = AutoNormal(poutine.block(_MIXTURE.enumerated, hide=["z"]), init_scale=0.05)
    weights = {"load_balance": torch.tensor(2.0), "relu_smoothness": torch.tensor(1.0)}
    losses = []
    for model in (_MIXTURE, Regularised(_MIXTURE, weights)):
        elbo = TraceEnum_ELBO(max_plate_nesting=1)
        svi = SVI(model.enumerated, guide, Adam({"lr": 0.01}), loss=elbo)
        svi.evaluate_loss(x, y)  # sets the guide up, with random numbers
        pyro.set_rng_seed(0)
        losses.append(svi.evaluate_loss(x, y))
    assert losses[1] > losses[0]
    assert math.isfinite(svi.step(x, y))


def test_an_unknown_regulariser_is_named():
    with pytest.raises(OptionError, match=r"weights must be one of.*mean 'load_balance'"):
        Regularised(_MIXTURE, {"load_balanc": 1.0})
