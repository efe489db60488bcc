"""Draws of a model with the units of one pathway silenced, where a layer mixes both linearly."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from bayes_hybrid.inference.engine.sites import SiteTable

_MIXING: Final[Mapping[str, str]] = {
    "gaussian": ".mix_gaussian_raw",
    "relu": ".mix_relu_raw",
}
"""The sites of :class:`~bayes_hybrid.nn.LinearMixLayer` that each kind of unit is read by."""


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
    for kind, ending in _MIXING.items():
        for site in table.sites:
            if site.name.startswith(f"{regime}.") and site.name.endswith(ending):
                found.setdefault(kind, theta.clone())[..., site.start : site.stop] = 0.0
    return found
