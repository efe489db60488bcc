"""A Normal of which a share of the rows has a larger scale."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.distributions import constraints

from bayes_hybrid.distributions.censored import HasLogTails
from bayes_hybrid.distributions.mixture import mixture_quantile
from bayes_hybrid.distributions.normal import log_ndtr
from bayes_hybrid.distributions.symmetric import SymmetricDistribution

_NODES: Final = 401
_REACH: Final = 12.0  # sds, beyond which a Normal has 1e-33 of its mass


class ContaminatedNormal(HasLogTails, SymmetricDistribution):
    """``p(y) = (1 - share) Normal(y; loc, scale) + share Normal(y; loc, ratio scale)``.

    Unlike Huber's and Laplace's its density is not log-concave: a row far out pulls at ``loc`` with
    ``r / ratio**2``, where in the core it would with ``r = (y - loc) / scale``.

    Args:
        loc: mean and median, ``[...]``.
        scale: standard deviation of the core, ``[...]``, in units of ``y``.
        ratio: the others' standard deviation over that of the core, ``[...]``.
        share: probability of the others, ``[...]``, in [0, 1].
        validate_args: as in torch.

    Raises:
        ValueError: with validation on, a scale or ratio that is not positive, or a share outside
            of [0, 1].

    Source:
        Tukey (1960), A survey of sampling from contaminated distributions, in Contributions to
        probability and statistics, 448-485.

    Example:
        >>> noise = ContaminatedNormal(torch.tensor([0.0, 5.0]), 1.0, 10.0)
        >>> noise.variance
        tensor([5.9500, 5.9500])
        >>> noise.icdf(torch.tensor(0.975))
        tensor([2.5551, 7.5551])
    """

    arg_constraints = {  # noqa: RUF012 (torch's own protocol)
        "loc": constraints.real,
        "scale": constraints.positive,
        "ratio": constraints.positive,
        "share": constraints.unit_interval,
    }
    ratio: Tensor
    share: Tensor

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        ratio: Tensor | float,
        share: Tensor | float = 0.05,
        validate_args: bool | None = None,
    ) -> None:
        """Keep the parameters."""
        super().__init__(
            loc=loc, scale=scale, ratio=ratio, share=share, validate_args=validate_args
        )

    def log_cdf(self, value: Tensor) -> Tensor:
        """``log P(Y <= y)``, ``[...]``, finite however far the tail."""
        return self._log_below(self._standardise(value))

    def log_survival(self, value: Tensor) -> Tensor:
        """``log P(Y > y)``, likewise."""
        return self._log_below(-self._standardise(value))

    def _log_below(self, r: Tensor) -> Tensor:
        core = torch.log1p(-self.share) + log_ndtr(r)
        return torch.logaddexp(core, self.share.log() + log_ndtr(r / self.ratio))

    def _draw(self, shape: torch.Size) -> Tensor:
        normal = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return normal * (1.0 + (self.ratio - 1.0) * (torch.rand_like(normal) < self.share))

    def _energy(self, r: Tensor) -> Tensor:
        half = 0.5 * r.square()
        core = torch.log1p(-self.share) - half
        others = self.share.log() - self.ratio.log() - half / self.ratio.square()
        return -torch.logaddexp(core, others)

    def _log_constant(self) -> Tensor:
        return self.ratio.new_full((), 0.5 * math.log(2.0 * math.pi))

    def _mean_energy(self) -> Tensor:
        # No closed form.  Both scales are smooth in t of r = narrow sinh t, and so is what lies
        # between them, so that the trapezoid rule converges exponentially.
        narrow, wide = self.ratio.clamp_max(1.0), self.ratio.clamp_min(1.0)
        step = torch.asinh(_REACH * wide / narrow) / (_NODES - 1)
        total, log_constant = torch.zeros_like(step), self._log_constant()
        for node in range(_NODES):
            energy = self._energy(narrow * torch.sinh(node * step))
            slope = narrow * torch.cosh(node * step) * (1.0 if node else 0.5)
            total = total + 2.0 * step * slope * torch.exp(-energy - log_constant) * energy
        return total

    def _unit_variance(self) -> Tensor:
        return 1.0 + self.share * (self.ratio.square() - 1.0)

    def _upper_tail(self, distance: Tensor) -> Tensor:
        return _upper_tail(distance, self.ratio, self.share)

    def _upper_quantile(self, tail: Tensor) -> Tensor:
        target, ratio, share = torch.broadcast_tensors(
            *(part.double() for part in (tail, self.ratio, self.share))
        )
        core = -torch.special.ndtri(target)
        ends = core, core * ratio
        return mixture_quantile(
            lambda distance: -_upper_tail(distance, ratio, share),
            -target,
            torch.minimum(*ends),
            torch.maximum(*ends),
        ).to(tail.dtype)


def _upper_tail(distance: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
    # Not torch's ndtr, which has no far tail.
    far = distance / math.sqrt(2.0)
    core, others = 0.5 * torch.erfc(far), 0.5 * torch.erfc(far / ratio)
    return core + share * (others - core)
