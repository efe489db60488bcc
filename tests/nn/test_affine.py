"""Layers under many draws of their parameters are the loop over the draws."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.func import functional_call

from bayes_hybrid.nn import COMBINATIONS, SMOOTHINGS, affine, bind, stack

_DRAWS = 4


def _values(module):
    generator = torch.Generator().manual_seed(0)
    values = {}
    for path, own in module.named_parameters():
        drawn = torch.randn(_DRAWS, *own.shape, generator=generator, dtype=torch.float64)
        values[path] = drawn.exp() if path.endswith("width") else drawn
    return values


@pytest.mark.parametrize("num_rows", [1, 7])
def test_affine(num_rows):
    x, weight, bias = torch.randn(num_rows, 3), torch.randn(_DRAWS, 2, 3), torch.randn(_DRAWS, 2)
    for rows in (x, torch.randn(_DRAWS, num_rows, 3)):
        found = affine(rows, weight, bias)
        each = rows if rows.dim() > 2 else [rows] * _DRAWS
        for s in range(_DRAWS):
            torch.testing.assert_close(found[s], affine(each[s], weight[s], bias[s]))


@pytest.mark.parametrize(
    ("kind", "smoothing", "depth"), list(itertools.product(COMBINATIONS, SMOOTHINGS, (1, 2)))
)
def test_layers_under_draws(kind, smoothing, depth):
    module = stack(kind, 2, 3, depth=depth, smoothing=smoothing)
    values, x = _values(module), torch.randn(7, 2, dtype=torch.float64)
    with torch.no_grad():
        found = bind(module, values)(x)
    for s in range(_DRAWS):
        one = functional_call(module, {path: value[s] for path, value in values.items()}, (x,))
        torch.testing.assert_close(found[s], one.detach(), rtol=1e-12, atol=1e-12)


def test_one_set_of_parameters_is_functional_call():
    module = stack("gaussian", 2, 3)
    values = {path: value[0].float() for path, value in _values(module).items()}
    x = torch.randn(7, 2)
    assert torch.equal(bind(module, values)(x), functional_call(module, values, (x,)))


class _Fourier(nn.Module):
    """A layer of somebody's own, which knows nothing of draws."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        return torch.cos(x @ self.weight.mT)


@pytest.mark.parametrize("module", [_Fourier(), nn.Sequential(_Fourier(), nn.Linear(3, 1))])
def test_a_layer_that_knows_nothing_of_draws(module):
    values, x = _values(module), torch.randn(7, 2, dtype=torch.float64)
    found = bind(module, values)(x)
    for s in range(_DRAWS):
        one = functional_call(module, {path: value[s] for path, value in values.items()}, (x,))
        torch.testing.assert_close(found[s], one, rtol=1e-12, atol=1e-12)


def test_the_module_keeps_its_own_parameters():
    module = stack("relu_gates_gaussian", 2, 3)
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        bind(module, _values(module))(torch.zeros(1, 2, dtype=torch.float64))
    for path, own in module.state_dict().items():
        assert torch.equal(own, before[path])
