"""Hybrid models under plates of the caller's, and under Pyro's vectorised and compiled tools."""

from contextlib import ExitStack

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import (
    JitTrace_ELBO,
    Predictive,
    Trace_ELBO,
    TraceEnum_ELBO,
    config_enumerate,
)
from pyro.infer.autoguide import AutoDelta, AutoNormal, init_to_sample

from bayes_hybrid.errors import OptionError
from bayes_hybrid.models import Target
from bayes_hybrid.models.regularised import Regularised
from tests.models import zoo

_EXACT = {"rtol": 1e-5, "atol": 1e-4}
_SHAPES = [(3,), (2, 3), (1,)]


def _rows(model, size=7):
    x = zoo.rows(size, model=model)[0].float()
    with poutine.block():
        return x, model.marginal(x)


@pytest.fixture(params=[name for name in zoo.MODELS if "labels" not in name])
def model(request):
    return zoo.MODELS[request.param]


def _outside(program, shape):
    """The program within plates, the last of which is beside that of the rows."""

    def planted(*arguments, **options):
        with ExitStack() as stack:
            for dim, size in enumerate(shape):
                stack.enter_context(pyro.plate(f"outside_{dim}", size, dim=dim - 1 - len(shape)))
            return program(*arguments, **options)

    return planted


def _latents(trace):
    return [name for name in trace.stochastic_nodes if not name.startswith(("outside", "rows"))]


@pytest.mark.parametrize("shape", _SHAPES)
def test_draws_side_by_side_are_those_one_by_one(model, shape):
    x, y = _rows(model)
    trace = poutine.trace(_outside(model.marginal, shape)).get_trace(x, y)
    trace.compute_log_prob()
    found = trace.nodes["y"]["log_prob"]
    assert found.shape == (*shape, len(x))
    names = _latents(trace)
    for index in torch.cartesian_prod(*map(torch.arange, shape)).reshape(-1, len(shape)):
        place = tuple(index.tolist())
        values = {name: trace.nodes[name]["value"][place][0] for name in names}
        one = poutine.trace(poutine.condition(model.marginal, values)).get_trace(x, y)
        one.compute_log_prob()
        torch.testing.assert_close(found[place], one.nodes["y"]["log_prob"], **_EXACT)


def test_the_gradient_of_draws_side_by_side_is_theirs(model):
    x, y = _rows(model)
    trace = poutine.trace(_outside(model.marginal, (3,))).get_trace(x, y)
    values = {
        name: trace.nodes[name]["value"].detach().requires_grad_() for name in _latents(trace)
    }
    together = poutine.condition(_outside(model.marginal, (3,)), values)
    poutine.trace(together).get_trace(x, y).log_prob_sum().backward()
    for draw in range(3):
        own = {name: value[draw, 0].detach().requires_grad_() for name, value in values.items()}
        one = poutine.trace(poutine.condition(model.marginal, own)).get_trace(x, y)
        one.log_prob_sum().backward()
        for name, value in own.items():
            torch.testing.assert_close(values[name].grad[draw, 0], value.grad, **_EXACT)


def test_predictive_in_parallel_draws_from_the_draws_given(model):
    x, y = _rows(model)
    draws = Predictive(model.marginal, num_samples=5)(x, y)
    names = _latents(poutine.trace(model.marginal).get_trace(x, y))
    posterior = {name: draws[name] for name in names}
    found = Predictive(model.marginal, posterior, parallel=True)(x)["y"]
    assert found.shape == (5, *y.shape)
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("size", [7, 3])
def test_particles_enumeration_and_minibatches_agree(size):
    model = zoo.MODELS["mixture of 2, constant, constant"]
    x, y = _rows(model)
    with pyro.get_param_store().scope():
        guide = AutoDelta(model.marginal, init_loc_fn=init_to_sample)
        guide(x, y)
        arguments = (x[:size], y[:size])
        losses = [
            elbo.loss(program, guide, *arguments, num_rows=len(x))
            for elbo, program in (
                (Trace_ELBO(), model.marginal),
                (Trace_ELBO(num_particles=3, vectorize_particles=True), model.marginal),
                (TraceEnum_ELBO(max_plate_nesting=1), config_enumerate(model.enumerated)),
            )
        ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


# Pyro's own tracer warns of every number that it takes for a constant.
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_jit_of_pyro_gives_the_same_loss():
    model = zoo.MODELS["mixture of 2, constant, constant"]
    x, y = _rows(model)
    with pyro.get_param_store().scope():
        guide = AutoDelta(model.marginal, init_loc_fn=init_to_sample)
        guide(x, y)
        compiled = JitTrace_ELBO(ignore_jit_warnings=True)
        expected = Trace_ELBO().loss(model.marginal, guide, x, y)
        found, _ = compiled.loss_and_surrogate_loss(model.marginal, guide, x, y)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_what_several_draws_do_not_have_is_refused():
    model = zoo.MODELS["mixture of 2, constant, constant"]
    x, y = _rows(model)
    planted = _outside(model.marginal, (3,))
    with pytest.raises(OptionError, match="a regulariser is one number of all rows"):
        _outside(Regularised(model, {"gate_entropy": 0.1}).marginal, (3,))(x, y)
    labelled = zoo.MODELS["mixture of 3, 2 outputs, labels"]
    with pytest.raises(OptionError, match="label noise is not read by several draws"):
        _outside(labelled.enumerated, (3,))(torch.randn(7, labelled.num_features))
    noise = {"noise": torch.rand(())}
    rest = poutine.condition(planted, noise)
    with pytest.raises(OptionError, match="expected draws of all sites, or of none"):
        poutine.trace(rest).get_trace(x, y)


@pytest.mark.parametrize("name", [name for name in zoo.MODELS if "labels" in name])
def test_labels_are_read_by_every_draw(name):
    model = zoo.MODELS[name]
    x = torch.randn(7, model.num_features)
    targets = model.marginal(x)
    y = Target(targets, torch.tensor([0.0, 1.0, torch.nan, 0.0, 1.0, torch.nan, 0.0]))
    trace = poutine.trace(_outside(model.marginal, (3,))).get_trace(x, y)
    trace.compute_log_prob()
    for draw in range(3):
        values = {name: trace.nodes[name]["value"][draw, 0] for name in _latents(trace)}
        one = poutine.trace(poutine.condition(model.marginal, values)).get_trace(x, y)
        one.compute_log_prob()
        for site in ("y", "label"):
            found = trace.nodes[site]["log_prob"][draw]
            torch.testing.assert_close(found, one.nodes[site]["log_prob"], **_EXACT)


def test_a_guide_trains_with_particles_side_by_side():
    model = zoo.MODELS["mixture of 2, constant, constant"]
    x, y = _rows(model)
    with pyro.get_param_store().scope():
        guide = AutoNormal(model.marginal, init_loc_fn=init_to_sample)
        elbo = Trace_ELBO(num_particles=4, vectorize_particles=True)
        svi = pyro.infer.SVI(model.marginal, guide, pyro.optim.Adam({"lr": 0.01}), elbo)
        assert all(torch.isfinite(torch.tensor(svi.step(x, y))) for _ in range(3))
        draws = Predictive(model.marginal, guide=guide, num_samples=6, parallel=True)(x)["y"]
    assert draws.shape == (6, 7)
