"""What a figure is drawn from: a fit, or the estimator that holds one."""

from typing import Any, TypeAlias, cast

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.result import Fit

__all__ = ["Source", "as_fit"]

Source: TypeAlias = "Fit | BaseEstimator"
"""A fit (``reg.fit_``), or the fitted ``HybridRegressor`` itself."""


def as_fit(source: Source) -> Fit:
    """The fit: ``source`` itself, or what a fitted estimator holds as ``fit_``.

    Raises:
        NotFittedError: an estimator before ``fit``.
        OptionError: anything else; an ArviZ ``DataTree`` among them, which has draws but not the
            model that would evaluate them at new points.
    """
    held: Any = source
    if isinstance(source, BaseEstimator):
        check_is_fitted(source)
        held = vars(source).get("fit_")
    # A DataTree has a group of that name, and only a posterior can be evaluated.
    if getattr(getattr(held, "posterior", None), "by_draw", None) is None:
        raise OptionError(
            "expected a fitted HybridRegressor or its fit_, such as load(folder) gives; got an "
            f"object of type {type(source).__name__}"
        )
    return cast(Fit, held)
