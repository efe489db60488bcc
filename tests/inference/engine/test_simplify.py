"""A record means the same after it was shortened, and is shorter."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_hybrid.inference.engine.simplify import simplify

_aten = torch.ops.aten


def _targets(record):
    return [node.target for node in record.graph.nodes if node.op == "call_function"]


def _check(function, *arguments):
    """Record, shorten, and compare; the shortened record's functions."""
    record = make_fx(function)(*arguments)
    expected = function(*arguments)
    simplify(record)
    # The code that runs is that of the shortened graph.
    assert record.code == record.graph.python_code("self").src
    torch.testing.assert_close(record(*arguments), expected, rtol=1e-12, atol=1e-12)
    # Other values than those it was recorded with.
    others = [2.0 * argument - 0.3 for argument in arguments]
    torch.testing.assert_close(record(*others), function(*others), rtol=1e-12, atol=1e-12)
    return _targets(record)


def _draw(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_copies_and_neutral_operations_go():
    def function(x):
        copy = (x * 1 + 0.0) / 1.0 - 0
        return copy.clone().detach().reshape(x.shape).permute(0, 1).expand(x.shape).exp()

    assert _check(function, _draw(3, 2)) == [_aten.exp.default]


def test_operations_that_change_shape_or_dtype_stay():
    def function(x):
        return (x.reshape(6) + 0.0).expand(2, 6).permute(1, 0) * torch.ones(1, dtype=torch.float64)

    _check(function, _draw(3, 2))
    record = simplify(make_fx(lambda x: (x * 1.0).to(torch.float64))(torch.ones(2)))
    assert record(torch.ones(2)).dtype == torch.float64


def test_what_no_input_reaches_is_computed_once():
    def function(x):
        return x + torch.arange(4, dtype=torch.float64).exp().cumsum(0)

    assert _check(function, _draw(4)) == [_aten.add.Tensor]


def test_equal_nodes_become_one():
    def function(x):
        return x.exp() + x.exp() * x.exp()

    assert _check(function, _draw(4)).count(_aten.exp.default) == 1


def test_numbers_of_another_type_are_another_argument():
    # 1 == 1.0 == True in Python; on whole numbers they promote differently.
    record = simplify(make_fx(lambda x: (x + 2, x + 2.0))(torch.ones(2, dtype=torch.int64)))
    assert [value.dtype for value in record(torch.ones(2, dtype=torch.int64))] == [
        torch.int64,
        torch.float32,
    ]


@pytest.mark.parametrize(
    ("left", "right", "products"),
    [((3, 4, 1), (3, 1, 5), 0), ((3, 4, 6), (3, 6, 1), 1), ((3, 4, 6), (3, 6, 5), 1)],
    ids=["outer", "column", "full"],
)
def test_products(left, right, products):
    def function(a, b):
        product = torch.bmm(a, b)
        return product.reshape(-1), product.transpose(1, 2).exp()

    assert _check(function, _draw(*left), _draw(*right)).count(_aten.bmm.default) == products
    # Operands that are not contiguous are laid out otherwise.
    _check(
        lambda a, b: function(a.transpose(1, 2), b.transpose(1, 2)),
        _draw(left[0], left[2], left[1]),
        _draw(right[0], right[2], right[1]),
    )


def test_a_record_that_changes_a_value_in_place_keeps_its_order():
    def function(x):
        mask = torch.zeros(4, dtype=torch.float64)
        before = mask.clone()
        mask[1:3] = 1.0
        return x * mask + before

    _check(function, _draw(4))
