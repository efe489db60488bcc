import dataclasses
import math
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import ReLUGate
from bayes_hybrid.models import HybridMixture, Pathway, PathwayModel
from bayes_hybrid.priors import LogNormalPrior, Priors

_FIELDS = [field.name for field in dataclasses.fields(Priors)]


@pytest.mark.parametrize("name", _FIELDS)
def test_every_default_is_proper(name):
    prior = getattr(Priors(), name)
    values = (prior.median, prior.spread) if isinstance(prior, LogNormalPrior) else (prior,)
    assert all(0 < value < math.inf for value in values)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["median", "spread"])
def test_bad_log_normal_is_named(name, bad):
    with pytest.raises(OptionError, match=name):
        LogNormalPrior(**{"median": 1.0, "spread": 1.0, name: bad})


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
@pytest.mark.parametrize(
    "name", [name for name in _FIELDS if not isinstance(getattr(Priors(), name), LogNormalPrior)]
)
def test_bad_number_is_named(name, bad):
    with pytest.raises(OptionError, match=name):
        Priors(**{name: bad})


def test_are_values():
    assert Priors() == Priors()
    assert hash(Priors()) == hash(Priors())
    assert Priors(noise=LogNormalPrior(median=0.5, spread=1.0)) != Priors()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Priors().noise_floor = 1.0


def _sites(model):
    trace = poutine.trace(model.sampled).get_trace(torch.zeros(1, model.num_features))
    return {name: trace.nodes[name] for name in trace.stochastic_nodes}


@pytest.mark.parametrize("kind", ["linear_mix", "relu_gates_gaussian", "gaussian_stabilizes_relu"])
def test_every_site_has_a_finite_mean(kind):
    model = HybridMixture(
        num_features=2,
        experts=(Pathway(kind=kind, num_units=3), Pathway(kind="relu", num_units=3)),
        gate=ReLUGate(num_units=3),
    )
    for name, node in _sites(model).items():
        assert bool(torch.isfinite(node["fn"].mean).all()), name
        assert bool(torch.isfinite(node["fn"].variance).all()), name


def _column(priors, name):
    """The prior of one positive site of the default mixture."""
    model = HybridMixture(
        experts=(Pathway(kind="gaussian", num_units=3), Pathway(kind="relu", num_units=3)),
        gate=ReLUGate(num_units=3),
        priors=priors,
    )
    return _sites(model)[name]["fn"]


@pytest.mark.parametrize(
    ("field", "site"),
    [
        ("feature_scale", "gaussian.0.weight_scale"),
        ("feature_scale", "gate.features.weight_scale"),
        ("width", "gaussian.0.width"),
        ("location_scale", "relu.location.weight_scale"),
        ("gate_scale", "gate.head.weight_scale"),
        ("noise", "noise"),
        ("noise_ratio", "relu.noise_ratio"),
        ("noise_slope", "gaussian.noise_slope.weight_scale"),
    ],
)
def test_each_setting_reaches_its_site(field, site):
    prior = LogNormalPrior(median=0.37, spread=0.21)
    settings: Any = {field: prior}
    built = _column(Priors(**settings), site)
    # The mean of a LogNormal; float32.
    expected = prior.median * math.exp(prior.spread**2 / 2)
    assert built.mean.flatten().tolist() == pytest.approx([expected] * built.mean.numel(), rel=1e-5)


def test_gate_bias_scale_reaches_its_site():
    built = _column(Priors(gate_bias_scale=0.37), "gate.head.bias")
    assert built.variance.flatten().tolist() == pytest.approx([0.37**2], rel=1e-5)


@pytest.mark.parametrize("num_units", [4, 64])
def test_weights_are_scaled_by_their_fan_in(num_units):
    model = PathwayModel(pathway=Pathway(kind="relu", num_units=num_units, noise="constant"))
    # Hidden units of one, raw read-out weights of one, scale 2: the location is 2 sqrt(H).
    values = {
        "relu.0.weight_scale": torch.tensor(1.0),
        "relu.0.weight_raw": torch.zeros(num_units, 1),
        "relu.0.bias_raw": torch.ones(num_units),
        "relu.location.weight_scale": torch.tensor(2.0),
        "relu.location.weight_raw": torch.ones(1, num_units),
        "relu.location.bias": torch.zeros(1),
    }
    regimes = poutine.condition(model.sampled, data=values)(torch.zeros(1, 1)).regimes
    location, _ = regimes.experts[0].numbers
    assert float(location) == pytest.approx(2.0 * math.sqrt(num_units), rel=1e-6)


@pytest.mark.parametrize("num_features", [1, 16])
def test_pre_activations_do_not_grow_with_the_number_of_features(num_features):
    model = PathwayModel(
        num_features=num_features, pathway=Pathway(kind="relu", num_units=1, noise="constant")
    )
    values = {
        "relu.0.weight_scale": torch.tensor(1.0),
        "relu.0.weight_raw": torch.ones(1, num_features),
        "relu.0.bias_raw": torch.zeros(1),
        "relu.location.weight_scale": torch.tensor(1.0),
        "relu.location.weight_raw": torch.ones(1, 1),
        "relu.location.bias": torch.zeros(1),
    }
    x = torch.ones(1, num_features)
    location, _ = poutine.condition(model.sampled, data=values)(x).regimes.experts[0].numbers
    assert float(location) == pytest.approx(math.sqrt(num_features), rel=1e-6)


def test_floors_bind():
    priors = Priors(noise_floor=0.25, width_floor=0.5)
    model = PathwayModel(
        pathway=Pathway(kind="gaussian", num_units=2, noise="constant"), priors=priors
    )
    assert model.priors.noise_floor == 0.25
    values = {"noise": torch.tensor(1e-30), "gaussian.0.width": torch.full((2,), 1e-30)}
    pyro.set_rng_seed(0)
    x = torch.linspace(-1, 1, 200).unsqueeze(-1)
    trace: Any = poutine.trace(poutine.condition(model.sampled, data=values)).get_trace(x)
    regimes = trace.nodes["_RETURN"]["value"].regimes
    location, scale = regimes.experts[0].numbers
    assert scale.unique().tolist() == [0.25]
    # A bump of width 0.5 has slopes up to exp(-1/2) / 0.5 of its own argument.
    nodes = {name: node["value"] for name, node in trace.nodes.items() if node["type"] == "sample"}
    slope = nodes["gaussian.0.weight_scale"] * nodes["gaussian.0.weight_raw"]
    head = nodes["gaussian.location.weight_scale"] * nodes["gaussian.location.weight_raw"]
    bound = (slope.abs().T @ head.abs().T / math.sqrt(2)).squeeze() * math.exp(-0.5) / 0.5
    steepest = (location.diff().abs() / x[:, 0].diff()).max()
    assert float(steepest) <= float(bound) * 1.001  # float32 differences


def test_a_number_is_no_prior():
    with pytest.raises(OptionError, match=r"noise must be a LogNormalPrior; got 0\.2"):
        Priors(noise=0.2)
