"""Exact slopes of gate and experts along one feature, draw by draw."""

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.latent import given

__all__ = ["regime_slopes"]


def regime_slopes(
    model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor, feature: int
) -> tuple[Tensor, Tensor]:
    """``d pi_k / d x_j`` and ``d E_k[y] / d x_j`` by automatic differentiation.

    Exact up to rounding.  A ReLU unit has a kink, where its slope from the left differs from that
    from the right; at the very point of the kink torch takes the unit as silent.

    Args:
        model: the hybrid model.
        table: where its sites live in ``theta``.
        theta: draws ``[S, P]``.
        x: standardised features ``[N, D]``.
        feature: j, the position of the feature.

    Returns:
        ``[S, N, K]`` and ``[S, N, K]`` or ``[S, N, Q, K]``, per unit of the standardised feature.
    """

    def one(flat: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        regimes = model.parts(given(table.constrain(flat)), rows)(rows)
        means = [expert.density.mean for expert in regimes.experts]
        return regimes.log_weights.exp(), torch.stack(means, dim=-1)

    # Backwards, because the first forward-mode derivative of a process loads torch's decompositions
    # for seconds, with a warning.  Rows do not mix, so one pass serves all of them and all draws.
    inputs = x.expand(theta.shape[0], *x.shape).clone().requires_grad_()
    with torch.enable_grad():
        gate, means = torch.func.vmap(one)(theta, inputs)
        return _slopes(gate, inputs, feature), _slopes(means, inputs, feature)


def _slopes(values: Tensor, inputs: Tensor, feature: int) -> Tensor:
    """Derivatives of ``values [S, N, ...]`` with respect to ``inputs [S, N, D]`` of their rows."""
    flat = values.flatten(2)
    if not flat.requires_grad:
        return torch.zeros_like(values)  # a gate that does not depend on x
    columns = []
    for column in flat.unbind(-1):
        (gradient,) = torch.autograd.grad(
            column.sum(), inputs, retain_graph=True, materialize_grads=True
        )
        columns.append(gradient[..., feature])
    return torch.stack(columns, dim=-1).reshape(values.shape)
