"""How a fit uses the processor: how many threads torch takes, and what becomes of tiny numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

# Rows x parameters x restarts of one gradient, about a million of which take a third of a
# millisecond.  Below, waiting for one another costs threads more than they save, and beside other
# work many times more; and a fit's rounding does not depend on the machine's cores.
_WORTH_THREADS: Final = 1e7


@contextmanager
def suited_threads(work: float, device: torch.device) -> Iterator[None]:
    """One thread on a CPU while ``work`` is small, and afterwards as many as before.

    Args:
        work: rows x parameters x restarts of a gradient.
        device: what the work is done on.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or work >= _WORTH_THREADS or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushed() -> Iterator[None]:
    """Numbers below the least normal one, 1e-38 in float32, are zero in this thread meanwhile.

    Processors take many times longer for such numbers, of which bumps and gates are full far from
    where they act: gradients at a posterior's draws took twice as long with them.
    """
    before = _flushes()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushes() -> bool:
    """Whether this thread flushes: torch has no way to ask."""
    tiny = torch.full((1,), torch.finfo(torch.float32).tiny)
    return bool((0.5 * tiny == 0.0).item())
