"""Standardise a table, run the recipe on it, return a :class:`~.result.Fit`."""

from functools import partial

import numpy as np
import torch

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer, constant_columns
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.constant import pinned, untrained
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior.posterior import Posterior
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.recipe.options import FitOptions
from bayes_hybrid.inference.recipe.run import run_recipe
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.target import Target


def resolve_device(name: str) -> torch.device:
    """The torch device of that name; ``"auto"`` is the GPU where there is one.

    Raises:
        OptionError: torch does not know the name, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"device: expected 'auto', 'cpu' or a device that torch can use, got {name!r} "
            f"({reason})."
        ) from error
    return device


@np.errstate(under="ignore")  # what vanishes is zero, whatever the caller lets NumPy raise
def fit(
    model: HybridModel,
    x: FloatArray,
    y: FloatArray,
    *,
    seed: int,
    options: FitOptions | None = None,
    labels: FloatArray | None = None,
    scalings: tuple[Standardizer | None, Standardizer | None] = (None, None),
    progress: Progress = silent,
) -> Fit:
    """Fit a hybrid model to a table.

    1. A warm start of all restarts in the stages of their :class:`Plan`, stopped by held-out
       density.
    2. The features' KL weight is chosen by held-out density (:class:`Variational`); where a sampler
       follows, they start as points.
    3. SVI with it on all rows.
    4. Where its budget allows, a sampler from SVI's solution, one chain per restart.
    5. Each restart's weight, by leave-one-out density, or by ELBO where no sampler has run
       (:mod:`~bayes_hybrid.inference.recipe.weighing`).

    A target that is constant up to rounding is not trained on: its likelihood has no maximum.  All
    draws predict the constant (:mod:`~bayes_hybrid.inference.constant`).

    Args:
        model: what to fit; it sees standardised data.
        x: features ``[N, D]``, finite.
        y: targets ``[N]``, finite; ``[N, Q]`` for a model of Q outputs, NaN where missing.
        seed: everything random is derived from it.
        options: how to fit; the defaults are measured in ``benchmarks/quality.py``.
        labels: for a model with a label head, the number of each row's regime label ``[N]``, NaN
            where it has none.
        scalings: standardisation of features and of targets, where it is not to be that of the
            rows, such as ``Standardizer.fit(x, log=...)`` for a model that reads logarithms:
            priors are statements about what it makes of them.  The fit says everything in the
            units of the data all the same.
        progress: told about the progress of each stage.

    Returns:
        The fit, with a posterior in the units of the data; :meth:`~Fit.named` gives the columns
        ``x0, x1, ...`` and ``y``, or ``y0, y1, ...``, names of their own.

    Raises:
        DataError: targets that a likelihood is not of, or a feature without a logarithm.
        FitError: every restart became non-finite.
        OptionError: an option does not fit the machine, or the logarithm of the rows' sizes.
    """
    _require_targets(model, y, labels)
    model, options = model.anchored(y, model.likelihoods.sizes(x, y)), options or FitOptions()
    device = resolve_device(options.device)
    x_scaling, y_scaling = _scalings(model, x, y, *scalings)
    inputs = torch.as_tensor(x_scaling.transform(x), dtype=torch.float32, device=device)
    # With a standardisation of its own, its mean need not be the constant.
    constant = np.zeros(y.shape[1:], dtype=bool)
    if scalings[1] is None and model.likelihoods.standardises:
        constant = constant_columns(y)
    observed = np.where(constant, np.nan, y_scaling.transform(y))
    tensor = partial(torch.as_tensor, dtype=torch.float32, device=device)
    target = Target(tensor(observed), None if labels is None else tensor(labels))
    outputs = _names("y", y)
    if bool(constant.all()):
        done = untrained(model, inputs, options)
    else:
        # In float32, whatever precision the caller has set torch to choose.
        with torch.autocast(device.type, enabled=False):
            done = run_recipe(model, inputs, target, options, seed=seed, progress=progress)
        if constant.any():
            done = pinned(SiteTable.of(model, inputs[:1]), done, constant)
    variational = Posterior(
        model=model,
        theta=done.variational,
        x_scaling=x_scaling,
        y_scaling=y_scaling,
        weights=done.weights,
    )
    return Fit(
        posterior=variational.with_draws(done.theta),
        variational=variational,
        variational_log_ratios=done.variational_log_ratios,
        restarts=done.restarts,
        training=done.training,
        x=x,
        y=y,
        labels=labels,
        feature_names=_names("x", x),
        target_name=outputs[0] if y.ndim == 1 else "y",
        output_names=outputs,
        seed=seed,
    ).in_order()


def _scalings(
    model: HybridModel,
    x: FloatArray,
    y: FloatArray,
    of_x: Standardizer | None,
    of_y: Standardizer | None,
) -> tuple[Standardizer, Standardizer]:
    """Standardisation of features and of targets: what is given, else that of the rows."""
    size, of_x = model.likelihoods.size_column, of_x or Standardizer.fit(x)
    if size is not None and of_x.log[size]:
        raise OptionError(
            f"log: column {size + 1} is the size of the rows, which the likelihood takes as it is; "
            "leave it out"
        )
    if of_y is None:
        standardises = model.likelihoods.standardises
        of_y = Standardizer.of_targets(y) if standardises else Standardizer.unchanging(*y.shape[1:])
    return of_x.leaving(size), of_y


def _require_targets(model: HybridModel, y: FloatArray, labels: FloatArray | None) -> None:
    """Refuse targets and labels that are not what the model is of.

    Raises:
        DataError: values that a likelihood is not of.
        OptionError: another number of outputs, or labels without a label head or the reverse.
    """
    count = 1 if y.ndim == 1 else y.shape[1]
    if y.ndim > 2 or count != model.num_outputs:
        raise OptionError(
            f"y: the model has num_outputs={model.num_outputs}, got targets of shape {y.shape}"
        )
    if (labels is None) != (model.label_head is None):
        came = "no labels came" if labels is None else "labels came"
        raise OptionError(
            f"labels: {came}, and the model has label_head={model.label_head!r}; "
            "give both or neither"
        )
    model.likelihoods.require_supported(y)


def _names(letter: str, values: FloatArray) -> tuple[str, ...]:
    """The letter, numbered by the columns where there are columns."""
    if values.ndim == 1:
        return (letter,)
    return tuple(f"{letter}{column}" for column in range(values.shape[1]))
