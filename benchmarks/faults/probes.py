"""What a process has for all its code: random numbers, settings of libraries, files, handlers."""

import contextlib
import faulthandler
import gc
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyro
import torch
from pyro.poutine.runtime import _PYRO_STACK

__all__ = ["changes", "snapshot"]

_SIGNALS: Final = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
PROBES: Final[dict[str, Callable[[], Any]]] = {
    "Python's random numbers": random.getstate,
    "NumPy's random numbers": lambda: repr(np.random.get_state()),  # noqa: NPY002
    "torch's random numbers": lambda: torch.random.get_rng_state().tolist(),
    "torch's default dtype": torch.get_default_dtype,
    "torch's default device": lambda: str(torch.get_default_device()),
    "torch's threads": lambda: (torch.get_num_threads(), torch.get_num_interop_threads()),
    "torch's gradients": torch.is_grad_enabled,
    "torch's deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "torch's precision of matrix products": torch.get_float32_matmul_precision,
    "torch's validation": lambda: torch.distributions.Distribution._validate_args,
    "Pyro's settings": lambda: sorted(pyro.settings.get().items()),
    "Pyro's parameters": lambda: sorted(map(str, pyro.get_param_store().items())),
    "Pyro's handlers": lambda: [id(handler) for handler in _PYRO_STACK],
    "filters of warnings": lambda: [str(each) for each in warnings.filters],
    "who shows warnings": lambda: id(warnings.showwarning),
    "NumPy's errors": np.geterr,
    "NumPy's printing": lambda: str(np.get_printoptions()),
    "pandas's options": lambda: [
        pd.get_option(name)
        for name in ("display.max_rows", "mode.copy_on_write", "display.precision")
    ],
    "locale": lambda: locale.setlocale(locale.LC_ALL),
    "working folder": os.getcwd,
    "environment": lambda: sorted(os.environ.items()),
    "umask": lambda: _umask(),
    "signal handlers": lambda: [str(signal.getsignal(number)) for number in _SIGNALS],
    "alarm": lambda: signal.getitimer(signal.ITIMER_REAL),
    "matplotlib's settings": lambda: sorted(map(str, mpl.rcParams.items())),
    "figures of pyplot": lambda: _pyplot(),
    "sys.path": lambda: list(sys.path),
    "recursion limit": sys.getrecursionlimit,
    "hooks": lambda: (id(sys.excepthook), id(sys.displayhook), id(threading.excepthook)),
    "streams": lambda: (id(sys.stdout), id(sys.stderr), id(sys.stdin)),
    "arguments": lambda: list(sys.argv),
    "threads": lambda: sorted(thread.name for thread in threading.enumerate()),
    "collection of garbage": lambda: (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
    "logging": lambda: (logging.root.level, len(logging.root.handlers), logging.root.disabled),
    "fault handler": faulthandler.is_enabled,
    "temporary files": lambda: (tempfile.gettempdir(), sorted(os.listdir(tempfile.gettempdir()))),
    "open files": lambda: _open_files(),
    "limits of integers": sys.get_int_max_str_digits,
}


def _umask() -> int:
    os.umask(mask := os.umask(0))
    return mask


def _open_files() -> list[str]:
    """What is open, but for fonts, which matplotlib opens again in a fork."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing itself
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(name for name in found if not name.endswith(".ttf"))


def _pyplot() -> Any:
    """Open figures; none is made to look, which would choose a backend."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return None if pyplot is None else pyplot.get_fignums()


def snapshot() -> dict[str, str]:
    """Every state, as text."""
    return {name: repr(probe()) for name, probe in PROBES.items()}


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The states that differ, with what they were and are where that is short."""
    return [
        name if len(before[name] + after[name]) > 200 else f"{name}: {before[name]} → {after[name]}"
        for name in before
        if before[name] != after[name]
    ]
