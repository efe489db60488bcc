import numpy as np
import pytest
import torch

from bayes_hybrid import HybridRegressor, Pathway
from bayes_hybrid.errors import OptionError
from bayes_hybrid.nn import (
    COMBINATIONS,
    GaussianStabilizesReLULayer,
    LinearMixLayer,
    ReLUBlock,
    ReLUGatesGaussianLayer,
    smooth,
    stack,
)

_KINDS = ("gaussian", "relu", "linear_mix", "relu_gates_gaussian", "gaussian_stabilizes_relu")


_ROWS = np.arange(12.0).reshape(6, 2)


def test_roll_call():
    assert set(_KINDS) == set(COMBINATIONS)


@pytest.mark.parametrize("smoothing", ["bump", "step", "relu", "identity"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kind", _KINDS)
def test_contract(kind, depth, smoothing):
    torch.manual_seed(depth)
    module = stack(kind, 3, 6, depth=depth, smoothing=smoothing)
    x = torch.randn(40, 3)
    hidden = module(x)
    assert hidden.shape == (40, 6)
    assert module(x[0]).shape == (6,)
    assert module(x.expand(2, 40, 3)).shape == (2, 40, 6)
    assert len(module) == depth
    hidden.square().sum().backward()
    for name, parameter in module.named_parameters():
        # The smoothing of the identity is the identity: there, and only there, widths do nothing.
        idle = smoothing == "identity" and name.endswith("width") and kind != _KINDS[-1]
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        assert torch.isfinite(gradient).all(), name
        assert bool(gradient.abs().sum() > 0) != idle, name
    assert kind.replace("_", "") in repr(module).lower()


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (("tanh", 3, 4, 1), "kind"),
        (("relu", 0, 4, 1), "in_features"),
        (("relu", 3, 0, 1), "num_units"),
        (("relu", 3, 4, 0), "depth"),
    ],
)
def test_bad_settings_are_named(arguments, culprit):
    kind, in_features, num_units, depth = arguments
    with pytest.raises(OptionError, match=culprit):
        stack(kind, in_features, num_units, depth=depth)


@pytest.mark.parametrize(
    "build",
    [
        lambda: stack("linear", 3, 4),
        lambda: Pathway(kind="linear"),
        lambda: HybridRegressor(experts=("linear", "linear")).fit(_ROWS, _ROWS[:, 0]),
        lambda: HybridRegressor(model="linear").fit(_ROWS, _ROWS[:, 0]),
    ],
    ids=["stack", "Pathway", "experts", "model"],
)
def test_linear_is_no_kind_and_the_error_says_what_was_meant(build):
    with pytest.raises(OptionError, match=r"'linear_mix' mixes .* the expert 'line', or Line\(\)"):
        build()


def test_relu_block_is_the_rectified_affine_map():
    torch.manual_seed(0)
    block = ReLUBlock(2, 3)
    x = torch.randn(9, 2)
    expected = torch.nn.functional.linear(x, block.weight, block.bias).clamp_min(0.0)
    # Two orders of summation in float32.
    torch.testing.assert_close(block(x), expected, rtol=1e-6, atol=1e-6)
    assert repr(block) == "ReLUBlock(in_features=2, num_units=3)"


def test_linear_reads_both_pathways():
    torch.manual_seed(0)
    layer = LinearMixLayer(2, 3).double()
    x = torch.randn(9, 2, dtype=torch.float64)
    expected = torch.stack(
        [layer.mix_gaussian @ layer.gaussian(row) + layer.mix_relu @ layer.relu(row) for row in x]
    )
    # Two orders of summation in float64.
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", ["bump", "step", "relu", "identity"])
def test_silent_relu_closes_the_gate_exactly(smoothing):
    torch.manual_seed(0)
    layer = ReLUGatesGaussianLayer(2, 8, smoothing=smoothing)
    x = torch.randn(50, 2)
    hidden, relu, gaussian = layer(x), layer.relu(x), layer.gaussian(x)
    silent = relu == 0
    assert 0 < int(silent.sum()) < silent.numel()
    assert (hidden[silent] == 0).all()
    # An open gate lets through a share between 0 and 1 that grows with the ReLU.
    share = (hidden / gaussian)[~silent & (gaussian.abs() > 1e-6)]
    assert bool(((share > 0) & (share < 1)).all())
    with torch.no_grad():
        layer.relu.weight.mul_(1e4)
    loud = layer.relu(x) > 100.0
    assert torch.equal(layer(x)[loud], gaussian[loud])  # 1 - exp(-100) rounds to 1


def test_gaussian_stabilizes_relu_adds_the_relus_own_smoothing():
    torch.manual_seed(0)
    layer = GaussianStabilizesReLULayer(2, 3).double()
    x = torch.randn(9, 2, dtype=torch.float64)
    z = torch.nn.functional.linear(x, layer.weight, layer.bias)
    noisy = z + layer.width * torch.randn(200_000, 1, 1, dtype=torch.float64)
    expected = z.clamp_min(0.0) + noisy.clamp_min(0.0).mean(0)
    # The Monte Carlo error of 200,000 draws of unit width is 0.002; five of them over 27 entries.
    assert float((layer(x) - expected).detach().abs().max()) < 0.01
    # With the width gone, each of the two halves is the ReLU.
    with torch.no_grad():
        layer.width.fill_(1e-9)
    torch.testing.assert_close(layer(x), 2 * z.clamp_min(0.0), rtol=0, atol=1e-9)


def test_gradient_of_a_stabilised_silent_unit_is_alive():
    z = torch.tensor([-1.0], requires_grad=True)
    (torch.relu(z) + smooth(z, torch.ones(1), "relu")).backward()
    assert z.grad is not None
    assert 0.1 < float(z.grad) < 0.2  # cdf(-1) = 0.159, where a plain ReLU has 0
