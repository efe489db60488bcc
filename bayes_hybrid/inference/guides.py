"""The variational family: a full-rank Gaussian block and a mean-field one, in whitened coordinates.

``theta = center + W q`` with W block lower triangular over heads and scales (from the curvature at
the warm start) and diagonal over features; ``q = mean + T eps``.  In these coordinates a unit is
about one posterior standard deviation, so one step size serves a posterior of any width: with next
to no noise the block is a thousand times narrower, and a fixed step in theta would never settle.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayes_hybrid.inference.rows import Rows

# Initial sd of a feature: small beside its prior's 1, so that the warm start's fit survives.
FEATURE_SCALE = 0.1
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
        offset = torch.empty_like(q)
        block = (self.block_factor @ q[:, self.block].unsqueeze(-1)).squeeze(-1)
        offset[:, self.block] = block
        offset[:, self.features] = self.feature_scale * q[:, self.features]
        return self.center + offset

    def pull(self, gradient: Tensor) -> Tensor:
        """``W^T g``: the gradient with respect to q of a function of theta, ``[C, P]``."""
        result = torch.empty_like(gradient)
        block = (self.block_factor.mT @ gradient[:, self.block].unsqueeze(-1)).squeeze(-1)
        result[:, self.block] = block
        result[:, self.features] = self.feature_scale * gradient[:, self.features]
        return result

    def select(self, index: Tensor) -> "Whitening":
        """The restarts in ``index`` only."""
        return Whitening(
            self.center[index],
            self.block,
            self.features,
            self.block_factor[index],
            self.feature_scale[index],
        )


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


def whiten(center: Tensor, precision: Tensor, block: Tensor, feature_scale: float) -> Whitening:
    """Coordinates about ``center [C, P]`` in which ``precision [C, B, B]`` of the block is one."""
    others = torch.ones(center.shape[-1], dtype=torch.bool, device=center.device)
    others[block] = False
    features = others.nonzero()[:, 0]
    # If precision = U U^T with U upper triangular, its inverse is L L^T with L = U^-T lower.
    flipped = torch.linalg.cholesky(precision.flip(-1, -2)).flip(-1, -2)
    identity = torch.eye(len(block), dtype=precision.dtype, device=precision.device)
    factor = torch.linalg.solve_triangular(flipped.mT, identity.expand_as(flipped), upper=False)
    scale = center.new_full((center.shape[0], len(features)), feature_scale)
    return Whitening(center, block, features, factor.to(center.dtype), scale)


def head_whitening(rows: Rows, theta: Tensor) -> Whitening:
    """Whiten heads and scales by their curvature at ``theta [C, P]``; features by a constant."""
    mask = rows.joint.table.feature_mask.to(theta.device)
    block = (~mask).nonzero()[:, 0]
    return whiten(theta, curvature(rows, theta, block), block, FEATURE_SCALE)


@dataclass(frozen=True, eq=False)
class Guide:
    """``q(theta)``: Normal(mean_B, L L^T) over the block, independent Normals over features.

    All in whitened coordinates.  ``kl_weight`` 0 makes the features a point; without ``full_rank``
    L stays diagonal, which in theta is the curvature's own shape, rescaled.

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
    full_rank: bool
    mean: Tensor
    lower: Tensor
    log_diagonal: Tensor
    log_spread: Tensor

    @classmethod
    def start(cls, whitening: Whitening, kl_weight: float, *, full_rank: bool = True) -> "Guide":
        """The Laplace approximation that the whitening holds; features at a third of their unit."""
        count, size = whitening.block_factor.shape[:2]
        new = whitening.center.new_zeros
        return cls(
            whitening=whitening,
            kl_weight=kl_weight,
            full_rank=full_rank,
            mean=new(whitening.center.shape),
            lower=new(count, size, size),
            log_diagonal=new(count, size),
            log_spread=new(whitening.feature_scale.shape) + math.log(0.3),
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The tensors that SVI changes in place; the strictly lower part, if free, comes last."""
        others = (self.mean, self.log_diagonal, self.log_spread)
        return (*others, self.lower) if self.full_rank else others

    def factor(self) -> Tensor:
        """L, ``[C, B, B]``."""
        return torch.tril(self.lower, -1) + torch.diag_embed(self.log_diagonal.exp())

    def draw(self, noise: Tensor) -> Tensor:
        """``theta [C, P]`` from standard normal ``noise [C, P]``."""
        return self.whitening.color(self._whitened(noise))

    def _whitened(self, noise: Tensor) -> Tensor:
        q = self.mean.clone()
        block, features = self.whitening.block, self.whitening.features
        q[:, block] += self.log_diagonal.exp() * noise[:, block]
        if self.full_rank:
            strict = torch.tril(self.lower, -1)
            q[:, block] += (strict @ noise[:, block].unsqueeze(-1)).squeeze(-1)
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
        if not self.full_rank:
            return pulled, diagonal, spread
        return pulled, diagonal, spread, pulled[:, block, None] * noise[:, None, block]

    def select(self, index: Tensor) -> "Guide":
        """The restarts in ``index`` only, with a copy of their parameters."""
        fields = (self.mean, self.lower, self.log_diagonal, self.log_spread)
        chosen = [value[index].clone() for value in fields]
        return Guide(self.whitening.select(index), self.kl_weight, self.full_rank, *chosen)

    def freed(self) -> "Guide":
        """The same guide with a full-rank block."""
        return replace(self, full_rank=True)

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
