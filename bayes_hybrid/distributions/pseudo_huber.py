"""The density whose negative logarithm is the pseudo-Huber loss: a symmetric hyperbolic one."""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.distributions import constraints

from bayes_hybrid.distributions.symmetric import SymmetricDistribution, with_random_sign

# A tail is integrated until its density has fallen by exp(-36), the rounding of float64.
_CUT: Final = 36.0
# Gauss-Legendre on [-1, 1]: 48 nodes give a tail to 1e-11 of itself, for thresholds of 1e-4 to 1e3.
_RULE: Final = tuple(zip(*map(np.ndarray.tolist, np.polynomial.legendre.leggauss(48)), strict=True))
# Newton's method takes at most five steps, for those thresholds and tails down to 1e-30.
_NEWTON_STEPS: Final = 8


class PseudoHuber(SymmetricDistribution):
    """``p(y)`` proportional to ``exp(-rho(r)) / scale``, ``r = (y - loc) / scale``.

    ``rho(r) = t**2 (sqrt(1 + (r / t)**2) - 1)`` with the threshold t: a Normal core that passes
    smoothly into Laplace tails.  This is the symmetric hyperbolic distribution, with the constant
    ``2 t exp(t**2) K1(t**2)``.  With the share ``h = 1 - 2 t**2 (1 - K0(t**2) / K1(t**2))``, which
    falls from 1 to 0 as t grows, the variance is ``scale**2 K2(t**2) / K1(t**2)``, that is
    ``scale**2 (1 + (3 + h) / (2 t**2))``, and the entropy ``log(constant scale) + (1 + h) / 2``.
    As t grows this is Normal(loc, scale), as it goes to zero Laplace(loc, scale / t).

    Args:
        loc: mean and median, ``[...]``.
        scale: scale of the core, ``[...]``, in units of ``y``.
        threshold: where the tails begin, ``[...]``, in units of ``scale``.
        validate_args: as in torch.

    Raises:
        ValueError: with validation on, a scale or threshold that is not positive.

    Source:
        Barndorff-Nielsen (1977), Exponentially decreasing distributions for the logarithm of
        particle size, Proceedings of the Royal Society A 353, with its asymmetry zero.

    Example:
        >>> pseudo = PseudoHuber(torch.tensor([0.0, 5.0]), 1.0, threshold=1.0)
        >>> pseudo.log_prob(torch.tensor([0.5, 25.0]))
        tensor([ -1.3035, -20.2105])
        >>> pseudo.icdf(torch.tensor(0.975))
        tensor([3.3867, 8.3868])
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
        # The same as t**2 (sqrt(1 + u**2) - 1), without a difference of near equals.
        return r.square() / (1.0 + torch.sqrt(1.0 + (r / self.threshold).square()))

    def _log_constant(self) -> Tensor:
        constant: Tensor = _LogConstant.apply(self.threshold)  # type: ignore[no-untyped-call]
        return constant

    def _share(self) -> Tensor:
        share: Tensor = _Share.apply(self.threshold)  # type: ignore[no-untyped-call]
        return share

    def _mean_energy(self) -> Tensor:
        return (1.0 + self._share()) / 2.0

    def _unit_variance(self) -> Tensor:
        return 1.0 + (3.0 + self._share()) / (2.0 * self.threshold.square())

    def _draw(self, shape: torch.Size) -> Tensor:
        """Exact draws by rejection; at least 88 of 100 proposals are accepted.

        The envelope is flat up to ``b`` and exponential beyond: the tangent of the energy where it
        is 1, as Devroye (1986), Non-uniform random variate generation, section VII.2, has it for
        every log-concave density.
        """
        inverse = self.threshold.square().reciprocal()
        touch = torch.sqrt(2.0 + inverse)
        slope = touch / (1.0 + inverse)
        b = 1.0 / touch
        draw = self.loc.new_zeros(shape)
        pending = torch.ones_like(draw, dtype=torch.bool)
        while bool(pending.any()):
            position = touch * torch.rand_like(draw)
            beyond = -torch.log((touch - position) / (touch - b)).clamp_max(0.0) / slope
            proposal = torch.where(position < b, position, b + beyond)
            draw = torch.where(pending, proposal, draw)
            excess = self._energy(proposal) - torch.where(position < b, 0.0, slope * beyond)
            # A comparison with NaN is false, so that NaN parameters end the loop, in NaN draws.
            pending &= -torch.log(torch.rand_like(draw)) < excess
        return with_random_sign(draw)

    def _upper_tail(self, distance: Tensor) -> Tensor:
        """The integral over ``r = t sinh(s)``, ``s = s0 + h`` with ``t sinh(s0) = distance``.

        The density relative to its value at ``s0`` is ``exp(-t**2 D)``, ``D = cosh(s) - cosh(s0)``,
        which is ``2 sinh(s0 + h / 2) sinh(h / 2)``; all terms of all sums are positive.
        """
        sinh, square = distance / self.threshold, self.threshold.square()
        cosh = torch.sqrt(1.0 + sinh.square())
        # Where t**2 D is the cut.
        last = _CUT / square
        rise = last * (2.0 * cosh + last)
        length = torch.log1p(
            (rise / (sinh + torch.sqrt(sinh.square() + rise)) + last) / (sinh + cosh)
        )
        total = torch.zeros_like(length)
        for node, weight in _RULE:
            exponential = torch.expm1(length * (0.25 * (1.0 + node)))
            half_sinh = (exponential + exponential / (1.0 + exponential)) / 2.0
            half_cosh = 1.0 + exponential - half_sinh
            difference = 2.0 * half_sinh * (sinh * half_cosh + cosh * half_sinh)
            total += (0.5 * weight) * (cosh + difference) * torch.exp(-square * difference)
        log_peak = self._energy(distance) + self._log_constant()
        tail = self.threshold * length * total * torch.exp(-log_peak)
        return torch.where(distance.isinf(), 0.0, tail)

    def _upper_quantile(self, tail: Tensor) -> Tensor:
        """Newton's method on the log tail, from above.

        The log tail of a log-concave density is concave, so every step stays above the root.  It
        starts where ``exp(-energy) / 2`` is ``tail``, which bounds the true tail from above,
        because the energy of a sum is at least the sum of the energies.
        """
        ratio = -torch.log(2.0 * tail) / self.threshold.square()
        distance = self.threshold * torch.sqrt(ratio * (2.0 + ratio))
        for _ in range(_NEWTON_STEPS):
            mass = self._upper_tail(distance)
            density = torch.exp(-self._energy(distance) - self._log_constant())
            gap = torch.log(mass / tail)
            step = gap * mass / density
            distance = torch.where(tail > 0.0, (distance + step).clamp_min(0.0), distance)
            # A step leaves at most half the square of the gap.
            if bool(((gap.square() <= torch.finfo(gap.dtype).eps) | (tail <= 0.0)).all()):
                break
        return distance


class _LogConstant(Function):
    """``log(2 t exp(t**2) K1(t**2))``, for which torch has no derivative: ``-h / t``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(threshold: Tensor) -> Tensor:
        wide = threshold.double()
        scaled: Tensor = torch.special.scaled_modified_bessel_k1(wide.square())
        log_constant: Tensor = torch.log(2.0 * wide * scaled)
        return log_constant.to(threshold.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ANN401
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (threshold,) = ctx.saved_tensors
        share: Tensor = _Share.apply(threshold)  # type: ignore[no-untyped-call]
        slope: Tensor = -share / threshold
        return gradient * slope


class _Share(Function):
    """``h = 1 - 2 x (1 - K0(x) / K1(x))`` with ``x = t**2``.

    Riccati's equation of the ratio gives ``dh/dx = 2 h - (3 + h) (1 - h) / (2 x)``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(threshold: Tensor) -> Tensor:
        # In float64: the difference loses the digits of 2 x.
        x = threshold.double().square()
        k0: Tensor = torch.special.scaled_modified_bessel_k0(x)
        k1: Tensor = torch.special.scaled_modified_bessel_k1(x)
        y = 1.0 / x
        # The solution of Riccati's equation in powers of 1 / x; both are at 1e-11 where they meet.
        series: Tensor = y * (0.75 + y * (-0.75 + y * (0.984375 + y * (-1.6875 + y * 3.708984375))))
        share: Tensor = torch.where(x < 200.0, 1.0 - 2.0 * x * (1.0 - k0 / k1), series)
        return share.to(threshold.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ANN401
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        threshold, share = ctx.saved_tensors
        slope: Tensor = 4.0 * threshold * share - (3.0 + share) * (1.0 - share) / threshold
        return gradient * slope
