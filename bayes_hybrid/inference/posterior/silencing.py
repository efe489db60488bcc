"""Draws of a model with the units of one pathway silenced, where a layer mixes both linearly."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models.base import SiteRole

_MIXING: Final[Mapping[str, SiteRole]] = {
    "gaussian": SiteRole.MIXES_GAUSSIAN,
    "relu": SiteRole.MIXES_RELU,
}


def silenced(table: SiteTable, theta: Tensor, regime: str) -> dict[str, Tensor]:
    """``theta [..., P]`` with every mixing weight of a kind of unit set to zero, by the kind.

    Args:
        table: where the sites live.
        theta: unconstrained draws; of these weights, which are Normal, the draws themselves.
        regime: the expert.

    Returns:
        Nothing for an expert without such a layer.
    """
    found: dict[str, Tensor] = {}
    for kind, role in _MIXING.items():
        for site in table.having(role):
            if site.name.startswith(f"{regime}."):
                found.setdefault(kind, theta.clone())[..., site.start : site.stop] = 0.0
    return found
