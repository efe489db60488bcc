"""From tables and arrays to finite numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import (
    is_several,
    numeric_array,
    refuse_far,
    refuse_large,
    refuse_narrow,
    require_outputs,
)
from bayes_hybrid.errors import BayesHybridError, DataError, DataTypeError

if TYPE_CHECKING:
    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = [
    "FloatArray",
    "feature_names",
    "feature_rows",
    "held_out_or_saved",
    "held_out_rows",
    "output_names",
    "row_weights",
    "scored_rows",
    "target_rows",
    "training_rows",
]


def training_rows(
    estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    """Features and targets of a fit, as copies: the caller's arrays may change afterwards."""
    # One row has no spread to learn a scale from.
    x, target = _validated(estimator, X, y, ensure_min_samples=2)
    names = output_names(y, target)
    if target.ndim > 1:
        require_outputs(target, names)
    refuse_narrow("X", x, columns=_columns(X))
    refuse_narrow("y", target, columns=names)
    return np.array(x, order="C"), np.array(target, dtype=np.float64)


def _validated(
    estimator: "HybridRegressor",
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series | pd.DataFrame,
    **settings: Any,  # noqa: ANN401 (scikit-learn's own)
) -> tuple[FloatArray, FloatArray]:
    """Features ``[N, D]`` and targets ``[N]`` or ``[N, Q]``, by scikit-learn's checks."""
    several = y is not None and is_several(y)
    with _as_data_errors():
        target = None if y is None else numeric_array("y", y, missing=several)
        absent = np.zeros(())
        if several:
            target = np.asarray(target, dtype=np.float64)
            absent = np.isnan(target)
            # scikit-learn has no word for a target that may be missing.
            target = np.where(absent, 0.0, target)
        x, target = validate_data(
            estimator,
            numeric_array("X", X),
            target,
            dtype=np.float64,
            y_numeric=True,
            multi_output=several,
            **settings,
        )
    target = np.asarray(target, dtype=np.float64)
    refuse_large("X", x, columns=_columns(X))
    refuse_large("y", target, columns=output_names(y, target))
    return x, np.where(absent, np.nan, target) if several else target


def feature_rows(estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame) -> FloatArray:
    """Features ``[N, D]`` of new rows, the columns of the fit."""
    with _as_data_errors():
        x: FloatArray = validate_data(
            estimator, numeric_array("X", X), dtype=np.float64, reset=False
        )
    refuse_large("X", x, columns=_columns(X))
    refuse_far("X", x, estimator.fit_.posterior.x_scaling)
    return x


def target_rows(
    estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    """Features and targets of new rows, the columns and outputs of the fit."""
    x, target = scored_rows(estimator, X, y)
    refuse_far("y", target, estimator.fit_.posterior.y_scaling)
    return x, target


def scored_rows(
    estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    """The same for scores that take no density, so that targets may be anywhere."""
    x, target = _validated(estimator, X, y, reset=False)
    fit = estimator.fit_
    if target.shape[1:] != fit.y.shape[1:]:
        count = len(fit.output_names)
        raise DataError(
            f"y must have {count} outputs, those of the fit; got shape {target.shape}"
            if count > 1
            else f"y must be [N], the one output of the fit; got shape {target.shape}"
        )
    names = output_names(y, target)
    expected = list(fit.output_names)
    came_with_names = expected != [f"y{q}" for q in range(len(expected))]
    if target.ndim > 1 and names is not None and came_with_names and names != expected:
        raise DataError(
            f"y has other outputs than the fit, or in another order: expected {expected}, "
            f"got {names}; put the columns in that order"
        )
    refuse_far("X", x, fit.posterior.x_scaling)
    return x, target


def row_weights(sample_weight: ArrayLike | pd.Series | None, num_rows: int) -> FloatArray | None:
    """Weights of rows ``[N]``, not negative and not all zero; ``None`` where all count alike."""
    if sample_weight is None:
        return None
    with _as_data_errors():
        weights = np.asarray(numeric_array("sample_weight", sample_weight), dtype=np.float64)
    refuse_large("sample_weight", weights)
    if weights.shape != (num_rows,) or (weights < 0.0).any() or not weights.any():
        raise DataError(
            f"sample_weight must be {num_rows} numbers, one for each row, not negative and not "
            f"all zero; got shape {weights.shape}"
            + (f" with values from {weights.min():g} to {weights.max():g}" if weights.size else "")
        )
    return weights


@contextmanager
def _as_data_errors() -> Iterator[None]:
    """scikit-learn's errors about data as ours, which they are too, in its own words."""
    try:
        yield
    except BayesHybridError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error
    except TypeError as error:
        raise DataTypeError(str(error)) from error


def held_out_rows(
    estimator: "HybridRegressor",
    X: ArrayLike | pd.DataFrame | None,
    y: ArrayLike | pd.Series | None,
) -> tuple[FloatArray | None, FloatArray | None]:
    """Features and targets of held-out rows, as far as they came."""
    if X is None:
        if y is not None:
            raise DataError("y_test came without X_test; give both, or X_test alone")
        return None, None
    return (feature_rows(estimator, X), None) if y is None else target_rows(estimator, X, y)


def held_out_or_saved(
    estimator: "HybridRegressor",
    X: ArrayLike | pd.DataFrame | None,
    y: ArrayLike | pd.Series | None,
) -> tuple[FloatArray | None, FloatArray | None]:
    """As :func:`held_out_rows`, by default the rows that the fit was saved with."""
    if X is None and y is None and estimator.held_out_ is not None:
        return estimator.held_out_.x, estimator.held_out_.y
    return held_out_rows(estimator, X, y)


def feature_names(estimator: "HybridRegressor") -> list[str] | None:
    """The columns' names, once scikit-learn has read them."""
    names = vars(estimator).get("feature_names_in_")
    return None if names is None else [str(name) for name in names]


def _columns(X: ArrayLike | pd.DataFrame) -> list[str] | None:
    """The columns of a table by name, for messages."""
    return [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else None


def output_names(y: ArrayLike | pd.Series | pd.DataFrame, target: FloatArray) -> list[str] | None:
    """The targets' names, where they came with some."""
    if isinstance(y, pd.DataFrame):
        return [str(name) for name in y.columns]
    if target.ndim > 1:
        return None
    return [str(y.name)] if isinstance(y, pd.Series) and y.name is not None else None
