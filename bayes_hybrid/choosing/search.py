"""The search: candidates round by round, and when it stops."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.ablation.run import usable_rows
from bayes_hybrid.ablation.running import check_jobs
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.choosing.candidates import EXPERTS, Candidate, candidates, checked_experts
from bayes_hybrid.choosing.choice import Choice, chosen_from
from bayes_hybrid.choosing.fits import checked_base, estimator_of
from bayes_hybrid.choosing.rule import pays, simplest
from bayes_hybrid.choosing.scores import Scores
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import (
    HybridRegressor,
    build_model,
    feature_names,
    located_gate,
    reporting,
)
from bayes_hybrid.gates import ThresholdGate
from bayes_hybrid.random import resolve_seed

__all__ = ["choose"]


def choose(
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series,
    *,
    base: HybridRegressor | None = None,
    max_regimes: int = 5,
    experts: Sequence[str] = EXPERTS,
    feature: int | str | None = None,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Choice:
    """How many regimes, and which experts: the simplest model that no other clearly beats.

    With ``l_n(m)`` the log density of row n by model m fitted to the other rows::

        gain = sum_n d_n,   error = sqrt(N Var_n(d)),   d_n = l_n(m') - l_n(m)

    m' *clearly beats* m where its gain is larger than its standard error, and than 4 nats.  Models
    are in order from few parameters to many (:func:`~bayes_hybrid.choosing.candidates`), and the
    answer is the first that the best one does not clearly beat: one regime, unless more regimes
    earn their keep.

    **Search.**  One and two regimes are tried for every family of candidates: levels, lines, lines
    mixed at every x, smooth experts.  K + 1 regimes are tried where K clearly beat the best of the
    family with fewer, and, of levels and of lines mixed at every x, where lines with jumps and as
    many regimes do not clearly beat them.  At last, levels and joined lines with the winner's
    number of regimes are tried, if it has lines with jumps.  A pattern that three regimes show and
    two do not at all is not found.

    **Densities.**  Each candidate is fitted once to all rows, and ``l_n`` is its leave-one-out by
    Pareto-smoothed importance sampling.  Where more than one row in twenty has a k-hat above 0.7,
    it cannot be trusted.  If such a candidate would change the answer, it is compared with the
    answer without it by five folds.

    These fits are shorter than those of the default estimator, in what the ``fit_options`` of
    ``base`` leave at its default, and of levels and lines three restarts in four start with the
    thresholds of least squares (``WarmStart(segments=...)``).  ``Choice.estimator`` has the base's
    own.

    Args:
        X: features ``[N, D]``.
        y: targets ``[N]``.
        base: an estimator whose other settings hold for every candidate, such as likelihood and
            noise; the default estimator without it.  Its ``random_state`` is the root of all seeds.
        max_regimes: most regimes, 1 or more.
        experts: kinds of expert, of ``"constant"``, ``"line"`` and ``"smooth"``.
        feature: column of the thresholds, by index or by name, if there are several.  Without it,
            candidates with thresholds are left out then.
        n_jobs: fits side by side; ``None`` leaves it to ``joblib.parallel_config``, and is 1
            outside.
        folder: where each fit is kept when it is done, as by :func:`~bayes_hybrid.ablate`: the same
            call goes on from there, also with more regimes or kinds of expert.

    Returns:
        The answer: prints as a table, has a picture, and the estimator and the command that fit the
        winner.

    Raises:
        OptionError: a setting cannot be what it is, or would be ignored; a folder without an
            integer ``random_state``.
        DataError: the rows cannot be used.
        DataTypeError: text, dates or other objects where numbers belong.
        OutputExistsError: the folder holds something else.
        FitError: no candidate could be fitted.

    Source: Breiman et al. (1984), Classification and Regression Trees, section 3.4.3, and Hastie et
    al. (2009), The Elements of Statistical Learning, section 7.10, for the rule of one standard
    error; Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, for leave-one-out and the
    error of the paired difference; Sivula, Magnusson and Vehtari (2020), arXiv 2008.10296, for the
    4 nats below which that error cannot be trusted.

    Example:
        >>> import numpy as np
        >>> from bayes_hybrid import FitOptions
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, size=(60, 1))
        >>> y = 1 + 2 * X[:, 0] + 0.3 * rng.normal(size=60)
        >>> base = HybridRegressor(fit_options=FitOptions.quick(), random_state=0)
        >>> choice = choose(X, y, base=base, experts=["constant", "line"], max_regimes=1)
        >>> choice.best, choice.num_regimes
        ('line', 1)
    """
    base = checked_base(base)
    kinds, most = checked_experts(experts), checks.positive_int("max_regimes", max_regimes)
    check_jobs(n_jobs)
    read = clone(base)
    placed, x, _ = usable_rows(base, X, y, read)
    if feature is not None:
        gate = located_gate(read, ThresholdGate(feature=feature))
        gate.resolved(x.shape[1], feature_names(read) or ())  # or it is not there
    if folder is not None and not isinstance(base.random_state, int | np.integer):
        raise OptionError(
            "a folder needs random_state=... with an integer in the base, so that the next call "
            f"makes the same fits; got {base.random_state!r}"
        )
    # Built, or every fit of it would fail.
    singles = [
        build_model(estimator_of(placed, each), x.shape[1]) for each in candidates(1, experts=kinds)
    ]
    num_inputs = singles[0].likelihoods.num_inputs(x.shape[1])
    thresholds = feature is not None or num_inputs == 1
    ladder = [
        candidates(k, experts=kinds, feature=feature, thresholds=thresholds)
        for k in range(1, most + 1)
    ]
    seeded = clone(base).set_params(random_state=resolve_seed(base.random_state))
    with reporting(base.progress) as report, _place(folder) as place:
        scores = Scores(
            base=seeded,
            first=ladder[0][0],
            X=X,
            y=y,
            n_jobs=n_jobs,
            folder=place,
            report=report,
        )
        _climb(scores, ladder)
        _polish(scores, ladder)
        _settle(scores)
    if not thresholds and set(kinds) & {"constant", "line"} and most > 1:
        scores.notes.append(
            "Candidates with thresholds are left out, because there are "
            f"{num_inputs} columns; say which of them the thresholds are on, by feature=..., "
            "or --gate-feature on the command line."
        )
    choice = chosen_from(scores, base)
    if choice.num_regimes == most > 1:
        more = f"{most} regimes are as many as were allowed; there may be more: raise max_regimes."
        choice = replace(choice, notes=(*choice.notes, more))
    return choice


@contextmanager
def _place(folder: str | os.PathLike[str] | None) -> Iterator[str | os.PathLike[str]]:
    """The folder, or one for the time of the search, so that no fit is made twice."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="bayes_hybrid-") as place:
        yield place


def _climb(scores: Scores, ladder: Sequence[Sequence[Candidate]]) -> None:
    """One regime more, as long as that pays in some family."""
    scores.leave_one_out(ladder[0])
    for size, step in enumerate(ladder[1:], start=2):
        # Joined lines are lines: tried at last, where lines have won.
        wanted = [
            each
            for each in step
            if each.family != "joined" and (size == 2 or _goes_on(scores, each.family, size - 1))
        ]
        if not wanted:
            return
        scores.leave_one_out(wanted)


def _goes_on(scores: Scores, family: str, size: int) -> bool:
    """Whether K regimes paid in a family, so that K + 1 may."""
    own, fewer = _of(scores, family, size), _fewer(scores, family, size)
    if own is None or any(not pays(_rows(scores, own), _rows(scores, name)) for name in fewer):
        return False
    lines = _of(scores, "lines", size) if family in ("levels", "mixed") else None
    return lines is None or not pays(_rows(scores, lines), _rows(scores, own))


def _of(scores: Scores, family: str, size: int) -> str | None:
    """The candidate of a family with K regimes, if it has leave-one-out."""
    for name in scores.loo:
        if (scores.tried[name].family, scores.tried[name].num_regimes) == (family, size):
            return name
    return None


def _fewer(scores: Scores, family: str, size: int) -> list[str]:
    """Those with fewer regimes, of a family; a mixture of lines begins as one line."""
    families = {family, "lines"} if family == "mixed" else {family}
    found = (scores.tried[name] for name in scores.loo)
    return [
        each.name
        for each in found
        if each.num_regimes < size
        and (each.family == family or (each.family in families and each.num_regimes == 1))
    ]


def _rows(scores: Scores, name: str) -> FloatArray:
    return scores.loo[name].pointwise


def _polish(scores: Scores, ladder: Sequence[Sequence[Candidate]]) -> None:
    """Simpler lines with as many regimes as the best lines."""
    winner = scores.tried[_by_loo(scores)]
    if winner.num_regimes > 1 and winner.family in ("lines", "mixed"):
        step = ladder[winner.num_regimes - 1]
        scores.leave_one_out([each for each in step if each.family in ("levels", "joined")])


def _by_loo(scores: Scores, names: Sequence[str] | None = None) -> str:
    given = scores.in_order(scores.loo if names is None else names)
    return simplest({name: _rows(scores, name) for name in given})


def _settle(scores: Scores) -> None:
    """Folds, where a candidate that leave-one-out cannot be trusted with would be chosen or not."""
    trusted = [name for name, score in scores.loo.items() if score.trusted]
    doubtful = [name for name in scores.loo if name not in trusted]
    if not trusted:
        scores.cross_validate(doubtful)
        return
    answer = _by_loo(scores, trusted)
    decisive = [name for name in doubtful if _by_loo(scores, [*trusted, name]) != answer]
    if decisive:
        best = max(trusted, key=lambda name: _rows(scores, name).sum())
        scores.cross_validate(dict.fromkeys([answer, best, *decisive]))
