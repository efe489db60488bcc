"""A small table, and fits of it that take a second."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hybrid import HMC, FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.estimator import with_units

__all__ = ["FEATURES", "TARGET", "answers", "make", "tiny_table"]

FEATURES: Final = ["dose", "other"]
TARGET: Final = "response"

_RECIPE: Final[dict[str, Any]] = {
    "num_restarts": 2,
    "warm_start": WarmStart(max_steps=20, check_every=10),
    "variational": Variational(num_steps=10, selection_steps=5, kl_weights=(0.0,), num_draws=8),
    "compile": "never",
}
_WITHOUT_HMC: Final = FitOptions(**_RECIPE, sampler=None)
_WITH_HMC: Final = FitOptions(
    **_RECIPE,
    sampler=HMC(num_warmup=3, num_iterations=8, num_leapfrog=2, max_dense=1, budget=None),
)
_SINGLE: Final[dict[str, Any]] = {"model": "relu", "noise": "constant"}
"""A pathway by itself is fitted in a quarter of a second: data are read alike for every model."""


def make(*, mixture: bool = False, hmc: bool = False, seed: int = 0) -> HybridRegressor:
    """An estimator with next to no training."""
    options = _WITH_HMC if hmc else _WITHOUT_HMC
    settings: dict[str, Any] = {"fit_options": options, "random_state": seed, "progress": False}
    return with_units(HybridRegressor(**{} if mixture else _SINGLE, **settings), num_units=3)


def tiny_table(num_rows: int = 24, seed: int = 0) -> pd.DataFrame:
    """Two features and a target with a step, in 256ths, which every width of float holds."""
    rng = np.random.default_rng(seed)
    dose, other = rng.uniform(-2.0, 2.0, (2, num_rows))
    response = np.sin(2.0 * dose) + 1.5 * (dose > 0.3) + 0.1 * rng.standard_normal(num_rows)
    table = pd.DataFrame({"dose": dose, "other": other, TARGET: response})
    return (table * 256.0).round() / 256.0


def answers(reg: HybridRegressor, X: Any, y: Any) -> dict[str, NDArray[np.float64]]:
    """What a fit says of rows, each method by its name."""
    return {
        "predict": reg.predict(X),
        "predict_interval": reg.predict_interval(X),
        "predict_regime": reg.predict_regime(X),
        "log_density": reg.log_density(X, y),
        "regime_posterior": reg.regime_posterior(X).total_entropy,
        "training_regimes": reg.training_regimes(),
    }
