"""What every model must do, whatever it is made of."""

import math
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import (
    MCMC,
    NUTS,
    SVI,
    Predictive,
    Trace_ELBO,
    TraceEnum_ELBO,
    config_enumerate,
    infer_discrete,
)
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam  # type: ignore[attr-defined]

import bayes_hybrid.models
from bayes_hybrid.gates import GATES
from bayes_hybrid.models import (
    HybridMixture,
    HybridModel,
    PathwayModel,
    SiteGroup,
    Target,
    TrainingGroup,
)
from bayes_hybrid.models.base import SiteRole
from bayes_hybrid.nn import COMBINATIONS, SMOOTHINGS
from tests.models import zoo

_READINGS = ("marginal", "enumerated")


@pytest.fixture(params=zoo.MODELS)
def model(request):
    return zoo.MODELS[request.param]


def _values(model, x, seed=0):
    """Latent values from the prior."""
    with torch.random.fork_rng():
        pyro.set_rng_seed(seed)
        trace = poutine.trace(model.marginal).get_trace(x)
    nodes = {
        name: trace.nodes[name] for name in trace.stochastic_nodes if name not in {"y", "rows"}
    }
    return {name: node["value"].detach() for name, node in nodes.items()}


def _without_z(model, reading):
    program = getattr(model, reading)
    return poutine.block(program, hide=["z"]) if reading == "enumerated" else program


def test_roll_call():
    assert set(zoo.KINDS) == set(COMBINATIONS)
    assert set(zoo.SMOOTHINGS) == set(SMOOTHINGS)
    assert {name: type(gate) for name, gate in zoo.GATES.items()} == dict(GATES)
    public = [getattr(bayes_hybrid.models, name) for name in bayes_hybrid.models.__all__]
    concrete = {
        member
        for member in public
        if isinstance(member, type)
        and issubclass(member, HybridModel)
        and not member.__abstractmethods__
    }
    assert concrete == {type(model) for model in zoo.MODELS.values()}
    singles = {m.pathway.kind for m in zoo.MODELS.values() if isinstance(m, PathwayModel)}
    assert singles == {*COMBINATIONS, "line"}
    mixtures = [m for m in zoo.MODELS.values() if isinstance(m, HybridMixture)]
    assert {(type(m.gate), m.num_regimes) for m in mixtures} >= {
        (gate, count) for gate in GATES.values() for count in (2, 3)
    }


def test_shapes(model):
    x, y = zoo.observed(model=model)
    size, num_regimes = len(x), model.num_regimes
    outputs = () if model.num_outputs == 1 else (model.num_outputs,)
    regimes = model.sampled(x).regimes
    assert regimes.log_weights.shape == (size, num_regimes)
    for expert, likelihood in zip(regimes.experts, model.likelihoods, strict=True):
        assert expert.likelihood is likelihood
        for number in expert.numbers:
            assert number.shape == (size, *outputs)
            assert number.dtype == x.dtype
        floor = model.priors.noise_floor if likelihood.has_scale else 0.0
        noise = expert.density.stddev if likelihood.standardises else expert.numbers[-1]
        assert not likelihood.has_scale or bool((noise > floor).all())
    # Up to three float64 numbers below one.
    total = regimes.log_weights.exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-14)
    assert len(model.regime_names) == len(set(model.regime_names)) == num_regimes
    assert len(model.likelihoods) == num_regimes
    predictive = model.predictive(regimes)
    assert predictive.batch_shape == (size,)
    assert predictive.event_shape == outputs
    assert predictive.log_responsibilities(y.y).shape == (size, num_regimes)
    for reading in _READINGS:
        program = getattr(model, reading)
        torch.testing.assert_close(program(x, y), y.y, rtol=0, atol=0, equal_nan=True)
        assert program(x).shape == (size, *outputs)
        assert program(x[:1]).shape == (1, *outputs)


def test_sites_say_what_is_asked_of_them(model):
    x, y = zoo.observed(model=model)
    nodes = poutine.trace(model.marginal).get_trace(x, y).nodes
    roles = {name: nodes[name]["infer"].get("role") for name in _values(model, x)}
    endings = {
        SiteRole.WIDTH: (".width",),
        SiteRole.MIXES_GAUSSIAN: (".mix_gaussian_raw",),
        SiteRole.MIXES_RELU: (".mix_relu_raw",),
        SiteRole.CONFUSION: ("label_confusion",),
        SiteRole.BY_OUTPUT: (
            "noise",
            ".location.weight_raw",
            ".location.bias",
            ".noise_ratio",
            ".noise_slope.weight_raw",
        ),
    }
    for role, ends in endings.items():
        asked = {name for name, found in roles.items() if found == role}
        assert asked == {name for name in roles if name.endswith(ends)}
    kinds = [name.split("_")[0] for name in model.regime_names]
    without = ("gaussian", "line", "constant", "polynomial")
    stabilised = [name.startswith("gaussian_stab") for name in model.regime_names]
    expected = [k for k, kind in enumerate(kinds) if kind not in without or stabilised[k]]
    assert list(model.relu_regimes) == expected


def test_sites_and_their_groups(model):
    x, y = zoo.observed(model=model)
    trace = poutine.trace(model.marginal).get_trace(x, y)
    groups = {name: trace.nodes[name]["infer"].get("group") for name in _values(model, x)}
    assert all(isinstance(group, SiteGroup) for group in groups.values())
    for name, group in groups.items():
        assert group.is_feature == (".0." in name or ".1." in name or "gate.features" in name), name
    scopes = {name.split(".")[0] for name in groups}
    gate = {"gate"} if model.num_regimes > 1 else set()
    learned = model.label_head is not None and model.label_head.noise == "learned"
    labels = {"label_confusion"} if learned else set()
    noise = {"noise"} if model.likelihoods.has_noise else set()
    assert scopes == {*noise, *model.regime_names, *gate, *labels}
    others = poutine.trace(model.enumerated).get_trace(x, y)
    names = [n for n in others.nodes if others.nodes[n]["type"] == "sample"]
    mine = [n for n in trace.nodes if trace.nodes[n]["type"] == "sample"]
    assert [name for name in names if name != "z"] == mine


_SHAPES = ("noise_ratio", "df_above_1", "threshold", "ratio", "concentration")


def _expected_training(name, kinds):
    """Which part of the model a site is trained with, by its name."""
    scope, *path = name.split(".")
    if scope in ("gate", "label_confusion"):
        return "gate" if scope == "gate" else "heads"
    if "noise_slope" in path:
        return "noise_slopes"
    if name == "noise" or path[-1] in _SHAPES:
        return "scales"
    if path[0] == "location" or "mix_" in name:
        return "heads"
    if "gaussian" in path or "relu" in path:  # the parts of a combined layer
        return "gaussian" if "gaussian" in path else "relu"
    return "gaussian" if kinds[scope] == "gaussian" else "relu"


def test_sites_say_what_trains_them(model):
    x, y = zoo.observed(model=model)
    mixture = isinstance(model, HybridMixture)
    experts = model.experts if mixture else (model.pathway,)
    kinds = dict(zip(model.regime_names, (expert.kind for expert in experts), strict=True))
    trace = poutine.trace(model.marginal).get_trace(x, y)
    for name in _values(model, x):
        group = trace.nodes[name]["infer"]["training"]
        assert isinstance(group, TrainingGroup)
        assert group == _expected_training(name, kinds), name


def test_every_site_is_moved_by_the_data(model):
    x, y = zoo.observed(size=40, model=model)
    values = {name: value.requires_grad_() for name, value in _values(model, x, seed=3).items()}
    conditioned = poutine.condition(model.marginal, data=values)
    nodes: Any = poutine.trace(conditioned).get_trace(x, y).nodes
    data = [nodes[name] for name in ("y", "label") if name in nodes]
    total = sum(node["fn"].log_prob(node["value"]).sum() for node in data)
    gradients = torch.autograd.grad(total, list(values.values()), materialize_grads=True)
    for name, gradient in zip(values, gradients, strict=True):
        assert bool(torch.isfinite(gradient).all()), name
        # The Gaussian smoothing of the identity is the identity, whatever its width.
        idle = name.endswith("width") and "'identity'" in repr(model)
        assert bool((gradient != 0).any()) != idle, name


def test_is_a_value(model):
    twin = eval(repr(model), {**vars(bayes_hybrid.models), **_option_classes()})
    assert twin == model
    assert hash(twin) == hash(model)
    x, y = zoo.observed(model=model)
    values = _values(model, x)
    ours, theirs = (
        poutine.trace(poutine.condition(m.marginal, data=values)).get_trace(x, y).log_prob_sum()
        for m in (model, twin)
    )
    assert ours == theirs


def _option_classes():
    import bayes_hybrid.gates as gates
    import bayes_hybrid.likelihoods as likelihoods
    import bayes_hybrid.priors as priors

    return {**vars(gates), **vars(likelihoods), **vars(priors)}


@pytest.mark.parametrize("reading", _READINGS)
def test_runs_under_plain_svi(model, reading):
    x, target = zoo.observed(size=12, model=model)
    x, y = x.float(), Target(*(tensor.float() for tensor in target.tensors))
    guide = AutoNormal(_without_z(model, reading), init_scale=0.05)
    elbo = Trace_ELBO() if reading == "marginal" else TraceEnum_ELBO(max_plate_nesting=1)
    svi = SVI(getattr(model, reading), guide, Adam({"lr": 0.01}), loss=elbo)
    capture: Any
    with poutine.trace(param_only=True) as capture:
        loss = elbo.loss_and_grads(getattr(model, reading), guide, x, y)
    assert math.isfinite(loss)
    parameters = {n: node["value"].unconstrained() for n, node in capture.trace.nodes.items()}
    # A location and a scale for each site.
    assert len(parameters) == 2 * len(_values(model, x))
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name
    assert math.isfinite(svi.step(x, y))


@pytest.mark.parametrize("reading", _READINGS)
def test_predictive_draws_from_the_prior(model, reading):
    x, _ = zoo.rows(model=model)
    drawn = Predictive(getattr(model, reading), num_samples=4)(x)
    outputs = () if model.num_outputs == 1 else (model.num_outputs,)
    assert drawn["y"].shape == (4, len(x), *outputs)
    assert bool(torch.isfinite(drawn["y"]).all())
    for name, value in _values(model, x).items():
        # Pyro puts an axis of one for the plate that the parameters are not in.
        assert drawn[name].reshape(4, *value.shape).unique(dim=0).shape[0] == 4, name
    if reading == "enumerated":
        assert drawn["z"].shape == (4, len(x))
        assert 0 <= int(drawn["z"].min()) <= int(drawn["z"].max()) < model.num_regimes


def test_predictive_follows_given_draws(model):
    x, _ = zoo.rows(model=model)
    draws = [_values(model, x, seed) for seed in range(3)]
    stacked = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
    drawn = Predictive(model.marginal, posterior_samples=stacked)(x)
    assert drawn["y"].shape[:2] == (3, len(x))


@pytest.mark.parametrize("name", [n for n, m in zoo.MODELS.items() if m.num_regimes > 1])
def test_infer_discrete_finds_the_most_probable_regime(name):
    model = zoo.MODELS[name]
    x, y = zoo.observed(size=60, model=model)
    values = _values(model, x)
    conditioned = poutine.condition(model.enumerated, data=values)
    best = infer_discrete(conditioned, first_available_dim=-2, temperature=0)
    z = poutine.trace(best).get_trace(x, y).nodes["z"]["value"]
    regimes = poutine.condition(model.sampled, data=values)(x).regimes
    log_probs, labels = model.predictive(regimes).log_responsibilities(y.y), y.label
    if model.label_head is not None and labels is not None:
        confusion = values.get("label_confusion", torch.eye(model.num_regimes))
        known = ~torch.isnan(labels)
        index = labels[known].long()
        log_probs[known] += model.label_head.weight * confusion.log().T[index]
    assert torch.equal(z, log_probs.argmax(-1))


def test_infer_discrete_samples_the_responsibilities():
    model = zoo.MODELS["mixture of 3, linear, input"]
    x, y = zoo.rows(size=5)
    num_draws = 1_000
    many_x, many_y = x.repeat(num_draws, 1), y.repeat(num_draws)
    values = _values(model, x)
    draw = infer_discrete(
        poutine.condition(model.enumerated, data=values), first_available_dim=-2, temperature=1
    )
    z = poutine.trace(draw).get_trace(many_x, many_y).nodes["z"]["value"].reshape(num_draws, 5)
    share = torch.nn.functional.one_hot(z, 3).double().mean(0)
    regimes = poutine.condition(model.sampled, data=values)(x).regimes
    expected = model.predictive(regimes).log_responsibilities(y).exp()
    error = (expected * (1 - expected) / num_draws).sqrt().clamp_min(1 / num_draws)
    # Fifteen binomial counts: four standard errors are passed by chance once in 1,000 seeds.
    assert bool(((share - expected).abs() < 4 * error).all())


@pytest.mark.parametrize("reading", _READINGS)
@pytest.mark.parametrize("name", ["relu, constant", "mixture of 2, constant, constant"])
def test_runs_under_nuts(name, reading):
    model = zoo.MODELS[name]
    x, y = (part.float() for part in zoo.rows(size=6))
    kernel = NUTS(getattr(model, reading), max_tree_depth=3)
    mcmc = MCMC(kernel, num_samples=4, warmup_steps=4, disable_progbar=True)
    mcmc.run(x, y)
    draws = mcmc.get_samples()
    assert set(draws) == set(_values(model, x))
    assert all(bool(torch.isfinite(value).all()) for value in draws.values())
    assert draws["noise"].unique().numel() > 1


def test_config_enumerate_changes_nothing():
    model = zoo.MODELS["mixture of 2, relu, input"]
    x, y = zoo.rows()
    values = _values(model, x)

    def loss(program):
        conditioned = poutine.condition(program, data=values)
        return TraceEnum_ELBO(max_plate_nesting=1).loss(conditioned, lambda *_: None, x, y)

    assert loss(config_enumerate(model.enumerated)) == loss(model.enumerated)
