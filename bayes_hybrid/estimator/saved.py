"""Saved estimators: what is written beside the fit, and how one is read back."""

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from bayes_hybrid.data import HeldOut
from bayes_hybrid.data.columns import listed
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.records import shortened
from bayes_hybrid.errors import DataError, FileFormatError, OptionError
from bayes_hybrid.estimator.build import REFINE, with_units
from bayes_hybrid.gates import GATES, MonotoneGate, ReLUGate
from bayes_hybrid.inference import (
    Fit,
    FitOptions,
    Plan,
    PlanStage,
    Rates,
    Variational,
    WarmStart,
)
from bayes_hybrid.inference.readings import reading_names
from bayes_hybrid.inference.samplers import SAMPLERS
from bayes_hybrid.inference.saving.encoding import decode, encode
from bayes_hybrid.inference.saving.storage import FIT_FILES, SavedFit, read_saved, save_fit
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.models import (
    HybridMixture,
    LabelHead,
    Pathway,
    PathwayModel,
)
from bayes_hybrid.models.curves import CURVES
from bayes_hybrid.models.mixture import pathways
from bayes_hybrid.models.registry import part_named, registered
from bayes_hybrid.priors import LogNormalPrior, NormalPrior, Priors

if TYPE_CHECKING:
    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = [
    "POSTERIOR_FILE",
    "SAVED_FILES",
    "SETTING_CLASSES",
    "load",
    "setting_classes",
    "write_saved",
]

POSTERIOR_FILE: Final = "posterior.nc"
SAVED_FILES: Final = (*FIT_FILES, POSTERIOR_FILE)
"""What :meth:`HybridRegressor.save` may write; only a fit with held-out rows has a file of them."""

_PRIORS = (Priors, LogNormalPrior, NormalPrior)
_MODEL_CLASSES = (HybridMixture, PathwayModel, Pathway, *CURVES.values(), LabelHead, *_PRIORS)
_FIT_CLASSES = (FitOptions, WarmStart, Variational, *SAMPLERS, Plan, PlanStage, Rates)
# The package's own classes whose objects may stand in a saved fit.  Beside registered parts nothing
# else is ever built from a file.
SETTING_CLASSES: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (*_MODEL_CLASSES, *_FIT_CLASSES, *GATES.values(), *LIKELIHOODS.values())
    }
)

# Settings that fits of before have in the estimator itself.
_OF_FIT_OPTIONS: Final = ("num_restarts", "plan", "batch_size", "device", "compile")
_UNITS: Final = MappingProxyType({"num_units": "auto", "depth": 1, "smoothing": "bump"})

# A thousand regimes are more than anybody can read; the label head has a matrix of them.
_MOST_REGIMES: Final = 1_000


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an estimator is rebuilt from, its settings in the form of ``encode``."""

    model: dict[str, Any]
    params: dict[str, Any]
    named_features: bool
    regime_labels: tuple[str | bool | int | float, ...]
    encoding: Encoding | None = None


def write_saved(
    estimator: "HybridRegressor",
    path: str | os.PathLike[str],
    *,
    force: bool,
    held_out: HeldOut | None,
) -> None:
    """Write a fitted estimator to a folder, see :meth:`HybridRegressor.save`."""
    fit = estimator.fit_
    if held_out is not None and (held_out.x.shape[1:], held_out.y.shape[1:]) != (
        fit.x.shape[1:],
        fit.y.shape[1:],
    ):
        raise DataError(
            f"held_out must have the columns of the fit: expected features [M, {fit.x.shape[1]}] "
            f"and {len(fit.output_names)} outputs, got shapes {held_out.x.shape} and "
            f"{held_out.y.shape}"
        )
    params = estimator.get_params(deep=False)
    if not isinstance(estimator.progress, str | bool):
        params["progress"] = "auto"
    if not isinstance(estimator.random_state, int | np.integer):
        params["random_state"] = None
    classes = setting_classes()
    config = _Config(
        model=encode(fit.posterior.model, classes),
        params={name: encode(value, classes) for name, value in params.items()},
        named_features="feature_names_in_" in vars(estimator),
        regime_labels=encode(estimator.regime_labels_, SETTING_CLASSES),
        encoding=estimator.encoding_,
    )
    # Made in memory: HDF5 does not tell a full disk, it litters standard error.
    tree = bytes(estimator.to_datatree().to_netcdf(engine="h5netcdf"))
    save_fit(
        fit,
        path,
        config=_as_json(config),
        force=force,
        held_out=held_out,
        extras={POSTERIOR_FILE: tree},
    )


def load(path: str | os.PathLike[str]) -> "HybridRegressor":
    """The estimator that :meth:`HybridRegressor.save` wrote, on the CPU, ready to predict.

    No code from the folder is run.  Every file is checked against ``manifest.json``.  Predictions
    are those of the saved estimator, to the last bit.  Rows that were saved as held out are in
    ``held_out_``.

    Args:
        path: the folder.

    Raises:
        FileFormatError: no fit is there, or it is truncated, changed, foreign, or of a newer
            format.

    Example:
        >>> load("no_such_folder")
        Traceback (most recent call last):
        bayes_hybrid.errors.FileFormatError: no_such_folder is no folder; expected a folder
            written by save
    """
    saved = read_saved(path)
    try:
        config = msgspec.convert(saved.config, _Config)
        params = {name: decode(value, _setting_class) for name, value in config.params.items()}
        estimator = _estimator(params)
    except (msgspec.ValidationError, KeyError, TypeError, OptionError) as error:
        raise FileFormatError(
            f"{path} has settings that this version does not take: {shortened(error)}; "
            "load it with the version that wrote it"
        ) from error
    model = decode(config.model, _setting_class)
    if not isinstance(model, HybridMixture | PathwayModel):
        raise FileFormatError(f"{path} holds no model; expected one, got {type(model).__name__}")
    if len(config.regime_labels) not in (0, model.num_regimes):
        raise FileFormatError(
            f"{path} has {len(config.regime_labels)} regime labels; expected none or "
            f"{model.num_regimes}, one for each regime"
        )
    _refuse_larger(model, saved)
    estimator.fit_ = saved.fit(model)
    _refuse_other(config.encoding, estimator.fit_, path)
    estimator.encoding_ = config.encoding
    estimator.held_out_ = saved.held_out
    estimator.regimes_ = reading_names(model)
    estimator.regime_labels_ = config.regime_labels
    names = config.encoding.sources if config.encoding else estimator.fit_.feature_names
    estimator.n_features_in_ = len(names)
    if config.named_features:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return estimator


def _estimator(params: dict[str, Any]) -> "HybridRegressor":
    """The estimator of these settings, which fits of before have by other names."""
    from bayes_hybrid.estimator.regressor import HybridRegressor

    units = {name: params.pop(name) for name in _UNITS if name in params}
    if "refine" in params:
        refine = params.pop("refine")
        sampler = REFINE[{True: "always", False: "never"}.get(refine, refine)]
        options = {name: params.pop(name) for name in _OF_FIT_OPTIONS}
        params["fit_options"] = params["fit_options"] or FitOptions(**options, sampler=sampler)
    estimator = HybridRegressor(**params)
    return estimator if units in ({}, dict(_UNITS)) else with_units(estimator, **units)


def _refuse_other(encoding: Encoding | None, fit: Fit, path: str | os.PathLike[str]) -> None:
    """Refuse an encoding that makes other features than those of the fit."""
    names, log = fit.feature_names, tuple(fit.posterior.x_scaling.log.tolist())
    if encoding is not None and encoding.names != names:
        raise FileFormatError(
            f"{path} is damaged: its columns become {listed(encoding.names)}, and the fit has "
            f"{listed(names)}; save the fit again"
        )
    if (encoding.log if encoding is not None else (False,) * len(names)) != log:
        raise FileFormatError(
            f"{path} is damaged: its columns and its model differ on whose logarithm is read; "
            "save the fit again"
        )


def _as_json(config: _Config) -> dict[str, Any]:
    """The config as plain JSON values; a fit of numbers alone has no encoding."""
    values: dict[str, Any] = msgspec.to_builtins(config)
    if config.encoding is None:
        del values["encoding"]
    return values


def setting_classes() -> dict[str, type]:
    """The classes whose objects a saved fit may name, and what it calls them."""
    return {**SETTING_CLASSES, **registered()}


def _setting_class(name: str) -> Callable[..., object] | None:
    kind = SETTING_CLASSES.get(name) or part_named(name)
    if kind is None or kind not in CURVES.values():
        return kind
    # Curves of before have what was the default number of units.
    return lambda num_units="auto", **fields: kind(**fields)


def _refuse_larger(model: HybridMixture | PathwayModel, saved: SavedFit) -> None:
    """Refuse a model that needs more parameters than the draws have, before it is built."""
    least = model.num_regimes
    for pathway in pathways(model):
        # Every layer of ours has a weight for each unit and input; what anyone's has is read out.
        own, width = type(pathway) is not Pathway, pathway.width(model.num_features)
        inputs = 0 if own else model.num_features + (pathway.depth - 1) * width
        least += width * (inputs + model.num_outputs)
    gate = model.gate if isinstance(model, HybridMixture) else None
    if isinstance(gate, ReLUGate):
        least += gate.num_units * (model.num_features + model.num_regimes - 1)
    if isinstance(gate, MonotoneGate):
        least += gate.num_units
    if least > saved.num_parameters or model.num_regimes > _MOST_REGIMES:
        raise FileFormatError(
            f"{saved.folder} is damaged: its model has {model.num_regimes} regimes and {least} "
            f"parameters or more, and its draws have {saved.num_parameters}; save the fit again"
        )
