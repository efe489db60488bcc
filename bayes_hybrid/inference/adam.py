"""Adam on tensors whose gradients come from a recorded graph, with a cosine-decayed step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Adam:
    """Adam ascent (Kingma and Ba 2015, Algorithm 1) with a cosine step schedule.

    torch's optimiser would do; on vectors this small its Python overhead is most of a step.

    Args:
        parameters: tensors, changed in place.
        learning_rate: largest step.
        num_steps: length of the schedule.
        final: last step as a fraction of the largest.
        decay: decay of the second moment.
        shares: fraction of the step that each tensor takes, one by default.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        *,
        learning_rate: float,
        num_steps: int,
        final: float,
        decay: float,
        shares: Sequence[float] | None = None,
    ) -> None:
        """Start with empty moments."""
        self._shares = list(shares or [1.0] * len(parameters))
        self._parameters = list(parameters)
        self._first = [torch.zeros_like(p) for p in parameters]
        self._second = [torch.zeros_like(p) for p in parameters]
        self._learning_rate, self._num_steps = learning_rate, num_steps
        self._final, self._decay, self._step = final, decay, 0

    def ascend(self, gradients: Sequence[Tensor]) -> None:
        """One step uphill.  Non-finite entries count as zero: their restart is judged later."""
        self._step += 1
        phase = 0.5 * (1.0 + math.cos(math.pi * min(1.0, self._step / self._num_steps)))
        rate = self._learning_rate * (self._final + (1.0 - self._final) * phase)
        rate /= 1.0 - 0.9**self._step
        correction = 1.0 - self._decay**self._step
        for parameter, gradient, first, second, share in zip(
            self._parameters, gradients, self._first, self._second, self._shares, strict=True
        ):
            gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
            first.mul_(0.9).add_(gradient, alpha=0.1)
            second.mul_(self._decay).addcmul_(gradient, gradient, value=1.0 - self._decay)
            parameter.addcdiv_(first, (second / correction).sqrt_().add_(1e-8), value=rate * share)
