"""Learning curves: errors by the number of rows, where tasks are called ``suite/family/rows``."""

from typing import Final

import numpy as np
import pandas as pd

from benchmarks.methods.hybrid import CONTROLS, HYBRID

ROWS: Final = 400
"""Where the controls' error is read."""

# Most rows for that error, over ROWS: half where the mean steps, and no more than chance elsewhere.
_STEPS, _SMOOTH = 0.5, 1.1
TARGETS: Final = {"step": _STEPS, "three_steps": _STEPS, "smooth": _SMOOTH, "kink": _SMOOTH}


def learning_curves(rmse: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By family: a row for each number of rows, a column for each method.

    Args:
        rmse: of tasks (rows) and methods (columns).
    """
    parts = rmse.index.str.rsplit("/", n=1)
    sized = [part[-1].isdecimal() for part in parts]
    curves: dict[str, dict[int, pd.Series]] = {}
    for (path, size), (_, row) in zip(parts[sized], rmse[sized].iterrows(), strict=True):
        curves.setdefault(path.rsplit("/", 1)[-1], {})[int(size)] = row
    return {
        family: pd.DataFrame(rows).T.sort_index()
        for family, rows in curves.items()
        if len(rows) > 2
    }


def rows_for(curve: "pd.Series[float]", error: float) -> float:
    """The first number of rows at which a curve comes down to an error.

    Between two sizes the logarithms are interpolated.  Infinite where the curve does not come down
    to it; the smallest size where the curve begins below it.
    """
    known = curve.dropna()
    sizes, errors = known.index.to_numpy(dtype=float), known.to_numpy()
    reached = np.flatnonzero(errors <= error)
    if not len(reached):
        return np.inf
    after = int(reached[0])
    if after == 0:
        return float(sizes[0])
    ends = np.log(errors[[after, after - 1]])
    between = np.interp(np.log(error), ends, np.log(sizes[[after, after - 1]]))
    return float(np.exp(between))


def efficiency(curve: pd.DataFrame) -> float:
    """Rows that the package needs for the better control's error at :data:`ROWS`, over those."""
    controls = [method.name for method in CONTROLS if method.name in curve]
    if HYBRID.name not in curve or not controls or ROWS not in curve.index:
        return np.nan
    best = float(curve[controls].loc[ROWS].to_numpy().min())
    return rows_for(curve[HYBRID.name], best) / ROWS
