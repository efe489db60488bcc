"""How fast a fit predicts, and how much memory a long table takes.

Rows a second are those of the motorcycle data's default fit (800 draws of two experts), beside a
plain vectorised torch evaluation of the same draws: gate and experts by broadcasting, all draws
and as many rows at a time as make two million numbers, then the mixture's mean.

Memory is the largest resident size of a process that predicts a table of 10,000 rows, then of one
that predicts ten million, by a fit of a few draws: through ``bayes-hybrid predict --regimes`` on
CSV and on Parquet, and through the methods of ``HybridRegressor``.

    python -m benchmarks.predict                 # rates, 2 minutes
    python -m benchmarks.predict --memory        # and memory, 20 minutes
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.cli.predicting import Wanted, predictions
from bayes_hybrid.data import load_motorcycle
from bayes_hybrid.estimator import with_units
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from benchmarks.cells import Figures

_RESULT: Final = Path("benchmarks/results/predict.json")
_FEW: Final = 10_000
_MANY: Final = 10_000_000
_API: Final = """
import sys, numpy as np
from bayes_hybrid import load
reg, X = load(sys.argv[1]), np.linspace(0.0, 10.0, int(sys.argv[3]))[:, None]
getattr(reg, sys.argv[2])(X)
"""


class Plain:
    """Mean of the default mixture at ``x [N]``, one feature, by broadcasting over the draws."""

    def __init__(self, posterior: Posterior) -> None:
        sites = {
            name: torch.as_tensor(value.reshape(-1, *value.shape[2:]))
            for name, value in posterior.sites.items()
        }
        priors = posterior.model.priors
        each = draw_weights(posterior.restart_weights, posterior.num_draws)
        self.weights = torch.as_tensor(each)
        self.layers = {}
        for name in ("gaussian.0", "relu.0", "gate.features"):
            scale = sites[f"{name}.weight_scale"]
            weight = scale[:, None] * sites[f"{name}.weight_raw"][:, :, 0]
            self.layers[name] = weight, scale[:, None] * sites[f"{name}.bias_raw"]
        self.width = priors.width_floor + sites["gaussian.0.width"]
        self.heads = {}
        for name in ("gaussian.location", "relu.location", "gate.head"):
            raw = sites[f"{name}.weight_raw"][:, 0]
            weight = sites[f"{name}.weight_scale"][:, None] / raw.shape[1] ** 0.5 * raw
            self.heads[name] = weight, sites[f"{name}.bias"]

    def __call__(self, x: Tensor) -> Tensor:
        units = self.width.numel()
        parts = [self._mean(rows) for rows in x.split(max(1, 2_000_000 // units))]
        joined: Tensor = torch.cat(parts)
        return joined

    def _mean(self, x: Tensor) -> Tensor:
        def hidden(name: str) -> Tensor:
            weight, bias = self.layers[name]
            return x[:, None, None] * weight + bias

        def read(features: Tensor, name: str) -> Tensor:
            weight, bias = self.heads[name]
            total: Tensor = (features * weight).sum(-1) + bias[:, 0]
            return total

        bump = torch.exp(-0.5 * (hidden("gaussian.0") / self.width).square())
        smooth = read(bump, "gaussian.location")
        kinked = read(torch.relu(hidden("relu.0")), "relu.location")
        gate = torch.sigmoid(read(torch.relu(hidden("gate.features")), "gate.head"))
        mean: Tensor = ((1.0 - gate) * smooth + gate * kinked) @ self.weights
        return mean


def rate(function: Callable[[np.ndarray], object], rows: np.ndarray, repeats: int) -> float:
    """Rows a second, the median of several runs."""
    function(rows[:100])
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(rows)
        seconds.append(time.perf_counter() - start)
    return len(rows) / float(np.median(seconds))


def add_rates(figures: Figures, num_rows: int, repeats: int) -> None:
    """Fit the motorcycle data by default, and predict."""
    table = load_motorcycle()
    reg = HybridRegressor(random_state=0).fit(table[["times"]].to_numpy(), table["accel"])
    posterior, plain = reg.fit_.posterior, Plain(reg.fit_.posterior)
    ends = table["times"].min(), table["times"].max()
    rows = np.random.default_rng(0).uniform(*ends, (num_rows, 1))

    def evaluate(X: np.ndarray) -> np.ndarray:
        inputs = torch.as_tensor(posterior.x_scaling.transform(X)[:, 0])
        return plain(inputs).numpy() * posterior.y_scaling.scale + posterior.y_scaling.mean

    np.testing.assert_allclose(evaluate(rows[:100]), reg.predict(rows[:100]), rtol=1e-6, atol=1e-6)

    def with_regimes(X: np.ndarray) -> None:
        reg.predict(X)
        reg.predict_regime(X)

    def with_interval(X: np.ndarray) -> None:
        with_regimes(X)
        reg.predict_interval(X)

    frame = pd.DataFrame(rows, columns=list(reg.fit_.feature_names))

    def command(X: np.ndarray) -> None:
        predictions(reg.fit_, frame.iloc[: len(X)], Wanted(regimes=True))

    by_hand = rate(evaluate, rows, repeats)
    mean = rate(reg.predict, rows, repeats)
    figures.add("plain torch, mean, rows a second", by_hand, -np.inf, np.inf)
    figures.add("mean, rows a second", mean, -np.inf, np.inf)
    figures.add("mean / plain torch", mean / by_hand, 0.7, np.inf)
    figures.add("mean and regimes", rate(with_regimes, rows, repeats), 10_000, np.inf)
    figures.add("mean, regimes, 90% interval", rate(with_interval, rows, repeats), 4_000, np.inf)
    figures.add("predict --regimes, with bands", rate(command, rows, repeats), 4_000, np.inf)


def peak(command: list[str]) -> float:
    """Largest resident size of a process, in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return usage.ru_maxrss / 1024.0  # Linux counts in KB


def add_memory(figures: Figures) -> None:
    """A toy fit, because what is measured is what grows with the rows."""
    tiny = FitOptions(
        num_restarts=1,
        warm_start=WarmStart(max_steps=50),
        variational=Variational(num_steps=20, kl_weights=(0.0,), num_draws=2),
        sampler=None,
        compile="never",
    )
    x = np.linspace(0.0, 10.0, 40)
    table = pd.DataFrame({"x": x, "y": np.sin(x)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with_units(HybridRegressor(fit_options=tiny, random_state=0), num_units=4).fit(
            table[["x"]], table["y"]
        ).save(folder / "fit")
        for suffix in ("csv", "parquet"):
            peaks = []
            for count in (_FEW, _MANY):
                data, out = folder / f"{count}.{suffix}", folder / f"out.{suffix}"
                rows = pd.DataFrame({"x": np.linspace(0.0, 10.0, count).round(6)})
                getattr(rows, f"to_{suffix}")(data, index=False)
                command = [sys.executable, "-m", "bayes_hybrid", "predict", str(folder / "fit")]
                options = ["--out", str(out), "--regimes", "--force", "--quiet"]
                peaks.append(peak([*command, str(data), *options]))
            what = f"predict, {suffix}: MB of ten million rows over those of 10,000"
            figures.add(what, peaks[1] - peaks[0], -np.inf, 300.0)
        for method in ("predict", "predict_interval", "predict_regime"):
            code = [sys.executable, "-c", _API, str(folder / "fit"), method]
            few, many = (peak([*code, str(count)]) for count in (_FEW, _MANY))
            figures.add(f"{method}: the same, X and result included", many - few, -np.inf, 300.0)


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="rows that are predicted")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, for the median")
    parser.add_argument("--memory", action="store_true", help="measure memory, too")
    parser.add_argument("--out", type=Path, default=_RESULT)
    arguments = parser.parse_args()
    figures = Figures({})
    add_rates(figures, arguments.rows, arguments.repeats)
    if arguments.memory:
        add_memory(figures)
    print(figures.table())
    figures.write(arguments.out)


if __name__ == "__main__":
    main()
