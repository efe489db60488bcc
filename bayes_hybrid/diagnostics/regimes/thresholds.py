"""Where the regimes change, as a table and in words."""

import itertools
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import flat_draws, row_chunks
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.digits import figures
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import THRESHOLD_GATES
from bayes_hybrid.inference.posterior.over_draws import (
    mean_over_draws,
    quantiles_over_draws,
    sd_over_draws,
)
from bayes_hybrid.inference.posterior.thresholds import Thresholds
from bayes_hybrid.inference.result import Fit

__all__ = [
    "boundary_names",
    "threshold_draws",
    "threshold_findings",
    "threshold_sentences",
    "threshold_table",
]

_PROB: Final = 0.9
_TAIL: Final = 0.5 * (1.0 - _PROB)

_RARE: Final = 0.05
"""A change that at least 19 draws in 20 put between rows is told as a fact."""

_MOST: Final = 0.5
"""An interval with more of the rows leaves the typical row on either side of the threshold."""

_NONE: Final = 0.005
"""A smaller share of the draws is printed as 0%."""


def threshold_table(fit: Fit, *, prob: float = _PROB) -> pd.DataFrame:
    """One row per boundary between neighbouring regimes, in the feature's own units.

    ================================  ============================================================
    column                            meaning
    ================================  ============================================================
    ``below``, ``above``              names of the two regimes
    ``feature``                       the feature, or the linear combination of them, with the
                                      posterior mean of its coefficients
    ``mean``, ``sd``                  of the threshold, over the draws of ``fit.for_regimes``
    ``lower``, ``upper``              its central credible interval
    ``prob``                          the probability inside it
    ``width``                         median of the transition's width, from odds of 1 : 9 to 9 : 1
    ``width_lower``, ``width_upper``  its central credible interval
    ``probability_outside``           share of the draws with the threshold beyond the data: no row
                                      is on one side of it
    ``probability_no_row``            share of the draws, these included, in which one of the two
                                      regimes has no row between its thresholds
    ``coefficient[NAME]``             of a linear combination only, for each feature: posterior
                                      mean, per unit of the feature, or of its logarithm where
                                      the model reads that
    ================================  ============================================================

    Args:
        fit: the finished fit.
        prob: probability inside the intervals, strictly between 0 and 1.

    Raises:
        OptionError: the gate has no threshold, or ``prob`` is not strictly between 0 and 1.
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    found, weights = threshold_draws(fit), fit.for_regimes.posterior.restart_weights
    lower, upper = quantiles_over_draws(found.location, [tail, 1.0 - tail], weights)
    narrow, median, wide = quantiles_over_draws(found.width, [tail, 0.5, 1.0 - tail], weights)
    names = fit.posterior.regime_names
    columns = {
        "below": names[:-1],
        "above": names[1:],
        "feature": _score(found, fit.feature_names, weights),
        "mean": mean_over_draws(found.location, weights),
        "sd": sd_over_draws(found.location, weights),
        "lower": lower,
        "upper": upper,
        "prob": prob,
        "width": median,
        "width_lower": narrow,
        "width_upper": wide,
    } | _placed(found, fit.x, weights)
    if found.coefficients is not None:
        means = mean_over_draws(found.coefficients, weights)
        columns |= {
            f"coefficient[{name}]": mean
            for name, mean in zip(fit.feature_names, means, strict=True)
        }
    return pd.DataFrame(columns)


def threshold_draws(fit: Fit) -> Thresholds:
    """The draws of the thresholds.

    Raises:
        OptionError: the gate has no threshold.
    """
    found = fit.for_regimes.posterior.thresholds
    if found is None:
        raise OptionError(
            "this fit has no threshold to report; expected a mixture under one of the gates "
            f"{', '.join(map(repr, THRESHOLD_GATES))}"
        )
    return found


def threshold_sentences(fit: Fit) -> list[str]:
    """A sentence for each boundary; none where the gate has no thresholds.

    Args:
        fit: the finished fit.
    """
    if fit.posterior.thresholds is None:
        return []
    words = []
    for row in threshold_table(fit).to_dict("records"):
        lower, upper = row["lower"], row["upper"]
        place, low, high = figures(upper - lower, row["mean"], lower, upper)
        verb = "changes" if row["probability_no_row"] <= _RARE else "may change"
        words.append(
            f"The regime {verb} from {row['below']!r} to {row['above']!r} at {row['feature']} = "
            f"{place} ({row['prob']:.0%} interval {low} to {high})"
            f"{_doubt(row['probability_outside'], row['probability_no_row'])}."
        )
    return words


def threshold_findings(fit: Fit) -> list[Finding]:
    """``threshold_unidentified[...]`` of each boundary; none where the gate has no thresholds.

    With ``b_s`` the share of the rows that draw s puts below the threshold::

        value = q95(b) - q05(b);   1 where q05(b) = 0 or q95(b) = 1

    It is the share of the rows inside the 90% interval of the threshold, and 1 where an end of that
    interval is beyond the data.  Rows are counted, not units of the feature, so the value stays the
    same under any increasing function of it, and a linear combination needs no scale.

    Args:
        fit: the finished fit; its restarts count by their weights.

    Example:
        >>> from bayes_hybrid import FitOptions, HybridRegressor, Pathway
        >>> X = [[value] for value in range(20)]
        >>> y = [0.1 * (value % 3) + (value > 12) * (20 - value) for value in range(20)]
        >>> path = Pathway("gaussian", num_units=4), Pathway("relu", num_units=4)
        >>> reg = HybridRegressor(
        ...     gate="threshold", experts=path, fit_options=FitOptions.quick(), random_state=0
        ... )
        >>> (found,) = threshold_findings(reg.fit(X, y).fit_)
        >>> found.name, found.severity
        ('threshold_unidentified[gaussian to relu]', 'ok')
    """
    found, weights = fit.posterior.thresholds, fit.posterior.restart_weights
    if found is None:
        return []
    low, high = quantiles_over_draws(found.location, [_TAIL, 1.0 - _TAIL], weights)
    below = 1.0 - _rows_above(found, fit.x) / len(fit.x)
    first, last = quantiles_over_draws(below, [_TAIL, 1.0 - _TAIL], weights)
    beyond, names = (first == 0.0) | (last == 1.0), fit.posterior.regime_names
    feature = _score(found, fit.feature_names, weights)
    return [
        _identified(
            (names[k], names[k + 1]),
            feature,
            (float(low[k]), float(high[k])),
            float(last[k] - first[k]),
            beyond=bool(beyond[k]),
        )
        for k in range(len(beyond))
    ]


def _identified(
    pair: tuple[str, str], feature: str, ends: tuple[float, float], share: float, *, beyond: bool
) -> Finding:
    low, high = figures(ends[1] - ends[0], *ends)
    rows = "reaches beyond the data" if beyond else f"holds {share:.0%} of the rows"
    return judge(
        f"threshold_unidentified[{pair[0]} to {pair[1]}]",
        1.0 if beyond else share,
        "<=",
        _MOST,
        meaning=f"The 90% interval of the change from {pair[0]!r} to {pair[1]!r}, {feature} = "
        f"{low} to {high}, {rows}.",
        advice="The rows do not say where the regime changes, so do not read this threshold. "
        "{A gate that may change along any feature, and back (`gate='relu'`)} may find another "
        "place. Else fit with one regime less and compare held-out log densities (`ablate`).",
    )


def _doubt(outside: float, no_row: float) -> str:
    """How many draws say that the data have no such change; nothing where it rounds to none."""
    parts = []
    if outside >= _NONE:
        parts.append(f"{outside:.0%} of the draws put the change outside the data")
    if no_row - outside >= _NONE:
        parts.append(f"in {no_row - outside:.0%} of the draws one of the two regimes has no row")
    return "".join(f"; {part}" for part in parts)


def _placed(found: Thresholds, x: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
    """Shares of the draws that put no row on one side of a threshold, ``[K - 1]`` each."""
    above = _rows_above(found, x)
    all_rows = np.full((*above.shape[:2], 1), len(x))
    # Regime k has the rows above its lower threshold that are not above its upper one.
    empty = np.diff(np.concatenate([all_rows, above, 0 * all_rows], axis=2), axis=2) == 0
    return {
        "probability_outside": mean_over_draws((above == 0) | (above == len(x)), weights),
        "probability_no_row": mean_over_draws(empty[..., :-1] | empty[..., 1:], weights),
    }


def _rows_above(found: Thresholds, x: FloatArray) -> NDArray[np.intp]:
    """How many rows each draw puts above each threshold, ``[R, S, K - 1]``."""
    location = flat_draws(found.location)
    if found.coefficients is None:
        values = np.sort(x[:, 0 if found.feature is None else found.feature])
        above = np.asarray(len(x) - np.searchsorted(values, location, side="right"))
        return above.reshape(found.location.shape)
    centred, coefficients = found.centred(x), flat_draws(found.coefficients)
    parts = []
    for part in row_chunks(len(location), len(x) * location.shape[1]):
        score = centred @ coefficients[part].T
        parts.append((score[..., None] > location[part]).sum(axis=0))
    return np.concatenate(parts).reshape(found.location.shape)


def boundary_names(fit: Fit) -> list[str]:
    """A name for each boundary, such as ``"gaussian to relu"``."""
    names = fit.posterior.regime_names
    return [f"{below} to {above}" for below, above in itertools.pairwise(names)]


def _score(found: Thresholds, names: tuple[str, ...], weights: FloatArray) -> str:
    """What the thresholds are on, in words: a feature, or a sum of them about their means."""
    if found.coefficients is None:
        return names[0 if found.feature is None else found.feature]
    means = mean_over_draws(found.coefficients, weights)
    terms = [
        f"{'-' if mean < 0 else '+'} {abs(mean):.3g} "
        f"({f'log {name}' if log else name} {_minus(origin)})"
        for name, mean, origin, log in zip(names, means, found.origin, found.log, strict=True)
    ]
    return " ".join(terms).removeprefix("+ ")


def _minus(origin: float) -> str:
    return f"+ {-origin:.4g}" if origin < 0 else f"- {origin:.4g}"
