"""A normalising flow over the block, by zuko."""

from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor, nn

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.guides import (
    AutogradGuide,
    feature_start,
    log_normal,
    per_restart,
)
from bayes_hybrid.inference.recorder import quiet_pyro
from bayes_hybrid.inference.whitening import Whitening
from bayes_hybrid.random import seeded

_HIDDEN: Final = (64, 64)
# What is left of the last layer's weights at the start, so that the flow starts as the identity.
_START: Final = 0.01


def autoregressive_class() -> type[nn.Module]:
    """Zuko's transform.

    Raises:
        OptionError: zuko is not installed.
    """
    try:
        # zuko turns torch's validation off for the whole process when it is first imported.
        with quiet_pyro():
            from zuko.flows.autoregressive import MaskedAutoregressiveTransform
    except ImportError as error:
        raise OptionError(
            "guide='flow' needs zuko, which is not installed: pip install 'bayes-hybrid[flow]'."
        ) from error
    transform: type[nn.Module] = MaskedAutoregressiveTransform
    return transform


class _Autoregressive(nn.Module):
    """Two affine autoregressive transforms, the second in the reverse order."""

    def __init__(self, size: int) -> None:
        super().__init__()
        transform = autoregressive_class()
        order = torch.arange(size)
        # One number has nothing to depend on: shift and scale are all there is to it.
        orders = (order, order.flip(0)) if size > 1 else ()
        self.steps = nn.ModuleList(
            transform(features=size, hidden_features=_HIDDEN, order=steps) for steps in orders
        )
        for step in self.steps:
            last = [layer for layer in step.modules() if isinstance(layer, nn.Linear)][-1]
            with torch.no_grad():
                last.weight.mul_(_START)
                last.bias.mul_(_START)

    def forward(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The image of ``noise [P]``, and the log determinant of the map there."""
        volume = noise.new_zeros(())
        for step in self.steps:
            noise, added = step().call_and_ladj(noise)
            volume = volume + added
        return noise, volume


@dataclass(frozen=True, eq=False)
class Flow(AutogradGuide):
    """``q_B = shift + s f(eps)``, f an inverse autoregressive flow that starts as the identity.

    =============  =============  ==========================================
    field          shape          meaning
    =============  =============  ==========================================
    ``network``                   the layers of f, without weights of its own
    ``shift``      ``[C, B]``     where the image of f is put
    ``log_scale``  ``[C, B]``     log of s
    ``weights``    ``[C, ...]``   the networks' weights, restarts stacked
    =============  =============  ==========================================

    Raises:
        OptionError: zuko is not installed.

    Source: Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
    """

    network: nn.Module
    shift: Tensor
    log_scale: Tensor
    weights: tuple[Tensor, ...]

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: Tensor | float) -> Self:
        """The Laplace approximation that the whitening holds; all restarts' networks are alike."""
        count, size = whitening.block_factor.shape[:2]
        zeros = whitening.center.new_zeros(count, size)
        with seeded(0, torch.device("cpu")):  # where layers are built
            network = _Autoregressive(size)
        network = network.to(zeros).requires_grad_(requires_grad=False)
        weights = tuple(
            weight.expand(count, *weight.shape).clone() for weight in network.parameters()
        )
        weight, features = per_restart(kl_weight, whitening), feature_start(whitening)
        return cls(whitening, weight, *features, network, zeros, zeros.clone(), weights)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Of the features, then of the block."""
        return (self.feature_mean, self.log_spread, self.shift, self.log_scale, *self.weights)

    @property
    def shares(self) -> tuple[float, ...]:
        """All of the step; a thirtieth for weights, whose unit is not a posterior sd."""
        return (1.0, 1.0, 1.0, 1.0, *(1.0 / 30.0 for _ in self.weights))

    def rates(self, rates: Tensor) -> tuple[Tensor, ...]:
        """See :class:`~bayes_hybrid.inference.guides.Guide`."""
        block, features = rates[self.whitening.block], rates[self.whitening.features]
        ones = (torch.ones_like(rates[:1]) for _ in self.weights)
        return (features, features, block, block, *ones)

    def with_parameters(
        self, whitening: Whitening, kl_weight: Tensor, parameters: tuple[Tensor, ...]
    ) -> Self:
        """See :class:`~bayes_hybrid.inference.guides.Guide`."""
        mean, spread, shift, scale, *weights = parameters
        fields = (mean, spread, self.network, shift, scale, tuple(weights))
        return type(self)(whitening, kl_weight, *fields)

    def factor(self) -> Tensor:
        """See :class:`~bayes_hybrid.inference.guides.Guide`; without what f makes of it."""
        return torch.diag_embed(self.log_scale.exp())

    def block(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`AutogradGuide`; the entropy is minus the log density of the draw."""
        names = [name for name, _ in self.network.named_parameters()]

        def one(weights: tuple[Tensor, ...], point: Tensor) -> tuple[Tensor, Tensor]:
            state = dict(zip(names, weights, strict=True))
            image, volume = torch.func.functional_call(self.network, state, (point,))
            return image, volume

        image, volume = torch.func.vmap(one)(self.weights, noise)
        q = self.shift + self.log_scale.exp() * image
        density = log_normal(noise) - volume - self.log_scale.sum(-1)
        return q, -density, density
