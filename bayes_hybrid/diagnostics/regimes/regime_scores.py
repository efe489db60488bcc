"""How good regime probabilities are, where the regimes are known."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.errors import DataError

__all__ = ["regime_scores"]

_NUM_BINS = 10


def regime_scores(probs: ArrayLike, truth: ArrayLike, names: tuple[str, ...]) -> pd.DataFrame:
    """Scores of regime probabilities against known regimes.

    ============  ==================================================================  =======
    score         formula, over the rows whose regime z is known                      best
    ============  ==================================================================  =======
    ``log_loss``  ``mean_n -log p_n[z_n]``, nats                                      0
    ``brier``     ``mean_n sum_k (p_nk - 1[z_n = k])**2``                             0
    ``auc``       chance that a row of regime k has a larger ``p_k`` than one of      1
                  another; for K > 2 the mean over k (one against the rest)
    ``ece``       ``sum_b N_b / N |share of hits - mean confidence| in bin b``        0
    ============  ==================================================================  =======

    The confidence is that of the most probable regime, and a hit is a row that is in it.  There are
    ten bins of as many rows each, because confidences crowd near 1, where bins of one width would
    leave most of them empty; rows of the same confidence stay together.  A calibrated model has an
    ece above zero, too: with few rows in a bin, the share of hits scatters.

    Standard errors take rows as independent.  That of the auc is for two regimes only, and the ece
    has none.

    Args:
        probs: regime probabilities ``[N, K]``, each row with sum one.
        truth: number of the regime ``[N]``, NaN where it is not known.
        names: names of the K regimes.

    Returns:
        A row for each score, with ``value``, ``standard_error`` (NaN without one), ``num_rows`` and
        ``note``, which says why a value is NaN or what it leaves out, and is empty else.

    Raises:
        DataError: shapes that do not fit, rows that are no probabilities, numbers of no regime, or
            no row whose regime is known.

    Source: Brier (1950), in its form for several classes; Hanley and McNeil (1982) for the error of
    the auc; Guo, Pleiss, Sun and Weinberger (2017) for the ece.

    Example:
        >>> probs = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]
        >>> scores = regime_scores(probs, [0, 1, 1, np.nan], ("gaussian", "relu"))
        >>> scores["value"].round(3).to_dict()
        {'log_loss': 0.415, 'brier': 0.273, 'auc': 1.0, 'ece': 0.3}
    """
    p, z = _known(np.asarray(probs, dtype=np.float64), np.asarray(truth, dtype=np.float64), names)
    rows = np.arange(len(z))
    # As scikit-learn does it: a regime held impossible costs 36 nats, not infinitely many.
    log_loss = -np.log(np.maximum(p[rows, z], np.finfo(np.float64).eps))
    brier = np.square(p - np.eye(len(names))[z]).sum(axis=1)
    auc, error, note = _auc(p, z, names)
    table = {
        "log_loss": (log_loss.mean(), _error(log_loss), ""),
        "brier": (brier.mean(), _error(brier), ""),
        "auc": (auc, error, note),
        "ece": (_ece(p, z), math.nan, ""),
    }
    result = pd.DataFrame.from_dict(
        table, orient="index", columns=["value", "standard_error", "note"]
    )
    result.insert(2, "num_rows", len(z))
    return result


def _known(
    p: FloatArray, truth: FloatArray, names: tuple[str, ...]
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Probabilities and numbers of the rows whose regime is known."""
    if p.ndim != 2 or truth.shape != p.shape[:1] or p.shape[1] != len(names):
        raise DataError(
            f"expected probabilities [N, {len(names)}] and regimes [N]; got shapes {p.shape} and "
            f"{truth.shape}"
        )
    # Sums of float32 numbers are one to six digits.
    bad = ~((p >= 0.0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) < 1e-6))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"row {row + 1} of the probabilities is {p[row].tolist()}; expected sum 1")
    there = ~np.isnan(truth)
    if not there.any():
        raise DataError("no row has a known regime; expected at least one")
    strange = there & ~np.isin(truth, np.arange(len(names)))
    if strange.any():
        row = int(strange.argmax())
        raise DataError(
            f"row {row + 1}: {truth[row]:g} is the number of no regime; expected 0 to "
            f"{len(names) - 1}, or NaN"
        )
    return p[there], truth[there].astype(np.intp)


def _error(rows: FloatArray) -> float:
    """Standard error of a mean; a single row has none."""
    return float(rows.std(ddof=1)) / math.sqrt(len(rows)) if len(rows) > 1 else math.nan


def _auc(p: FloatArray, z: NDArray[np.intp], names: tuple[str, ...]) -> tuple[float, float, str]:
    """The area under the ROC curve, its standard error, and what it leaves out."""
    counts = np.bincount(z, minlength=len(names))
    present = np.flatnonzero(counts)
    if len(present) == 1:
        name = names[present[0]]
        return math.nan, math.nan, f"every row is {name!r}: there is nothing to tell it from"
    if len(names) == 2:
        auc = float(roc_auc_score(z == 1, p[:, 1]))
        return auc, _auc_error(auc, *counts.tolist()), ""
    absent = [names[k] for k in np.flatnonzero(counts == 0)]
    auc = float(np.mean([roc_auc_score(z == k, p[:, k]) for k in present]))
    return auc, math.nan, f"without {absent}, of which there is no row" if absent else ""


def _auc_error(auc: float, first: int, second: int) -> float:
    """Hanley and McNeil's standard error for classes of these sizes."""
    one, two = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    spread = auc * (1.0 - auc) + (second - 1) * (one - auc**2) + (first - 1) * (two - auc**2)
    return math.sqrt(max(0.0, spread) / (first * second))


def _ece(p: FloatArray, z: NDArray[np.intp]) -> float:
    """Expected calibration error of the most probable regime, in bins of as many rows each."""
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == z
    edges = np.quantile(confidence, np.arange(1, _NUM_BINS) / _NUM_BINS)
    place = np.searchsorted(edges, confidence, side="left")
    gaps = np.bincount(place, weights=hit - confidence, minlength=_NUM_BINS)
    return float(np.abs(gaps).sum() / len(z))
