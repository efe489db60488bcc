"""A Gaussian block whose covariance is diagonal plus a few directions."""

from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from bayes_hybrid.inference.guides import AutogradGuide, feature_start, per_restart
from bayes_hybrid.inference.whitening import Whitening

RANK: Final = 10
# Sd that a direction adds to each entry at the start: at zero it would have no gradient.
_START: Final = 0.01


@dataclass(frozen=True, eq=False)
class LowRank(AutogradGuide):
    """``q_B = mean + s eps + U z``, with ``eps [B]`` and ``z [R]`` standard normal.

    =============  =============  ================================
    field          shape          meaning
    =============  =============  ================================
    ``mean``       ``[C, B]``     mean of the block
    ``log_scale``  ``[C, B]``     log of s
    ``factor``     ``[C, B, R]``  U
    =============  =============  ================================

    Source: Ong, Nott and Smith (2018), Gaussian variational approximation with a factor covariance
    structure.
    """

    mean: Tensor
    log_scale: Tensor
    factor: Tensor

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: Tensor | float) -> Self:
        """The Laplace approximation that the whitening holds, and R small random directions."""
        count, size = whitening.block_factor.shape[:2]
        zeros = whitening.center.new_zeros(count, size)
        # The same for every restart: they differ by where they are.
        directions = torch.randn(
            size, RANK, generator=torch.Generator().manual_seed(0), dtype=zeros.dtype
        )
        factor = (_START * directions).to(zeros.device).expand(count, size, RANK).clone()
        weight, features = per_restart(kl_weight, whitening), feature_start(whitening)
        return cls(whitening, weight, *features, zeros, zeros.clone(), factor)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Of the features, then of the block."""
        return (self.feature_mean, self.log_spread, self.mean, self.log_scale, self.factor)

    @property
    def shares(self) -> tuple[float, ...]:
        """All of the step, but a twentieth for the directions, whose B entries move together."""
        return (1.0, 1.0, 1.0, 1.0, 0.05)

    @property
    def block_noise_size(self) -> int:
        """B + R."""
        return self.mean.shape[-1] + RANK

    def block(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`AutogradGuide`; the entropy is exact."""
        size = self.mean.shape[-1]
        along = (self.factor @ noise[:, size:].unsqueeze(-1)).squeeze(-1)
        q = self.mean + self.log_scale.exp() * noise[:, :size] + along
        variance = (2.0 * self.log_scale).exp()
        normal = LowRankMultivariateNormal(self.mean, self.factor, variance, validate_args=False)
        return q, normal.entropy(), normal.log_prob(q)
