"""Latent sites of a model that is written once and read in two ways.

With :class:`Drawn` a site is a ``pyro.sample`` statement, and the model a Pyro program.  With
:func:`given` it is looked up, and the model a pure function of parameters and rows.  Threads may
evaluate that one side by side: Pyro's stack of handlers, which they share, has no part in it.
"""

import math
from collections.abc import Callable, Mapping

import pyro
import pyro.distributions as dist
from pyro.poutine.runtime import InferDict
from torch import Tensor

from bayes_hybrid.errors import OptionError

Prior = Callable[[], dist.TorchDistribution]
"""Makes the prior of a site, where somebody asks for it."""
Sites = Callable[[str, Prior, InferDict], Tensor]
"""The value of a latent site, from its name, its prior and the notes that it carries."""


class Drawn:
    """Sample every site in Pyro, also under plates of the caller's or of Pyro's vectorised tools.

    ===============  ============================  =========================================
    plates outside   shape of a site               what the model gets and gives
    ===============  ============================  =========================================
    none             ``[*shape]``                  ``[*shape]``, rows ``[N, ...]``
    A, B of them     ``[A, B, 1, *shape]``         A B draws ``[A B, *shape]``, of which
                                                   :meth:`placed` makes rows ``[A, B, N, ...]``
    ===============  ============================  =========================================
    """

    def __init__(self) -> None:
        """Nothing is sampled yet."""
        self._outside: tuple[int, ...] | None = None

    @property
    def vectorised(self) -> bool:
        """Whether there are several draws of each site."""
        return math.prod(self._outside or ()) > 1

    def __call__(self, name: str, prior: Prior, note: InferDict) -> Tensor:
        """The site's value, or its draws ``[S, *shape]``."""
        density = prior()
        shape = tuple(density.shape())
        value: Tensor = pyro.sample(name, density, infer=note)
        outside = tuple(value.shape[: value.dim() - len(shape)])
        if math.prod(outside) > 1 and not self.vectorised and self._outside is not None:
            raise OptionError(
                f"site {name!r} has draws of the shape {outside} in front, and the sites before "
                "it have none; expected draws of all sites, or of none"
            )
        if self._outside is None or len(outside) > len(self._outside):
            # Predictive leaves out the place of the rows' plate where a site has a shape.
            self._outside = outside
        if not outside:
            return value
        if not self.vectorised:
            return value.reshape(shape)
        size = math.prod(self._outside)
        return value.reshape(-1, *shape).expand(size, *shape)

    def placed(self, value: Tensor, num_axes: int) -> Tensor:
        """Draws ``[S, *shape]`` of something of ``num_axes`` axes under the plates outside."""
        if self._outside is None or not self.vectorised or value.dim() == num_axes:
            return value
        # A last one is the place of the plate of the rows.
        outside = self._outside[:-1] if self._outside[-1] == 1 else self._outside
        placed: Tensor = value.unflatten(0, outside)
        return placed


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
