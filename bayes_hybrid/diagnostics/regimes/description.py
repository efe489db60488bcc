"""Where the regimes are, and how sure that is, in words."""

from itertools import pairwise

import numpy as np

from bayes_hybrid.diagnostics.evaluation.evaluation import fitted_regimes, spread_rows
from bayes_hybrid.diagnostics.regimes.boundaries import boundaries
from bayes_hybrid.diagnostics.regimes.regions import regions
from bayes_hybrid.diagnostics.regimes.thresholds import threshold_sentences
from bayes_hybrid.digits import figures, percentages
from bayes_hybrid.inference.result import Fit

__all__ = ["describe"]

_SURE = 0.9
_MAX_ROWS = 2_000


def describe(fit: Fit) -> list[str]:
    """Where the regimes are, and how sure that is, one sentence each.

    With one feature: its regions and where they change.  With more, or one that is constant: how
    many rows belong to each regime, by ``p(z|x, y)``, and how many of them surely do.  A gate with
    thresholds has these in the place of the changes.
    """
    if fit.posterior.num_regimes == 1:
        return ["The model has one regime."]
    thresholds = threshold_sentences(fit)
    if fit.x.shape[1] > 1 or np.ptp(fit.x[:, 0]) == 0.0:
        return _rows_in_words(fit) + thresholds
    return _regions_in_words(fit) + (thresholds or _changes_in_words(fit))


def _regions_in_words(fit: Fit) -> list[str]:
    name, words = fit.feature_names[0], []
    table = regions(fit)
    # The narrowest region has the digits for all, or neighbours would seem to overlap.
    ends = figures((table["stop"] - table["start"]).min(), *table["start"], table["stop"].iloc[-1])
    for part, (start, stop) in zip(table.to_dict("records"), pairwise(ends), strict=True):
        lower, upper = part["lower"], part["upper"]
        mean, low, high = percentages(upper - lower, part["probability"], lower, upper)
        words.append(
            f"{name} {start} to {stop}: {part['regime']}, with probability {mean} (90% band {low} "
            f"to {high})"
        )
    return words


def _changes_in_words(fit: Fit) -> list[str]:
    name = fit.feature_names[0]
    words = []
    for change in boundaries(fit).boundaries:
        mean, low, high = figures(
            change.upper - change.lower, change.mean, change.lower, change.upper
        )
        words.append(
            f"{change.below} gives way to {change.above} at {name} = {mean} (90% interval {low} to "
            f"{high}; in {change.probability_exists:.0%} of the draws)"
        )
    return words


def _rows_in_words(fit: Fit) -> list[str]:
    rows = spread_rows(fit.x.shape[0], _MAX_ROWS)
    given_y = fitted_regimes(fit.for_regimes, rows)
    likeliest = given_y.argmax(axis=1)
    words = []
    for regime in np.flatnonzero(fit.readings[0].used):
        name = fit.posterior.regime_names[regime]
        mine = given_y[likeliest == regime, regime]
        sure = float((mine > _SURE).mean()) if mine.size else 0.0
        words.append(
            f"{name}: most probable in {mine.size / rows.size:.0%} of the rows; in {sure:.0%} of "
            f"these its probability is above {_SURE:.0%}"
        )
    return words
