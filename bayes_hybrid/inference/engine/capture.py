"""All kernels of a function of CUDA tensors, launched together.

A step of a small model is a few hundred kernels of some microseconds each, and launching them one
by one takes longer than running them.
"""

import threading
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
# What makes other arguments of those at hand.
_ELSEWHERE: Final = 0.01


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
        # Kernels read the function's constants where they lie, so it has to live on.
        self._function = function
        self._arguments = [argument.clone() for argument in arguments]
        self._lock = threading.Lock()
        device = arguments[0].device
        # A capture that fails leaves its stream the current one; the second of these does not.
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    function(*self._arguments)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=aside):
                self._results = function(*self._arguments)
            self._compare([argument + _ELSEWHERE for argument in arguments])

    def _compare(self, arguments: Sequence[Tensor]) -> None:
        """At other arguments than those of the capture, whose results may lie there already."""
        known_results = self._function(*arguments)
        for found, known in zip(self(*arguments), known_results, strict=True):
            # Sums over rows may be taken in another order from one launch to the next.
            if not bool((found - known).abs().max() <= _ROUNDING * known.abs().max()):
                raise FitError("A captured CUDA graph does not give what its function gives.")

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """What the function gives."""
        with self._lock:  # all threads' arguments go to the same place
            for place, argument in zip(self._arguments, arguments, strict=True):
                place.copy_(argument)
            self._graph.replay()
            return tuple(result.clone() for result in self._results)
