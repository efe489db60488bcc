"""The scikit-learn estimator."""

from bayes_hybrid.estimator.build import (
    MODELS,
    REFINE,
    build_model,
    build_options,
    located_gate,
    located_likelihood,
    pathways_of,
    settings_of,
    with_pathways,
    with_units,
)
from bayes_hybrid.estimator.nested import refuse_moved
from bayes_hybrid.estimator.progress import reporting
from bayes_hybrid.estimator.regressor import HybridRegressor
from bayes_hybrid.estimator.rows import MISSING, encoding_of, feature_names, training_rows
from bayes_hybrid.estimator.saved import (
    POSTERIOR_FILE,
    SAVED_FILES,
    SETTING_CLASSES,
    load,
    setting_classes,
)

__all__ = [
    "MISSING",
    "MODELS",
    "POSTERIOR_FILE",
    "REFINE",
    "SAVED_FILES",
    "SETTING_CLASSES",
    "HybridRegressor",
    "build_model",
    "build_options",
    "encoding_of",
    "feature_names",
    "load",
    "located_gate",
    "located_likelihood",
    "pathways_of",
    "refuse_moved",
    "reporting",
    "setting_classes",
    "settings_of",
    "training_rows",
    "with_pathways",
    "with_units",
]
