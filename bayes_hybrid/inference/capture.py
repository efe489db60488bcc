"""All kernels of a function of CUDA tensors, launched together.

A step of a small model is a few hundred kernels of some microseconds each, and launching them one
by one takes longer than running them.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.errors import FitError

__all__ = ["Captured"]

# Runs before the capture, in which libraries choose their kernels and make their workspaces.
_WARM_UP: Final = 3
# What rounding may do to the largest entry of a sum over thousands of rows in float32.
_ROUNDING: Final = 1e-3


class Captured:
    """A function as a captured CUDA graph: every call is one launch.

    Kernels are captured with the addresses they work on.  Arguments are copied there before a
    launch and results from there after it, so that a caller may keep what it was given.

    Args:
        function: from CUDA tensors to several of them, without a look at their values.
        arguments: of the shapes that all calls will have.

    Raises:
        FitError: a launch does not give what the function gives.

    Source: NVIDIA's CUDA graphs through `torch.cuda.graph
    <https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs>`_.
    """

    def __init__(
        self, function: Callable[..., Sequence[Tensor]], arguments: Sequence[Tensor]
    ) -> None:
        """Warm up, capture, and compare a launch with a call."""
        self._arguments = [argument.clone() for argument in arguments]
        expected = function(*self._arguments)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function(*self._arguments)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._results = function(*self._arguments)
        for found, known in zip(self(*arguments), expected, strict=True):
            # Sums over rows may be taken in another order from one launch to the next.
            if not bool((found - known).abs().max() <= _ROUNDING * known.abs().max()):
                raise FitError("A captured CUDA graph does not give what its function gives.")

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """What the function gives."""
        for place, argument in zip(self._arguments, arguments, strict=True):
            place.copy_(argument)
        self._graph.replay()
        return tuple(result.clone() for result in self._results)
