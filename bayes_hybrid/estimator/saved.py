"""Saved estimators: what is written beside the fit, and how one is read back."""

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from bayes_hybrid.errors import FileFormatError
from bayes_hybrid.gates import GATES
from bayes_hybrid.inference import (
    FitOptions,
    Plan,
    PlanStage,
    Rates,
    Refinement,
    Variational,
    WarmStart,
)
from bayes_hybrid.inference.storage import (
    DRAWS,
    MANIFEST,
    decode,
    encode,
    load_fit,
    read_config,
    save_fit,
)
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.models import HybridMixture, HybridModel, LabelHead, Pathway, PathwayModel
from bayes_hybrid.priors import LogNormalPrior, Priors

if TYPE_CHECKING:
    from bayes_hybrid.estimator.regressor import HybridRegressor

__all__ = ["POSTERIOR_FILE", "SAVED_FILES", "SETTING_CLASSES", "load", "write_saved"]

POSTERIOR_FILE: Final = "posterior.nc"
SAVED_FILES: Final = (MANIFEST, DRAWS, POSTERIOR_FILE)
"""What :meth:`HybridRegressor.save` writes."""

_MODEL_CLASSES = (HybridMixture, PathwayModel, Pathway, LabelHead, Priors, LogNormalPrior)
_FIT_CLASSES = (FitOptions, WarmStart, Variational, Refinement, Plan, PlanStage, Rates)
# Every class whose objects may stand in a saved fit; nothing else is ever built from a file.
SETTING_CLASSES: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (*_MODEL_CLASSES, *_FIT_CLASSES, *GATES.values(), *LIKELIHOODS.values())
    }
)


def write_saved(estimator: "HybridRegressor", path: str | os.PathLike[str], *, force: bool) -> None:
    """Write a fitted estimator to a folder, see :meth:`HybridRegressor.save`."""
    params = estimator.get_params(deep=False)
    if not isinstance(estimator.progress, str | bool):
        params["progress"] = "auto"
    if not isinstance(estimator.random_state, int | np.integer):
        params["random_state"] = None
    config = {
        "model": encode(estimator.fit_.posterior.model, SETTING_CLASSES),
        "params": {name: encode(value, SETTING_CLASSES) for name, value in params.items()},
        "named_features": "feature_names_in_" in vars(estimator),
        "regime_labels": encode(estimator.regime_labels_, SETTING_CLASSES),
    }
    # Made in memory: HDF5 does not tell a full disk, it litters standard error.
    tree = bytes(estimator.to_datatree().to_netcdf(engine="h5netcdf"))
    save_fit(estimator.fit_, path, config=config, force=force, extras={POSTERIOR_FILE: tree})


def load(path: str | os.PathLike[str]) -> "HybridRegressor":
    """The estimator that :meth:`HybridRegressor.save` wrote, on the CPU, ready to predict.

    No code from the folder is run.  Predictions are those of the saved estimator.

    Args:
        path: the folder.

    Raises:
        FileFormatError: no fit is there, or it is truncated, foreign, or of a newer format.

    Example:
        >>> load("no_such_folder")
        Traceback (most recent call last):
        bayes_hybrid.errors.FileFormatError: no_such_folder is no folder; expected a folder
            written by save
    """
    from bayes_hybrid.estimator.regressor import HybridRegressor

    config = read_config(path)
    try:
        model = decode(config["model"], SETTING_CLASSES)
        params = {name: decode(value, SETTING_CLASSES) for name, value in config["params"].items()}
        named = config["named_features"]
        estimator = HybridRegressor(**params)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path} has settings that this version does not take: {error}; "
            "load it with the version that wrote it"
        ) from error
    labels = decode(config.get("regime_labels", []), SETTING_CLASSES)
    if not isinstance(model, HybridModel):
        raise FileFormatError(f"{path} holds no model; expected one, got {type(model).__name__}")
    estimator.fit_ = load_fit(path, model)
    estimator.regimes_ = model.regime_names
    estimator.regime_labels_ = labels
    estimator.n_features_in_ = model.num_features
    if named:
        estimator.feature_names_in_ = np.array(estimator.fit_.feature_names, dtype=object)
    return estimator
