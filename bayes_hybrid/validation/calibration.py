"""The result of a simulation-based calibration: one band for each quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import FitError
from bayes_hybrid.validation.ranks import simultaneous_band
from bayes_hybrid.validation.replication import Replication

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SimulationCalibration", "summarised"]

_UNIFORM_SD: Final = 12.0**-0.5

_CLEAR: Final = 2.0
"""Standard errors beyond which a mean or spread of the ranks gives the miss its name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulationCalibration:
    """Ranks of true values among posterior draws, which are uniform if the posterior is right.

    ``table`` has a row for each quantity:

    ================  =========================================================================
    column            meaning
    ================  =========================================================================
    ``quantity``      its name, see :func:`~bayes_hybrid.validation.quantities.quantities`
    ``inside``        whether the ecdf of its ranks stays in the simultaneous band
    ``excess``        the farthest it comes outside, as a difference of probabilities; 0 or
                      less inside
    ``mean_rank``     below 0.5 the posterior lies too high, above it too low
    ``spread``        sd of the ranks over that of uniform ones: above 1 the posterior is too
                      narrow, below 1 too wide
    ``coverage_90``   share of true values in their central 90% interval
    ``reading``       for a miss, in words, which way
    ================  =========================================================================

    A band of probability 0.95 is left once in twenty by a quantity whose posterior is right; of
    ten quantities, of which each has its own band, half a miss is expected.

    Attributes:
        table: the verdicts.
        ranks: a row for each replication and a column for each quantity, ``[M, Q]``.
        replications: a row for each: ``number``, ``num_draws``, ``seconds``, ``status`` and
            ``failure``, empty where there is none.
        prob: probability of each band.
    """

    table: pd.DataFrame
    ranks: pd.DataFrame
    replications: pd.DataFrame
    prob: float

    @property
    def misses(self) -> tuple[str, ...]:
        """The quantities whose ranks leave their band."""
        return tuple(self.table.loc[~self.table["inside"], "quantity"])

    def plot(self) -> "Figure":
        """The ecdf of each quantity's ranks minus that of uniform ones, and the band.

        Returns:
            The figure, which belongs to no window and can be saved with ``savefig``.
        """
        # matplotlib takes a second to import, which calibrating should not cost.
        from bayes_hybrid.validation.plot import plot_ranks

        return plot_ranks(self)


def summarised(replications: Sequence[Replication], prob: float) -> SimulationCalibration:
    """The verdicts of finished replications.

    Raises:
        FitError: fewer than two replications have ranks.
    """
    ordered = sorted(replications, key=lambda replication: replication.number)
    ranked = [replication for replication in ordered if not replication.failure]
    if len(ranked) < 2:
        first = next((r.failure for r in ordered if r.failure), "none")
        raise FitError(
            f"{len(ranked)} of {len(ordered)} replications could be fitted; expected two or more "
            f"to compare. The first failure: {first}"
        )
    ranks = pd.DataFrame(
        [replication.rank for replication in ranked],
        index=pd.Index([replication.number for replication in ranked], name="number"),
    )
    fields = ("number", "num_draws", "seconds", "status", "failure")
    return SimulationCalibration(
        table=pd.DataFrame([_judged(name, ranks[name].to_numpy(), prob) for name in ranks]),
        ranks=ranks,
        replications=pd.DataFrame({f: [getattr(r, f) for r in ordered] for f in fields}),
        prob=prob,
    )


def _judged(name: object, ranks: FloatArray, prob: float) -> dict[str, object]:
    excess = simultaneous_band(ranks.size, prob).excess(ranks)
    # A difference of the last bit is none: both are multiples of 1 / M.
    inside = excess <= 0.5 / ranks.size
    return {
        "quantity": name,
        "inside": inside,
        "excess": excess,
        "mean_rank": float(ranks.mean()),
        "spread": float(ranks.std() / _UNIFORM_SD),
        "coverage_90": float(((ranks >= 0.05) & (ranks <= 0.95)).mean()),
        "reading": "" if inside else _reading(ranks),
    }


def _reading(ranks: FloatArray) -> str:
    """Which way the posterior errs, as far as mean and spread of the ranks say it."""
    shift = (ranks.mean() - 0.5) / _UNIFORM_SD
    # Of uniform numbers the variance has a standard error of sqrt(0.8 / M) times itself.
    spread = ranks.var() / _UNIFORM_SD**2 - 1.0
    words = []
    if abs(shift) > _CLEAR / np.sqrt(ranks.size):
        words.append("too low" if shift > 0.0 else "too high")
    # Ranks crowded at one end vary little, which says nothing about widths.
    if abs(spread) > _CLEAR * np.sqrt(0.8 / ranks.size) and (spread > 0.0 or not words):
        words.append("too narrow" if spread > 0.0 else "too wide")
    return "the posterior is " + " and ".join(words) if words else "the ranks are not uniform"
