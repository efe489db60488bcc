"""The recorded graph is the Pyro program."""

import gc
import itertools
import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

import bayes_hybrid.inference.engine.recorder as recorder_module
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.graph import LogJoint, log_joint
from bayes_hybrid.inference.engine.recorder import Recorder, quiet_pyro
from bayes_hybrid.inference.engine.simplify import mutates
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior.evaluation import evaluate_regimes
from bayes_hybrid.likelihoods import Normal
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models import HybridModel, SiteGroup
from bayes_hybrid.models.sampled import Expert, Parts
from bayes_hybrid.priors import Priors
from tests.inference.linear import LinearRegression
from tests.models import zoo

_TINY = zoo.MODELS["mixture of 2, constant, constant"]
_LINE = LinearRegression()  # recorded in no time
# Two orders of summation in float64, of terms up to a few hundred.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-9}
_FLAGS = (
    "validate_distributions_pyro",
    "validate_distributions_torch",
    "validate_infer",
    "validate_poutine",
)


def _plain(joint, theta, x, y, row_weights, feature_weight):
    """Log joint and gradient of one theta by a plain trace and autograd."""
    theta = theta.clone().requires_grad_()
    values = joint.table.constrain(theta)
    program = poutine.condition(joint.model.marginal, data=values)
    trace: Any = poutine.trace(program).get_trace(x, y)
    nodes = [trace.nodes[name] for name in trace.observation_nodes if name not in values]
    rows = sum(node["fn"].log_prob(node["value"]) for node in nodes)
    total = (row_weights * rows).sum()
    for site in joint.table.sites:
        free = theta[site.start : site.stop].reshape(site.free_shape)
        jacobian = site.transform.log_abs_det_jacobian(free, values[site.name]).sum()
        prior = trace.nodes[site.name]["fn"].log_prob(values[site.name]).sum() + jacobian
        total = total + (feature_weight if site.group.is_feature else 1.0) * prior
    (gradient,) = torch.autograd.grad(total, theta)
    return total.detach(), gradient


def _line_rows():
    x, y = zoo.observed()
    return torch.cat([x, x[:, :1].square()], dim=-1), y


@pytest.fixture
def unrecorded(monkeypatch):
    """Runs what would be recorded: the same sums, without the seconds that recording takes."""

    def run(self, *arguments):
        with quiet_pyro():
            return self._function(*arguments)

    monkeypatch.setattr(Recorder, "__call__", run)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_batched_log_joint_equals_plain_pyro(name, unrecorded):
    _assert_equals_plain_pyro(zoo.MODELS[name])


# Every kind of expert, every gate, both noises, repeated kinds, depth.
_RECORDED = (
    *(f"{kind}, constant" for kind in zoo.KINDS),
    "relu, deep",
    "mixture of 2, constant, constant",
    "mixture of 3, linear, constant",
    "mixture of 3, 2 outputs, labels",
    "relu, learned df",
    "mixture of mixed families",
    pytest.param("mixture of 2, relu, input", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("name", _RECORDED)
def test_recorded_equals_plain_pyro(name):
    _assert_equals_plain_pyro(zoo.MODELS[name])


def _assert_equals_plain_pyro(model):
    x, y = zoo.observed(model=model)
    joint = LogJoint(model, x, batch=2)
    count = 3  # one and a half pieces
    theta = 0.5 * torch.randn(count, joint.table.num_parameters, dtype=torch.float64)
    row_weights = torch.rand(count, len(x), dtype=torch.float64)
    row_weights[0, :4] = 0.0  # a fold left out
    feature_weight = torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64)
    value, gradient = joint.value_and_grad(theta, x, y, row_weights, feature_weight)
    assert value.shape == (count,)
    assert gradient.shape == theta.shape
    assert not value.requires_grad
    for c in range(count):
        expected = _plain(joint, theta[c], x, y, row_weights[c], feature_weight[c])
        torch.testing.assert_close(value[c], expected[0], **_EXACT)
        torch.testing.assert_close(gradient[c], expected[1], **_EXACT)


@dataclass(frozen=True)
class _Hierarchical(HybridModel):
    """``s ~ LogNormal(0, 1)``, ``m ~ Normal(0, s)``, ``v ~ Normal(2, 0.5)``, ``u ~ Gamma(2, 3)``.

    Every kind of prior: one that depends on another latent, a fixed Normal and a fixed LogNormal,
    and one of another family.
    """

    num_features = 2
    regime_names = ("only",)
    likelihoods = Likelihoods([Normal()])
    priors = Priors()

    def parts(self, sites, like):
        new = like.new_tensor
        scale = sites("s", lambda: dist.LogNormal(new(0.0), 1.0), {})
        mean = sites("m", lambda: dist.Normal(new(0.0), scale).expand([2]).to_event(1), {})
        shift = sites("v", lambda: dist.Normal(new(2.0), 0.5), {})
        noise = sites("u", lambda: dist.Gamma(new(2.0), 3.0), {})

        def expert(x):
            location = x @ mean + shift
            return Expert(Normal(), (location, noise.expand(location.shape)))

        return Parts(lambda x: x.new_zeros(len(x), 1), (expert,))


def test_priors_of_every_kind():
    _assert_equals_plain_pyro(_Hierarchical())


@pytest.mark.parametrize("num_rows", [None, 40])
def test_weights_of_one_give_pyros_own_log_joint(num_rows, unrecorded):
    x, y = zoo.observed()
    joint = LogJoint(_TINY, x, batch=1)
    theta = torch.randn(1, joint.table.num_parameters, dtype=torch.float64)
    scale = 1.0 if num_rows is None else num_rows / len(x)
    weights = torch.full((1, len(x)), scale, dtype=torch.float64)
    value, _ = joint.value_and_grad(theta, x, y, weights, theta.new_ones(1))
    values = joint.table.constrain(theta[0])
    program = poutine.condition(_TINY.marginal, data=values)
    expected = poutine.trace(program).get_trace(x, y, num_rows).log_prob_sum()
    for site in joint.table.sites:
        free = theta[0, site.start : site.stop].reshape(site.free_shape)
        expected = expected + site.transform.log_abs_det_jacobian(free, values[site.name]).sum()
    torch.testing.assert_close(value[0], expected, **_EXACT)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_pieces_do_not_show(count, unrecorded):
    x, y = zoo.observed()
    joint, alone = LogJoint(_TINY, x, batch=2), LogJoint(_TINY, x, batch=1)
    theta = torch.randn(count, joint.table.num_parameters, dtype=torch.float64)
    weights = torch.rand(count, len(x), dtype=torch.float64)
    ones = theta.new_ones(count)
    for ours, theirs in zip(
        joint.value_and_grad(theta, x, y, weights, ones),
        alone.value_and_grad(theta, x, y, weights, ones),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **_EXACT)
    rows = joint.log_likelihood(theta, x, y)
    assert rows.shape == (count, len(x))
    torch.testing.assert_close(rows, alone.log_likelihood(theta, x, y), **_EXACT)


def test_log_likelihood_is_the_gradient_with_respect_to_row_weights(unrecorded):
    x, y = zoo.observed()
    joint = LogJoint(_TINY, x, batch=2)
    theta = torch.randn(1, joint.table.num_parameters, dtype=torch.float64).expand(len(x) + 1, -1)
    weights = torch.cat([torch.zeros(1, len(x)), torch.eye(len(x))]).double()
    value, _ = joint.value_and_grad(theta, x, y, weights, theta.new_ones(len(x) + 1))
    rows = joint.log_likelihood(theta[:1], x, y)[0]
    torch.testing.assert_close(value[1:] - value[0], rows, **_EXACT)


def test_a_record_of_the_gradient_serves_the_rows_too():
    x, y = zoo.observed()
    joint = LogJoint(_TINY, x, batch=2)
    theta = torch.randn(3, joint.table.num_parameters, dtype=x.dtype)
    torch.testing.assert_close(
        joint.log_likelihood(theta, x, y, by_gradient=True),
        joint.log_likelihood(theta, x, y),
        **_EXACT,
    )


def test_nothing_is_frozen_into_the_graph():
    joint = LogJoint(_TINY, zoo.rows()[0], batch=2)
    for seed in range(3):
        x, y = zoo.observed(seed=seed)
        theta = torch.randn(2, joint.table.num_parameters, dtype=torch.float64)
        weights = torch.rand(2, len(x), dtype=torch.float64)
        feature_weight = torch.rand(2, dtype=torch.float64)
        value, _ = joint.value_and_grad(theta, x, y, weights, feature_weight)
        for c in range(2):
            expected, _ = _plain(joint, theta[c], x, y, weights[c], feature_weight[c])
            torch.testing.assert_close(value[c], expected, **_EXACT)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_table_is_invertible(name):
    model = zoo.MODELS[name]
    x, _ = zoo.rows(model=model)
    table = SiteTable.of(model, x)
    theta = torch.randn(2, 3, table.num_parameters, dtype=torch.float64)
    values = table.constrain(theta)
    # exp and log round once each.
    torch.testing.assert_close(table.flatten(values, batch_dims=2), theta, rtol=0, atol=1e-14)
    single = table.constrain(theta[0, 0])
    torch.testing.assert_close(table.flatten(single), theta[0, 0], rtol=0, atol=1e-14)
    stops = [site.stop for site in table.sites]
    assert [site.start for site in table.sites] == [0, *stops[:-1]]
    trace: Any = poutine.trace(model.marginal).get_trace(x)
    for site in table.sites:
        assert values[site.name].shape == (2, 3, *site.shape)
        assert trace.nodes[site.name]["value"].shape == site.shape
        assert site.group == trace.nodes[site.name]["infer"]["group"]
        positive = trace.nodes[site.name]["fn"].support.event_dim >= 0 and bool(
            (values[site.name] > 0).all()
        )
        if site.name.endswith(("scale", "width", "noise", "ratio")):
            assert positive, site.name
    assert {site.name for site in table.sites} == set(trace.stochastic_nodes) - {"y", "rows"}


def test_masks_split_the_flat_vector():
    table = SiteTable.of(zoo.MODELS["mixture of 2, relu, input"], zoo.rows()[0])
    masks = torch.stack([table.mask(group) for group in SiteGroup])
    assert bool((masks.sum(0) == 1).all())
    features = table.mask(SiteGroup.FEATURES, SiteGroup.GATE_FEATURES)
    assert torch.equal(table.feature_mask, features)
    # Gaussian: scale, 3 x 2 weights, 3 biases, 3 widths; ReLU and the gate: the same, no widths.
    assert int(features.sum()) == 13 + 10 + 10


def test_a_site_without_a_note_counts_as_a_head():
    table = SiteTable.of(LinearRegression(), torch.zeros(1, 3))
    assert {site.name: site.group for site in table.sites}["intercept"] == SiteGroup.HEADS


@pytest.mark.parametrize("name", zoo.MODELS)
def test_evaluate_regimes_is_the_loop_over_draws(name):
    model = zoo.MODELS[name]
    x, _ = zoo.rows(model=model)
    table = SiteTable.of(model, x)
    theta = torch.randn(3, table.num_parameters, dtype=torch.float64)
    batched = evaluate_regimes(model, table, theta, x)
    for s in range(3):
        single = poutine.condition(model.sampled, data=table.constrain(theta[s]))(x).regimes
        for ours, theirs in zip(batched.tensors, single.tensors, strict=True):
            torch.testing.assert_close(ours[s], theirs, rtol=1e-12, atol=1e-12)


def test_engines_are_shared_by_equal_models():
    twin = eval(repr(LinearRegression()), {"LinearRegression": LinearRegression})
    arguments = (2, torch.float32, torch.device("cpu"))
    engine = log_joint(twin, *arguments, compiled=False)
    assert engine is log_joint(LinearRegression(), *arguments, compiled=False)
    assert engine is not log_joint(LinearRegression(noise=0.1), *arguments, compiled=False)
    assert engine is not log_joint(twin, *arguments, compiled=True)


@pytest.fixture(params=list(itertools.product([False, True], repeat=2)))
def flags(request):
    """Every setting of torch's and Pyro's own validation switches."""
    before = {name: pyro.settings.get(name) for name in _FLAGS}
    torch_on, pyro_on = request.param
    chosen = dict.fromkeys(_FLAGS, pyro_on) | {"validate_distributions_torch": torch_on}
    pyro.settings.set(**chosen)
    yield chosen
    pyro.settings.set(**before)


def _state():
    flag = torch.distributions.Distribution._validate_args
    return {name: pyro.settings.get(name) for name in _FLAGS}, flag


def test_recording_leaves_validation_as_it_was(flags):
    before = _state()
    assert before[0] == flags
    x, y = _line_rows()
    joint = LogJoint(_LINE, x, batch=1)
    joint.prepare(x, y)
    theta = torch.zeros(1, joint.table.num_parameters, dtype=torch.float64)
    joint.log_likelihood(theta, x, y)
    evaluate_regimes(_LINE, joint.table, theta, x)
    assert _state() == before


def test_a_refusal_inside_a_program_comes_out_as_it_was_said():
    def program():
        pyro.sample("a", dist.Normal(0.0, 1.0))
        raise OptionError("expected an index below 2")

    with pytest.raises(OptionError) as raised, quiet_pyro():
        poutine.trace(program).get_trace()
    assert str(raised.value) == "expected an index below 2"


def test_validation_comes_back_after_an_error(flags):
    before = _state()
    seen = []

    def fail():
        seen.append(torch.distributions.Distribution._validate_args)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), quiet_pyro():
        fail()
    assert seen == [False]
    assert _state() == before


def test_building_a_table_draws_nothing_from_the_global_generator():
    state = torch.random.get_rng_state()
    SiteTable.of(_LINE, _line_rows()[0])
    assert torch.equal(torch.random.get_rng_state(), state)


def _evaluations(joint, x, y):
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(3, joint.table.num_parameters, generator=generator, dtype=x.dtype)
    return joint.value_and_grad(theta, x, y, theta.new_ones(3, len(x)), theta.new_ones(3))


@pytest.mark.parametrize("stage", ["building", "running"])
def test_failed_compilation_is_one_warning_and_the_same_numbers(monkeypatch, stage):
    def fail(*_arguments, **_settings):
        raise RuntimeError("no compiler\nlong trace")

    monkeypatch.setattr(
        recorder_module,
        "compile_graph",
        fail if stage == "building" else lambda *_: fail,
    )
    x, y = _line_rows()
    joint, other = LogJoint(_LINE, x, batch=2, compiled=True), LogJoint(_LINE, x, batch=2)
    before = _state()
    with pytest.warns(RuntimeWarning, match="RuntimeError: no compiler$") as caught:
        assert joint.prepare(x, y) is False
    assert len(caught) == 1
    assert _state() == before
    assert other.prepare(x, y) is False
    for ours, theirs in zip(_evaluations(joint, x, y), _evaluations(other, x, y), strict=True):
        assert torch.equal(ours, theirs)


def test_a_shape_is_compiled_once(built, monkeypatch):
    x, y = _line_rows()
    joint = LogJoint(_LINE, x, batch=1, compiled=True)
    assert joint.prepare(x, y) is True
    assert joint.prepare(x, y) is True
    assert len(built) == 1
    # Compiled code keeps the number of threads that it was made for.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1_000)
    assert joint.prepare(x, y) is True
    assert joint.prepare(x, y) is True
    assert len(built) == 2
    assert built[0] is built[1]  # one record


def test_what_changes_a_value_in_place_is_recorded_without():
    def function(x, y):
        product = x.unsqueeze(1) * y
        return product.tril_(-1).sum(0) + product.diagonal().add_(1.0)

    recorder = Recorder(function)
    arguments = torch.randn(3), torch.randn(3)
    torch.testing.assert_close(recorder(*arguments), function(*arguments))
    record = recorder.record(*arguments)
    assert not any(mutates(node) for node in record.graph.nodes)


@pytest.mark.parametrize("enabled", [True, False])
def test_recording_leaves_garbage_collection_as_it_was(enabled):
    seen = []

    def function(x):
        seen.append(gc.isenabled())
        return x + 1.0

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        Recorder(function)(torch.ones(2))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]


def test_only_the_last_few_shapes_are_kept(monkeypatch):
    recorded = []

    def make_fx(_run):
        def trace(*arguments):
            recorded.append(arguments)
            return torch.fx.GraphModule({}, torch.fx.Tracer().trace(lambda x: 2.0 * x))

        return trace

    monkeypatch.setattr(recorder_module, "make_fx", make_fx)
    monkeypatch.setattr(recorder_module, "simplify", lambda graph: graph)
    double = Recorder(lambda x: 2.0 * x)
    sizes = [1, 2, 3, 4, 5, 2, 1]
    for size in sizes:
        assert double(torch.ones(size)).sum() == 2 * size
    assert [len(arguments[0]) for arguments in recorded] == [1, 2, 3, 4, 5, 1]


@pytest.mark.slow
@pytest.mark.parametrize("front_end", [False, True])
def test_compiled_equals_recorded(monkeypatch, front_end):
    if front_end:  # as before torch 2.8
        monkeypatch.delattr(torch._inductor, "standalone_compile", raising=False)
    x, y = _line_rows()
    joint, plain = LogJoint(_LINE, x, batch=2, compiled=True), LogJoint(_LINE, x, batch=2)
    before = _state()
    with warnings.catch_warnings():
        # Imports of the compiler's own dependencies.
        warnings.simplefilter("ignore", DeprecationWarning)
        assert joint.prepare(x, y) is True
    assert _state() == before
    # The same numbers, laid out otherwise than those that it was compiled for.
    strided = x.T.contiguous().T
    assert strided.stride() != x.stride()
    for rows in (x, strided):
        pairs = zip(_evaluations(joint, rows, y), _evaluations(plain, x, y), strict=True)
        for ours, theirs in pairs:
            # The compiler fuses and reorders sums in float64.
            torch.testing.assert_close(ours, theirs, **_EXACT)


def test_sites_that_cannot_be_laid_out_are_refused():
    bounds = [-1e9, 1e9]

    def comes_and_goes(x):
        if pyro.sample("first", dist.Normal(0.0, 1.0)) > bounds.pop():
            pyro.sample("second", dist.Normal(0.0, 1.0))

    def discrete(x):
        pyro.sample("count", dist.Bernoulli(0.5))

    for program, words in (
        (comes_and_goes, "'second' is not the same in two runs"),
        (discrete, "'count' is discrete; expected continuous ones"),
    ):
        model: Any = SimpleNamespace(marginal=program)
        with pytest.raises(OptionError, match=words):
            SiteTable.of(model, torch.zeros(1, 1))
