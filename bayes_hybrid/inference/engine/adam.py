"""Adam on tensors whose gradients come from a recorded graph, with a cosine-decayed step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

_MOMENTUM = 0.9
_EPSILON = 1e-8


@dataclass(frozen=True)
class Schedule:
    """How large the steps are.

    Args:
        learning_rate: largest step.
        num_steps: length of the cosine.
        final: last step as a fraction of the largest.
        decay: decay of the second moment.
    """

    learning_rate: float
    num_steps: int
    final: float
    decay: float

    def rate(self, step: int) -> float:
        """The size of the step of that number, from one."""
        phase = 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / self.num_steps)))
        return self.learning_rate * (self.final + (1.0 - self.final) * phase)

    def table(self, like: Tensor) -> Tensor:
        """What :func:`adam_step` multiplies both moments with at every step, ``[num_steps, 2]``."""
        rows = [
            (self.rate(step) / (1.0 - _MOMENTUM**step), (1.0 - self.decay**step) ** -0.5)
            for step in range(1, self.num_steps + 1)
        ]
        return torch.tensor(rows, dtype=like.dtype, device=like.device)


def adam_step(
    parameter: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    rates: Tensor,
    *,
    decay: float,
    share: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Parameter and moments after one step of :class:`Adam`, at a row of :meth:`Schedule.table`."""
    first = _MOMENTUM * first + (1.0 - _MOMENTUM) * gradient
    second = decay * second + (1.0 - decay) * gradient.square()
    step = share * rates[0] * first / (rates[1] * second.sqrt() + _EPSILON)
    return parameter + step, first, second


class Adam:
    """Adam ascent (Kingma and Ba 2015, Algorithm 1) with a cosine step schedule.

    Args:
        parameters: tensors, changed in place.
        schedule: see :class:`Schedule`.
        shares: fraction of the step that each tensor takes, one by default.
        rates: the same of each entry, one tensor that broadcasts for each of the parameters; an
            entry at 0 stands still.  ``None`` for one everywhere; may be changed between steps.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        schedule: Schedule,
        *,
        shares: Sequence[float] | None = None,
        rates: Sequence[Tensor] | None = None,
    ) -> None:
        """Start with empty moments."""
        self.rates = rates
        self._parameters = list(parameters)
        shares = [1.0] * len(parameters) if shares is None else list(shares)
        self._groups = [
            (share, [number for number, own in enumerate(shares) if own == share])
            for share in sorted(set(shares))
        ]
        self._first = [torch.zeros_like(parameter) for parameter in parameters]
        self._second = [torch.zeros_like(parameter) for parameter in parameters]
        self._counts = [torch.zeros((), device=parameter.device) for parameter in parameters]
        self._schedule, self._step = schedule, 0

    def ascend(self, gradients: Sequence[Tensor]) -> None:
        """One step uphill."""
        self._step += 1
        before = None
        if self.rates is not None:
            before = [parameter.clone() for parameter in self._parameters]
            # A frozen entry gathers no moments, so that it starts afresh when it is let go.
            gradients = [g * (r > 0) for g, r in zip(gradients, self.rates, strict=True)]
        rate = self._schedule.rate(self._step)
        # Fused Adam reads memory in a row, whatever the strides say.
        gradients = [gradient.contiguous() for gradient in gradients]
        for share, members in self._groups:
            # As a function: the optimiser's class takes longer than the sums on vectors this small.
            adam(
                [self._parameters[number] for number in members],
                [gradients[number] for number in members],
                [self._first[number] for number in members],
                [self._second[number] for number in members],
                [],
                [self._counts[number] for number in members],
                fused=True,
                amsgrad=False,
                beta1=_MOMENTUM,
                beta2=self._schedule.decay,
                lr=rate * share,
                weight_decay=0.0,
                eps=_EPSILON,
                maximize=True,
            )
        if self.rates is not None and before is not None:
            for parameter, old, rates in zip(self._parameters, before, self.rates, strict=True):
                slowed = old + rates * (parameter - old)
                parameter.copy_(torch.where(rates == 1.0, parameter, slowed))
