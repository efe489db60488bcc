"""Where thresholds may start: at the least-squares segmentation of the rows along their feature."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference.engine.rows import Rows

__all__ = ["SEGMENTS", "least_squares_thresholds", "segmented"]

SEGMENTS: Final = ("levels", "lines")
"""What may be between the thresholds."""

# One of so many starts is a draw from the prior.
_EVERY: Final = 4
# A start: the climb and the sampler move thresholds from there.
_MOST_PLACES: Final = 200
# A line through fewer rows meets them, and the best segmentation would have many of these.
_LEAST_ROWS: Final = 4
_LEAST_SHARE: Final = 0.05


def segmented(theta: Tensor, rows: Rows, folds: Tensor, segments: str) -> Tensor:
    """The starts ``[C, P]``, three of four with the thresholds of least squares.

    Each goes by the rows that it may see.  Every fourth stays at a draw from the prior, in case
    least squares misleads: it knows nothing of outliers, counts, or what else the likelihood knows.

    Args:
        theta: draws from the prior ``[C, P]``.
        rows: the rows of the model; a model without thresholds among its parameters keeps
            its starts.
        folds: the rows that each start may see, as weights ``[C, N]``.
        segments: one of :data:`SEGMENTS`.
    """
    model, table = rows.joint.model, rows.joint.table
    values = table.constrain(theta)
    found = model.boundaries(values)
    if found is None or found.feature is None:
        return theta
    # Of a gate that warps its feature no parameter is a place on it.
    places_of = [n for n, value in values.items() if torch.equal(value, found.location)]
    if not places_of:
        return theta
    score = rows.x[:, found.feature].double().cpu().numpy()
    y = rows.target.y.double().cpu().numpy().reshape(len(score), -1)
    location = values[places_of[0]].clone()
    for c in range(len(theta)):
        if c % _EVERY == _EVERY - 1:
            continue
        seen = folds[c].cpu().numpy() > 0.0
        places = least_squares_thresholds(score[seen], y[seen], model.num_regimes, segments)
        if places is not None:
            location[c] = torch.as_tensor(places).to(location)
    return table.flatten({**values, places_of[0]: location}, batch_dims=1)


def least_squares_thresholds(
    score: FloatArray, y: FloatArray, num_segments: int, segments: str
) -> FloatArray | None:
    """The K - 1 thresholds with the least sum of squares about K levels, or lines.

    Thresholds are half way between neighbouring rows, of which at most 200 pairs are looked at.  A
    segment has four rows or more, and at least a twentieth of them.

    Args:
        score: the feature ``[N]``.
        y: targets ``[N, Q]``, NaN where one is missing.
        num_segments: K.
        segments: one of :data:`SEGMENTS`.

    Returns:
        The thresholds in increasing order ``[K - 1]``; ``None`` where there are too few rows.

    Source: Bellman and Roth (1969), Curve fitting by segmented straight lines, JASA 64, 1079-1084.

    Example:
        >>> x = np.arange(20.0)
        >>> least_squares_thresholds(x, np.where(x < 8, 0.0, 1.0)[:, None], 2, "levels")
        array([7.5])
    """
    order = np.argsort(score, kind="stable")
    score, y = score[order], y[order]
    cuts = 1 + np.flatnonzero(np.diff(score) > 0.0)
    if len(cuts) > _MOST_PLACES:
        cuts = cuts[np.linspace(0, len(cuts) - 1, _MOST_PLACES).round().astype(int)]
    edges = np.concatenate([[0], cuts, [len(score)]])
    least = max(_LEAST_ROWS, int(_LEAST_SHARE * len(score)))
    counts = edges[None, :] - edges[:, None]
    cost = np.where(counts >= least, _costs(score, y, edges, segments), np.inf)
    total, before = cost[0], list[NDArray[np.intp]]()
    for _ in range(num_segments - 1):
        sums = total[:, None] + cost
        before.append(sums.argmin(axis=0))
        total = sums.min(axis=0)
    if not np.isfinite(total[-1]):
        return None
    places, last = list[int](), len(edges) - 1
    for step in reversed(before):
        last = int(step[last])
        places.append(int(edges[last]))
    at = np.array(places[::-1])
    return np.asarray(0.5 * (score[at - 1] + score[at]))


def _costs(score: FloatArray, y: FloatArray, edges: NDArray[np.int64], segments: str) -> FloatArray:
    """Sum of squares about the level, or line, of the rows between any two edges, ``[E, E]``."""
    there = np.isfinite(y)
    y = np.where(there, y, 0.0)
    x = np.where(there, (score - score.mean())[:, None], 0.0)
    columns = np.stack([there.astype(float), x, y, x * x, x * y, y * y])
    summed = np.concatenate([np.zeros_like(columns[:, :1]), columns.cumsum(axis=1)], axis=1)
    at = summed[:, edges]
    count, x1, y1, xx, xy, yy = at[:, None, :] - at[:, :, None]
    count = np.maximum(count, 1.0)
    cost = yy - y1 * y1 / count
    if segments == "lines":
        spread = xx - x1 * x1 / count
        # Where all have one x the line is a level.
        usable = spread > 1e-9 * np.maximum(xx, 1e-300)
        slope = np.where(usable, (xy - x1 * y1 / count) / np.where(usable, spread, 1.0), 0.0)
        cost = cost - slope * slope * np.where(usable, spread, 0.0)
    return np.asarray(np.maximum(cost, 0.0).sum(axis=-1))
