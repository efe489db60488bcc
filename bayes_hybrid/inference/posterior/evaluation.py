"""Gate and experts of posterior draws, as a pure function of draws and rows.

No Pyro program runs here and no module is changed, so that any number of threads may predict.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.latent import given
from bayes_hybrid.models.sampled import Parts, Regimes

# Draws at a time, and the numbers that a hidden layer makes of them: 25 MB in float64, of which a
# cache shared by cores holds a few.
_DRAWS: Final = 200
_TILE: Final = 3_200_000


class Evaluation:
    """Gate and experts of draws ``theta [S, P]``, as a function of rows.

    Args:
        model: the hybrid model.
        table: where its sites live in ``theta``.
        theta: unconstrained draws, in the precision to work in.
        order: of each draw the expert that serves each regime ``[S, K]``; ``None`` where regimes
            are experts.
    """

    @torch.no_grad()
    def __init__(
        self, model: HybridModel, table: SiteTable, theta: Tensor, order: Tensor | None = None
    ) -> None:
        """Bind the parameters of all draws."""
        self._order = order
        self._size, self._num_regimes = len(theta), model.num_regimes
        self._pieces = []
        for start in range(0, self._size, _DRAWS):
            draws = slice(start, min(start + _DRAWS, self._size))
            parts = model.parts(given(table.constrain(theta[draws])), theta)
            self._pieces.append((draws, parts))
        self._tile = max(1, _TILE // (min(_DRAWS, self._size) * table.width))

    def __call__(self, x: Tensor) -> Regimes:
        """Of ``x [N, D]``, log weights ``[S, N, K]`` and experts ``[S, N]``."""
        return self._assembled(x, _regimes)

    def log_weights(self, x: Tensor) -> Tensor:
        """Those of the gate alone on ``x [N, D]``, ``[S, N, K]``."""
        return self._assembled(x, _gate).log_weights

    def mean_over_draws(
        self, x: Tensor, weights: Tensor, of: Callable[[Regimes], Tensor]
    ) -> Tensor:
        """The mean of ``of(regimes) [S', M, ...]`` over draws ``[N, ...]``, without keeping them.

        Args:
            x: rows ``[N, D]``.
            weights: of each draw ``[S]``, which add up to one.
            of: of gate and experts of some draws and rows.
        """
        result = None
        for rows, draws, tile in self._tiles(x, _regimes):
            value = of(tile)
            if result is None:
                result = value.new_zeros(len(x), *value.shape[2:])
            share = weights[draws]
            result[rows] += torch.tensordot(share, value.expand(len(share), *value.shape[1:]), 1)
        if result is None:
            raise ValueError("expected at least one row")
        return result

    def regime_probabilities(self, x: Tensor, weights: Tensor) -> Tensor:
        """Those of the gate on ``x [N, D]``, averaged over draws by their weights, ``[N, K]``."""
        result = x.new_zeros(len(x), self._num_regimes)
        for rows, draws, tile in self._tiles(x, _gate):
            share, gate = weights[draws], tile.log_weights
            result[rows] += torch.tensordot(
                share, gate.exp().expand(len(share), *gate.shape[1:]), 1
            )
        return result

    def _assembled(self, x: Tensor, of: Callable[[Parts, Tensor], Regimes]) -> Regimes:
        """Results for all rows under all draws."""
        result = None
        for rows, draws, tile in self._tiles(x, of):
            if result is None:
                # With the regimes first in memory: short axes are slow where they are last.
                weights = x.new_empty(self._num_regimes, self._size, len(x)).movedim(0, -1)
                room = tile.map(lambda value: x.new_empty(self._size, len(x), *value.shape[2:]))
                result = replace(room, log_weights=weights)
            for whole, part in zip(result.tensors, tile.tensors, strict=True):
                whole[draws, rows] = part
        if result is None:
            raise ValueError("expected at least one row")
        return result

    @torch.no_grad()
    def _tiles(
        self, x: Tensor, of: Callable[[Parts, Tensor], Regimes]
    ) -> Iterator[tuple[slice, slice, Regimes]]:
        """``of`` some draws and some rows, as many as a cache holds."""
        for start in range(0, len(x), self._tile):
            rows = slice(start, min(start + self._tile, len(x)))
            for draws, parts in self._pieces:
                tile = of(parts, x[rows])
                yield rows, draws, tile if self._order is None else tile.ordered(self._order[draws])


def _regimes(parts: Parts, x: Tensor) -> Regimes:
    return replace(_gate(parts, x), experts=tuple(expert(x) for expert in parts.experts))


def _gate(parts: Parts, x: Tensor) -> Regimes:
    gate = parts.gate(x)
    # One without parameters does not know that there are draws.
    return Regimes(gate if gate.dim() > 2 else gate.unsqueeze(0), ())


def evaluate_regimes(model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor) -> Regimes:
    """Gate and experts of draws ``theta [S, P]`` on ``x [N, D]``, experts ``[S, N]``."""
    return Evaluation(model, table, theta)(x)
