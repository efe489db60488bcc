"""The variational family: a full-rank Gaussian block and a mean-field one, in whitened coordinates.

``theta = center + W q`` with W block lower triangular over heads and scales (from the curvature at
the warm start) and diagonal over features; ``q = mean + T eps``.  In these coordinates a unit is
about one posterior standard deviation, so one step size serves a posterior of any width: with next
to no noise the block is a thousand times narrower, and a fixed step in theta would never settle.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayes_hybrid.inference.rows import Rows

# Unit of a feature's step: small beside its prior's sd of 1, so that the warm start's fit survives.
_FEATURE_SCALE = 0.1
# Where the data pin the features down, the unit is this many of their root mean square posterior
# sds, which stiff directions dominate; and it is never below the second number, so that a restart
# with some very stiff direction still moves.
_FEATURE_SDS = 10.0
_SMALLEST_FEATURE_SCALE = 0.003
_PROBES = 8
# Curvature of the standard normal priors: no direction is less certain than that a priori.
_CURVATURE_FLOOR = 1.0


@dataclass(frozen=True, eq=False)
class Whitening:
    """``theta = center + W q`` for C restarts.

    Args:
        center: ``[C, P]``.
        block: indices of the full-rank entries ``[B]``.
        features: indices of the diagonal entries ``[F]``.
        block_factor: lower triangular ``[C, B, B]``.
        feature_scale: positive ``[C, F]``.
    """

    center: Tensor
    block: Tensor
    features: Tensor
    block_factor: Tensor
    feature_scale: Tensor

    def color(self, q: Tensor) -> Tensor:
        """``center + W q``, ``[C, P]``."""
        return self.center + self._apply(self.block_factor, q)

    def pull(self, gradient: Tensor) -> Tensor:
        """``W^T g``: the gradient with respect to q of a function of theta, ``[C, P]``."""
        return self._apply(self.block_factor.mT, gradient)

    def _apply(self, matrix: Tensor, vector: Tensor) -> Tensor:
        """``matrix`` on the block of ``vector [C, P]``, the features' scale on the rest."""
        result = torch.empty_like(vector)
        result.index_copy_(1, self.block, _times(matrix, vector.index_select(1, self.block)))
        features = self.feature_scale * vector.index_select(1, self.features)
        return result.index_copy_(1, self.features, features)

    def select(self, index: Tensor) -> "Whitening":
        """The restarts in ``index`` only."""
        return Whitening(
            self.center[index],
            self.block,
            self.features,
            self.block_factor[index],
            self.feature_scale[index],
        )


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """``matrix [C, B, B] @ vector [C, B]``, as a row product: ten times faster on a CPU."""
    return torch.bmm(vector.unsqueeze(1), matrix.mT).squeeze(1)


def curvature(rows: Rows, theta: Tensor, block: Tensor) -> Tensor:
    """Absolute curvature of the log joint over the entries ``block``, ``[C, B, B]`` in float64.

    The Hessian comes from central differences of the recorded gradient, two calls per entry for
    all restarts at once.  Its eigenvalues enter with their absolute value (the log joint of a
    mixture is not concave; Betancourt 2013), at least the priors' own curvature.
    """
    hessian = theta.new_empty(theta.shape[0], len(block), len(block))
    # Balances rounding (about 1e-7 / step relative to the gradient) against the third derivative.
    step = 2e-3
    for row, index in enumerate(block.tolist()):
        ahead, behind = theta.clone(), theta.clone()
        ahead[:, index] += step
        behind[:, index] -= step
        difference = rows.full_gradient(ahead)[1] - rows.full_gradient(behind)[1]
        hessian[:, row] = -difference[:, block] / (2 * step)
    exact = torch.nan_to_num(hessian.double(), nan=0.0, posinf=0.0, neginf=0.0)
    eigenvalues, vectors = torch.linalg.eigh(0.5 * (exact + exact.mT))
    precision = eigenvalues.abs().clamp_min(_CURVATURE_FLOOR)
    result: Tensor = (vectors * precision[:, None, :]) @ vectors.mT
    return result


def feature_scale(
    rows: Rows, theta: Tensor, features: Tensor, generator: torch.Generator
) -> Tensor:
    """Unit of the features' steps in each restart, ``[C]``.

    ``min(0.1, 10 / sqrt(mean diagonal of the curvature over the features))``.  The mean is
    Hutchinson's estimate ``v . H v / F`` with random signs v (1990, equation 2), two gradients a
    probe.  With next to no noise a fixed step makes the features jitter by more than the noise,
    and SVI takes the jitter for noise.
    """
    total = theta.new_zeros(theta.shape[0])
    step = 1e-3
    for _ in range(_PROBES):
        signs = torch.randint(
            0, 2, theta.shape, generator=generator, device=generator.device, dtype=theta.dtype
        )
        probe = torch.zeros_like(theta)
        probe[:, features] = 2.0 * signs.to(theta.device)[:, features] - 1.0
        ahead = rows.full_gradient(theta + step * probe)[1]
        behind = rows.full_gradient(theta - step * probe)[1]
        total += ((behind - ahead) * probe).sum(-1) / (2.0 * step)
    mean = torch.nan_to_num(total / (_PROBES * max(1, len(features)))).abs()
    unit = _FEATURE_SDS * mean.clamp_min(_CURVATURE_FLOOR).rsqrt()
    return unit.clamp(_SMALLEST_FEATURE_SCALE, _FEATURE_SCALE)


def whiten(center: Tensor, precision: Tensor, block: Tensor, feature_scale: Tensor) -> Whitening:
    """Coordinates about ``center [C, P]`` in which ``precision [C, B, B]`` of the block is one.

    The other entries, the features, get the unit ``feature_scale [C]``.
    """
    others = torch.ones(center.shape[-1], dtype=torch.bool, device=center.device)
    others[block] = False
    features = others.nonzero()[:, 0]
    # If precision = U U^T with U upper triangular, its inverse is L L^T with L = U^-T lower.
    flipped = torch.linalg.cholesky(precision.flip(-1, -2)).flip(-1, -2)
    identity = torch.eye(len(block), dtype=precision.dtype, device=precision.device)
    factor = torch.linalg.solve_triangular(flipped.mT, identity.expand_as(flipped), upper=False)
    scale = feature_scale.unsqueeze(-1).expand(-1, len(features)).contiguous()
    return Whitening(center, block, features, factor.to(center.dtype), scale)


def head_whitening(rows: Rows, theta: Tensor, generator: torch.Generator) -> Whitening:
    """Whiten heads and scales by their curvature at ``theta [C, P]``; features by one unit each."""
    mask = rows.joint.table.feature_mask.to(theta.device)
    block, features = (~mask).nonzero()[:, 0], mask.nonzero()[:, 0]
    unit = feature_scale(rows, theta, features, generator)
    return whiten(theta, curvature(rows, theta, block), block, unit)


@dataclass(frozen=True, eq=False)
class Guide:
    """``q(theta)``: Normal(mean_B, L L^T) over the block, independent Normals over features.

    All in whitened coordinates.  ``kl_weight`` 0 makes the features a point.

    ================  =============  ===========================================
    field             shape          meaning
    ================  =============  ===========================================
    ``mean``          ``[C, P]``     mean of q
    ``lower``         ``[C, B, B]``  strictly lower part of L
    ``log_diagonal``  ``[C, B]``     log of L's diagonal
    ``log_spread``    ``[C, F]``     log sd of the features
    ================  =============  ===========================================
    """

    whitening: Whitening
    kl_weight: float
    mean: Tensor
    lower: Tensor
    log_diagonal: Tensor
    log_spread: Tensor

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: float) -> "Guide":
        """The Laplace approximation that the whitening holds; features at a third of their unit."""
        count, size = whitening.block_factor.shape[:2]
        new = whitening.center.new_zeros
        return cls(
            whitening=whitening,
            kl_weight=kl_weight,
            mean=new(whitening.center.shape),
            lower=new(count, size, size),
            log_diagonal=new(count, size),
            log_spread=new(whitening.feature_scale.shape) + math.log(0.3),
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The tensors that SVI changes in place; the strictly lower part comes last."""
        return (self.mean, self.log_diagonal, self.log_spread, self.lower)

    def factor(self) -> Tensor:
        """L, ``[C, B, B]``."""
        return torch.tril(self.lower, -1) + torch.diag_embed(self.log_diagonal.exp())

    def draw(self, noise: Tensor) -> Tensor:
        """``theta [C, P]`` from standard normal ``noise [C, P]``."""
        return self.whitening.color(self._whitened(noise))

    def _whitened(self, noise: Tensor) -> Tensor:
        q = self.mean.clone()
        block, features = self.whitening.block, self.whitening.features
        q[:, block] += _times(self.factor(), noise[:, block])
        if self.kl_weight > 0:
            q[:, features] += self.log_spread.exp() * noise[:, features]
        return q

    def entropy(self) -> Tensor:
        """Entropy that enters the ELBO, ``[C]``, in theta: block, plus weighted features."""
        volume = torch.diagonal(self.whitening.block_factor, dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * (1.0 + math.log(2.0 * math.pi))
        block = volume + self.log_diagonal.sum(-1) + constant * len(self.whitening.block)
        spread = self.log_spread + self.whitening.feature_scale.log() + constant
        return block + self.kl_weight * spread.sum(-1)

    def gradients(self, gradient: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the ELBO in the order of :attr:`parameters`, from that of the log joint."""
        pulled = self.whitening.pull(gradient)
        block, features = self.whitening.block, self.whitening.features
        diagonal = pulled[:, block] * noise[:, block] * self.log_diagonal.exp() + 1.0
        spread = torch.zeros_like(self.log_spread)
        if self.kl_weight > 0:
            spread = pulled[:, features] * noise[:, features] * self.log_spread.exp()
            spread = spread + self.kl_weight
        return pulled, diagonal, spread, pulled[:, block, None] * noise[:, None, block]

    def select(self, index: Tensor) -> "Guide":
        """The restarts in ``index`` only, with a copy of their parameters."""
        fields = (self.mean, self.lower, self.log_diagonal, self.log_spread)
        chosen = [value[index].clone() for value in fields]
        return Guide(self.whitening.select(index), self.kl_weight, *chosen)

    @property
    def center(self) -> Tensor:
        """Mean in theta, ``[C, P]``."""
        return self.whitening.color(self.mean)

    def as_whitening(self, feature_scale: float) -> Whitening:
        """Coordinates about the mean in which this guide's block is standard normal."""
        whitening = self.whitening
        return Whitening(
            self.center,
            whitening.block,
            whitening.features,
            whitening.block_factor @ self.factor(),
            torch.full_like(whitening.feature_scale, feature_scale),
        )
