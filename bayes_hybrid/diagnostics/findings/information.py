"""Do the data say anything: constant columns, and fewer rows than parameters."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import constant_columns
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge
from bayes_hybrid.inference.result import Fit

__all__ = [
    "constant_findings",
    "least_parameters",
    "prior_finding",
    "varying_targets",
    "whole_findings",
]

_SMALL: Final = 20
"""A judgement: counts up to here have steps, and a skew, that a continuous density has not; the
square root of a larger one, their standard deviation, is several steps wide."""


def least_parameters(num_features: int, num_regimes: int, num_outputs: int = 1) -> int:
    """``Q K (D + 2) + 2 (K - 1)``, the parameters of the simplest model with K regimes.

    A straight line in D features with a noise scale for each regime and output; a place and a width
    for each border between regimes.  With no more values than that, even this model could go
    through every one of them: nothing is left to tell noise from curve, and the prior decides.

    Args:
        num_features: D, of features that vary.
        num_regimes: K.
        num_outputs: Q, of outputs that vary.

    Example:
        >>> least_parameters(1, 2), least_parameters(20, 2), least_parameters(1, 1)
        (8, 46, 3)
    """
    return num_outputs * num_regimes * (num_features + 2) + 2 * (num_regimes - 1)


def prior_finding(fit: Fit) -> Finding:
    """``prior_dominated``: are there more values of y than :func:`least_parameters`?

    Args:
        fit: the finished fit, of which a target and no or some features vary.
    """
    varies = np.atleast_1d(~constant_columns(fit.y))
    num_features = int((~constant_columns(fit.x)).sum())
    num_regimes = fit.posterior.num_regimes
    least = least_parameters(num_features, num_regimes, int(varies.sum()))
    count = int((~np.isnan(fit.y.reshape(len(fit.y), -1)[:, varies])).sum())
    simpler = ", or take a single pathway (model='gaussian')" if num_regimes > 1 else ""
    return judge(
        "prior_dominated",
        count,
        ">=",
        least + 1,
        meaning=f"There are {count} values of the target; straight lines and noise scales"
        + (" of the regimes and their borders" if num_regimes > 1 else "")
        + f" alone have {least} parameters.",
        advice="The prior says more than the data: predictions and intervals are mostly its own, "
        "and regimes cannot be read, so that the checks of both are left out. Add rows, leave out "
        f"features{simpler}.",
    )


def constant_findings(fit: Fit, y_test: FloatArray | None = None) -> list[Finding]:
    """``constant_target`` and ``constant_feature[name]`` for columns that are; none for others.

    With several outputs its name is ``constant_target[name]``, unless all are constant.

    Args:
        fit: the finished fit.
        y_test: held-out targets, to say how many have another value.
    """
    constant = constant_columns(fit.y)
    targets = fit.y.reshape(len(fit.y), -1)
    tests = None if y_test is None else y_test.reshape(len(y_test), -1)
    found = []
    if constant.all():
        found.append(_target("constant_target", fit.output_names, targets, tests))
    else:
        for q in np.flatnonzero(constant):
            name, test = fit.output_names[q], None if tests is None else tests[:, [q]]
            found.append(_target(f"constant_target[{name}]", (name,), targets[:, [q]], test))
    for d in np.flatnonzero(constant_columns(fit.x)):
        found.append(_feature(fit.feature_names[d], fit.x[:, d]))
    return found


def whole_findings(fit: Fit) -> list[Finding]:
    """``whole_target``: is the target a small count under a likelihood of continuous numbers?

    With several outputs its name is ``whole_target[name]``.  Other targets and likelihoods have no
    such finding.

    Args:
        fit: the finished fit.
    """
    likelihoods = fit.posterior.model.likelihoods
    if not likelihoods.has_noise or likelihoods.has_relative_noise:
        return []
    found, targets = [], fit.y.reshape(len(fit.y), -1)
    for q in np.flatnonzero(~np.atleast_1d(constant_columns(fit.y))):
        there = targets[~np.isnan(targets[:, q]), q]
        if (there != np.round(there)).any() or there.min() < 0.0 or there.max() > _SMALL:
            continue
        name, event = fit.output_names[q], there.max() <= 1.0
        kind = "0 or 1" if event else f"a whole number from 0 to {there.max():g}"
        instead = "'bernoulli'" if event else "'poisson'"
        found.append(
            judge(
                "whole_target" if fit.y.ndim == 1 else f"whole_target[{name}]",
                float(there.max()),
                ">=",
                _SMALL + 1,
                meaning=f"The target '{name}' is {kind} in every row, and the likelihood is one of "
                "continuous numbers.",
                advice="Intervals then have ends between the values, and some below 0. Take a "
                f"likelihood of such targets (`likelihood={instead}`).",
            )
        )
    return found


def varying_targets(fit: Fit, y_test: FloatArray) -> FloatArray:
    """Held-out targets, NaN in outputs that are constant in training and here alike.

    A width near zero covers these whatever the fit is worth.
    """
    both = constant_columns(np.concatenate([fit.y, y_test]))
    return np.where(both, np.nan, y_test)


def _target(
    name: str, names: tuple[str, ...], values: FloatArray, tests: FloatArray | None
) -> Finding:
    meaning = "; ".join(
        _said(f"target '{each}'", column) for each, column in zip(names, values.T, strict=True)
    )
    if tests is not None:
        pairs = zip(values.T, tests.T, strict=True)
        other = np.any([_differs(train, test) for train, test in pairs], axis=0)
        meaning += f"; in {int(other.sum())} of {len(other)} held-out rows it has another value"
    return judge(
        name,
        1,
        ">=",
        2,
        meaning=f"{meaning}.",
        advice="A constant teaches nothing: it is predicted with a width near 0, whatever the "
        "features, and says nothing of regimes. Check that this is the column you mean, and that "
        "its values were not filled in or rounded.",
    )


def _feature(name: str, values: FloatArray) -> Finding:
    return judge(
        f"constant_feature[{name}]",
        1,
        ">=",
        2,
        meaning=_said(f"feature '{name}'", values) + ".",
        advice="The data say nothing of its effect: predictions at another value of it rest on the "
        "prior alone. Leave it out, or add rows in which it varies.",
    )


def _said(what: str, values: FloatArray) -> str:
    """What the values of a constant column are."""
    there = values[~np.isnan(values)]
    rounding = "" if (there == there[0]).all() else ", up to rounding"
    return f"All {there.size} values of the {what} are {there[0]:g}{rounding}"


def _differs(train: FloatArray, test: FloatArray) -> NDArray[np.bool_]:
    """Which held-out values are not the training rows' constant."""
    value = train[~np.isnan(train)][0]
    return ~constant_columns(np.stack([np.full(test.shape, value), test]))
