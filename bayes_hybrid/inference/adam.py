"""Adam on tensors whose gradients come from a recorded graph, with a cosine-decayed step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Adam:
    """Adam ascent (Kingma and Ba 2015, Algorithm 1) with a cosine step schedule.

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
        # Fused: on vectors this small, one kernel a tensor is half of a step's overhead.
        self._optimizer = torch.optim.Adam(
            [{"params": [parameter]} for parameter in parameters],
            betas=(0.9, decay),
            maximize=True,
            fused=True,
        )
        self._learning_rate, self._num_steps = learning_rate, num_steps
        self._final, self._step = final, 0

    def ascend(self, gradients: Sequence[Tensor]) -> None:
        """One step uphill."""
        self._step += 1
        phase = 0.5 * (1.0 + math.cos(math.pi * min(1.0, self._step / self._num_steps)))
        rate = self._learning_rate * (self._final + (1.0 - self._final) * phase)
        groups = self._optimizer.param_groups
        for group, share, parameter, gradient in zip(
            groups, self._shares, self._parameters, gradients, strict=True
        ):
            group["lr"] = rate * share
            parameter.grad = gradient
        self._optimizer.step()
