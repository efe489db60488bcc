"""Layers with one set of parameters, or with one for each of S posterior draws."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``W x + b``.

    ==========  ===============  ==================================================
    argument    one set          S draws, evaluated without a gradient
    ==========  ===============  ==================================================
    ``x``       ``[..., D]``     ``[N, D]``, or ``[S, N, D]`` from the layer before
    ``weight``  ``[H, D]``       ``[S, H, D]``
    ``bias``    ``[H]``          ``[S, H]``
    result      ``[..., H]``     ``[S, N, H]``, which nothing else refers to
    ==========  ===============  ==================================================

    Example:
        >>> affine(torch.ones(5, 3), torch.ones(7, 2, 3), torch.zeros(7, 2)).shape
        torch.Size([7, 5, 2])
    """
    if weight.dim() == 2:
        return x @ weight.transpose(-1, -2) + bias
    # Rows last in memory: a layer's products are then of long rows, however few units it has.
    if x.dim() > 2:
        return torch.baddbmm(bias.unsqueeze(-1), weight, x.mT).mT
    # The bias as the weight of a constant input saves a pass over the result.
    rows = torch.cat([x.mT, x.new_ones(1, len(x))])
    joined = torch.cat([weight, bias.unsqueeze(-1)], dim=-1)
    product: Tensor = joined.flatten(0, 1) @ rows
    return product.unflatten(0, bias.shape).mT  # type: ignore[no-any-return]


def bind(module: nn.Module, values: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """``module`` with ``values`` in place of its own parameters.

    Threads may share the module: ``torch.func.functional_call`` would put the values into it for as
    long as it runs, where another thread finds them.

    Args:
        module: from ``[..., D]`` to ``[..., H]``.
        values: a tensor for each parameter, by its path; or S draws of each, ``[S, *shape]``.

    Returns:
        From rows ``[N, D]`` to ``[N, H]``, or to ``[S, N, H]``.

    Example:
        >>> line = nn.Linear(1, 2)  # which knows nothing of draws
        >>> draws = {"weight": torch.ones(7, 2, 1), "bias": torch.zeros(7, 2)}
        >>> bind(line, draws)(torch.zeros(5, 1)).shape
        torch.Size([7, 5, 2])
    """
    drawn = any(values[path].dim() > own.dim() for path, own in module.named_parameters())
    # In place, as draws are read for predictions, nothing could be differentiated.
    if not drawn or (_takes_draws(module) and not torch.is_grad_enabled()):
        return _with_parameters(module, values)

    def of_draws(x: Tensor) -> Tensor:
        one = torch.func.vmap(lambda own: _with_parameters(module, own)(x))
        result: Tensor = one(dict(values))
        return result

    return of_draws


def _takes_draws(module: nn.Module) -> bool:
    """Whether a module's ``forward`` is right with S draws of its parameters, too."""
    kind = type(module)
    if kind is nn.Sequential:
        return all(_takes_draws(layer) for layer in module.children())
    # Of the class itself: a subclass may have another forward.
    return kind is nn.Identity or bool(vars(kind).get("takes_draws", False))


def _with_parameters(
    module: nn.Module, values: Mapping[str, Tensor], prefix: str = ""
) -> nn.Module:
    """The module with other parameters, all else shared with it."""
    clone = copy.copy(module)
    own = {leaf: values[prefix + leaf] for leaf in module._parameters}
    children = {
        name: _with_parameters(child, values, f"{prefix}{name}.")
        for name, child in module.named_children()
    }
    vars(clone).update(_parameters=own, _modules=children)
    return clone
