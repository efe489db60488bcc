"""Experts that meet at the thresholds between their regimes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from bayes_hybrid.models.sampled import Expert

__all__ = ["joined"]

_Function = Callable[[Tensor], Expert]


def joined(
    experts: Sequence[_Function], meets: Sequence[bool], thresholds: Tensor, feature: int
) -> tuple[_Function, ...]:
    """The same experts, moved up or down so that they begin where the one before ends.

    ::

        location_1(x) = f_1(x)
        location_(k+1)(x) = f_(k+1)(x) - f_(k+1)(x | x_j = tau_k) + location_k(x | x_j = tau_k)

    so that the location is continuous across ``x_j = tau_k``, whatever the other features are.

    Args:
        experts: K of them, as functions of ``x [N, D]``, in the order of their regimes.
        meets: at which of the K - 1 thresholds; at the others the location may jump.
        thresholds: between them, ``[K - 1]``, or of S draws ``[S, K - 1]``.
        feature: j, the feature that they are on.

    Source: Muggeo (2003), Estimating regression models with unknown break-points, Statistics in
    Medicine 22, for lines.
    """
    chain = [experts[0]]
    for k, (own, meet) in enumerate(zip(experts[1:], meets, strict=True)):
        onwards = partial(_onwards, chain[-1], own, thresholds[..., k], feature)
        chain.append(onwards if meet else own)
    return tuple(chain)


def _onwards(
    before: _Function, own: _Function, threshold: Tensor, feature: int, x: Tensor
) -> Expert:
    """``own`` at ``x``, from where ``before`` is at the threshold."""
    place = threshold.unsqueeze(-1) if threshold.dim() else threshold
    is_feature = torch.arange(x.shape[-1], device=x.device) == feature
    at = torch.where(is_feature, place.unsqueeze(-1), x)
    here = own(x)
    location = here.location - own(at).location + before(at).location
    return replace(here, numbers=(location, *here.numbers[1:]))
