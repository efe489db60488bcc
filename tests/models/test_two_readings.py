"""The same density by different roads."""

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO

from bayes_hybrid.gates import ReLUGate
from bayes_hybrid.models import HybridMixture, PathwayModel
from tests.models import zoo


@pytest.fixture(params=zoo.MODELS)
def model(request):
    return zoo.MODELS[request.param]


def _values(model, x, seed=0):
    pyro.set_rng_seed(seed)
    trace = poutine.trace(model.marginal).get_trace(x)
    return {
        name: trace.nodes[name]["value"]
        for name in trace.stochastic_nodes
        if name not in {"y", "rows"}
    }


def _trace(model, values, *arguments):
    return poutine.trace(poutine.condition(model.marginal, data=values)).get_trace(*arguments)


def _row(model, regimes, row, k, values, y):
    """``log p(y | k)`` of one row and one regime, by a loop over its outputs, and its label's."""
    targets, labels = y.y.reshape(len(y.y), -1), y.label
    expert = regimes.experts[k]
    numbers = [number[row].reshape(-1) for number in expert.numbers]
    total = torch.zeros(())
    for q in range(model.num_outputs):
        if not torch.isnan(targets[row, q]):
            density = model.likelihoods[k](*(number[q] for number in numbers))
            total = total + density.log_prob(targets[row, q])
    if labels is not None and not torch.isnan(labels[row]):
        confusion = values.get("label_confusion", torch.eye(model.num_regimes))
        total = total + model.label_head.weight * confusion[k, int(labels[row])].log()
    return total


def test_marginal_is_the_sum_over_regimes(model):
    x, y = zoo.observed(model=model)
    values = _values(model, x)
    trace = _trace(model, values, x, y)
    regimes = poutine.condition(model.sampled, data=values)(x).regimes
    total = torch.zeros(())
    for row in range(len(x)):
        terms = [
            regimes.log_weights[row, k] + _row(model, regimes, row, k, values, y)
            for k in range(model.num_regimes)
        ]
        total = total + torch.stack(terms).logsumexp(0)
    trace.compute_log_prob()
    # Two orders of summation in float64.
    observed = sum(
        trace.nodes[name]["log_prob_sum"] for name in ("y", "label") if name in trace.nodes
    )
    torch.testing.assert_close(observed, total, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_rows", [None, 63])
def test_marginal_is_the_enumerated_model_summed_by_pyro(model, num_rows):
    x, y = zoo.observed(model=model)
    values = _values(model, x)
    conditioned = poutine.condition(model.enumerated, data=values)
    # An empty guide leaves the log joint with z summed out; the parameters count as observed.
    elbo = TraceEnum_ELBO(max_plate_nesting=1)
    enumerated = -elbo.loss(conditioned, lambda *_: None, x, y, num_rows)
    marginal = float(_trace(model, values, x, y, num_rows).log_prob_sum())
    # Pyro sums in another order, in float64.
    assert enumerated == pytest.approx(marginal, rel=1e-12)


def test_explicit_regimes_sum_to_the_marginal():
    model = zoo.MODELS["mixture of 3, relu, input"]
    x, y = zoo.rows(size=3)
    values = _values(model, x)
    paths = torch.cartesian_prod(*[torch.arange(3)] * 3)  # all 27 ways to assign three rows
    terms = []
    for z in paths:
        program = poutine.condition(model.enumerated, data={**values, "z": z})
        terms.append(torch.as_tensor(poutine.trace(program).get_trace(x, y).log_prob_sum()))
    expected = _trace(model, values, x, y).log_prob_sum()
    # Two orders of summation in float64.
    torch.testing.assert_close(torch.stack(terms).logsumexp(0), expected, rtol=1e-12, atol=0)


def test_enum_messenger_agrees_row_by_row():
    model = zoo.MODELS["mixture of 2, linear, input"]
    x, y = zoo.rows()
    values = _values(model, x)
    program = poutine.enum(poutine.condition(model.enumerated, data=values), first_available_dim=-2)
    trace = poutine.trace(program).get_trace(x, y)
    trace.compute_log_prob()
    joint = trace.nodes["z"]["log_prob"] + trace.nodes["y"]["log_prob"]
    assert joint.shape == (2, len(x))
    marginal = _trace(model, values, x, y)
    marginal.compute_log_prob()
    # Two ways to round a sum of two float64 terms.
    torch.testing.assert_close(
        joint.logsumexp(0), marginal.nodes["y"]["log_prob"], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("size", [1, 4])
def test_a_minibatch_counts_for_all_rows(model, size):
    x, y = zoo.observed(model=model)
    values = _values(model, x)
    whole = _trace(model, values, x[:size], y[:size])
    scaled = _trace(model, values, x[:size], y[:size], len(x))
    whole.compute_log_prob()
    scaled.compute_log_prob()
    factor = len(x) / size
    torch.testing.assert_close(
        scaled.nodes["y"]["log_prob_sum"],
        factor * whole.nodes["y"]["log_prob_sum"],
        rtol=1e-12,
        atol=0,
    )
    # The prior does not depend on how many rows are looked at.
    for name in values:
        assert torch.equal(scaled.nodes[name]["log_prob_sum"], whole.nodes[name]["log_prob_sum"])


@pytest.mark.parametrize("regime", [0, 1, 2])
@pytest.mark.parametrize("noise", zoo.NOISES)
@pytest.mark.parametrize("gate", zoo.GATES)
def test_one_hot_gate_is_the_single_expert_model(gate, noise, regime):
    kinds = ("gaussian", "relu", "linear_mix")
    mixture = HybridMixture(
        num_features=zoo.NUM_FEATURES,
        experts=tuple(zoo.pathway(kind, noise=noise) for kind in kinds),
        gate=zoo.GATES[gate],
    )
    x, y = zoo.rows()
    values = _values(mixture, x)
    if "gate.location" in values:
        # All rows lie below both thresholds, between them, or above both.
        ends = torch.tensor([[1e6, 2e6], [-1e6, 1e6], [-2e6, -1e6]], dtype=torch.float64)[regime]
        values["gate.location"] = ends
    else:
        # Logits of the second and third regime against the first, beyond what exp can hold.
        logits = torch.tensor([[-1e4, -1e4], [1e4, 0.0], [0.0, 1e4]], dtype=torch.float64)[regime]
        values["gate.bias" if gate == "constant" else "gate.head.bias"] = logits
    single = PathwayModel(
        num_features=zoo.NUM_FEATURES, pathway=zoo.pathway(kinds[regime], noise=noise)
    )
    same = {name: values[name] for name in _values(single, x)}
    ours = _trace(mixture, values, x, y)
    theirs = _trace(single, same, x, y)
    ours.compute_log_prob()
    theirs.compute_log_prob()
    # The other regimes' shares, exp(-10,000), are zero in float64.
    torch.testing.assert_close(
        ours.nodes["y"]["log_prob"], theirs.nodes["y"]["log_prob"], rtol=1e-12, atol=1e-12
    )
    for name in same:
        assert torch.equal(ours.nodes[name]["log_prob_sum"], theirs.nodes[name]["log_prob_sum"]), (
            name
        )


def test_order_of_experts_only_renames_the_regimes():
    experts = (zoo.pathway("gaussian"), zoo.pathway("relu"))
    gate = ReLUGate(num_units=3)
    one, other = (
        HybridMixture(num_features=2, experts=order, gate=gate)
        for order in (experts, experts[::-1])
    )
    x, y = zoo.rows()
    values = _values(one, x)
    flipped = {
        **values,
        "gate.head.weight_raw": -values["gate.head.weight_raw"],
        "gate.head.bias": -values["gate.head.bias"],
    }
    # Two orders of summation in float64.
    torch.testing.assert_close(
        _trace(one, values, x, y).log_prob_sum(),
        _trace(other, flipped, x, y).log_prob_sum(),
        rtol=1e-12,
        atol=0,
    )
