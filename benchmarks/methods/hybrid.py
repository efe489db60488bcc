"""The package's estimator, and the pathways that it is made of."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from bayes_hybrid import HybridRegressor
from bayes_hybrid.estimator import MODELS
from benchmarks.fits import regressor
from benchmarks.methods.base import Method, Vector

# A boundary that fewer of the draws have is not one that a user would report.
_MOST: Final = 0.5


@dataclass(frozen=True, eq=False)
class Single:
    """A fit without regimes."""

    fitted: HybridRegressor

    def mean(self, x: np.ndarray) -> Vector:
        return self.fitted.predict(x)

    def log_density(self, x: np.ndarray, y: Vector) -> Vector:
        return self.fitted.log_density(x, y)

    def quantiles(self, x: np.ndarray, probs: Vector) -> np.ndarray:
        return self.fitted.predict_quantile(x, probs)


class Mixture(Single):
    """A fit with regimes."""

    def places(self, along: int) -> np.ndarray:
        found = self.fitted.boundaries(along).boundaries
        rows = [(b.mean, b.lower, b.upper) for b in found if b.probability_exists >= _MOST]
        return np.array(rows).reshape(-1, 3)

    def regimes(self, x: np.ndarray, y: Vector) -> np.ndarray:
        return self.fitted.predict_regime(x, y)


def _fit(model: str, x: np.ndarray, y: Vector, seed: int) -> Single:
    reg = regressor(model=model, random_state=seed).fit(x, y)
    return Mixture(reg) if model == "mixture" else Single(reg)


def _method(name: str, model: str) -> Method:
    settings = "defaults" if model == "mixture" else f"model={model!r}"
    return Method(name=name, settings=settings, fit=partial(_fit, model))


HYBRID: Final = _method("bayes_hybrid", "mixture")
CONTROLS: Final = tuple(_method(f"{kind} pathway", kind) for kind in ("gaussian", "relu"))
LAYERS: Final = tuple(
    _method(model.replace("_", " "), model)
    for model in MODELS
    if model not in ("mixture", "gaussian", "relu")
)
