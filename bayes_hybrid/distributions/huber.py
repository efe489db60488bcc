"""The density whose negative logarithm is Huber's loss."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.distributions.symmetric import SymmetricDistribution, with_random_sign

_SQRT_2PI: Final = math.sqrt(2.0 * math.pi)


class Huber(SymmetricDistribution):
    """``p(y)`` proportional to ``exp(-rho(r)) / scale``, ``r = (y - loc) / scale``.

    ``rho(r) = r**2 / 2`` up to the threshold t, ``t (|r| - t / 2)`` beyond: a Normal core with
    Laplace tails.  The constant is ``sqrt(2 pi) (2 cdf(t) - 1) + (2 / t) exp(-t**2 / 2)``, with the
    standard Normal's ``cdf`` and ``pdf``.  With

    - ``B = pdf(t) / t - cdf(-t)``, the constant is ``sqrt(2 pi) (1 + 2 B)``;
    - ``P = 2 pdf(t) / t / (1 + 2 B)``, the probability of ``|r| > t``;

    the variance is ``scale**2 (1 + P (1 + 2 / t**2))`` and the entropy
    ``log(constant scale) + (1 + P) / 2``.  As t grows this is Normal(loc, scale), as it goes to
    zero Laplace(loc, scale / t).

    Args:
        loc: mean and median, ``[...]``.
        scale: scale of the core, ``[...]``, in units of ``y``.
        threshold: where the tails begin, ``[...]``, in units of ``scale``.
        validate_args: as in torch.

    Raises:
        ValueError: with validation on, a scale or threshold that is not positive.

    Source:
        Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics
        35: the density with the least Fisher information among contaminated Normals.

    Example:
        >>> huber = Huber(torch.tensor([0.0, 5.0]), 1.0, threshold=1.345)
        >>> huber.log_prob(torch.tensor([0.5, 25.0]))
        tensor([ -1.1036, -26.9741])
        >>> huber.icdf(torch.tensor(0.975))
        tensor([2.4672, 7.4672])
    """

    arg_constraints = {  # noqa: RUF012 (torch's own protocol)
        "loc": constraints.real,
        "scale": constraints.positive,
        "threshold": constraints.positive,
    }
    has_rsample = False
    threshold: Tensor

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        threshold: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        """Keep the parameters."""
        super().__init__(loc=loc, scale=scale, threshold=threshold, validate_args=validate_args)

    def _energy(self, r: Tensor) -> Tensor:
        size = r.abs()
        core = torch.minimum(size, self.threshold)
        return core * (size - core / 2.0)

    def _excess(self) -> Tensor:
        """B: by how much the mass of a tail exceeds the Normal's, over its constant."""
        return self._pdf() / self.threshold - _normal_tail(self.threshold)

    def _pdf(self) -> Tensor:
        return torch.exp(-0.5 * self.threshold.square()) / _SQRT_2PI

    def _tail_share(self) -> Tensor:
        """P."""
        return 2.0 * self._pdf() / self.threshold / (1.0 + 2.0 * self._excess())

    def _log_constant(self) -> Tensor:
        return torch.log1p(2.0 * self._excess()) + math.log(_SQRT_2PI)

    def _mean_energy(self) -> Tensor:
        return (1.0 + self._tail_share()) / 2.0

    def _unit_variance(self) -> Tensor:
        return 1.0 + self._tail_share() * (1.0 + 2.0 / self.threshold.square())

    def _draw(self, shape: torch.Size) -> Tensor:
        uniform = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        # By inversion.  In (0, 1/2], because a tail of probability zero is infinitely far out.
        return with_random_sign(self._upper_quantile((1.0 - uniform) / 2.0))

    def _upper_tail(self, distance: Tensor) -> Tensor:
        excess, threshold = self._excess(), self.threshold
        # A sum of positive terms, for any threshold.
        core = (_normal_tail(distance) + excess) / (1.0 + 2.0 * excess)
        beyond = self._tail_share() / 2.0 * torch.exp(-threshold * (distance - threshold))
        return torch.where(distance < threshold, core, beyond)

    def _upper_quantile(self, tail: Tensor) -> Tensor:
        excess, at_threshold = self._excess(), self._tail_share() / 2.0
        constant = 1.0 + 2.0 * excess
        # Both invert the core's tail; each is exact where the other one subtracts near equals.
        middle = (1.0 - 2.0 * tail) * constant
        near = math.sqrt(2.0) * torch.erfinv(middle)
        far = -torch.special.ndtri(tail * constant - excess)
        core = torch.where(middle < 0.5, near, far)
        beyond = self.threshold + torch.log(at_threshold / tail) / self.threshold
        return torch.where(tail < at_threshold, beyond, core)


def _normal_tail(distance: Tensor) -> Tensor:
    # torch.special.ndtr subtracts from one, which leaves nothing of a far tail.
    return 0.5 * torch.erfc(distance / math.sqrt(2.0))
