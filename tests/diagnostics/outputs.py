"""A fit of three outputs in units far apart, one value missing; nothing is trained."""

import numpy as np
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from tests.diagnostics.fakes import FakeFit
from tests.models import zoo


def several_outputs(num_draws=3):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, zoo.NUM_FEATURES)), rng.standard_normal((12, 3))
    y = y * [1.0, 1e3, 1e-3] + [0.0, 5e3, 2.0]
    y[4, 1] = np.nan
    model = zoo.MODELS["mixture of 2, 3 outputs"]
    size = SiteTable.of(model, torch.zeros(1, zoo.NUM_FEATURES)).num_parameters
    posterior = Posterior(
        model=model,
        theta=0.5 * torch.randn(2, num_draws, size, generator=torch.Generator().manual_seed(0)),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y, missing=True),
    )
    return FakeFit(
        posterior=posterior,  # (one of the package's own)
        x=x,
        y=y,
        feature_names=("dose", "other"),
        target_name="y",
        output_names=("force", "heat", "glow"),
    )
