"""Make a recorded tensor graph shorter without changing what it computes.

Run as it is, a graph costs a few microseconds a node, whatever the size of the data; compiled, its
nodes are what compiling takes time for.  Much of a record is bookkeeping of the program that was
recorded: values that no input reaches, copies of what nobody changes, multiplications by one.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

import torch
from torch.fx import Graph, GraphModule, Node

_aten: Final = torch.ops.aten
# Records are functional: no node changes another's value, so a copy is the value itself.
_COPIES: Final = (
    _aten.detach.default,
    _aten.alias.default,
    _aten.lift_fresh_copy.default,
    _aten.clone.default,
)
_VIEWS: Final = (_aten.view.default, _aten._unsafe_view.default)
_SHAPES: Final = (*_VIEWS, _aten.reshape.default, _aten.expand.default)
_NEUTRAL: Final[Mapping[Any, float]] = {
    _aten.mul.Tensor: 1.0,
    _aten.mul.Scalar: 1.0,
    _aten.div.Tensor: 1.0,
    _aten.add.Tensor: 0.0,
    _aten.sub.Tensor: 0.0,
}


def simplify(record: GraphModule) -> GraphModule:
    """Shorten ``record`` in place, and return it.

    1. Copies, unit factors, zero terms and reshapes to the same shape give way to their operand.
    2. What depends on no input is computed now, once.
    3. A batched product with a matrix of one column or one row of inner terms is written so that
       it does not pass through a general matrix product (ten times slower there).
    4. One of several equal nodes stays; nodes without users go.

    Random draws stay as they are.  A record that changes a value in place only loses the nodes
    without users.
    """
    graph = record.graph
    if any(mutates(node) for node in graph.nodes):
        graph.eliminate_dead_code()
        record.recompile()
        return record
    for node in list(graph.nodes):
        operand = _operand(node)
        if operand is not None:
            _replace(node, operand)
    for node in graph.nodes:
        if node.target in _VIEWS:
            # What a copy stood for may be laid out otherwise, and so may a broadcast product.
            node.target = _aten.reshape.default
    _fold(record)
    for node in list(graph.nodes):
        if node.target is _aten.bmm.default:
            _product(graph, node)
    _merge(graph)
    graph.eliminate_dead_code()
    record.delete_all_unused_submodules()
    record.recompile()
    return record


def mutates(node: Node) -> bool:
    """Whether a node changes a value in place."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _draws(node: Node) -> bool:
    """Whether a node gives something else each time."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _replace(node: Node, value: Any) -> None:  # noqa: ANN401 (a node or a number)
    node.replace_all_uses_with(value)
    node.graph.erase_node(node)


def _meta(node: Any) -> tuple[torch.Size, torch.dtype] | None:  # noqa: ANN401
    """Shape and dtype of what a node gives, if it is one tensor."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return (value.shape, value.dtype) if isinstance(value, torch.Tensor) else None


def _operand(node: Node) -> Any:  # noqa: ANN401
    """What ``node`` may be replaced by, or ``None``."""
    if node.op != "call_function" or not node.args:
        return None
    first = node.args[0]
    if node.target in _COPIES:
        return first
    if node.target is _aten._to_copy.default and isinstance(first, int | float):
        return first if set(node.kwargs) <= {"dtype", "device"} else None
    if _meta(node) is None or _meta(first) != _meta(node):
        return None
    if node.target in _SHAPES:
        return first
    second: Any = node.args[1] if len(node.args) > 1 else None
    if node.target is _aten.permute.default:
        return first if list(second) == sorted(second) else None
    number = isinstance(second, int | float) and not node.kwargs
    return first if number and second == _NEUTRAL.get(node.target) else None


def _fold(record: GraphModule) -> None:
    """Compute what depends on no input, and keep the values as constants of the record."""
    values: dict[Node, Any] = {}
    for node in record.graph.nodes:
        if node.op == "get_attr":
            values[node] = getattr(record, node.target)
        elif _draws(node):
            continue
        elif node.op == "call_function" and all(i in values for i in node.all_input_nodes):
            args = torch.fx.map_arg(node.args, values.__getitem__)
            kwargs = torch.fx.map_arg(node.kwargs, values.__getitem__)
            values[node] = node.target(*args, **kwargs)
    for number, (node, value) in enumerate(list(values.items())):
        used = any(user not in values for user in node.users)
        if node.op == "get_attr" or not used or not isinstance(value, torch.Tensor):
            continue
        name = f"_folded_{number}"
        record.register_buffer(name, value.detach().clone().contiguous())
        with record.graph.inserting_before(node):
            constant = record.graph.get_attr(name)
        constant.meta = dict(node.meta)
        node.replace_all_uses_with(constant)


def _product(graph: Graph, node: Node) -> None:
    """``A [C, n, m] @ B [C, m, p]``: for m = 1 a broadcast product, for p = 1 a row product."""
    left, right = node.args
    first, second = _meta(left), _meta(right)
    if first is None or second is None:
        return
    with graph.inserting_before(node):
        call: Callable[..., Node] = graph.call_function
        if first[0][-1] == 1:
            product = call(_aten.mul.Tensor, (left, right))
        elif second[0][-1] == 1:
            row, column = (call(_aten.permute.default, (side, [0, 2, 1])) for side in (right, left))
            shape = [first[0][0], first[0][1], 1]
            product = call(_aten.reshape.default, (call(_aten.bmm.default, (row, column)), shape))
        else:
            return
    product.meta = dict(node.meta)
    _replace(node, product)


def _merge(graph: Graph) -> None:
    """Keep one of several nodes that apply the same function to the same arguments."""
    seen: dict[Hashable, Node] = {}
    for node in list(graph.nodes):
        if node.op not in ("call_function", "get_attr") or _draws(node):
            continue
        # Types too: 1 == 1.0 == True, but they promote differently.
        key = (node.op, node.target, _key(node.args), _key(node.kwargs))
        if key in seen:
            _replace(node, seen[key])
        else:
            seen[key] = node


def _key(value: Any) -> Hashable:  # noqa: ANN401
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(_key(item) for item in value)
    return (type(value), value)
