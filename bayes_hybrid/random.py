"""Randomness enters as an explicit seed: one integer from which every other seed is derived.

Torch's samplers, Pyro's programs and the recording of a graph all use state of the process.
Whoever changes that state for a while holds :func:`process_state`, so that threads take turns.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError

__all__ = [
    "SEED_LIMIT",
    "STREAMS",
    "process_state",
    "resolve_seed",
    "seeded",
    "spawn_seeds",
    "stream_seed",
    "torch_generator",
]

SEED_LIMIT: Final = 2**32
"""Seeds lie in ``[0, SEED_LIMIT)``: what NumPy's ``RandomState`` takes is the narrowest, and such
an integer is also exact in JSON."""


STREAMS: Final = (
    "start",
    "folds",
    "svi",
    "sampler",
    "ratios",
    "scores",
    "replicates",
    "held_out",
    "datatree",
    "reference_rows",
    "reference_recipe",
    "reference_nuts",
    "elbo",
)
"""What a fit's seed is used for, each with numbers of its own; a new one comes last."""

_state_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child process has none of the other threads: not the one that holds the lock, nor what it
    # would have put back.  So a fork waits until nobody is in the middle of something.
    os.register_at_fork(
        before=_state_lock.acquire,
        after_in_parent=_state_lock.release,
        after_in_child=_state_lock.release,
    )


@contextmanager
def process_state() -> Iterator[None]:
    """Exclude all other threads that are about to change state of the process.

    That is torch's global generators, the validation switches of torch and Pyro, Pyro's stack of
    handlers, and the stages of tracing and compiling.  One lock for all, which a thread may take
    again, so that no two threads can wait for each other.

    Example:
        >>> with process_state(), process_state():
        ...     pass
    """
    with _state_lock:
        yield


def spawn_seeds(seed: int, count: int) -> tuple[int, ...]:
    """``count`` seeds for independent streams, derived from one.

    A longer list starts with the shorter one, so a fit with more restarts repeats the earlier
    ones.  The hash is that of ``numpy.random.SeedSequence`` (O'Neill 2015, ``seed_seq`` family).

    Args:
        seed: non-negative integer.
        count: how many, at least 1.

    Returns:
        Integers in ``[0, 2**32)``.  Two of ``count`` agree by chance with probability about
        ``count**2 / 2**33``: 7e-9 for 8.

    Raises:
        OptionError: ``seed`` is negative or no integer, or ``count`` is below 1.

    Example:
        >>> spawn_seeds(0, 3)
        (2968811710, 3677149159, 745650761)
        >>> spawn_seeds(0, 2) == spawn_seeds(0, 3)[:2]
        True
    """
    checks.positive_int("count", count)
    sequence = np.random.SeedSequence(checks.positive_int("seed", seed, minimum=0))
    return tuple(sequence.generate_state(count, dtype=np.uint32).tolist())


def stream_seed(seed: int, name: str) -> int:
    """The seed of one of the :data:`STREAMS` of a fit.

    Args:
        seed: the fit's.
        name: of the stream.

    Raises:
        OptionError: there is no such stream, or what :func:`spawn_seeds` refuses.

    Example:
        >>> stream_seed(0, "folds")
        3677149159
    """
    number = STREAMS.index(checks.choice("name", name, STREAMS))
    return spawn_seeds(seed, number + 1)[-1]


def torch_generator(seed: int, device: torch.device | str) -> torch.Generator:
    """A ``torch.Generator`` of its own on ``device``; torch's global generator is not touched.

    Args:
        seed: integer in ``[0, 2**32)``.
        device: where the draws will be made; the same seed gives other numbers on another device.

    Raises:
        OptionError: ``seed`` is out of range or no integer.

    Example:
        >>> generator = torch_generator(0, "cpu")
        >>> torch.randn(2, generator=generator).shape
        torch.Size([2])
    """
    return torch.Generator(device=device).manual_seed(_seed("seed", seed))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generator of ``device`` at ``seed`` inside, and as it was before outside.

    Torch's own samplers use no other.  ``torch.manual_seed`` would seed every other device's too.
    Other threads of the package wait (:func:`process_state`).

    Args:
        seed: integer in ``[0, 2**32)``.
        device: where the draws will be made.

    Example:
        >>> with seeded(0, torch.device("cpu")):
        ...     first = torch.rand(1)
        >>> with seeded(0, torch.device("cpu")):
        ...     bool(torch.rand(1) == first)
        True
    """
    devices = [device] if device.type == "cuda" else []
    with process_state(), torch.random.fork_rng(devices=devices):
        _global_generator(device).manual_seed(_seed("seed", seed))
        yield


def _global_generator(device: torch.device) -> torch.Generator:
    if device.type != "cuda":
        return torch.default_generator
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]


def resolve_seed(random_state: int | np.random.Generator | np.random.RandomState | None) -> int:
    """The integer seed that scikit-learn's ``random_state`` stands for.

    Args:
        random_state: an integer in ``[0, 2**32)`` is returned as it is; from a generator one seed
            is drawn, which advances it; ``None`` asks the operating system for a fresh one.

    Returns:
        An integer in ``[0, 2**32)``, to be recorded with the result: it repeats the fit.

    Raises:
        OptionError: anything else.

    Example:
        >>> resolve_seed(7)
        7
        >>> resolve_seed(np.random.default_rng(0)) == resolve_seed(np.random.default_rng(0))
        True
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, dtype=np.uint32)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(SEED_LIMIT))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(SEED_LIMIT, dtype=np.uint64))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        raise OptionError(
            "random_state must be an integer, a numpy Generator or RandomState, or None; "
            f"got {random_state!r}, of type {type(random_state).__name__}"
        )
    return _seed("random_state", int(random_state))


def _seed(name: str, value: int) -> int:
    """``value`` as a Python ``int`` in ``[0, SEED_LIMIT)``."""
    seed = checks.positive_int(name, value, minimum=0)
    if seed >= SEED_LIMIT:
        raise OptionError(f"{name} must be an integer below 2**32; got {seed}")
    return seed
