"""Latent sites of a model that is written once and read in two ways.

With :func:`drawn` a site is a ``pyro.sample`` statement, and the model a Pyro program.  With
:func:`given` it is looked up, and the model a pure function of parameters and rows.  Threads may
evaluate that one side by side: Pyro's stack of handlers, which they share, has no part in it.
"""

from collections.abc import Callable, Mapping

import pyro
import pyro.distributions as dist
from pyro.poutine.runtime import InferDict
from torch import Tensor

Prior = Callable[[], dist.TorchDistribution]
"""Makes the prior of a site, where somebody asks for it."""
Sites = Callable[[str, Prior, InferDict], Tensor]
"""The value of a latent site, from its name, its prior and the notes that it carries."""


def drawn(name: str, prior: Prior, note: InferDict) -> Tensor:
    """Sample the site in Pyro."""
    value: Tensor = pyro.sample(name, prior(), infer=note)
    return value


def given(values: Mapping[str, Tensor]) -> Sites:
    """Sites that have these constrained values.

    Example:
        >>> import torch
        >>> from bayes_hybrid.models import HybridMixture
        >>> HybridMixture().parts(given({}), torch.zeros(()))
        Traceback (most recent call last):
        KeyError: 'noise'
    """

    def look_up(name: str, prior: Prior, note: InferDict) -> Tensor:
        del prior, note
        return values[name]

    return look_up
