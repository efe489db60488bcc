"""K-fold cross-validation of one estimator, for rows that leave-one-out cannot be trusted with."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.ablation.run import fold_cells, usable_rows
from bayes_hybrid.ablation.running import check_jobs, outcomes
from bayes_hybrid.ablation.variant import BASE, Variant
from bayes_hybrid.diagnostics.scores.comparison import KFold
from bayes_hybrid.errors import FitError
from bayes_hybrid.estimator import HybridRegressor, build_model, reporting
from bayes_hybrid.random import resolve_seed

__all__ = ["kfold"]


def kfold(
    estimator: HybridRegressor,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series,
    *,
    num_folds: int = 10,
    n_jobs: int | None = None,
) -> KFold:
    """The log density of every row by a fit to the other folds.

    Estimators with the same integer ``random_state`` get the same folds, so that
    :func:`bayes_hybrid.diagnostics.compare` can pair their rows.

    Args:
        estimator: its settings; it need not be fitted, and is left as it is.
        X: features ``[N, D]``.
        y: targets ``[N]``.
        num_folds: folds, at least 2; each costs a fit.
        n_jobs: processes; ``None`` leaves it to ``joblib.parallel_config``, and is 1 outside.

    Returns:
        Log density and fold of each row.

    Raises:
        OptionError: a setting cannot be what it is.
        DataError: the rows cannot be used, or are too few for the folds; several outputs.
        DataTypeError: text, dates or other objects where numbers belong.
        FitError: the fit of a fold failed.

    Source: Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, section 2.3.

    Example:
        >>> from bayes_hybrid import FitOptions, Pathway
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, size=(30, 1))
        >>> y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=30)
        >>> small = Pathway("gaussian", num_units=3, noise="constant")
        >>> estimator = HybridRegressor(model=small, fit_options=FitOptions.quick(), random_state=0)
        >>> kfold(estimator, X, y, num_folds=2).pointwise.shape
        (30,)
    """
    checks.instance("estimator", estimator, HybridRegressor)
    checks.positive_int("num_folds", num_folds, minimum=2)
    check_jobs(n_jobs)
    base, x, target = usable_rows(clone(estimator), X, y)
    build_model(base, x.shape[1])  # an estimator that cannot be is no failed fold
    seed = resolve_seed(base.random_state)
    cells = list(fold_cells(base, (Variant(BASE, {}),), len(x), seed, num_folds, 1))
    pointwise, fold = np.empty(len(x)), np.empty(len(x), dtype=np.intp)
    with reporting(base.progress) as report:
        report("folds", 0, len(cells))
        for done, (cell, outcome) in enumerate(outcomes(cells, x, target, n_jobs), start=1):
            if outcome.failure:
                raise FitError(f"fold {cell.fold}: {outcome.failure}")
            pointwise[cell.test], fold[cell.test] = outcome.log_density, cell.fold
            report("folds", done, len(cells))
    return KFold(pointwise=pointwise, fold=fold, y=target)
