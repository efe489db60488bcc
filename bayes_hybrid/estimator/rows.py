"""From tables and arrays to finite numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_X_y, validate_data

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import (
    Standardizer,
    is_several,
    numeric_array,
    refuse_far,
    refuse_large,
    refuse_narrow,
    require_outputs,
    unmasked,
)
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.frames import as_pandas
from bayes_hybrid.data.learning import learned_encoding
from bayes_hybrid.errors import BayesHybridError, DataError, DataTypeError, OptionError

if TYPE_CHECKING:
    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = [
    "MISSING",
    "FloatArray",
    "encoding_of",
    "feature_names",
    "feature_rows",
    "held_out_or_saved",
    "held_out_rows",
    "located",
    "log_scaling",
    "output_names",
    "row_weights",
    "scored_rows",
    "target_rows",
    "training_encoding",
    "training_rows",
]

MISSING: Final = ("impute", "refuse")
"""What may be done about missing cells of features."""


def training_rows(
    estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    """Features and targets of a fit, as copies: the caller's arrays may change afterwards."""
    X, y = as_pandas(X), as_pandas(y)
    estimator.encoding_ = training_encoding(estimator, X)
    # One row has no spread to learn a scale from.
    x, target = _validated(estimator, X, y, ensure_min_samples=2)
    names = output_names(y, target)
    if target.ndim > 1:
        require_outputs(target, names)
    _refuse_shared(estimator.encoding_, names)
    refuse_narrow("X", x, columns=_columns(estimator, X))
    refuse_narrow("y", target, columns=names)
    return np.array(x, order="C"), np.array(target, dtype=np.float64)


def training_encoding(estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame) -> Encoding | None:
    """The encoding of a training table; ``None`` where its columns need none."""
    missing, log = checks.choice("missing", estimator.missing, MISSING) == "impute", estimator.log
    if isinstance(log, str):
        raise OptionError(f"log must be several names or positions of columns; got {log!r}")
    if isinstance(X, pd.DataFrame):
        return learned_encoding(X, missing=missing, log=log)
    if not len(log):
        return None
    with _as_data_errors():
        x = check_array(numeric_array("X", X), dtype=np.float64, estimator=estimator)
    return learned_encoding(pd.DataFrame(x), log=log)


def encoding_of(estimator: "HybridRegressor") -> Encoding | None:
    """How its columns became numbers, once it has read a table; ``None`` where they were."""
    return vars(estimator).get("encoding_")


def _refuse_shared(encoding: Encoding | None, outputs: list[str] | None) -> None:
    """Refuse a target that has the name of an encoded column: tables would have both."""
    made = set() if encoding is None else {*encoding.names} - {*encoding.sources}
    for name in outputs or ():
        if name in made:
            raise DataError(
                f"the target {name!r} has the name of a column that stands for a feature of text, "
                "dates or missing cells; rename the target"
            )


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
        x, target = _checked(estimator, X, target, y_numeric=True, multi_output=several, **settings)
    target = np.asarray(target, dtype=np.float64)
    refuse_large("X", x, columns=_columns(estimator, X))
    refuse_large("y", target, columns=output_names(y, target))
    return x, np.where(absent, np.nan, target) if several else target


def _checked(
    estimator: "HybridRegressor",
    X: ArrayLike | pd.DataFrame,
    target: FloatArray | None,
    *,
    reset: bool = True,
    **settings: Any,  # noqa: ANN401 (scikit-learn's own)
) -> Any:  # noqa: ANN401 (scikit-learn's own)
    """Features and targets by scikit-learn's checks; X's names and number are the caller's."""
    if estimator.encoding_ is None:
        x = numeric_array("X", X)
        return validate_data(estimator, x, target, dtype=np.float64, reset=reset, **settings)
    x = _encoded(estimator, estimator.encoding_, X, reset=reset)
    return check_X_y(x, target, dtype=np.float64, estimator=estimator, **settings)


def _encoded(
    estimator: "HybridRegressor",
    encoding: Encoding,
    X: ArrayLike | pd.DataFrame,
    *,
    reset: bool,
) -> pd.DataFrame:
    """The encoded columns of rows."""
    table: Any = X
    if not isinstance(X, pd.DataFrame):
        table = check_array(unmasked(X), dtype=None, ensure_all_finite=False, estimator=estimator)
    validate_data(estimator, table, skip_check_array=True, reset=reset)
    return encoding.encode(pd.DataFrame(table).infer_objects())


def feature_rows(estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame) -> FloatArray:
    """Features ``[N, D]`` of new rows, the columns of the fit."""
    X = as_pandas(X)
    with _as_data_errors():
        x: FloatArray
        if estimator.encoding_ is None:
            x = validate_data(estimator, numeric_array("X", X), dtype=np.float64, reset=False)
        else:
            table = _encoded(estimator, estimator.encoding_, X, reset=False)
            x = check_array(table, dtype=np.float64, estimator=estimator)
    refuse_large("X", x, columns=_columns(estimator, X))
    posterior = estimator.fit_.posterior
    refuse_far("X", x, posterior.x_scaling)
    posterior.model.likelihoods.sizes(x, np.zeros(len(x)))
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
    X, y = as_pandas(X), as_pandas(y)
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
    fit.posterior.model.likelihoods.sizes(x, np.zeros(len(x)))
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
    """Names of the features of the fit, once scikit-learn has read those of the columns."""
    encoding = encoding_of(estimator)
    if encoding is not None:
        return [*encoding.names]
    names = vars(estimator).get("feature_names_in_")
    return None if names is None else [str(name) for name in names]


def log_scaling(estimator: "HybridRegressor", features: FloatArray) -> Standardizer | None:
    """Standardisation of features of which some have logarithms; ``None`` where none has."""
    encoding = encoding_of(estimator)
    return None if encoding is None else Standardizer.fit(features, log=encoding.log)


def located(
    estimator: "HybridRegressor",
    feature: int | str,
    at: ArrayLike | Mapping[str, float] | None,
) -> tuple[int | str, Any]:
    """A feature, and where others are held, by names of the fit instead of the table's.

    Args:
        estimator: fitted.
        feature: position in the fit, or name there or in the table.
        at: numbers, or names and what they are held at, dates for dates.

    Raises:
        OptionError: a column of the table became other than one feature.
    """
    encoding = encoding_of(estimator)
    if encoding is None:
        return feature, at
    if isinstance(feature, str):
        feature = encoding.position("feature", feature)
    if not isinstance(at, Mapping | pd.Series):
        return feature, at
    held = {
        encoding.position("at", name) if isinstance(name, str) else name: encoding.value(
            name, value
        )
        for name, value in at.items()
    }
    return feature, held


def _columns(estimator: "HybridRegressor", X: ArrayLike | pd.DataFrame) -> list[str] | None:
    """The features of a table by name, for messages."""
    if estimator.encoding_ is not None:
        return [*estimator.encoding_.names]
    return [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else None


def output_names(y: ArrayLike | pd.Series | pd.DataFrame, target: FloatArray) -> list[str] | None:
    """The targets' names, where they came with some."""
    y = as_pandas(y)
    if isinstance(y, pd.DataFrame):
        return [str(name) for name in y.columns]
    if target.ndim > 1:
        return None
    return [str(y.name)] if isinstance(y, pd.Series) and y.name is not None else None
