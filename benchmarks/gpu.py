"""What is a GPU worth?  ``python -m benchmarks gpu``, in ten minutes on a machine that has one.

======================  =========================================================================
cells                   what is measured
======================  =========================================================================
``tests``               the tests marked ``gpu``
``gradient/N/C``        milliseconds of the gradient of C restarts on N rows: on the CPU, and on the
                        GPU recorded, compiled, and compiled with its kernels captured
``answers``             largest difference of log joint and gradient, GPU against CPU
``fit/...``             seconds and held-out log density of a fit on each device
======================  =========================================================================

Without a GPU the suite has no cells.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from bayes_hybrid import FitOptions
from bayes_hybrid.data import load_motorcycle, simulate
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.models import Target
from benchmarks.cells import Cell, Job
from benchmarks.fits import regressor
from benchmarks.speed import Tables, data_of, model_of
from benchmarks.suite import Given, Suite

_ROWS: Final = (200, 10_000, 100_000, 1_000_000)
_RESTARTS: Final = (1, 8, 32, 64)
# Rows times restarts: one gradient of more takes a CPU minutes.
_LARGEST: Final = 8_000_000
_BATCH: Final = 8
_SECONDS: Final = 0.5
Gradient = Callable[[], Any]


def _gradient(device: str, rows: int, restarts: int, how: str) -> Gradient:
    """The engine's gradient at the same points, on a device."""
    x, y = (tensor.to(device) for tensor in data_of(rows))
    target = Target(y)
    joint = LogJoint(model_of(32), x, min(_BATCH, restarts), compiled=how != "recorded")
    captured = patch("bayes_hybrid.inference.engine.recorder._capture", lambda *_: None)
    if how == "captured":
        joint.prepare(x, target)
    else:
        with captured:
            joint.prepare(x, target)
    generator = torch.Generator().manual_seed(0)
    theta = 0.1 * torch.randn(restarts, joint.table.num_parameters, generator=generator)
    theta = theta.to(device)

    def run() -> tuple[Tensor, Tensor]:
        return joint.value_and_grad(theta, x, target)

    return run


def _milliseconds(run: Gradient, device: str) -> float:
    """Median over three rounds of at least half a second in all."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    run()
    wait()
    started = time.perf_counter()
    run()
    wait()
    count = max(1, int(_SECONDS / 3.0 / (time.perf_counter() - started)))
    times = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            run()
        wait()
        times.append(1e3 * (time.perf_counter() - started) / count)
    return float(np.median(times))


def gradient_cell(device: str, rows: int, restarts: int) -> Cell:
    ways = {"CPU, compiled": ("cpu", "compiled")}
    ways |= {f"{device}, {how}": (device, how) for how in ("recorded", "compiled", "captured")}
    found: dict[str, Any] = {"rows": rows, "restarts": restarts}
    for name, (where, how) in ways.items():
        torch.compiler.reset()
        found[name] = _milliseconds(_gradient(where, rows, restarts, how), where)
    return {"rows": [found]}


def answer_cell(device: str, how: str) -> Cell:
    """In units of the largest entry."""
    here, there = (
        _gradient(where, 10_000, 8, how)() for where, how in (("cpu", "recorded"), (device, how))
    )
    rows = [
        {"what": what, "difference": float((a - b.cpu()).abs().max() / a.abs().max())}
        for what, a, b in zip(("log joint", "gradient"), here, there, strict=True)
    ]
    return {"rows": rows}


def fit_cell(what: str, device: str) -> Cell:
    if what == "motorcycle":
        table = load_motorcycle()
        x, y = table[["times"]].to_numpy(), table["accel"].to_numpy()
        out = np.arange(len(y)) % 5 == 2
    else:
        made = simulate("step", 100_000, seed=0)
        x, y, out = made.x, made.y, np.arange(len(made.y)) % 5 == 2
    reg = regressor(fit_options=FitOptions(device=device), random_state=0)
    reg.fit(x[~out], y[~out])
    return {
        "rows": [
            {
                "data": what,
                "device": device,
                "seconds": reg.fit_.training.seconds,
                "log density": float(reg.log_density(x[out], y[out]).mean()),
            }
        ]
    }


def test_cell() -> Cell:
    """The last line that pytest prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"rows": [{"tests marked gpu": done.stdout.strip().splitlines()[-1]}]}


def jobs(_: Given) -> Iterator[Job]:
    """Every cell, where there is a GPU."""
    if not torch.cuda.is_available():
        return
    yield "tests", test_cell, ()
    yield "answers", answer_cell, ("cuda", "captured")
    for rows in _ROWS:
        for restarts in _RESTARTS:
            if rows * restarts <= _LARGEST:
                yield f"gradient/{rows}/{restarts}", gradient_cell, ("cuda", rows, restarts)
    for what in ("motorcycle", "step, 100,000 rows"):
        for device in ("cpu", "cuda"):
            yield f"fit/{what}/{device}", fit_cell, (what, device)


SUITE: Final = Suite(
    name="gpu",
    question="What is a GPU worth?",
    jobs=jobs,
    summarise=Tables,
    quick="^answers$",
    alone=True,
)
