"""What is observed of rows, and what of it is missing."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """What is observed of N rows, as tensors that a model takes.

    Args:
        y: targets ``[N]``, or ``[N, Q]`` of several outputs, NaN where one is missing.
        label: the number of each row's regime label, NaN where it has none, ``[N]``; ``None`` for a
            model without a label head.

    Example:
        >>> import torch
        >>> target = Target(torch.zeros(3), label=torch.tensor([0.0, 1.0, torch.nan]))
        >>> target[:2].label
        tensor([0., 1.])
    """

    y: Tensor
    label: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that is there: the arguments that make the same again."""
        return (self.y,) if self.label is None else (self.y, self.label)

    def __getitem__(self, rows: slice | Tensor) -> Self:
        """Some of the rows."""
        return type(self)(*(tensor[rows] for tensor in self.tensors))
