"""What a process has for all its code, before and after every call of the package: left alone.

A try starts from a state that a caller may have set, makes one call, and compares; what the call
returns has to be what it returns otherwise, too.  All calls are made once before, because other
packages change states when they are first imported.  ``import`` is tried in an interpreter of its
own.
"""

import json
import locale
import os
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyro
import torch
from typer.testing import CliRunner

from benchmarks.faults.outcomes import Outcome, bug
from benchmarks.faults.probes import changes, snapshot
from benchmarks.faults.tiny import FEATURES, TARGET, answers, make, tiny_table

__all__ = ["prepare", "trial"]


# -- states to start from


@contextmanager
def _set(change: Callable[[], object], back: Callable[[], object]) -> Iterator[None]:
    change()
    try:
        yield
    finally:
        back()


@contextmanager
def _warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        for quiet in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", quiet)  # these speak to developers
        yield


def _parameters() -> None:
    pyro.get_param_store().setdefault("mine", torch.tensor(3.0))
    pyro.get_param_store().setdefault("gate.weight", torch.tensor(4.0))


def _seeds() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)


def _german() -> None:
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        return


STARTS: Final[dict[str, Callable[[], AbstractContextManager[object]]]] = {
    "a new process": nullcontext,
    "seeds": lambda: _set(_seeds, _seeds),
    "float64 by default": lambda: _set(
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "three threads": lambda: _set(
        lambda: torch.set_num_threads(3), lambda: torch.set_num_threads(1)
    ),
    "no validation": lambda: _set(
        lambda: pyro.enable_validation(False), lambda: pyro.enable_validation(True)
    ),
    "warnings are errors": _warnings,
    "NumPy raises": lambda: np.errstate(all="raise"),
    "parameters in Pyro's store": lambda: _set(_parameters, pyro.clear_param_store),
    "a handler of Pyro": lambda: pyro.poutine.block(),
    "inside a trace": lambda: pyro.poutine.trace(),
    "inside a plate": lambda: pyro.plate("rows", 3),
    "without gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "a default device": lambda: torch.device("cpu"),
    "deterministic": lambda: _set(
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "autocast": lambda: torch.autocast("cpu"),
    "decimal commas": lambda: _set(_german, lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8")),
    "a style of matplotlib": lambda: mpl.rc_context(
        {"axes.facecolor": "red", "text.usetex": False}
    ),
    "options of pandas": lambda: pd.option_context(
        "mode.string_storage", "python", "display.max_rows", 3
    ),
    "a recursion limit": lambda: _set(
        lambda: sys.setrecursionlimit(400), lambda: sys.setrecursionlimit(1_000)
    ),
}


# -- calls


class _Stop(BaseException):
    """From a function of the caller's own, in the middle of a fit."""


def _stop(*_: object) -> None:
    raise _Stop


def _table() -> tuple[pd.DataFrame, pd.Series]:
    table = tiny_table()
    return table[FEATURES], table[TARGET]


@cache
def _fits() -> tuple[Any, Any]:
    """A mixture, and where it is saved."""
    folder = Path(tempfile.mkdtemp())
    reg = make(mixture=True).fit(*_table())
    reg.save(folder / "fit")
    tiny_table().to_csv(folder / "data.csv", index=False)
    return reg, folder


def _command(*arguments: object) -> int:
    environment = {"BAYES_HYBRID_QUICK": "1"}
    result = CliRunner(env=environment).invoke(app(), [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code


def app() -> Any:
    from bayes_hybrid.cli import app as commands

    return commands


def _interrupted() -> None:
    try:
        make().set_params(progress=_stop).fit(*_table())
    except _Stop:
        return


def _refused() -> list[str]:
    refusals = []
    for row in (["a", "b"], [np.nan, 1.0], [1e300, 1.0]):
        try:
            _fits()[0].predict(pd.DataFrame([row], columns=FEATURES))
        except ValueError as error:
            refusals.append(str(error))
        except TypeError as error:
            refusals.append(str(error))
    return refusals


def _report() -> int:
    from bayes_hybrid.report import write_report

    write_report(_fits()[0], Path("report.html"), force=True)
    return Path("report.html").stat().st_size // 10_000


def _picture() -> None:
    from bayes_hybrid.plots import plot_training

    plot_training(_fits()[0].fit_).savefig("picture.png")


def _load() -> Any:
    from bayes_hybrid import load

    return load(_fits()[1] / "fit").predict(_table()[0])


CALLS: Final[dict[str, Callable[[], Any]]] = {
    "fit": lambda: make().fit(*_table()).predict(_table()[0]),
    "fit, interrupted": _interrupted,
    "predictions": lambda: list(answers(_fits()[0], *_table()).values()),
    "refusals": _refused,
    "sample_predictive": lambda: _fits()[0].sample_predictive(_table()[0], random_state=3),
    "diagnose": lambda: [(each.name, each.value) for each in _fits()[0].diagnose()],
    "effect": lambda: _fits()[0].effect(0, grid=3).mean,
    "to_datatree": lambda: sorted(_fits()[0].to_datatree().groups),
    "picture": _picture,
    "save": lambda: _fits()[0].save("fit", force=True),
    "load": _load,
    "report": _report,
    "repr": lambda: repr(_fits()[0]),
    "bayes-hybrid fit": lambda: _command(
        "fit",
        _fits()[1] / "data.csv",
        "--target",
        TARGET,
        "--out",
        "own",
        "--model",
        "relu",
        "--force",
    ),
    "bayes-hybrid predict": lambda: _command(
        "predict", _fits()[1] / "fit", _fits()[1] / "data.csv", "--out", "out.csv", "--force"
    ),
    "bayes-hybrid check": lambda: _command("check", _fits()[1] / "fit"),
}


@cache
def prepare() -> dict[str, Any]:
    """What every call returns; and what they import is imported."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return {name: call() for name, call in CALLS.items()}
        finally:
            os.chdir(before)


_IMPORT: Final = """
import json, importlib
for name in ("arviz", "bokeh.plotting", "h5netcdf", "jinja2", "pyarrow.parquet", "rich.console",
    "safetensors.torch", "scipy.stats", "scoringrules", "sklearn.model_selection", "typer",
    "latex2mathml.converter", "joblib", "matplotlib.pyplot", "arviz_plots", "torch.fx",
    "torch.func", "torch._dynamo", "pyro.infer"):
    importlib.import_module(name)
from benchmarks.faults.probes import changes, snapshot
before = snapshot()
for name in ("cli.app", "report", "plots", "ablation", "validation", "estimator", "diagnostics"):
    importlib.import_module(f"bayes_hybrid.{name}")
print(json.dumps(changes(before, snapshot())))
"""


def _import() -> list[Outcome]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT],
        capture_output=True,
        text=True,
        check=False,
        # Others write to the usual one; and the try's own folder is no place for modules.
        env=os.environ | {"TMPDIR": os.getcwd(), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    bad = done.stderr.strip()[-300:] if done.returncode else "; ".join(json.loads(done.stdout))
    return [Outcome(seed=0, what="import", bad=bad)]


_KINDS: Final = [(start, call) for start in STARTS for call in CALLS]


def trial(seed: int) -> list[Outcome]:
    """One call from one state."""
    if seed == 0:
        return _import()
    start, name = _KINDS[seed % len(_KINDS)]
    right = prepare()[name]
    os.mkdir("tmp")
    tempfile.tempdir = os.path.abspath("tmp")
    with STARTS[start]():
        before = snapshot()
        bad = ""
        try:
            result = CALLS[name]()
        except Exception as error:
            bad = bug(error) or f"refused: {error}"
        after = snapshot()
    if changed := changes(before, after):
        bad = f"{bad}; changed: {'; '.join(changed)}" if bad else "; ".join(changed)
    if not bad and not _same(result, right):
        bad = "another result"
    return [Outcome(seed=seed, what=f"{name}, {start}", bad=bad)]


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, np.ndarray | float):
        return np.array_equal(one, two, equal_nan=True)
    return bool(one == two)
