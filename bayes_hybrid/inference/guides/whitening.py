"""Whitened coordinates, in which a unit is about one posterior standard deviation.

``theta = center + W q`` with W block lower triangular over heads and scales (from the curvature at
the warm start) and diagonal over features.  One step size serves a posterior of any width then:
with next to no noise the block is a thousand times narrower, and a fixed step in theta would never
settle.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.rows import CHUNK, Rows

# Unit of a feature's step: small beside its prior's sd of 1, so that the warm start's fit survives.
_FEATURE_SCALE = 0.1
# Where the data pin the features down, the unit is this many of their root mean square posterior
# sds, which stiff directions dominate; and it is never below the second number, so that a restart
# with some very stiff direction still moves.
_FEATURE_SDS = 10.0
_SMALLEST_FEATURE_SCALE = 0.003
_PROBES = 8
# Rows that the curvature is taken from where there are too many for one piece: it is two gradients
# for every entry of the block.
_ROWS = 2_048
# Curvature of the standard normal priors: no direction is less certain than that a priori.
_CURVATURE_FLOOR = 1.0


@dataclass(frozen=True, eq=False)
class Whitening:
    """``theta = center + W q`` for C restarts; q has the block's entries first, as in ``order``.

    Args:
        center: ``[C, P]``.
        order: the full-rank entries, then the diagonal ones, each ascending, ``[P]``.
        inverse: the inverse permutation, ``[P]``.
        block_factor: lower triangular ``[C, B, B]``, for the first B entries of ``order``.
        feature_scale: positive ``[C, F]``, for the others.
    """

    center: Tensor
    order: Tensor
    inverse: Tensor
    block_factor: Tensor
    feature_scale: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The fields, in their order."""
        return (self.center, self.order, self.inverse, self.block_factor, self.feature_scale)

    @property
    def block_size(self) -> int:
        """B."""
        return self.block_factor.shape[-1]

    @property
    def block(self) -> Tensor:
        """Indices of the full-rank entries, ``[B]``."""
        return self.order[: self.block_size]

    @property
    def features(self) -> Tensor:
        """Indices of the diagonal entries, ``[F]``."""
        return self.order[self.block_size :]

    def color(self, q: Tensor) -> Tensor:
        """``center + W q``, ``[C, P]``."""
        block, features = self.split(q)
        moved = torch.cat([times(self.block_factor, block), self.feature_scale * features], dim=1)
        return self.center + (moved.index_select(1, self.inverse) if self._mixed else moved)

    def uncolor(self, theta: Tensor) -> Tensor:
        """The ``q [C, P]`` that :meth:`color` takes to ``theta``."""
        block, features = self._parts(theta - self.center)
        solved = torch.linalg.solve_triangular(self.block_factor, block.unsqueeze(-1), upper=False)
        return torch.cat([solved.squeeze(-1), features / self.feature_scale], dim=1)

    def pull(self, gradient: Tensor) -> Tensor:
        """``W^T g [C, P]``: the gradient with respect to q of a function of theta."""
        block, features = self._parts(gradient)
        return torch.cat([times(self.block_factor.mT, block), self.feature_scale * features], dim=1)

    def split(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The block's and the features' entries of ``q [C, P]``, as views."""
        return q[:, : self.block_size], q[:, self.block_size :]

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The block's and the features' entries of ``values [C, P]`` in theta's order."""
        return self.split(values.index_select(1, self.order) if self._mixed else values)

    @property
    def _mixed(self) -> bool:
        """Whether q's order is another than theta's: with one part empty it is the same."""
        return self.block_size not in (0, len(self.order))

    def log_volume(self, feature_weight: Tensor | float) -> Tensor:
        """``log det`` of W's block, plus ``feature_weight`` times that of its diagonal, ``[C]``."""
        block = torch.diagonal(self.block_factor, dim1=-2, dim2=-1).log().sum(-1)
        return block + feature_weight * self.feature_scale.log().sum(-1)

    def select(self, index: Tensor | slice) -> "Whitening":
        """The restarts in ``index`` only."""
        return Whitening(
            self.center[index],
            self.order,
            self.inverse,
            self.block_factor[index],
            self.feature_scale[index],
        )


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    """``matrix [C, A, B] @ vector [C, B]``, as a row product: ten times faster on a CPU."""
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
    # As many entries at once as one call of the engine has places for.
    entries = max(1, rows.together(len(theta)) // 2)
    for start in range(0, len(block), entries):
        some = block[start : start + entries]
        moved = theta.new_zeros(len(some), *theta.shape)
        moved[range(len(some)), :, some] = step
        _, gradient = rows.gradients(torch.cat([theta + moved, theta - moved]))
        ahead, behind = gradient[..., block].chunk(2)
        hessian[:, start : start + entries] = ((behind - ahead) / (2 * step)).transpose(0, 1)
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
        _, gradient = rows.gradients(torch.stack([theta + step * probe, theta - step * probe]))
        ahead, behind = gradient
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
    order = torch.cat([block, others.nonzero()[:, 0]])
    # If precision = U U^T with U upper triangular, its inverse is L L^T with L = U^-T lower.
    flipped = torch.linalg.cholesky(precision.flip(-1, -2)).flip(-1, -2)
    identity = torch.eye(len(block), dtype=precision.dtype, device=precision.device)
    factor = torch.linalg.solve_triangular(flipped.mT, identity.expand_as(flipped), upper=False)
    scale = feature_scale.unsqueeze(-1).expand(-1, len(order) - len(block)).contiguous()
    return Whitening(center, order, order.argsort(), factor.to(center.dtype), scale)


def whiten_at(rows: Rows, theta: Tensor, in_block: Tensor, generator: torch.Generator) -> Whitening:
    """Whiten the entries in the mask ``in_block [P]`` by their curvature at ``theta [C, P]``.

    The others get one unit for each restart.  Of more than 4,096 rows 2,048 are drawn for it:
    the units are for steps, and no density depends on them.  A regime with none of these rows gets
    the prior's unit, too wide by up to the root of how many rows it has.
    """
    if rows.num_rows > CHUNK:
        rows = rows.some(_ROWS, generator)
    block, features = in_block.nonzero()[:, 0], (~in_block).nonzero()[:, 0]
    unit = feature_scale(rows, theta, features, generator)
    return whiten(theta, curvature(rows, theta, block), block, unit)
