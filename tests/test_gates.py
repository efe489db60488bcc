import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import GATES, ConstantGate, Gate, LinearGate, ReLUGate

_CASES = {"constant": ConstantGate(), "linear": LinearGate(), "relu": ReLUGate(num_units=5)}


def _build(name, num_features, num_regimes, seed=0, scale=1.0):
    torch.manual_seed(seed)
    module = _CASES[name].build(num_features, num_regimes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, scale)
    return module


def test_roll_call():
    assert {name: type(gate) for name, gate in _CASES.items()} == dict(GATES)


@pytest.mark.parametrize("num_regimes", [2, 3, 4])
@pytest.mark.parametrize("name", _CASES)
def test_contract(name, num_regimes):
    module = _build(name, 3, num_regimes)
    x = torch.randn(2, 30, 3)
    log_weights = module(x)
    assert log_weights.shape == (2, 30, num_regimes)
    assert module(x[0, 0]).shape == (num_regimes,)
    # A sum of up to four float32 numbers below one.
    torch.testing.assert_close(log_weights.exp().sum(-1), torch.ones(2, 30), rtol=0, atol=1e-6)
    log_weights[..., 0].sum().backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None, path
        assert bool(torch.isfinite(parameter.grad).all()), path
        assert bool(parameter.grad.abs().sum() > 0), path


@given(
    name=st.sampled_from(sorted(_CASES)),
    num_regimes=st.integers(2, 4),
    size=st.sampled_from([1e-30, 1.0, 1e6, 1e15, 1e30]),
    seed=st.integers(0, 100),
)
def test_extreme_inputs_stay_normalised_and_finite(name, num_regimes, size, seed):
    module = _build(name, 2, num_regimes, seed, scale=10.0)
    log_weights = module(size * torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]]))
    assert bool(torch.isfinite(log_weights).all())
    assert bool((log_weights <= 0).all())
    torch.testing.assert_close(log_weights.logsumexp(-1), torch.zeros(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_first_regime_is_the_reference(name):
    module = _build(name, 2, 3)
    x = torch.randn(6, 2)
    log_weights = module(x)
    logits = module.head(module.features(x))
    # log pi_k - log pi_0 is logit k; rounding of logits of size ten.
    torch.testing.assert_close(
        log_weights[:, 1:] - log_weights[:, :1], logits, rtol=1e-5, atol=1e-5
    )


def test_constant_gate_does_not_read_x():
    module = _build("constant", 2, 3)
    rows = module(torch.tensor([[0.0, 0.0], [1e9, -1e9]]))
    assert torch.equal(rows[0], rows[1])


def test_linear_gate_is_logistic_regression():
    module = _build("linear", 2, 2)
    x = torch.randn(6, 2)
    expected = torch.sigmoid(x @ module.head.weight[0] + module.head.bias[0])
    # Two formulas for one float32 number.
    torch.testing.assert_close(module(x)[:, 1].exp(), expected, rtol=1e-5, atol=1e-6)


def test_relu_gate_switches_where_its_unit_starts():
    module = _build("relu", 1, 2)
    with torch.no_grad():
        module.features.weight.fill_(1.0)
        module.features.bias.fill_(-0.3)  # every unit starts at x = 0.3
        module.head.weight.fill_(50.0)
        module.head.bias.fill_(-5.0)
    share = module(torch.tensor([[-2.0], [0.0], [0.3], [0.4], [2.0]])).detach().exp()[:, 1]
    assert share[0] == share[1] == share[2]
    assert float(share[2]) < 0.01
    assert float(share[4]) > 0.99
    assert bool((share.diff() >= 0).all())


@pytest.mark.parametrize("name", _CASES)
def test_options_are_values(name):
    gate = _CASES[name]
    twin = eval(repr(gate), {type(gate).__name__: type(gate)})
    assert twin == gate
    assert hash(twin) == hash(gate)


def test_bad_options():
    with pytest.raises(OptionError, match="num_units"):
        ReLUGate(num_units=0)
    with pytest.raises(TypeError):
        Gate()  # type: ignore[abstract]
    with pytest.raises(TypeError):
        LinearGate(num_units=3)  # type: ignore[call-arg]
