"""Which of several fits to the same rows predicts better, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.approximation import good_k
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.export.datatree import moves
from bayes_hybrid.diagnostics.scores.leave_one_out import (
    BAD_SHARE,
    LeaveOneOut,
    Pointwise,
    compared,
    difference,
    leave_one_out,
)
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["Comparison", "Estimator", "KFold", "compare"]

_FEW_ROWS: Final = 100
"""Sivula, Magnusson and Vehtari (2020), arXiv 2008.10296: with fewer rows, or fits that differ by
less than four nats, the standard error of a difference is too small."""

_SMALL: Final = 4.0


@dataclass(frozen=True, eq=False, kw_only=True)
class KFold:
    """K-fold cross-validation of an estimator: every row's density by a fit that has not seen it.

    Attributes:
        pointwise: ``log p(y_n | x_n, the other folds)`` of each row, in nats, ``[N]``.
        fold: number of the row's fold, ``[N]``.
        y: the targets, ``[N]``.
    """

    pointwise: FloatArray
    fold: NDArray[np.intp]
    y: FloatArray

    @property
    def elpd(self) -> float:
        """Sum over the rows, in nats."""
        return float(self.pointwise.sum())


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Fits side by side, the best first.

    ===============  ==========================================================================
    column           meaning
    ===============  ==========================================================================
    ``elpd``         expected log density of rows left out, summed over the rows, in nats
    ``se``           its standard error
    ``elpd_diff``    less that of the best: 0, or negative
    ``dse``          standard error of that, paired by row
    ``weight``       stacking weight by ArviZ; NaN for K-fold
    ``bad_k``        share of rows with Pareto k-hat above ``good_k``; NaN for K-fold
    ``max_k``        the largest k-hat
    ``good_k``       ``min(1 - 1 / log10(S), 0.7)``, above which S draws are too few
    ===============  ==========================================================================

    Attributes:
        table: a row for each fit, its name the index.
        differences: a row for each pair: ``better``, ``worse``, ``elpd_diff``, ``dse``.
        notes: what to know before reading the table, in sentences.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...]


@runtime_checkable
class Estimator(Protocol):
    """An estimator that is fitted, such as :class:`bayes_hybrid.HybridRegressor`."""

    @property
    def fit_(self) -> Fit:
        """The finished fit."""


@runtime_checkable
class _Finished(Protocol):
    """What tells a fit from something else."""

    @property
    def posterior(self) -> object: ...


def compare(
    fits: Mapping[str, Fit | Estimator] | Mapping[str, KFold], *, max_rows: int = 5_000
) -> Comparison:
    """Compare fits to the same rows by leave-one-out, or estimators by K-fold.

    Leave-one-out is by Pareto-smoothed importance sampling; where more than one row in twenty has
    a k-hat that is too large it cannot be trusted, and a note says so.  Then give the results of
    :func:`bayes_hybrid.ablation.kfold` for all of them: the two are not compared with each other.

    Args:
        fits: two or more, by name: fitted estimators or their ``fit_``, or what ``kfold`` returned.
        max_rows: leave-one-out reads at most so many training rows, evenly spread.

    Returns:
        Table, differences of all pairs, and notes.

    Raises:
        OptionError: fewer than two, one that is no fit, fits beside K-folds, or K-folds of
            different folds.
        DataError: the fits have learned from different targets, or one has too few draws, or draws
            that are all alike, for leave-one-out.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27; Vehtari et al. (2024),
    Journal of Machine Learning Research 25 (72) for the threshold of k-hat.
    """
    checks.positive_int("max_rows", max_rows)
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise OptionError("fits must be two or more by name, such as {'a': a, 'b': b}")
    given = {name: _result(name, fit) for name, fit in fits.items()}
    folds = {name: fit for name, fit in given.items() if isinstance(fit, KFold)}
    if folds and len(folds) < len(given):
        raise OptionError(
            f"{[*folds]} are K-folds and the others fits, which cannot be compared: give the "
            "K-fold of all of them, or none"
        )
    first, *others = given.items()
    for name, fit in others:
        if not np.array_equal(fit.y, first[1].y, equal_nan=True):
            raise DataError(
                f"{first[0]!r} and {name!r} have learned from different targets; expected fits to "
                "the same rows, in the same order and units"
            )
    if folds:
        return _by_folds(folds)
    return _by_loo(
        {name: fit for name, fit in given.items() if not isinstance(fit, KFold)}, max_rows
    )


def _result(name: str, given: object) -> Fit | KFold:
    """A fit, that of an estimator, or a K-fold.

    Raises:
        OptionError: something else, such as an estimator that is not fitted.
    """
    if isinstance(given, KFold):
        return given
    fit = given.fit_ if isinstance(given, Estimator) else given
    if not isinstance(fit, _Finished):
        raise OptionError(
            f"{name!r} is {given!r}; expected a fitted estimator, its fit_, or what "
            "bayes_hybrid.ablation.kfold returned"
        )
    return cast(Fit, fit)


def _by_folds(folds: Mapping[str, KFold]) -> Comparison:
    first, *others = folds.items()
    for name, other in others:
        if not np.array_equal(other.fold, first[1].fold):
            raise OptionError(
                f"the K-folds of {first[0]!r} and {name!r} hold out different rows; give both "
                "estimators the same integer random_state, and the same num_folds"
            )
    return _compared(folds, {}, [])


def _by_loo(fits: Mapping[str, Fit], max_rows: int) -> Comparison:
    loos: dict[str, LeaveOneOut] = {}
    details: dict[str, dict[str, float]] = {}
    notes: list[str] = []
    for name, fit in fits.items():
        evaluation = evaluate(fit, max_rows=max_rows)
        logs = evaluation.log_likelihood
        summaries = {"usage": evaluation.usage, "log_lik": logs.sum(axis=-1)}
        moving = {key: values for key, values in summaries.items() if moves(values)}
        try:
            loos[name] = leave_one_out(moving | {"log_likelihood": logs})
        except ValueError as error:
            raise DataError(f"{name!r}: {error}; compare by kfold") from error
        bound, k = good_k(logs.shape[0] * logs.shape[1]), loos[name].pareto_k
        # Written so that a k that is NaN counts as bad.
        share = float((~(k <= bound)).mean())
        details[name] = {"bad_k": share, "max_k": float(k.max()), "good_k": bound}
    doubtful = [name for name, line in details.items() if line["bad_k"] > BAD_SHARE]
    if doubtful:
        notes.append(
            f"Leave-one-out cannot be trusted for {', '.join(doubtful)}: more than {BAD_SHARE:.0%} "
            "of the rows have too large a k-hat. Compare by bayes_hybrid.ablation.kfold."
        )
    weights, warned = compared(loos)
    for name, line in details.items():
        line["weight"] = float(weights["weight"][name])
    notes += [f"ArviZ: {words}" for words in warned]
    return _compared(loos, details, notes)


def _compared(
    results: Mapping[str, Pointwise],
    details: Mapping[str, Mapping[str, float]],
    notes: list[str],
) -> Comparison:
    """The best first, with the differences of all pairs."""
    order = sorted(results, key=lambda name: -results[name].elpd)
    rows = []
    for name in order:
        result = results[name]
        diff, dse = difference(result, results[order[0]])
        error = float(np.sqrt(result.pointwise.size * result.pointwise.var()))
        line = {"elpd": result.elpd, "se": error, "elpd_diff": diff, "dse": dse}
        empty = dict.fromkeys(("weight", "bad_k", "max_k", "good_k"), float("nan"))
        rows.append(line | empty | dict(details.get(name, {})))
    pairs = [
        (better, worse, *difference(results[better], results[worse]))
        for better, worse in combinations(order, 2)
    ]
    differences = pd.DataFrame(pairs, columns=["better", "worse", "elpd_diff", "dse"])
    num_rows = results[order[0]].pointwise.size
    if num_rows < _FEW_ROWS:
        notes = [*notes, f"With {num_rows} rows the standard errors of differences are too small."]
    if (differences["elpd_diff"] < _SMALL).any():
        notes = [*notes, f"Fits that differ by less than {_SMALL:g} nats predict alike."]
    table = pd.DataFrame(rows, index=pd.Index(order, name="fit"))
    return Comparison(table=table, differences=differences, notes=tuple(notes))
