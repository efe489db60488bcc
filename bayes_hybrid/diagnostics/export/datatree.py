"""A fit as an ArviZ object.

Built with :func:`arviz_base.dict_to_dataset`, which is the same in both generations of ArviZ, one
group at a time, so that a data column may have the name of a model site.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Final

import arviz_base
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    Evaluation,
    evaluate,
    held_out,
    spread_rows,
)
from bayes_hybrid.diagnostics.export.output_variables import (
    OutputVariable,
    output_variables,
    variable_name,
)
from bayes_hybrid.diagnostics.regimes.gate import regime_distance
from bayes_hybrid.diagnostics.regimes.thresholds import boundary_names
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.random import spawn_seeds

__all__ = ["moves", "to_datatree"]

_SAMPLE_DIMS: Final = ("chain", "draw")
_DIMS: Final = (*_SAMPLE_DIMS, "obs", "regime", "feature", "boundary", "output", "label")


@np.errstate(under="ignore")  # what vanishes is zero, whatever the caller lets NumPy raise
def to_datatree(
    fit: Fit,
    *,
    x_test: FloatArray | None = None,
    y_test: FloatArray | None = None,
    seed: int,
    max_rows: int | None = 5_000,
    label_names: Sequence[str] = (),
    label_weight: float | None = None,
    output: int | str | None = None,
) -> xr.DataTree:
    """The fit as a ``DataTree`` that ArviZ 0.x and 1.x read; restarts are its chains.

    =============================  ===============================================================
    group                          variables
    =============================  ===============================================================
    ``posterior``                  ``usage[regime]`` and ``log_lik``, which do not depend on how
                                   hidden units are numbered and on which r-hat should be read;
                                   of a gate with thresholds also ``threshold[boundary]``, in the
                                   feature's units; then the model's sites, in standardised units
    ``posterior_fixed``            those of them with an element that does not move within a
                                   chain, such as features held at their mode, or the usage of a
                                   regime that is exactly 0: r-hat and ESS are not defined there
    ``posterior_predictive``       a draw of the target for each posterior draw, ``[obs]``
    ``log_likelihood``             of the target, marginal over the regimes, ``[obs]``
    ``sample_stats``               statistics of the sampler where one was run, and each chain's
                                   ``weight`` and ``regime_disagreement`` with the others
    ``observed_data``              the target, ``[obs]``
    ``constant_data``              ``x [obs, feature]``
    ``predictions``                draws of the target at the held-out rows
    ``predictions_constant_data``  ``x``; with ``y_test`` also ``y`` and ``log_density``
    =============================  ===============================================================

    Chains are the restarts that predict, by the numbers of their starts.  They count by their
    ``weight``, which ArviZ's own means do not take: weigh by it.  ``fit.for_regimes`` is the fit
    that regimes are read from, and can be exported likewise.

    The last two groups exist with held-out rows only, ``posterior_fixed`` only where it is needed.
    The coordinate ``obs`` is the row's position in the data.  The target keeps its name, except
    that "/" becomes "_", and that the name of a dimension gets a trailing "_".

    Several outputs are a variable each, spaces in their names "_" too; one with missing values has
    its own dimension, ``obs_NAME``.  ``log_likelihood`` is the joint one of all outputs of a row.
    Its coordinates hold it once more under the name of each output: so ArviZ's leave-one-out PIT
    of an output leaves out the whole row.  What takes one output only reads ``output="heat"``.

    Args:
        fit: the finished fit.
        x_test: held-out features ``[M, D]``, in the units of the data.
        y_test: held-out targets ``[M]``.
        seed: for the predictive draws.
        max_rows: at most so many rows, evenly spread, are exported, and ``usage``, ``log_lik`` and
            leave-one-out are then those of the rows exported; ``None`` for all.  Each row takes
            16 bytes per posterior draw.
        label_names: of a fit with regime labels, their names in the order of the regimes; the site
            ``label_confusion`` is then ``[regime, label]``.
        label_weight: of a fit with regime labels, their weight, which becomes an attribute.
        output: name or position of the output to export, at the rows where it has a value;
            ``None`` for all of them.

    Returns:
        The tree, in memory; ``to_netcdf(path, engine="h5netcdf")`` writes it.  With ArviZ 0.x use
        ``arviz.preview`` on it, or read the written file with ``arviz.from_netcdf``.

    Raises:
        OptionError: ``max_rows`` is below 1, ``seed`` is negative, or there is no such output.
        DataError: held-out rows of a wrong shape, or targets without features.
    """
    if max_rows is not None:
        checks.positive_int("max_rows", max_rows)
    test = held_out(x_test, y_test, fit.x.shape[1], fit.y.shape[1:])
    evaluation = evaluate(fit, max_rows=max_rows)
    x, y = fit.x[evaluation.rows], fit.y[evaluation.rows]
    outputs = output_variables(fit, y, output, _DIMS)
    # Every row has a value of one output at least.
    kept = np.any([each.rows for each in outputs], axis=0)
    coords = _coords(fit, evaluation.rows[kept])
    coords |= {each.dim: evaluation.rows[each.rows] for each in outputs}
    train_seed, test_seed = spawn_seeds(seed, 2)
    draws = fit.posterior.by_draw.sample(x, train_seed)
    predictive = {each.name: each.there(each.of(draws)) for each in outputs}
    observed = {each.name: each.there(each.of(y)) for each in outputs}
    dims = {each.name: [each.dim] for each in outputs}
    groups = _posterior(fit, evaluation, coords | {"label": list(label_names)})
    groups["posterior_predictive"] = _dataset(predictive, dims, coords)
    groups["log_likelihood"] = _log_likelihood(fit, evaluation.log_likelihood, outputs, coords)
    groups["sample_stats"] = _sample_stats(fit, evaluation, coords)
    groups["observed_data"] = _dataset(observed, dims, coords, sample_dims=())
    groups["constant_data"] = _dataset(
        {"x": x[kept]}, {"x": ["obs", "feature"]}, coords, sample_dims=()
    )
    if test is not None:
        groups |= _predictions(fit, *test, test_seed, max_rows, outputs)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = _attributes(fit)
    if label_weight is not None:
        tree.attrs["label_weight"] = label_weight
    return tree


def _dataset(
    variables: Mapping[str, NDArray[Any]],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
    *,
    sample_dims: Sequence[str] = _SAMPLE_DIMS,
) -> xr.Dataset:
    """One group; ``dims`` are those after the sample dimensions."""
    used = {dim for names in dims.values() for dim in names}
    dataset: xr.Dataset = arviz_base.dict_to_dataset(
        dict(variables),
        dims={name: list(names) for name, names in dims.items()},
        coords={dim: values for dim, values in coords.items() if dim in used.union(sample_dims)},
        sample_dims=list(sample_dims),
        attrs=_library(),
        check_conventions=False,  # a warning where chains outnumber draws
    )
    return dataset


def _posterior(
    fit: Fit, evaluation: Evaluation, coords: Mapping[str, Any]
) -> dict[str, xr.Dataset]:
    """The groups ``posterior`` and, where needed, ``posterior_fixed``."""
    summaries = {"usage": evaluation.usage, "log_lik": evaluation.log_likelihood.sum(axis=-1)}
    if fit.posterior.thresholds is not None:
        summaries["threshold"] = fit.posterior.thresholds.location
    sites = {name.replace("/", "_"): draws for name, draws in fit.posterior.sites.items()}
    clash = sorted(summaries.keys() & sites)
    if clash or len(sites) < len(fit.posterior.sites):
        raise ValueError(f"site names must be distinct and none of {[*summaries]}; got {[*sites]}")
    dims = {"usage": ["regime"], "log_lik": [], "threshold": ["boundary"]} | {
        name: [f"{name}_dim_{axis}" for axis in range(draws.ndim - 2)]
        for name, draws in sites.items()
    }
    if coords["label"] and "label_confusion" in sites:
        dims["label_confusion"] = ["regime", "label"]
    both: dict[str, dict[str, FloatArray]] = {"posterior": {}, "posterior_fixed": {}}
    for name, draws in (summaries | sites).items():
        both["posterior" if moves(draws) else "posterior_fixed"][name] = draws
    return {
        group: _dataset(variables, {name: dims[name] for name in variables}, coords)
        for group, variables in both.items()
        if variables or group == "posterior"
    }


def moves(draws: FloatArray) -> bool:
    """Whether every element varies within every chain, by more than its rounding error.

    ArviZ divides by variances within chains; a standard deviation below 1e-150 squares to zero.
    """
    if draws.shape[1] < 2:
        return True  # r-hat and ESS are NaN, quietly, for so few draws
    with np.errstate(invalid="ignore"):  # what is infinite in every draw has no spread
        spread = np.ptp(draws, axis=1)
    return bool((spread > np.maximum(1e-12 * np.abs(draws).max(axis=1), 1e-150)).all())


def _log_likelihood(
    fit: Fit,
    log_likelihood: FloatArray,
    outputs: Sequence[OutputVariable],
    coords: Mapping[str, Any],
) -> xr.Dataset:
    """Of the target; of several outputs jointly, with a copy for each as a coordinate."""
    by_output = {each.name: each.there(log_likelihood) for each in outputs}
    if len(outputs) == 1:
        (name,) = by_output
        return _dataset(by_output, {name: ["obs"]}, coords)
    joint = variable_name(fit.target_name, [*_DIMS, *by_output, *(each.dim for each in outputs)])
    dims = {joint: ["obs"]} | {each.name: [each.dim] for each in outputs}
    # Not variables: of these ArviZ's loo and compare take the only one.
    return _dataset({joint: log_likelihood} | by_output, dims, coords).set_coords([*by_output])


def _sample_stats(fit: Fit, evaluation: Evaluation, coords: Mapping[str, Any]) -> xr.Dataset:
    """The sampler's statistics, each chain's weight, and how far its regimes are from others'."""
    stats = {name: np.asarray(values) for name, values in fit.restarts.sampler.items()}
    if "diverging" in stats:
        stats["diverging"] = stats["diverging"].astype(bool)
    distance = regime_distance(evaluation.responsibilities)
    others = max(1, distance.shape[0] - 1)
    by_chain = {
        "regime_disagreement": distance.sum(axis=1) / others,
        "weight": fit.posterior.restart_weights,
    }
    return _dataset(stats, {}, coords).merge(_dataset(by_chain, {}, coords, sample_dims=["chain"]))


def _predictions(
    fit: Fit,
    x: FloatArray,
    y: FloatArray | None,
    seed: int,
    max_rows: int | None,
    outputs: Sequence[OutputVariable],
) -> dict[str, xr.Dataset]:
    """The groups of the held-out rows."""
    rows = spread_rows(x.shape[0], max_rows)
    x, coords = x[rows], _coords(fit, rows)
    constant: dict[str, FloatArray] = {"x": x}
    dims = {"x": ["obs", "feature"], "y": ["obs"], "log_density": ["obs"]}
    if y is not None:
        constant |= {"y": y[rows], "log_density": fit.posterior.predictive.log_density(x, y[rows])}
        if len(outputs) == 1:
            constant["y"] = outputs[0].of(constant["y"])
        elif y.ndim > 1:
            dims["y"] = ["obs", "output"]
    used = {variable: dims[variable] for variable in constant}
    draws = fit.posterior.by_draw.sample(x, seed)
    predicted = {each.name: each.of(draws) for each in outputs}
    return {
        "predictions": _dataset(predicted, {each.name: ["obs"] for each in outputs}, coords),
        "predictions_constant_data": _dataset(constant, used, coords, sample_dims=()),
    }


def _coords(fit: Fit, rows: NDArray[np.intp]) -> dict[str, Any]:
    return {
        "chain": fit.restarts.sources,
        "obs": rows,
        "regime": list(fit.posterior.regime_names),
        "feature": list(fit.feature_names),
        "boundary": boundary_names(fit),
        "output": list(fit.output_names),
    }


def _library() -> dict[str, str]:
    try:
        return {
            "inference_library": "bayes_hybrid",
            "inference_library_version": metadata.version("bayes_hybrid"),
        }
    except metadata.PackageNotFoundError:  # imported from a source folder, not installed
        return {"inference_library": "bayes_hybrid"}


def _attributes(fit: Fit) -> dict[str, str | int]:
    """What a reader of the file wants to know; netCDF has no booleans."""
    return {
        **_library(),
        "method": fit.training.method,
        "status": fit.training.status,
        "converged": int(fit.training.converged),
        "seed": fit.seed,
        "num_restarts_dropped": fit.training.num_dropped,
        "num_rows": int(fit.x.shape[0]),
        "target_name": fit.target_name,
    }
