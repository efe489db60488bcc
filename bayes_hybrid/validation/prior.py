"""Parameters and targets drawn from a model's prior."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from pyro import poutine

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.recorder import quiet_pyro
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models import HybridModel
from bayes_hybrid.random import seeded

__all__ = ["as_they_are", "simulate_prior", "spread_features"]

_HALF_RANGE: Final = math.sqrt(3.0)
"""Uniform features between minus and plus this have mean 0 and standard deviation 1."""


def as_they_are(num_features: int) -> tuple[Standardizer, Standardizer]:
    """Standardisation of D features and a target that changes nothing."""
    return Standardizer.unchanging(num_features), Standardizer.unchanging()


def spread_features(num_rows: int, num_features: int, seed: int) -> FloatArray:
    """Uniform features with mean 0 and standard deviation 1, ``[N, D]``, exact as float32."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-_HALF_RANGE, _HALF_RANGE, (num_rows, num_features))
    return x.astype(np.float32).astype(np.float64)


def simulate_prior(model: HybridModel, x: FloatArray, seed: int) -> tuple[Posterior, FloatArray]:
    """Parameters from the prior, and targets from the model with these parameters.

    Args:
        model: a model of one target.
        x: features ``[N, D]``, standardised.
        seed: of both draws.

    Returns:
        The parameters, as a posterior of one draw in standardised units; and targets ``[N]``.
    """
    inputs = torch.as_tensor(x, dtype=torch.float32)
    # First: a model builds its modules at its first run, which takes random numbers of its own.
    table = SiteTable.of(model, inputs[:1])
    with quiet_pyro(), torch.no_grad(), seeded(seed, inputs.device):
        nodes: Mapping[str, Any] = poutine.trace(model.marginal).get_trace(inputs).nodes
    theta = table.flatten({site.name: nodes[site.name]["value"] for site in table.sites})
    x_scaling, y_scaling = as_they_are(model.num_features)
    truth = Posterior(
        model=model, theta=theta.reshape(1, 1, -1), x_scaling=x_scaling, y_scaling=y_scaling
    )
    return truth, nodes["y"]["value"].double().numpy()
