"""Gate and experts of posterior draws, as a pure function of draws and rows.

No Pyro program runs here and no module is changed, so that any number of threads may predict.
"""

from dataclasses import replace

import torch
from torch import Tensor

from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.models.base import HybridModel, Regimes
from bayes_hybrid.models.latent import given


@torch.no_grad()
def evaluate_regimes(model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor) -> Regimes:
    """Gate and experts of draws ``theta [S, P]`` on ``x [N, D]``, fields ``[S, N, K]``."""
    regimes = model.regimes(x, given(table.constrain(theta)))
    # A gate without parameters does not know how many draws there are.
    log_weights = regimes.log_weights.expand(len(theta), len(x), model.num_regimes)
    return replace(regimes, log_weights=log_weights)
