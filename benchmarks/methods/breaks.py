"""Thresholds along one feature: segmented regression and change points."""

from collections.abc import Callable

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from benchmarks.methods.apart import apart
from benchmarks.methods.base import Method, Vector
from benchmarks.methods.predictives import NormalMixture, Normals

MAX_BREAKS = 3
MIN_PIECE = 5
# Of y's standard deviation, the least noise: rows without any leave no residuals.
_LEAST = 1e-6


class WithPlaces(NormalMixture):
    """A ``NormalMixture`` whose fit found ``places [M, 3]``: estimate, lower and upper end."""

    def __init__(self, normals: Callable[[np.ndarray], Normals], found: np.ndarray) -> None:
        super().__init__(normals)
        self._found = found

    def places(self, along: int) -> np.ndarray:
        """The places along the only feature."""
        return self._found.copy()


def _segmented(x: np.ndarray, y: Vector, seed: int) -> WithPlaces:
    """Continuous lines with Normal errors (Muggeo 2003); BIC chooses how many.

    Intervals are those of the t distribution at the estimate's standard error.
    """
    with apart(seed):
        from piecewise_regression import ModelSelection

        tried = ModelSelection(x[:, 0], y, max_breakpoints=MAX_BREAKS, verbose=False)
    fits = [fit for fit in tried.model_summaries if fit["converged"]]
    best = min(fits, key=lambda fit: fit["bic"])
    count, estimates = best["n_breakpoints"], best["estimates"]
    freedom = len(y) - 2 - 2 * count
    sd = max(np.sqrt(best["rss"] / freedom), _LEAST * y.std())

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        if count:
            mean = np.asarray(tried.models[count - 1].predict(x[:, 0]))
        else:
            mean = estimates["const"] + estimates["alpha1"] * x[:, 0]
        return 1.0, mean[:, None], np.full((len(x), 1), sd)

    breaks = [estimates[f"breakpoint{i}"] for i in range(1, count + 1)]
    found = np.array([(b["estimate"], b["se"]) for b in breaks], dtype=float).reshape(-1, 2)
    half = student.ppf(0.95, freedom) * found[:, 1]
    places = np.column_stack([found[:, 0], found[:, 0] - half, found[:, 0] + half])
    return WithPlaces(normals, places[np.argsort(places[:, 0])])


def _noise(x: Vector, y: Vector) -> float:
    """Noise scale of sorted rows, from their distances to the line between both neighbours.

    The pseudo-residuals are those of Gasser, Sroka and Jennen-Steinmetz (1986).  Their median does
    not see a few jumps.
    """
    gaps = np.diff(x)
    total = gaps[1:] + gaps[:-1]
    left = np.where(total > 0.0, gaps[1:] / np.where(total > 0.0, total, 1.0), 0.5)
    distance = left * y[:-2] + (1.0 - left) * y[2:] - y[1:-1]
    scaled = np.abs(distance) / np.sqrt(1.0 + left**2 + (1.0 - left) ** 2)
    return float(np.median(scaled) / norm.ppf(0.75))


def _change_points(x: np.ndarray, y: Vector, seed: int) -> WithPlaces:
    """PELT (Killick, Fearnhead and Eckley 2012) with a line for each piece of the sorted rows.

    A piece costs BIC's three parameters, two of the line and its place: ``3 sd**2 log N``, where sd
    is the scale of the noise.
    """
    order = np.argsort(x[:, 0], kind="stable")
    sorted_x, sorted_y = x[order, 0], y[order]
    centre, spread = sorted_x.mean(), np.ptp(sorted_x) or 1.0
    # ruptures takes the cost of rows that tie for zero, so ties are broken.
    along = (sorted_x - centre) / spread + 1e-6 * np.arange(len(y)) / len(y)
    with apart(seed):
        from ruptures import Pelt

        signal = np.column_stack([sorted_y, along, np.ones(len(y))])
        search = Pelt(model="linear", min_size=MIN_PIECE, jump=1).fit(signal)
        noise = max(_noise(sorted_x, sorted_y), _LEAST * y.std())
        ends = search.predict(pen=3.0 * noise**2 * np.log(len(y)))
    pieces = np.split(np.arange(len(y)), ends[:-1])
    centres = np.array([sorted_x[rows].mean() for rows in pieces])
    lines = np.array([_line(sorted_x[rows], sorted_y[rows]) for rows in pieces])
    breaks = np.array([0.5 * (sorted_x[end - 1] + sorted_x[end]) for end in ends[:-1]])

    def mean(x: Vector) -> Vector:
        piece = np.searchsorted(breaks, x, side="right")
        return np.asarray(lines[piece, 0] + lines[piece, 1] * (x - centres[piece]))

    residuals = sorted_y - mean(sorted_x)
    freedom = max(1, len(y) - 2 * len(pieces))
    sd = max(np.sqrt(residuals @ residuals / freedom), _LEAST * y.std())

    def normals(x: np.ndarray) -> Normals:
        return 1.0, mean(x[:, 0])[:, None], np.full((len(x), 1), sd)

    nowhere = np.full_like(breaks, np.nan)
    return WithPlaces(normals, np.column_stack([breaks, nowhere, nowhere]))


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    """Mean and slope of the least-squares line; rows that tie have none."""
    across = x - x.mean()
    return float(y.mean()), float(across @ y / (across @ across or 1.0))


BREAKS = (
    Method(
        name="piecewise-regression",
        settings=f"up to {MAX_BREAKS} breaks by BIC, otherwise defaults",
        fit=_segmented,
        needs=("piecewise_regression",),
        one_feature=True,
    ),
    Method(
        name="ruptures",
        settings=f"PELT, lines of at least {MIN_PIECE} rows, penalty 3 sd^2 log N",
        fit=_change_points,
        needs=("ruptures",),
        max_rows=2_000,
        one_feature=True,
    ),
)
