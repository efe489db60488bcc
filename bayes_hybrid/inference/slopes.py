"""Exact slopes of gate and experts along one feature, draw by draw."""

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid.inference.recorder import quiet_pyro
from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.models.base import HybridModel

__all__ = ["regime_slopes"]


def regime_slopes(
    model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor, feature: int
) -> tuple[Tensor, Tensor]:
    """``d pi_k / d x_j`` and ``d location_k / d x_j`` by forward-mode differentiation.

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
    direction = torch.zeros_like(x)
    direction[:, feature] = 1.0

    def one(flat: Tensor) -> tuple[Tensor, Tensor]:
        values = table.constrain(flat)

        def read(rows: Tensor) -> tuple[Tensor, Tensor]:
            regimes = poutine.condition(model.regimes, data=values)(rows)
            return regimes.log_weights.exp(), regimes.locations

        slopes: tuple[Tensor, Tensor] = torch.func.jvp(read, (x,), (direction,))[1]
        return slopes

    with quiet_pyro(), torch.no_grad():
        gate, locations = torch.func.vmap(one)(theta)
    return gate, locations
