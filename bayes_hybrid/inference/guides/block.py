"""The variational guide on the flat vector of latents, in whitened coordinates.

``theta = center + W q`` (:mod:`~bayes_hybrid.inference.guides.whitening`), and q is Gaussian.
Which entries the block has, and what weight the others' KL term, makes it a family of its own.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bayes_hybrid.inference.guides.whitening import Whitening, times

_LOG_TWO_PI = math.log(2.0 * math.pi)
# Sd of the features at the start, in their units.
_START_SPREAD = 0.3


@dataclass(frozen=True, eq=False)
class BlockGaussian:
    """``q = mean + T eps``: Normal(mean_B, L L^T) over the block, independent Normals elsewhere.

    ================  =============  ===========================================
    field             shape          meaning
    ================  =============  ===========================================
    ``whitening``                    the coordinates
    ``kl_weight``     ``[C]``        weight of the features' KL term; 0: a point
    ``mean``          ``[C, P]``     mean of q, in the whitening's order
    ``log_diagonal``  ``[C, B]``     log of L's diagonal
    ``log_spread``    ``[C, F]``     log sd of the features
    ``lower``         ``[C, B, B]``  strictly lower part of L, zero elsewhere
    ================  =============  ===========================================
    """

    whitening: Whitening
    kl_weight: Tensor
    mean: Tensor
    log_diagonal: Tensor
    log_spread: Tensor
    lower: Tensor

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: Tensor | float) -> Self:
        """The Laplace approximation that the whitening holds; features at a third of their unit."""
        count, size = whitening.block_factor.shape[:2]
        new = whitening.center.new_zeros
        return cls(
            whitening=whitening,
            kl_weight=new(count) + kl_weight,
            mean=new(whitening.center.shape),
            log_diagonal=new(count, size),
            log_spread=torch.full_like(whitening.feature_scale, math.log(_START_SPREAD)),
            lower=new(count, size, size),
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """What SVI changes in place: the last four fields."""
        return (self.mean, self.log_diagonal, self.log_spread, self.lower)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the step that each takes: a twentieth for the block's off-diagonal factor.

        Its B^2 / 2 entries move together: at the full step a row's norm drifts by sqrt(B) steps at
        once, and the guide is too wide to recover (up to 0.2 nats per row).
        """
        return (1.0, 1.0, 1.0, 0.05)

    def rates(self, rates: Tensor) -> tuple[Tensor, ...]:
        """What theta's entries take of the step, ``[P]``, for each of the parameters.

        A whitened coordinate takes the rate of the entry at its place, and a row of the block's
        factor that of its coordinate.
        """
        block, features = rates[self.whitening.block], rates[self.whitening.features]
        return (rates[self.whitening.order], block, features, block.unsqueeze(-1))

    @property
    def num_restarts(self) -> int:
        """C."""
        return len(self.kl_weight)

    @property
    def center(self) -> Tensor:
        """Mean in theta, ``[C, P]``."""
        return self.draw(torch.zeros_like(self.mean))

    def factor(self) -> Tensor:
        """L, ``[C, B, B]``."""
        return self.lower + torch.diag_embed(self.log_diagonal.exp())

    def as_whitening(self, feature_scale: float) -> Whitening:
        """Coordinates about :attr:`center` in which this guide's block is about standard normal."""
        whitening = self.whitening
        return replace(
            whitening,
            center=self.center,
            block_factor=whitening.block_factor @ self.factor(),
            feature_scale=torch.full_like(whitening.feature_scale, feature_scale),
        )

    def noise(self, generator: torch.Generator) -> Tensor:
        """Standard normal ``[C, P]``, what :meth:`draw` makes draws of."""
        return torch.randn(
            self.mean.shape, generator=generator, device=generator.device, dtype=self.mean.dtype
        )

    def draw(self, noise: Tensor) -> Tensor:
        """``theta [C, P]`` from standard normal ``noise [C, P]``."""
        block, features = self.whitening.split(noise)
        # Without building L, which costs more than the product.
        block = times(self.lower, block) + self.log_diagonal.exp() * block
        spread = torch.cat([block, _spread(self.log_spread, self.kl_weight) * features], dim=1)
        return self.whitening.color(self.mean + spread)

    def whitened_entropy(self) -> Tensor:
        """Entropy of q in whitened coordinates that enters the ELBO, ``[C]``.

        That of the features counts by their KL weight.
        """
        block, features = _normal_entropy(self.log_diagonal), _normal_entropy(self.log_spread)
        return block + self.kl_weight * features

    def gradients(self, gradient: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the ELBO in the order of :attr:`parameters`.

        Written out, because autograd would cost as much as the model.

        Args:
            gradient: of the log joint at :meth:`draw` of the noise, ``[C, P]``.
            noise: ``[C, P]``.
        """
        pulled = self.whitening.pull(gradient)
        (block, features), noises = self.whitening.split(pulled), self.whitening.split(noise)
        diagonal = block * noises[0] * self.log_diagonal.exp() + 1.0
        spread = features * noises[1] * _spread(
            self.log_spread, self.kl_weight
        ) + self.kl_weight.unsqueeze(-1)
        lower = (block.unsqueeze(2) * noises[0].unsqueeze(1)).tril_(-1)
        return pulled, diagonal, spread, lower

    def entropy(self) -> Tensor:
        """Entropy that enters the ELBO, ``[C]``, in theta."""
        return self.whitened_entropy() + self.whitening.log_volume(self.kl_weight)

    @property
    def feature_weight(self) -> Tensor:
        """Weight of the features' prior, ``[C]``: a point's is one, or it would be no maximum."""
        return torch.where(self.kl_weight > 0, self.kl_weight, 1.0)

    def select(self, index: Tensor) -> Self:
        """The restarts in ``index`` only, with a copy of their parameters."""
        chosen = (value[index] for value in self.parameters)  # an index tensor copies
        return type(self)(self.whitening.select(index), self.kl_weight[index], *chosen)

    def log_prob(self, noise: Tensor) -> Tensor:
        """``log q`` at :meth:`draw` of ``noise``, ``[C]``; only the block's for point features."""
        has_density = (self.kl_weight > 0).to(noise.dtype)
        block, features = self.whitening.split(noise)
        normal = _log_normal(block) + has_density * _log_normal(features)
        spread = self.log_diagonal.sum(-1) + has_density * self.log_spread.sum(-1)
        return normal - spread - self.whitening.log_volume(has_density)


def _spread(log_spread: Tensor, kl_weight: Tensor) -> Tensor:
    """Sd of the features, zero where they are a point, ``[C, F]``."""
    return log_spread.exp() * (kl_weight > 0).to(log_spread.dtype).unsqueeze(-1)


def _normal_entropy(log_scale: Tensor) -> Tensor:
    """Entropy ``[C]`` of independent Normals with log sds ``[C, E]``."""
    return (log_scale + 0.5 * (1.0 + _LOG_TWO_PI)).sum(-1)


def _log_normal(noise: Tensor) -> Tensor:
    """Log density of standard normal ``noise [C, E]``, ``[C]``."""
    return -0.5 * (noise.square() + _LOG_TWO_PI).sum(-1)
