"""Readings of the data: restarts that group the rows alike, whichever experts serve the groups.

A regime is a set of rows.  One restart explains the calm rows with its Gaussian expert, another
with its ReLU expert, and both mean the same regime: their experts are put in one order.  Restarts
that group the rows otherwise are another reading.  Averaged over readings a regime probability says
50% where every restart is certain, so each reading has probabilities of its own, and a weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.models.base import HybridModel

__all__ = ["Reading", "grouped", "interchangeable", "reading_names", "unused_threshold"]

# Restarts are one reading where no more of the rows than this change their group.
_APART: Final = 0.1
# A regime with a larger share is one, though no row belongs to it rather than not.
_LEAKED: Final = 0.05
# Where a regime starts: this share of it lies below.
_START: Final = 0.1


def unused_threshold(num_rows: int, num_regimes: int) -> float:
    """``min(max(0.01, 2 / N), 1 / 2K)``: a regime with less usage than this is used by nobody.

    Two rows are the least that place an expert and give it a scale; one percent is what a soft
    gate leaks to a regime to which no row belongs.  Half of an even share is a bound that all
    regimes can keep at a time, however few rows are read.

    Example:
        >>> unused_threshold(50, 2), unused_threshold(10_000, 2), unused_threshold(3, 2)
        (0.04, 0.01, 0.25)
    """
    return min(max(0.01, 2.0 / num_rows), 0.5 / num_regimes)


def interchangeable(model: HybridModel) -> NDArray[np.bool_]:
    """Whether experts k and j of different restarts may serve the same regime, ``[K, K]``.

    Not where thresholds or labels name the regimes, nor across families of noise.
    """
    named = model.names_regimes or model.has_thresholds or model.label_head is not None
    alike = [[k == j and not named for j in model.likelihoods] for k in model.likelihoods]
    return np.array(alike) | np.eye(model.num_regimes, dtype=bool)


def reading_names(model: HybridModel) -> tuple[str, ...]:
    """Names of regimes as sets of rows: letters where several experts may serve one."""
    if interchangeable(model).sum() > model.num_regimes:
        return tuple(ascii_uppercase[: model.num_regimes])
    return model.regime_names


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """Restarts that group the rows alike.

    Args:
        weight: its share of the posterior.
        members: numbers of its restarts, the heaviest first, ``[M]``.
        order: of each member the expert that serves each regime, ``[M, K]``.
        responsibilities: ``p(z_n = k | x_n, y_n)`` of the training rows, averaged, ``[N, K]``.
        elpd: leave-one-out log density of its restarts in nats, averaged by weight.
    """

    weight: float
    members: NDArray[np.int64]
    order: NDArray[np.int64]
    responsibilities: FloatArray
    elpd: float

    @property
    def usage(self) -> FloatArray:
        """Share of the rows in each regime, ``[K]``."""
        return np.asarray(self.responsibilities.mean(axis=0))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Whether some rows belong to the regime, ``[K]``; see :func:`_used`."""
        return _used(self.responsibilities)

    @property
    def num_used(self) -> int:
        """Regimes that some rows belong to."""
        return int(self.used.sum())


def grouped(
    responsibilities: FloatArray,
    weights: FloatArray,
    elpd: FloatArray,
    x: FloatArray,
    tradable: NDArray[np.bool_],
) -> tuple[Reading, ...]:
    """Readings of R restarts, the heaviest first.

    From the heaviest restart to the lightest, each joins the reading that it agrees with best, its
    experts in the order that agrees best, or starts one.  With the responsibilities r of the
    restart and q of the reading, averaged by weight, the rows that change their group are::

        mean_n 1/2 sum_k |r_nk - q_nk|

    Regimes come in the order in which they start along a single feature, and by usage where there
    are several; those that nobody belongs to come last.

    Args:
        responsibilities: of each restart, averaged over its draws, ``[R, N, K]``.
        weights: of each restart ``[R]``.
        elpd: of each restart ``[R]``.
        x: features ``[N, D]``.
        tradable: which experts may stand for one another, ``[K, K]``.
    """
    groups: list[tuple[list[int], list[NDArray[np.int64]], FloatArray]] = []
    for restart in np.argsort(-weights, kind="stable"):
        own = responsibilities[restart]
        best, least = None, _APART
        for number, (_, _, mean) in enumerate(groups):
            order = _matched(mean, own, tradable)
            apart = 0.5 * float(np.abs(own[:, order] - mean).sum(axis=1).mean())
            if apart <= least:
                best, least = (number, order), apart
        if best is None:
            groups.append(([restart], [np.arange(own.shape[1])], own))
            continue
        number, order = best
        members, orders, mean = groups[number]
        before = weights[members].sum()
        share = weights[restart] / (before + weights[restart])
        groups[number] = (
            [*members, restart],
            [*orders, order],
            (1.0 - share) * mean + share * own[:, order],
        )
    readings = [_reading(*group, weights, elpd, x, tradable) for group in groups]
    return tuple(sorted(readings, key=lambda reading: -reading.weight))


def _matched(mean: FloatArray, own: FloatArray, tradable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which of a restart's experts stands for each regime of a reading, ``[K]``."""
    agreement = np.where(tradable, mean.T @ own, -1.0)
    return np.asarray(linear_sum_assignment(agreement, maximize=True)[1])


def _reading(
    members: Sequence[int],
    orders: Sequence[NDArray[np.int64]],
    mean: FloatArray,
    weights: FloatArray,
    elpd: FloatArray,
    x: FloatArray,
    tradable: NDArray[np.bool_],
) -> Reading:
    index = np.asarray(members, dtype=np.int64)
    shares = weights[index] / weights[index].sum()
    names = _by_place(mean, x) if tradable.all() else np.arange(mean.shape[1])
    return Reading(
        weight=float(weights[index].sum()),
        members=index,
        order=np.stack(orders)[:, names],
        responsibilities=mean[:, names],
        elpd=float(shares @ elpd[index]),
    )


def _used(rows: FloatArray) -> NDArray[np.bool_]:
    """Whether some rows belong to a regime, ``[K]``, of ``[N, K]``; so are those that are NaN.

    A share below a twentieth that is spread over the rows, with fewer than two that belong to the
    regime rather than not, is what a soft gate leaks.
    """
    usage = rows.mean(axis=0)
    leaked = (usage < _LEAKED) & ((rows > 0.5).sum(axis=0) < 2)
    return np.asarray(~(leaked | (usage < unused_threshold(*rows.shape))))


def _by_place(mean: FloatArray, x: FloatArray) -> NDArray[np.int64]:
    """Regimes in the order of their names, ``[K]``."""
    usage = mean.mean(axis=0)
    if x.shape[1] != 1:
        return np.argsort(-usage, kind="stable")
    along = np.argsort(x[:, 0], kind="stable")
    shares = np.cumsum(mean[along], axis=0) / np.maximum(mean.sum(axis=0), 1e-300)
    starts = x[along, 0][(shares < _START).sum(axis=0).clip(max=len(x) - 1)]
    return np.lexsort((-usage, starts, ~_used(mean)))
