"""The whole ablation: from a table to a comparison."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold

from bayes_hybrid import checks
from bayes_hybrid.ablation.cells import Cell, digest, encoded
from bayes_hybrid.ablation.loo import read_kept
from bayes_hybrid.ablation.result import Ablation, Finished, summarised
from bayes_hybrid.ablation.running import check_jobs, outcomes
from bayes_hybrid.ablation.store import CellStore
from bayes_hybrid.ablation.variant import BASE, Variant, applied, variants
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.scores.leave_one_out import LeaveOneOut
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import (
    HybridRegressor,
    build_model,
    encoding_of,
    feature_names,
    located_gate,
    located_likelihood,
    reporting,
    training_rows,
)
from bayes_hybrid.gates import Gate
from bayes_hybrid.inference import Progress
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models import HybridMixture, Pathway
from bayes_hybrid.random import resolve_seed, spawn_seeds

__all__ = ["ablate", "fold_cells", "usable_rows"]

_PARTS = ("model", "gate", "likelihood", "experts")
"""Settings that may name a column."""


def ablate(
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series,
    *,
    base: HybridRegressor | None = None,
    variants: Sequence[str | Variant] | None = None,
    num_folds: int = 5,
    num_repeats: int = 2,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Ablation:
    """What each part of a model is worth: variants of it, on the same held-out rows.

    Every variant is fitted ``num_folds * num_repeats`` times in repeated cross-validation, and once
    to all rows for leave-one-out; with ``num_repeats=0`` the latter alone.  In a fold all variants
    have the same rows and the same seed, so their differences are paired.

    Cells run on the joblib backend that is active: processes of this machine, or the machines of a
    cluster, inside ``joblib.parallel_config("dask")``.  While several run at once, each keeps to
    one thread of torch.  Two fits never run in threads of one process, so give a cluster's workers
    one thread each.

    Args:
        X: features ``[N, D]``.
        y: targets ``[N]``.
        base: the model in question, which need not be fitted; the default estimator without it.
            Its ``random_state`` is the root of all seeds, its ``progress`` says how to report.
        variants: what to compare it with: names of some of
            :func:`~bayes_hybrid.ablation.variants`, variants of your own, or both; all of the
            former by default.
        num_folds: folds of a repeat, at least 2.
        num_repeats: repeats, each with folds of its own; 0 for leave-one-out alone.
        n_jobs: processes; ``None`` leaves it to ``joblib.parallel_config``, and is 1 outside.
        folder: where each cell is written when it is done.  Called again with the same data, base
            and folds, also after having been killed, ``ablate`` reads the cells that are there and
            computes the others.  A failed cell counts as done; its file may be deleted.

    Returns:
        Table, plot and cells.  A variant that cannot be fitted has failed cells.

    Raises:
        OptionError: a setting cannot be what it is; a folder without an integer ``random_state``,
            which the next call could not repeat; two variants of one name.
        DataError: the rows cannot be used, or are too few for the folds.
        DataTypeError: text, dates or other objects where numbers belong.
        OutputExistsError: the folder holds something else, or another ablation.
        FitError: every cell failed.

    Example:
        >>> from bayes_hybrid import FitOptions, Pathway
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, size=(40, 1))
        >>> y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=40)
        >>> small = Pathway("gaussian", num_units=3, noise="constant")
        >>> base = HybridRegressor(model=small, fit_options=FitOptions.quick(), random_state=0)
        >>> result = ablate(X, y, base=base, variants=["relu"], num_folds=2, num_repeats=1)
        >>> result.table["variant"].tolist(), len(result.cells)
        (['base', 'relu'], 6)
    """
    base = checks.instance("base", base or HybridRegressor(), HybridRegressor)
    checks.positive_int("num_folds", num_folds, minimum=2)
    checks.positive_int("num_repeats", num_repeats, minimum=0)
    check_jobs(n_jobs)
    selected = _selected(base, variants)
    read = clone(base)
    base, x, target = usable_rows(base, X, y, read)
    selected = tuple(_placed_columns(base, variant, read) for variant in selected)
    if variants is None:
        # A gate that has to be told its column is no variant that can be made without asking.
        selected = tuple(v for v in selected if _builds(applied(base, v), x.shape[1]))
    build_model(base, x.shape[1])  # a base that cannot be is not a hundred failed cells
    if folder is not None and not isinstance(base.random_state, int | np.integer):
        raise OptionError(
            "a folder needs random_state=... with an integer in the base, so that the next call "
            f"makes the same cells; got {base.random_state!r}"
        )
    seed = resolve_seed(base.random_state)
    cells = [
        *fold_cells(base, selected, len(x), seed, num_folds, num_repeats),
        *_full_cells(base, selected, seed),
    ]
    store = None
    if folder is not None:
        settings = encoded(base)
        store = CellStore(
            folder, data=digest(x, target), base=settings, seed=seed, num_folds=num_folds
        )
    with reporting(base.progress) as report:
        finished = _finish(cells, x, target, store, n_jobs, report)
    finished, fits = _leave_one_out(finished)
    return summarised([variant.name for variant in selected], finished, fits, len(x))


def _selected(base: HybridRegressor, given: Sequence[str | Variant] | None) -> tuple[Variant, ...]:
    """The variants to compare, the base first."""
    if given is None or isinstance(given, str):
        return variants(base, only=given)
    named = [each for each in given if isinstance(each, str)]
    selected = [*variants(base, only=named)] if named else [Variant(BASE, {})]
    for each in given:
        if isinstance(each, str):
            continue
        if checks.instance("a variant", each, Variant).name != BASE:
            selected.append(each)
        elif each.settings:
            raise OptionError(f"the variant {BASE!r} is the base as it is; got {each!r}")
    (name, count), *_ = Counter(variant.name for variant in selected).most_common(1)
    if count > 1:
        raise OptionError(f"every variant must have a name of its own; got {name!r} {count} times")
    return tuple(selected)


def usable_rows(
    estimator: HybridRegressor,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series,
    read: HybridRegressor | None = None,
) -> tuple[HybridRegressor, FloatArray, FloatArray]:
    """The estimator as it is fitted to arrays, features ``[N, D]`` and targets ``[N]``.

    Args:
        estimator: as it was set.
        X: features, which are encoded once for all folds.
        y: targets.
        read: another of the same settings, which then knows the columns.

    Raises:
        DataError: the rows cannot be used, or there are several outputs.
        DataTypeError: text, dates or other objects where numbers belong.
    """
    read = clone(estimator) if read is None else read
    x, target = training_rows(read, X, y)
    if target.ndim > 1:
        raise DataError(
            f"y has {target.shape[1]} outputs; expected one, [N]: compare for each output"
        )
    return _with_columns(estimator, read), x, target


def _with_columns(estimator: HybridRegressor, read: HybridRegressor) -> HybridRegressor:
    """The estimator with a column's index where its parts have the column's name."""
    names = feature_names(read)
    if names is None:
        return estimator

    def placed(part: Any) -> Any:  # noqa: ANN401 (any setting)
        if isinstance(part, Pathway):
            return replace(part, likelihood=placed(part.likelihood))
        if isinstance(part, Likelihood):
            return located_likelihood(read, part).resolved(len(names), names)
        return (
            located_gate(read, part).resolved(len(names), names) if isinstance(part, Gate) else part
        )

    changed = {name: placed(getattr(estimator, name)) for name in _PARTS if name != "experts"}
    if len(estimator.log):
        encoding = encoding_of(read)
        changed["log"] = tuple(
            checks.column("log", wanted, len(names), names)
            if encoding is None
            else encoding.position("log", wanted)
            for wanted in estimator.log
        )
    resolved: HybridRegressor = clone(estimator).set_params(**changed)
    return resolved.set_params(experts=tuple(map(placed, estimator.experts)))


def _placed_columns(base: HybridRegressor, variant: Variant, read: HybridRegressor) -> Variant:
    """The variant with a column's index where its parts have the column's name."""
    names = dict.fromkeys(name.partition("__")[0] for name in variant.settings)
    if names.keys().isdisjoint(_PARTS):
        return variant
    placed = _with_columns(applied(base, variant), read).get_params(deep=False)
    return replace(variant, settings={name: placed[name] for name in names})


def _builds(estimator: HybridRegressor, num_features: int) -> bool:
    """Whether there is such a model of D features."""
    try:
        model = build_model(estimator, num_features)
        if isinstance(model, HybridMixture):
            model.gate.build(num_features, model.num_regimes)
    except OptionError:
        return False
    return True


def fold_cells(
    base: HybridRegressor,
    selected: Sequence[Variant],
    num_rows: int,
    seed: int,
    num_folds: int,
    num_repeats: int,
) -> Iterator[Cell]:
    """The cells of cross-validation, fold by fold, so that what is there can be compared."""
    if not num_repeats:
        return
    if num_rows - -(-num_rows // num_folds) < 2 or num_folds > num_rows:
        raise DataError(
            f"{num_rows} rows are too few for {num_folds} folds; expected at least two rows to fit "
            "and one to hold out in each"
        )
    # A longer list of seeds starts with the shorter one, and so do the folds of more repeats: what
    # was computed for fewer of them stays valid.
    split_seed, _, *fold_seeds = spawn_seeds(seed, 2 + num_folds * num_repeats)
    splitter = RepeatedKFold(n_splits=num_folds, n_repeats=num_repeats, random_state=split_seed)
    splits = enumerate(splitter.split(np.empty((num_rows, 1))))
    for at, (_, test) in splits:
        repeat, fold = divmod(at, num_folds)
        yield from _row_of_cells(base, selected, repeat, fold, test, fold_seeds[at])


def _full_cells(base: HybridRegressor, selected: Sequence[Variant], seed: int) -> Iterator[Cell]:
    """The fits to all rows, which leave-one-out reads."""
    _, full_seed = spawn_seeds(seed, 2)
    yield from _row_of_cells(base, selected, -1, -1, np.empty(0, dtype=np.intp), full_seed)


def _row_of_cells(
    base: HybridRegressor,
    selected: Sequence[Variant],
    repeat: int,
    fold: int,
    test: NDArray[np.intp],
    seed: int,
) -> Iterator[Cell]:
    """A cell of every variant, with the same rows and the same seed."""
    for variant in selected:
        estimator = applied(base, variant).set_params(random_state=seed, progress=False)
        yield Cell(variant=variant.name, repeat=repeat, fold=fold, estimator=estimator, test=test)


def _finish(
    cells: Sequence[Cell],
    x: FloatArray,
    y: FloatArray,
    store: CellStore | None,
    n_jobs: int | None,
    report: Progress,
) -> list[Finished]:
    """Every cell with its outcome, read where it is there, else computed and written."""
    finished: list[Finished] = []
    missing: list[Cell] = []
    for cell in cells:
        outcome = None if store is None else store.read(cell)
        if outcome is None:
            missing.append(cell)
        else:
            finished.append((cell, outcome))
    report("cells", len(finished), len(cells))
    for cell, outcome in outcomes(missing, x, y, n_jobs) if missing else ():
        if store is not None:
            store.write(cell, outcome)
        finished.append((cell, outcome))
        report("cells", len(finished), len(cells))
    return finished


def _leave_one_out(
    finished: Sequence[Finished],
) -> tuple[list[Finished], dict[str, LeaveOneOut]]:
    """Leave-one-out of every fit to all rows; where it cannot be had, the cell has failed."""
    fits, checked = {}, []
    for cell, outcome in finished:
        if outcome.draws:
            try:
                fits[cell.variant] = read_kept(outcome.draws)
            except ValueError as error:
                outcome = replace(outcome, failure=f"{type(error).__name__}: {error}")
        checked.append((cell, outcome))
    return checked, fits
