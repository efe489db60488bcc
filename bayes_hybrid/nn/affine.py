"""Affine maps with one set of weights, or with one for each of S posterior draws."""

import copy
from collections.abc import Mapping

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
    rows = x.expand(len(weight), *x.shape[-2:])
    return torch.baddbmm(bias.unsqueeze(-2), rows, weight.transpose(-1, -2))


def evaluate(module: nn.Module, values: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Run ``module`` on ``x`` with ``values`` in place of its own parameters.

    Threads may share the module: ``torch.func.functional_call`` would put the values into it for as
    long as it runs, where another thread finds them.

    Args:
        module: from ``[..., D]`` to ``[..., H]``.
        values: a tensor for each parameter, by its path; or S draws of each, ``[S, *shape]``.
        x: rows ``[N, D]``.

    Returns:
        ``[N, H]``, or ``[S, N, H]``.
    """
    drawn = any(values[path].dim() > own.dim() for path, own in module.named_parameters())
    if not drawn or all(_takes_draws(part) for part in module.modules()):
        result: Tensor = _with_parameters(module, values)(x)
        return result
    one = lambda own: _with_parameters(module, own)(x)  # noqa: E731
    result = torch.func.vmap(one)(dict(values))
    return result


def _takes_draws(module: nn.Module) -> bool:
    """Whether a module's ``forward`` is right with S draws of its parameters, too."""
    return getattr(module, "takes_draws", isinstance(module, nn.Sequential | nn.Identity))


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
