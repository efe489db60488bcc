"""A Gaussian block whose covariance is diagonal plus a few directions."""

from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import (
    LOG_TWO_PI,
    AutogradGuide,
    feature_start,
    log_normal,
    per_restart,
)
from bayes_hybrid.inference.whitening import Whitening, times

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
    ``factors``    ``[C, B, R]``  U
    =============  =============  ================================

    Source: Ong, Nott and Smith (2018), Gaussian variational approximation with a factor covariance
    structure.
    """

    mean: Tensor
    log_scale: Tensor
    factors: Tensor

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: Tensor | float) -> Self:
        """The Laplace approximation that the whitening holds, and R small random directions."""
        count, size = whitening.block_factor.shape[:2]
        zeros = whitening.center.new_zeros(count, size)
        # The same for every restart: they differ by where they are.
        directions = torch.randn(
            size, RANK, generator=torch.Generator().manual_seed(0), dtype=zeros.dtype
        )
        factors = (_START * directions).to(zeros.device).expand(count, size, RANK).clone()
        weight, features = per_restart(kl_weight, whitening), feature_start(whitening)
        return cls(whitening, weight, *features, zeros, zeros.clone(), factors)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Of the features, then of the block."""
        return (self.feature_mean, self.log_spread, self.mean, self.log_scale, self.factors)

    @property
    def shares(self) -> tuple[float, ...]:
        """All of the step, but a twentieth for the directions, whose B entries move together."""
        return (1.0, 1.0, 1.0, 1.0, 0.05)

    def rates(self, rates: Tensor) -> tuple[Tensor, ...]:
        """See :class:`~bayes_hybrid.inference.guides.Guide`."""
        block, features = rates[self.whitening.block], rates[self.whitening.features]
        return (features, features, block, block, block.unsqueeze(-1))

    @property
    def block_noise_size(self) -> int:
        """B + R."""
        return self.mean.shape[-1] + RANK

    def factor(self) -> Tensor:
        """See :class:`~bayes_hybrid.inference.guides.Guide`; exact."""
        covariance = self.factors @ self.factors.mT + torch.diag_embed((2.0 * self.log_scale).exp())
        return _cholesky(covariance)

    def block(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`AutogradGuide`; the entropy is exact.

        With ``V = U / s``, the determinant is that of ``I + V^T V`` times that of ``s^2``, and the
        inverse is Woodbury's.
        """
        size, scale = self.mean.shape[-1], self.log_scale.exp()
        offset = scale * noise[:, :size] + times(self.factors, noise[:, size:])
        scaled = self.factors / scale.unsqueeze(-1)
        identity = torch.eye(RANK, dtype=noise.dtype, device=noise.device)
        root = _cholesky(identity + scaled.mT @ scaled)
        log_volume = self.log_scale.sum(-1) + torch.diagonal(root, dim1=-2, dim2=-1).log().sum(-1)
        white = offset / scale
        along = times(scaled.mT, white).unsqueeze(-1)
        explained = torch.linalg.solve_triangular(root, along, upper=False).square().sum((-2, -1))
        density = log_normal(white) + 0.5 * explained - log_volume
        return self.mean + offset, log_volume + 0.5 * size * (1.0 + LOG_TWO_PI), density


def _cholesky(matrix: Tensor) -> Tensor:
    """Cholesky factors; NaN for a restart that has none, and the others go on."""
    root, failed = torch.linalg.cholesky_ex(matrix)
    return torch.where((failed > 0)[:, None, None], torch.nan, root)
