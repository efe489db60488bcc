"""How the rows are grouped into regimes, and which other ways explain them too."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import output_scales, spread_rows
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.diagnostics.regimes.boundaries import Boundary, boundaries
from bayes_hybrid.digits import figures
from bayes_hybrid.inference.result import Fit

__all__ = [
    "reading_findings",
    "reading_rows",
    "readings_frame",
    "regime_descriptions",
    "regime_feature",
    "regimes_in_question",
    "told_readings",
]

# Of readings with less weight nobody needs to be told.
_TOLD: Final = 0.05
# A place is told where this share of its rows is in the regime, and of the regime's rows there:
# with less, more than one row in five is not where the words say.
_THERE: Final = 0.8
# More pieces of a feature are counted, not listed.
_LISTED: Final = 2
# Quantiles that a feature is cut at to ask which one tells the regimes apart.
_CUTS: Final = np.linspace(0.05, 0.95, 19)
# Rows at which noise is read.  Words need its size only, which varies little along so many.
_NOISE_ROWS: Final = 50
# Noise of this ratio is heard: the spread of one regime's rows is twice that of the other's.
_LOUDER: Final = 2.0


def regimes_in_question(fit: Fit) -> tuple[int, ...]:
    """Numbers of the regimes of the leading reading whose health is asked about.

    Those that are used.  Where that is one, none, if others were found that have more: the data
    say so, and the gate has not collapsed, as it was weighed against those that did not.  All,
    if none was found.
    """
    every = tuple(range(fit.posterior.num_regimes))
    if len(every) == 1:
        return every
    first, *others = fit.readings
    if first.num_used > 1:
        return tuple(np.flatnonzero(first.used).tolist())
    return () if any(reading.num_used > 1 for reading in others) else every


def told_readings(fit: Fit) -> list[int]:
    """Numbers of the leading reading, and of the others with a weight of at least 5%."""
    return [n for n, reading in enumerate(fit.readings) if n == 0 or reading.weight >= _TOLD]


def reading_rows(fit: Fit, number: int = 0) -> NDArray[np.intp]:
    """Which training rows a reading's responsibilities are of, ``[M]``."""
    return spread_rows(len(fit.x), len(fit.readings[number].responsibilities))


def regime_feature(fit: Fit, number: int = 0) -> int | None:
    """The feature that tells the regimes of a reading apart best; ``None`` where there is none.

    The one that the thresholds are on; under other gates that with the largest share of rows in
    the most used regime of their bin, over 20 bins of even size.

    Args:
        fit: the finished fit.
        number: of the reading.
    """
    reading, thresholds = fit.readings[number], fit.posterior.thresholds
    varying = np.flatnonzero(np.ptp(fit.x, axis=0) > 0.0)
    if thresholds is not None and thresholds.feature in varying:
        return thresholds.feature
    if reading.num_used == 1 or not varying.size:
        return None
    x = fit.x[reading_rows(fit, number)]
    shares = [_told_apart(x[:, column], reading.responsibilities) for column in varying]
    return int(varying[int(np.argmax(shares))])


def _told_apart(values: FloatArray, responsibilities: FloatArray) -> float:
    """Rows in the most used regime of their bin; equal values share a bin."""
    bins = np.searchsorted(np.quantile(values, _CUTS), values, side="right")
    counts = np.zeros((len(_CUTS) + 1, responsibilities.shape[1]))
    np.add.at(counts, bins, responsibilities)
    return float(counts.max(axis=1).sum())


def regime_descriptions(fit: Fit, number: int = 0) -> dict[str, str]:
    """Where and how each regime is that a reading uses, by its name: ``"times < 14.1, quiet"``.

    Where: its pieces of the feature that tells the regimes apart (:func:`regime_feature`), between
    the :func:`.boundaries` that more than half of the draws have.  A piece is told where four
    fifths of its rows are in the regime, and four fifths of the regime's rows in it; else, how many
    rows the regime has, ``"52% of the rows, mixed along x"``.  How: quiet where another regime has
    twice its noise and none has half of it, noisy the other way round.

    Args:
        fit: the finished fit.
        number: of the reading, 0 for the leading one.

    Example:
        >>> from bayes_hybrid import FitOptions, HybridRegressor
        >>> reg = HybridRegressor(model="relu", fit_options=FitOptions.quick(), random_state=0)
        >>> X, y = [[value] for value in range(9)], [0, 1, 0, 1, 2, 3, 4, 5, 6]
        >>> regime_descriptions(reg.fit(X, y).fit_)  # one pathway
        {'relu': 'all rows'}
    """
    reading, names = fit.readings[number], fit.posterior.regime_names
    used = np.flatnonzero(reading.used)
    if len(used) == 1:
        return {names[used[0]]: "all rows"}
    places, noise = _places(fit, number), _noise(fit, number)
    along = fit.feature_names[0] if len(fit.feature_names) == 1 else "every feature"
    found = {}
    for k in used:
        where = f"{reading.usage[k]:.0%} of the rows, mixed along {along}"
        found[names[k]] = places.get(names[k], where) + noise.get(names[k], "")
    return found


def _places(fit: Fit, number: int) -> dict[str, str]:
    """The pieces of one feature that belong to a regime, by its name, where there are such."""
    column = regime_feature(fit, number)
    if column is None:
        return {}
    every = boundaries(fit.reading(number) if number else fit, column).boundaries
    cuts = [each for each in every if each.probability_exists > 0.5]
    if not cuts or any(left.above != right.below for left, right in pairwise(cuts)):
        return {}
    owners = np.array([cuts[0].below, *(each.above for each in cuts)])
    pieces = list(_pieces(fit.feature_names[column], cuts))
    values = fit.x[reading_rows(fit, number), column]
    owner = owners[np.searchsorted([each.mean for each in cuts], values)]
    found = {}
    for name, shares in zip(
        fit.posterior.regime_names, fit.readings[number].responsibilities.T, strict=True
    ):
        inside = owner == name
        if inside.any() and shares[inside].sum() >= _THERE * max(inside.sum(), shares.sum()):
            mine = [piece for piece, each in zip(pieces, owners, strict=True) if each == name]
            several = f"{len(mine)} pieces of {fit.feature_names[column]}"
            found[name] = several if len(mine) > _LISTED else " or ".join(mine)
    return found


def _pieces(feature: str, cuts: Sequence[Boundary]) -> Iterator[str]:
    """The C + 1 pieces between C boundaries, in words."""
    at = [figures(each.upper - each.lower, each.mean)[0] for each in cuts]
    yield f"{feature} < {at[0]}"
    yield from (f"{low} < {feature} < {high}" for low, high in pairwise(at))
    yield f"{feature} > {at[-1]}"


def _noise(fit: Fit, number: int) -> dict[str, str]:
    """``", quiet"`` or ``", noisy"`` of regimes that are, by name.

    Nothing of counts, whose spread follows from their mean.  Of positive numbers and shares it is
    by their dispersion, which does not grow with the mean.
    """
    reading, posterior = fit.readings[number], fit.reading(number).posterior
    if not posterior.model.likelihoods.has_noise:
        return dict.fromkeys(posterior.regime_names, "")
    some = spread_rows(len(reading.responsibilities), _NOISE_ROWS)
    relative = posterior.model.likelihoods.has_relative_noise
    draws = posterior.by_draw.expert_noise if relative else posterior.by_draw.expert_scale
    scales = draws(fit.x[reading_rows(fit, number)[some]])
    # The median over draws: heavy tails may have an infinite standard deviation in some.
    each = np.average(np.median(scales, axis=1), axis=0, weights=posterior.restart_weights)
    if each.ndim > 2:
        units = np.ones(fit.y.shape[1]) if relative else output_scales(fit.y)
        each = (each / units[:, None]).mean(axis=1)
    used = np.flatnonzero(reading.used)
    shares = reading.responsibilities[some][:, used] + np.finfo(np.float64).tiny
    noise = np.average(each[:, used], axis=0, weights=shares)
    quiet, noisy = noise * _LOUDER <= noise.max(), noise >= _LOUDER * noise.min()
    words = np.where(quiet & ~noisy, ", quiet", np.where(noisy & ~quiet, ", noisy", ""))
    return {posterior.regime_names[k]: str(word) for k, word in zip(used, words, strict=True)}


def reading_findings(fit: Fit) -> list[Finding]:
    """``leading_reading``: its weight, and what the others are; none for a single regime."""
    if fit.posterior.num_regimes == 1:
        return []
    first, *others = (_said(fit, number) for number in told_readings(fit))
    text = ". Another reading: ".join([first[0].upper() + first[1:], *others])
    weight = fit.readings[0].weight
    return [judge("leading_reading", weight, ">=", 0.0, meaning=f"{text}.", advice="")]


def _said(fit: Fit, number: int) -> str:
    """A reading, its weight and its regimes, in words."""
    reading = fit.readings[number]
    share = f"{reading.weight:.0%}" + (" of the posterior" if number == 0 else "")
    if reading.num_used == 1:
        return f"one regime explains these rows ({share})"
    told = "; ".join(f"{name}: {how}" for name, how in regime_descriptions(fit, number).items())
    return f"{reading.num_used} regimes explain these rows ({share}), {told}"


def readings_frame(fit: Fit) -> pd.DataFrame:
    """A row for each reading, the heaviest first.

    Columns ``reading``, ``weight``, ``elpd`` (mean leave-one-out log density of its restarts, in
    nats), ``restarts``, and of each regime ``usage[k]``, the share of the rows in it,
    ``where[k]``, its :func:`regime_descriptions`, empty where nobody uses it, and ``expert[k]``,
    what serves it, with its share of the reading where there are several.
    """
    names, rows = fit.posterior.regime_names, []
    for number, reading in enumerate(fit.readings):
        row: dict[str, object] = {
            "reading": number,
            "weight": reading.weight,
            "elpd": reading.elpd,
            "restarts": len(reading.members),
        }
        told, serving = regime_descriptions(fit, number), _experts(fit.reading(number))
        for name, usage, expert in zip(names, reading.usage, serving, strict=True):
            row |= {
                f"usage[{name}]": usage,
                f"where[{name}]": told.get(name, ""),
                f"expert[{name}]": expert,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _experts(fit: Fit) -> list[str]:
    """Which experts serve each regime of a reading, the most used first."""
    found = []
    for shares in fit.posterior.service:
        each = sorted(zip(shares, fit.posterior.expert_names, strict=True), reverse=True)
        serving = [(name, share) for share, name in each if share > 0.0]
        several = len(serving) > 1
        found.append(", ".join(f"{n} {share:.0%}" if several else n for n, share in serving))
    return found
