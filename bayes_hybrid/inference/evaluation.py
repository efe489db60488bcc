"""Gate and experts of posterior draws, as a pure function of draws and rows.

No Pyro program runs here and no module is changed, so that any number of threads may predict.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.models.base import HybridModel, Parts, Regimes

# Draws at a time, and the numbers that a hidden layer makes of them: a core's cache holds 1.6 MB.
_DRAWS: Final = 100
_TILE: Final = 200_000


class Evaluation:
    """Gate and experts of draws ``theta [S, P]``, as a function of rows.

    Args:
        model: the hybrid model.
        table: where its sites live in ``theta``.
        theta: unconstrained draws, in the precision to work in.
    """

    @torch.no_grad()
    def __init__(self, model: HybridModel, table: SiteTable, theta: Tensor) -> None:
        """Bind the parameters of all draws."""
        self._size, self._num_regimes = len(theta), model.num_regimes
        self._pieces = []
        for start in range(0, self._size, _DRAWS):
            draws = slice(start, min(start + _DRAWS, self._size))
            parts = model.given(table.constrain(theta[draws]), theta)
            self._pieces.append((draws, parts))
        self._tile = max(1, _TILE // (min(_DRAWS, self._size) * table.width))

    def __call__(self, x: Tensor) -> Regimes:
        """Of ``x [N, D]``, fields ``[S, N, K]``."""
        return Regimes(self.log_weights(x), *self._assembled(x, lambda parts: parts.experts))

    def log_weights(self, x: Tensor) -> Tensor:
        """Those of the gate alone on ``x [N, D]``, ``[S, N, K]``."""
        (gate,) = self._assembled(x, lambda parts: lambda rows: (parts.gate(rows),))
        return gate

    @torch.no_grad()
    def _assembled(
        self, x: Tensor, function_of: Callable[[Parts], Callable[[Tensor], tuple[Tensor, ...]]]
    ) -> list[Tensor]:
        """Results for all rows under all draws, ``[S, N, ..., K]``, with K first in memory."""
        results: list[Tensor] = []
        for start in range(0, len(x), self._tile):
            rows = slice(start, min(start + self._tile, len(x)))
            for draws, parts in self._pieces:
                tiles = function_of(parts)(x[rows])
                if not results:
                    # A gate without parameters does not know how many draws there are.
                    rests = [tile.shape[tile.dim() - 1 - (tile.dim() > 3) :] for tile in tiles]
                    results = [x.new_empty(r[-1], self._size, len(x), *r[:-1]) for r in rests]
                    results = [result.movedim(0, -1) for result in results]
                for result, tile in zip(results, tiles, strict=True):
                    result[draws, rows] = tile
        return results


def evaluate_regimes(model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor) -> Regimes:
    """Gate and experts of draws ``theta [S, P]`` on ``x [N, D]``, fields ``[S, N, K]``."""
    return Evaluation(model, table, theta)(x)
