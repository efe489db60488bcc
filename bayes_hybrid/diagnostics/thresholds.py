"""Where the regimes change, as a table and in words."""

import itertools
from typing import Final

import numpy as np
import pandas as pd

from bayes_hybrid import checks
from bayes_hybrid.diagnostics.interface import FitLike, ThresholdsLike
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import THRESHOLD_GATES

__all__ = ["boundary_names", "threshold_draws", "threshold_sentences", "threshold_table"]

_PROB: Final = 0.9


def threshold_table(fit: FitLike, *, prob: float = _PROB) -> pd.DataFrame:
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
    ``coefficient[NAME]``             of a linear combination only, for each feature: posterior
                                      mean, per unit of the feature
    ================================  ============================================================

    Args:
        fit: the finished fit.
        prob: probability inside the intervals, strictly between 0 and 1.

    Raises:
        OptionError: the gate has no threshold, or ``prob`` is not strictly between 0 and 1.
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    found = threshold_draws(fit)
    location, width = (
        draws.reshape(-1, draws.shape[-1]) for draws in (found.location, found.width)
    )
    lower, upper = np.quantile(location, [tail, 1.0 - tail], axis=0)
    narrow, median, wide = np.quantile(width, [tail, 0.5, 1.0 - tail], axis=0)
    names = fit.posterior.regime_names
    columns = {
        "below": names[:-1],
        "above": names[1:],
        "feature": _score(found, fit.feature_names),
        "mean": location.mean(axis=0),
        "sd": location.std(axis=0),
        "lower": lower,
        "upper": upper,
        "prob": prob,
        "width": median,
        "width_lower": narrow,
        "width_upper": wide,
    }
    if found.coefficients is not None:
        means = found.coefficients.mean(axis=(0, 1))
        columns |= {
            f"coefficient[{name}]": mean
            for name, mean in zip(fit.feature_names, means, strict=True)
        }
    return pd.DataFrame(columns)


def threshold_draws(fit: FitLike) -> ThresholdsLike:
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


def threshold_sentences(fit: FitLike) -> list[str]:
    """A sentence for each boundary; none where the gate has no thresholds.

    Args:
        fit: the finished fit.
    """
    if fit.posterior.thresholds is None:
        return []
    return [
        f"The regime changes from {row.below!r} to {row.above!r} at {row.feature} = "
        f"{row.mean:.4g} ({row.prob:.0%} interval {row.lower:.4g} to {row.upper:.4g})."
        for row in threshold_table(fit).itertuples()
    ]


def boundary_names(fit: FitLike) -> list[str]:
    """A name for each boundary, such as ``"gaussian to relu"``."""
    names = fit.posterior.regime_names
    return [f"{below} to {above}" for below, above in itertools.pairwise(names)]


def _score(found: ThresholdsLike, names: tuple[str, ...]) -> str:
    """What the thresholds are on, in words: a feature, or a sum of them about their means."""
    if found.coefficients is None:
        return names[0 if found.feature is None else found.feature]
    means = found.coefficients.mean(axis=(0, 1))
    terms = [
        f"{'-' if mean < 0 else '+'} {abs(mean):.3g} ({name} {_minus(origin)})"
        for name, mean, origin in zip(names, means, found.origin, strict=True)
    ]
    return " ".join(terms).removeprefix("+ ")


def _minus(origin: float) -> str:
    return f"+ {-origin:.4g}" if origin < 0 else f"- {origin:.4g}"
