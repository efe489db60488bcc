"""Where the most probable regime changes in each draw: of the gate, or between fitted rows."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    fitted_regime_draws,
    flat_draws,
    row_chunks,
)
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["Changes", "gate_changes", "row_changes"]

_GOLDEN: Final = 0.5 * (math.sqrt(5.0) - 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Changes:
    """Every change between two regimes a < b in every draw.

    Attributes:
        draw: number of the draw, ``[C]``.
        place: where, ``[C]``; between rows, in the logarithm of the feature where the model
            reads that.
        rising: whether b is above, ``[C]``.
    """

    draw: NDArray[np.intp]
    place: FloatArray
    rising: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> "Changes":
        """Those that are chosen by ``[C]``."""
        return Changes(draw=self.draw[chosen], place=self.place[chosen], rising=self.rising[chosen])


def gate_changes(fit: Fit, points: FloatArray, along: FloatArray) -> dict[tuple[int, int], Changes]:
    """The changes of p(z | x) along a line, by the two regimes a < b.

    Args:
        fit: the finished fit.
        points: of the line, in their order, ``[G, D]``.
        along: where each is on it, ``[G]``.
    """
    return _changes(flat_draws(fit.posterior.by_draw.regime_probability(points)), along)


def row_changes(fit: Fit) -> dict[tuple[int, int], Changes]:
    """The changes of p(z | x, y) between neighbouring fitted rows, by the two regimes a < b.

    Args:
        fit: a finished fit with one feature.

    Raises:
        OptionError: there are several features.
    """
    if fit.x.shape[1] > 1:
        raise OptionError(
            f"of='rows': expected a fit with one feature, because rows with others lie beside the "
            f"line along it; this one has {fit.x.shape[1]}; take of='gate'"
        )
    posterior, order = fit.posterior, np.argsort(fit.x[:, 0], kind="stable")
    size = posterior.num_restarts * posterior.num_draws
    # Even over every gap for any stretch of draws, without a seed: multiples of the golden ratio.
    shares: FloatArray = np.mod(np.arange(1, size + 1) * _GOLDEN, 1.0, dtype=np.float64)
    pieces: dict[tuple[int, int], list[Changes]] = {}
    for part in row_chunks(len(order), size * posterior.num_regimes):
        # With the row before, for the gap between two chunks.
        rows = order[max(part.start - 1, 0) : part.stop]
        draws = flat_draws(fitted_regime_draws(fit, rows))
        along = posterior.x_scaling.read(fit.x[rows, 0], 0)
        for pair, piece in _changes(draws, along, shares).items():
            pieces.setdefault(pair, []).append(piece)
    return {
        pair: Changes(
            draw=np.concatenate([each.draw for each in found]),
            place=np.concatenate([each.place for each in found]),
            rising=np.concatenate([each.rising for each in found]),
        )
        for pair, found in pieces.items()
    }


def _changes(
    draws: FloatArray, along: FloatArray, shares: FloatArray | None = None
) -> dict[tuple[int, int], Changes]:
    """The changes between neighbouring points of ``[M, G, K]``, by the two regimes a < b.

    A change is put at that share of the way of its draw ``[M]``, or else where the odds are even.
    """
    likeliest = draws.argmax(axis=-1)
    draw, cell = np.nonzero(likeliest[:, :-1] != likeliest[:, 1:])
    before, after = likeliest[draw, cell], likeliest[draw, cell + 1]
    if shares is None:
        share = _even_odds(draws[draw, cell], draws[draw, cell + 1], before, after)
    else:
        share = shares[draw]
    everything = Changes(
        draw=draw,
        place=along[cell] + share * (along[cell + 1] - along[cell]),
        rising=before < after,
    )
    low, high = np.minimum(before, after), np.maximum(before, after)
    return {
        (a, b): everything.where((low == a) & (high == b))
        for a, b in sorted(set(zip(low.tolist(), high.tolist(), strict=True)))
    }


def _even_odds(
    left: FloatArray, right: FloatArray, before: NDArray[np.intp], after: NDArray[np.intp]
) -> FloatArray:
    """Share of the way from ``left`` to ``right``, both ``[C, K]``, where log odds cross 0."""
    index = np.arange(len(left))
    # A probability that underflows to 0 is somewhere below the smallest number.
    start, stop = (np.log(np.maximum(side, np.finfo(np.float64).tiny)) for side in (left, right))
    start, stop = (side[index, after] - side[index, before] for side in (start, stop))
    # From at most even to at least even; they may be even at both ends.
    rise = stop - start
    share: FloatArray = np.divide(-start, rise, out=np.full_like(rise, 0.5), where=rise > 0.0)
    return share
