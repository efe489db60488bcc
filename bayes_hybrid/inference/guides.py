"""Variational families on the flat vector of latents, in whitened coordinates.

``theta = center + W q`` (:mod:`~bayes_hybrid.inference.whitening`), and a family says how q is made
of standard normal noise.  :class:`BlockGaussian` is the default.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bayes_hybrid.inference.whitening import Whitening, times

LOG_TWO_PI = math.log(2.0 * math.pi)
# Sd of the features at the start, in their units.
_START_SPREAD = 0.3


@dataclass(frozen=True, eq=False)
class Guide(ABC):
    """``q(theta)`` of C restarts.

    Args:
        whitening: the coordinates.
        kl_weight: weight of the features' KL term, ``[C]``; at 0 the features are a point.
    """

    whitening: Whitening
    kl_weight: Tensor

    @classmethod
    @abstractmethod
    def start(cls, whitening: Whitening, kl_weight: Tensor | float) -> Self:
        """A guide about the whitening's center, to be trained."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[Tensor, ...]:
        """What SVI changes in place, each ``[C, ...]``."""

    @property
    @abstractmethod
    def shares(self) -> tuple[float, ...]:
        """The share of the step that each of the parameters takes."""

    @abstractmethod
    def rates(self, rates: Tensor) -> tuple[Tensor, ...]:
        """What theta's entries take of the step, ``[P]``, for each of the parameters.

        A whitened coordinate takes the rate of the entry at its place; what belongs to none of
        them, such as a network's weights, takes all.
        """

    def with_parameters(
        self, whitening: Whitening, kl_weight: Tensor, parameters: tuple[Tensor, ...]
    ) -> Self:
        """The same family, of other restarts."""
        return type(self)(whitening, kl_weight, *parameters)

    @abstractmethod
    def draw(self, noise: Tensor) -> Tensor:
        """``theta [C, P]`` from standard normal ``noise [C, E]``."""

    @abstractmethod
    def whitened_entropy(self, noise: Tensor) -> Tensor:
        """Entropy of q in whitened coordinates that enters the ELBO, ``[C]``.

        Exact where there is a formula, else its estimate from the draw of ``noise``; the features'
        part times their KL weight.
        """

    @abstractmethod
    def gradients(self, gradient: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the ELBO in the order of :attr:`parameters`.

        Args:
            gradient: of the log joint at :meth:`draw` of the noise, ``[C, P]``.
            noise: ``[C, E]``.
        """

    @abstractmethod
    def log_prob(self, noise: Tensor) -> Tensor:
        """``log q`` at :meth:`draw` of ``noise``, ``[C]``; only the block's for point features."""

    @property
    def center(self) -> Tensor:
        """Mean in theta, or the image of noise 0, ``[C, P]``."""
        return self.draw(self.kl_weight.new_zeros(self.num_restarts, self.noise_size))

    @abstractmethod
    def factor(self) -> Tensor:
        """Lower triangular factor of the block's covariance, ``[C, B, B]``, or about that."""

    def as_whitening(self, feature_scale: float) -> Whitening:
        """Coordinates about :attr:`center` in which this guide's block is about standard normal."""
        whitening = self.whitening
        return replace(
            whitening,
            center=self.center,
            block_factor=whitening.block_factor @ self.factor(),
            feature_scale=torch.full_like(whitening.feature_scale, feature_scale),
        )

    @property
    def num_restarts(self) -> int:
        """C."""
        return len(self.kl_weight)

    @property
    def noise_size(self) -> int:
        """E, P unless the family says otherwise."""
        return self.whitening.center.shape[-1]

    def noise(self, generator: torch.Generator) -> Tensor:
        """Standard normal ``[C, E]``, what :meth:`draw` makes draws of."""
        return torch.randn(
            (self.num_restarts, self.noise_size),
            generator=generator,
            device=generator.device,
            dtype=self.whitening.center.dtype,
        )

    def entropy(self, noise: Tensor) -> Tensor:
        """Entropy that enters the ELBO, ``[C]``, in theta."""
        return self.whitened_entropy(noise) + self.whitening.log_volume(self.kl_weight)

    @property
    def feature_weight(self) -> Tensor:
        """Weight of the features' prior, ``[C]``: a point's is one, or it would be no maximum."""
        return torch.where(self.kl_weight > 0, self.kl_weight, 1.0)

    def select(self, index: Tensor) -> Self:
        """The restarts in ``index`` only, with a copy of their parameters."""
        chosen = tuple(value[index] for value in self.parameters)  # an index tensor copies
        return self.with_parameters(self.whitening.select(index), self.kl_weight[index], chosen)


def per_restart(kl_weight: Tensor | float, whitening: Whitening) -> Tensor:
    """The KL weight as a vector ``[C]``."""
    return whitening.center.new_zeros(len(whitening.center)) + kl_weight


@dataclass(frozen=True, eq=False)
class BlockGaussian(Guide):
    """``q = mean + T eps``: Normal(mean_B, L L^T) over the block, independent Normals elsewhere.

    ================  =============  ===========================================
    field             shape          meaning
    ================  =============  ===========================================
    ``mean``          ``[C, P]``     mean of q, in the whitening's order
    ``log_diagonal``  ``[C, B]``     log of L's diagonal
    ``log_spread``    ``[C, F]``     log sd of the features
    ``lower``         ``[C, B, B]``  strictly lower part of L, zero elsewhere
    ================  =============  ===========================================
    """

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
            kl_weight=per_restart(kl_weight, whitening),
            mean=new(whitening.center.shape),
            log_diagonal=new(count, size),
            log_spread=feature_start(whitening)[1],
            lower=new(count, size, size),
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The last four fields."""
        return (self.mean, self.log_diagonal, self.log_spread, self.lower)

    @property
    def shares(self) -> tuple[float, ...]:
        """All of the step, but a twentieth for the off-diagonal of the block's factor.

        Its B^2 / 2 entries move together: at the full step a row's norm drifts by sqrt(B) steps at
        once, and the guide is too wide to recover (up to 0.2 nats per row).
        """
        return (1.0, 1.0, 1.0, 0.05)

    def rates(self, rates: Tensor) -> tuple[Tensor, ...]:
        """See :class:`Guide`; a row of the block's factor goes with its coordinate."""
        block, features = rates[self.whitening.block], rates[self.whitening.features]
        return (rates[self.whitening.order], block, features, block.unsqueeze(-1))

    def factor(self) -> Tensor:
        """L, ``[C, B, B]``."""
        return self.lower + torch.diag_embed(self.log_diagonal.exp())

    def draw(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`; E = P."""
        block, features = self.whitening.split(noise)
        # Without building L, which costs more than the product.
        block = times(self.lower, block) + self.log_diagonal.exp() * block
        spread = torch.cat([block, _spread(self.log_spread, self.kl_weight) * features], dim=1)
        return self.whitening.color(self.mean + spread)

    def whitened_entropy(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`: block, plus weighted features."""
        block, features = _normal_entropy(self.log_diagonal), _normal_entropy(self.log_spread)
        return block + self.kl_weight * features

    def gradients(self, gradient: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """See :class:`Guide`; written out, because autograd would cost as much as the model."""
        pulled = self.whitening.pull(gradient)
        (block, features), noises = self.whitening.split(pulled), self.whitening.split(noise)
        diagonal = block * noises[0] * self.log_diagonal.exp() + 1.0
        spread = features * noises[1] * _spread(
            self.log_spread, self.kl_weight
        ) + self.kl_weight.unsqueeze(-1)
        lower = (block.unsqueeze(2) * noises[0].unsqueeze(1)).tril_(-1)
        return pulled, diagonal, spread, lower

    def log_prob(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`."""
        has_density = (self.kl_weight > 0).to(noise.dtype)
        block, features = self.whitening.split(noise)
        normal = log_normal(block) + has_density * log_normal(features)
        spread = self.log_diagonal.sum(-1) + has_density * self.log_spread.sum(-1)
        return normal - spread - self.whitening.log_volume(has_density)


@dataclass(frozen=True, eq=False)
class AutogradGuide(Guide):
    """Another family over the block, whose gradients are not written out.

    ================  ==========  ================================
    field             shape       meaning
    ================  ==========  ================================
    ``feature_mean``  ``[C, F]``  mean of the features
    ``log_spread``    ``[C, F]``  log of their sd
    ================  ==========  ================================

    The features are independent Normals, as in :class:`BlockGaussian`.  The block's noise comes
    first, as many numbers as :attr:`block_noise_size` says.
    """

    feature_mean: Tensor
    log_spread: Tensor

    @property
    def block_noise_size(self) -> int:
        """B unless the family says otherwise."""
        return self.whitening.block_size

    @abstractmethod
    def block(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The block's q ``[C, B]``, its entropy and its log density there, both ``[C]``."""

    @property
    def noise_size(self) -> int:
        """The block's, and one for each feature."""
        return self.block_noise_size + self.feature_mean.shape[-1]

    def draw(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`."""
        return self._evaluate(noise)[0]

    def whitened_entropy(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`."""
        return self._evaluate(noise)[1]

    def log_prob(self, noise: Tensor) -> Tensor:
        """See :class:`Guide`."""
        return self._evaluate(noise)[2]

    @torch.enable_grad()
    def gradients(self, gradient: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """See :class:`Guide`."""
        free = tuple(parameter.detach().requires_grad_() for parameter in self.parameters)
        guide = self.with_parameters(self.whitening, self.kl_weight, free)
        theta, entropy, _ = guide._evaluate(noise)
        objective = (theta * gradient).sum() + entropy.sum()
        return torch.autograd.grad(objective, free, materialize_grads=True)

    def _evaluate(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw, whitened entropy and log density."""
        size, kl_weight = self.block_noise_size, self.kl_weight
        q, entropy, density = self.block(noise[:, :size])
        noise = noise[:, size:]
        features = self.feature_mean + _spread(self.log_spread, kl_weight) * noise
        theta = self.whitening.color(torch.cat([q, features], dim=1))
        entropy = entropy + kl_weight * _normal_entropy(self.log_spread)
        has_density = (kl_weight > 0).to(noise.dtype)
        density = density + has_density * (log_normal(noise) - self.log_spread.sum(-1))
        return theta, entropy, density - self.whitening.log_volume(has_density)


def feature_start(whitening: Whitening) -> tuple[Tensor, Tensor]:
    """Mean and log sd of the features at the start."""
    mean = torch.zeros_like(whitening.feature_scale)
    return mean, mean + math.log(_START_SPREAD)


def _spread(log_spread: Tensor, kl_weight: Tensor) -> Tensor:
    """Sd of the features, zero where they are a point, ``[C, F]``."""
    return log_spread.exp() * (kl_weight > 0).to(log_spread.dtype).unsqueeze(-1)


def _normal_entropy(log_scale: Tensor) -> Tensor:
    """Entropy ``[C]`` of independent Normals with log sds ``[C, E]``."""
    return (log_scale + 0.5 * (1.0 + LOG_TWO_PI)).sum(-1)


def log_normal(noise: Tensor) -> Tensor:
    """Log density of standard normal ``noise [C, E]``, ``[C]``."""
    return -0.5 * (noise.square() + LOG_TWO_PI).sum(-1)
