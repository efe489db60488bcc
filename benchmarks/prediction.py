"""Suites of prediction tasks: every method fits every task, and the same figures are taken of all.

======================  =========================================================================
figure                  of the test rows
======================  =========================================================================
``log_density``         mean, in nats and in the units of y
``crps``                mean; twice the pinball loss, averaged over 99 quantiles
``rmse``                of the predictive mean
``layer/in``            the same in a boundary layer, against the true mean
``layer/out``           and outside
``error/median``        median distance of the mean from the true mean
``error/most``          RMSE against the true mean of all rows but the worst hundredth
``coverage``            share inside the central 90% interval
``derivative/away``     RMSE of the mean's slope against the truth's, by central differences over
                        a hundredth of the range, more than a twentieth from all thresholds
``derivative/at``       the same of the other rows
``beyond/10%``          log density of rows outside the range, by up to a tenth of it
``beyond/25%``          by a tenth to a quarter
``threshold/error``     distance of each threshold to the nearest place that the method names, in
                        ranges, on average; a method that names none has those where its mean is
                        steepest or bends most
``threshold/covers``    share of the thresholds inside the 90% interval of that place
``ece``                 calibration error of the regimes' probabilities, p(z given x, y)
``seconds``             of the fit, on one thread
======================  =========================================================================

A method that fails, or does not take such a table, has a cell that says why, and no figures.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_hybrid.diagnostics import regime_scores
from benchmarks.cells import Cell, Figures, Job
from benchmarks.curves import ROWS, TARGETS, efficiency, learning_curves
from benchmarks.methods.base import Located, Method, Predictive, Regimes
from benchmarks.methods.gaussian_processes import GAUSSIAN_PROCESSES
from benchmarks.methods.hybrid import CONTROLS, HYBRID, LAYERS
from benchmarks.methods.peers import PEERS
from benchmarks.suite import Given, Suite
from benchmarks.tasks import ablation, conditional, pde, physics, tables
from benchmarks.tasks.base import Data, Task, Vector

_PROBS: Final = np.arange(1, 100) / 100.0
_INTERVAL: Final = (0.05, 0.95)
# Of the range of the feature: half the base of a central difference, and what is "at" a threshold.
_STEP: Final = 0.005
_NEAR: Final = 0.05
_GRID: Final = 2_001
# Of the rows, those that "error/most" leaves out.
_WORST: Final = 0.01
# Columns of the first table of a suite; those of the second say where a method is wrong.
_OF_ROWS: Final = (
    "tasks",
    "rank by log density",
    "rank by CRPS",
    "log density - ours",
    "sd over seeds",
    "RMSE / ours",
    "coverage",
)


def prediction_cell(task: Task, method: Method, seed: int) -> Cell:
    """One data set and one method."""
    data = task.draw(seed)
    num_rows, num_features = data.train.x.shape
    if method.one_feature and num_features > 1:
        return {"left_out": f"{num_features} features"}
    if method.max_rows is not None and num_rows > method.max_rows:
        return {"left_out": f"{num_rows} rows"}
    try:
        return _measured(data, method, seed)
    except Exception as error:  # of a peer: any
        return {"failed": f"{type(error).__name__}: {error}"}


def _measured(data: Data, method: Method, seed: int) -> Cell:
    started = time.perf_counter()
    fitted = method.fit(data.train.x, data.train.y, seed)
    seconds = time.perf_counter() - started
    return {
        **scores(fitted, data.test.x, data.test.y),
        "beyond": {
            name: float(np.mean(fitted.log_density(rows.x, rows.y)))
            for name, rows in data.beyond.items()
        },
        **_against_truth(fitted, data),
        "settings": method.settings,
        "seconds": seconds,
    }


def scores(fitted: Predictive, x: np.ndarray, y: np.ndarray) -> Cell:
    """What the rows say of a predictive distribution."""
    at = fitted.quantiles(x, _PROBS)
    below = y[:, None] - at
    pinball = np.maximum(_PROBS * below, (_PROBS - 1.0) * below)
    lower, upper = (at[:, np.searchsorted(_PROBS, prob - 1e-9)] for prob in _INTERVAL)
    return {
        "log_density": float(np.mean(fitted.log_density(x, y))),
        "crps": float(2.0 * pinball.mean()),
        "rmse": float(np.sqrt(np.mean((fitted.mean(x) - y) ** 2))),
        "coverage": float(np.mean((lower <= y) & (y <= upper))),
    }


def _against_truth(fitted: Predictive, data: Data) -> Cell:
    cell: Cell = {}
    column = data.train.x[:, data.along]
    low, width = float(column.min()), float(np.ptp(column))
    if data.mean is not None:
        x = data.test.x
        inside = np.abs(x[:, data.along] - low - width / 2.0) < (0.5 - _STEP) * width
        away = np.full(len(x), True)
        for threshold in data.thresholds:
            away &= np.abs(x[:, data.along] - threshold) > _NEAR * width
        found, known = (_slope(mean, x, data.along, width) for mean in (fitted.mean, data.mean))
        error = (found - known) ** 2
        cell["derivative"] = {
            name: float(np.sqrt(np.mean(error[rows])))
            for name, rows in (("away", away & inside), ("at", ~away & inside))
            if rows.any()
        }
        cell |= _errors(np.abs(fitted.mean(x) - data.mean(x)), data.layer)
    if data.thresholds:
        places = fitted.places(data.along) if isinstance(fitted, Located) else np.empty((0, 3))
        if not len(places):
            changes = _changes(fitted, data, low, width)
            places = np.column_stack([changes, np.full((len(changes), 2), np.nan)])
        apart = np.abs(places[:, 0] - np.array(data.thresholds)[:, None])
        nearest = places[apart.argmin(axis=1)]
        covers = (nearest[:, 1] <= data.thresholds) & (data.thresholds <= nearest[:, 2])
        cell["threshold"] = {
            "error": float(apart.min(axis=1).mean() / width),
            "covers": float(covers.mean()),
        }
    if data.regimes is not None and isinstance(fitted, Regimes):
        cell["ece"] = _calibration(fitted.regimes(data.test.x, data.test.y), data.regimes)
    return cell


def _errors(distance: Vector, layer: np.ndarray | None) -> Cell:
    """Where the distance between two means is; ``layer`` marks rows of a boundary layer."""
    most = np.sort(distance)[: len(distance) - round(_WORST * len(distance))]
    cell: Cell = {"error": {"median": float(np.median(distance)), "most": _root_mean_square(most)}}
    if layer is not None:
        cell["layer"] = {
            name: _root_mean_square(distance[rows])
            for name, rows in (("in", layer), ("out", ~layer))
        }
    return cell


def _root_mean_square(values: Vector) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _slope(
    mean: Callable[[np.ndarray], np.ndarray], x: np.ndarray, along: int, width: float
) -> np.ndarray:
    step = np.zeros(x.shape[1])
    step[along] = _STEP * width
    return np.asarray((mean(x + step) - mean(x - step)) / (2.0 * _STEP * width))


def _changes(fitted: Predictive, data: Data, low: float, width: float) -> np.ndarray:
    """Places where a mean changes: twice as many as there are thresholds, each half apart.

    Half of them are where the slope is farthest from its median, half where two lines, one each
    side, most improve on one, fitted to the mean within a twentieth of the range by least squares:
    the middle of a steep front, and jumps and kinks.  The other features are at their medians.
    """
    grid = np.tile(np.median(data.train.x, axis=0), (_GRID, 1))
    grid[:, data.along] = along = np.linspace(low, low + width, _GRID)
    half, mean = round(_NEAR * (_GRID - 1)), fitted.mean(grid)
    slope = np.gradient(mean, along)
    steep = np.abs(slope - np.median(slope))
    windows = np.lib.stride_tricks.sliding_window_view(mean, 2 * half)
    gain = _off_a_line(windows) - _off_a_line(windows[:, :half]) - _off_a_line(windows[:, half:])
    places: list[float] = []
    for score, grid_of in ((steep, along), (gain, along[half : half + len(gain)])):
        for _ in data.thresholds:
            places.append(float(grid_of[score.argmax()]))
            score[np.abs(grid_of - places[-1]) < _NEAR * width] = -np.inf
    return np.array(places)


def _off_a_line(values: np.ndarray) -> Vector:
    """Sum of the squares that a least-squares line leaves of each row of ``values [N, M]``."""
    centered = values - values.mean(axis=1, keepdims=True)
    slope = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2.0
    slope /= np.sqrt(slope @ slope)
    left: Vector = (centered**2).sum(axis=1) - (centered @ slope) ** 2
    return left


def _calibration(probs: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error; regimes have no names, so they get those that suit best."""
    count = int(truth.max()) + 1
    if probs.shape[1] < count:
        probs = np.pad(probs, ((0, 0), (0, count - probs.shape[1])))
    names = tuple(map(str, range(probs.shape[1])))
    found = [
        regime_scores(probs[:, list(order)], truth.astype(float), names)["value"]
        for order in permutations(range(probs.shape[1]))
    ]
    return float(min(found, key=lambda each: float(each["log_loss"]))["ece"])


# -- suites


class Standings:
    """Methods beside each other on the tasks of a suite.

    A method's figure for a task is its mean over the seeds.  Units differ from task to task, so
    densities are shown minus those of the package, errors and slopes divided by them.
    """

    def __init__(self, done: dict[str, Cell]) -> None:
        self._failed = {name: cell["failed"] for name, cell in done.items() if "failed" in cell}
        rows = []
        for name, cell in done.items():
            if "log_density" in cell:
                task, seed, method = name.split("|")
                rows.append({"task": task, "seed": seed, "method": method, **_flat(cell)})
        self.cells = pd.DataFrame(rows)
        self._figures = Figures(done)
        if rows:
            self.by_task = self.cells.groupby(["task", "method"]).mean(numeric_only=True)
            self._targets()

    def over_tasks(self, figure: str, ours: str = "") -> pd.DataFrame:
        """Tasks in rows, methods in columns; ``ours``: "-" or "/" for relative to the package's."""
        if figure not in self.by_task:
            return pd.DataFrame(columns=self.cells["method"].unique())
        wide = self.by_task[figure].unstack("method")
        if ours and HYBRID.name not in wide:
            return wide * np.nan
        if ours == "-":
            return wide.sub(wide[HYBRID.name], axis=0)
        return wide.div(wide[HYBRID.name], axis=0) if ours == "/" else wide

    def ranks(self, figure: str, *, ascending: bool) -> "pd.Series[float]":
        """Mean rank of each method over the tasks; 1 is best."""
        return self.over_tasks(figure).rank(axis=1, ascending=ascending).mean()

    def _spread(self) -> "pd.Series[float]":
        """Sd over seeds of the mean over tasks of a method's log density minus the package's."""
        each = self.cells.set_index(["task", "seed", "method"])["log_density"].unstack("method")
        if HYBRID.name not in each:
            return each.mean() * np.nan
        apart = each.sub(each[HYBRID.name], axis=0)
        return apart.groupby("seed").mean().std()

    def methods(self) -> pd.DataFrame:
        """A row for each method, best first."""
        density, coverage = self.over_tasks("log_density"), self.over_tasks("coverage")
        columns = {
            "tasks": density.notna().sum(),
            "rank by log density": self.ranks("log_density", ascending=False),
            "rank by CRPS": self.ranks("crps", ascending=True),
            "log density - ours": self.over_tasks("log_density", "-").mean(),
            "sd over seeds": self._spread(),
            "RMSE / ours": self.over_tasks("rmse", "/").mean(),
            "in layers / ours": self.over_tasks("layer/in", "/").mean(),
            "outside / ours": self.over_tasks("layer/out", "/").mean(),
            "median error / ours": self.over_tasks("error/median", "/").mean(),
            "RMSE of 99% / ours": self.over_tasks("error/most", "/").mean(),
            "coverage": coverage.mean(),
            "lowest": coverage.min(),
            "highest": coverage.max(),
            "slope / ours, away": self.over_tasks("derivative/away", "/").mean(),
            "slope / ours, at thresholds": self.over_tasks("derivative/at", "/").mean(),
            "beyond 10% - ours": self.over_tasks("beyond/10%", "-").mean(),
            "beyond 25% - ours": self.over_tasks("beyond/25%", "-").mean(),
            "threshold error": self.over_tasks("threshold/error").mean(),
            "threshold covered": self.over_tasks("threshold/covers").mean(),
            "regime ECE": self.over_tasks("ece").mean(),
            "seconds": self.over_tasks("seconds").mean(),
        }
        found = pd.DataFrame(columns).dropna(axis=1, how="all")
        return found.sort_values("rank by log density")

    def _targets(self) -> None:
        table, add = self.methods(), self._figures.add
        rows = dict(zip(table.index, table.to_dict("records"), strict=True))
        if HYBRID.name not in rows:
            return
        ours = rows[HYBRID.name]
        for what in ("rank by log density", "rank by CRPS"):
            best = min(row[what] for row in rows.values())
            add(f"{what}, of {len(rows)} methods", ours[what], -np.inf, best)
        add("coverage of the 90% interval, mean over tasks", ours["coverage"], 0.87, 0.93)
        add("the same, lowest", ours["lowest"], 0.8, np.inf)
        add("the same, highest", ours["highest"], -np.inf, 0.97)
        if "threshold error" in table:
            best = table["threshold error"].min()
            add("threshold error, in ranges", ours["threshold error"], -np.inf, best)
        gp = GAUSSIAN_PROCESSES[0].name
        for what, most in (("slope / ours, away", 1.1), ("slope / ours, at thresholds", 0.5)):
            if gp in rows and what in table:
                label = f"RMSE of the slope over a GP's, {what.partition(', ')[2]}"
                add(label, 1.0 / rows[gp][what], -np.inf, most)
        for what in ("beyond 10% - ours", "beyond 25% - ours"):
            controls = [rows[c.name].get(what, np.nan) for c in CONTROLS if c.name in rows]
            if controls and what in table:
                label = f"{what.removesuffix(' - ours')}: log density over the worse control's"
                add(label, -min(controls), 0.0, np.inf)
        for family, curve in self.curves().items():
            label = f"{family}: rows for the better pathway's RMSE at {ROWS}, over {ROWS}"
            add(label, efficiency(curve), -np.inf, TARGETS.get(family, np.inf))

    def curves(self) -> dict[str, pd.DataFrame]:
        """RMSE by rows and method of the families with several sizes."""
        return learning_curves(self.over_tasks("rmse"))

    def table(self) -> str:
        """Figures beside targets, a line for each method, and log densities by task."""
        if self.cells.empty:
            return "\n".join(["no cells", *self._failures()])
        methods = self.methods()
        ranges = methods.pop("lowest").map(_short) + " to " + methods.pop("highest").map(_short)
        of_rows = methods[[name for name in methods if name in _OF_ROWS]]
        of_shape = methods.drop(columns=of_rows.columns)
        by_task = self.over_tasks("log_density").T.loc[methods.index]
        by_task.columns = [str(task).partition("/")[2] for task in by_task]
        parts = [
            self._figures.table(),
            "Predictions, averaged over tasks:",
            _markdown(of_rows.assign(**{"coverage by task": ranges})),
            "Shape and regimes:",
            _markdown(of_shape),
            "Log density by task, nats a row:",
            _markdown(by_task),
        ]
        return "\n\n".join([*parts, *self._failures()])

    def _failures(self) -> list[str]:
        return [f"failed: {name}: {why}" for name, why in self._failed.items()]


def _flat(cell: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers of a cell, by their names with those of what they are in."""
    found: dict[str, float] = {}
    for name, value in cell.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}/")
        elif isinstance(value, int | float):
            found[before + name] = float(value)
    return found


def _markdown(table: pd.DataFrame) -> str:
    lines = [["method", *table.columns], ["---"] * (1 + len(table.columns))]
    lines += [
        [name, *map(_short, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.3g}"


def _present(methods: Sequence[Method]) -> list[Method]:
    """Those whose modules are there."""
    return [method for method in methods if all(map(find_spec, method.needs))]


def _jobs(
    tasks_of: Callable[[Path | None], Sequence[Task]],
    ours: Sequence[Method],
    default_seeds: int,
    given: Given,
) -> Iterator[Job]:
    for task in tasks_of(given.data):
        for seed in given.range(default_seeds):
            for method in (*ours, *_present(PEERS)):
                name = f"{task.name}|{seed}|{method.name}"
                yield name, prediction_cell, (task, method, seed)


def _suite(
    name: str,
    question: str,
    tasks_of: Callable[[Path | None], Sequence[Task]],
    *,
    quick: str,
    ours: Sequence[Method] = (HYBRID, *CONTROLS),
    seeds: int = 5,
) -> Suite:
    return Suite(
        name=name,
        question=question,
        jobs=partial(_jobs, tasks_of, ours, seeds),
        summarise=Standings,
        quick=quick,
    )


def _of_folder(data: Path | None) -> Sequence[Task]:
    return () if data is None else tables.tasks(data)


# Methods of quick runs, which have a tiny budget or need none.
_FEW: Final = r"0\|(bayes_hybrid|gaussian pathway|GP \(scikit)"
SUITES: Final = (
    _suite(
        "ablation",
        "Is the mixture better than its parts, and from how many rows on?",
        lambda _: ablation.TASKS,
        ours=(HYBRID, *CONTROLS, *LAYERS),
        quick=rf"/step/25\|{_FEW}",
    ),
    _suite(
        "tables",
        "Does it predict tables as well as its peers?",
        _of_folder,
        seeds=20,
        quick="",
    ),
    _suite(
        "physics",
        "Does it find the thresholds of physical laws?",
        lambda _: physics.TASKS,
        quick=rf"/stefan\|{_FEW}",
    ),
    _suite(
        "pde",
        "Is it a good surrogate for equations with boundary layers?",
        lambda _: pde.TASKS,
        quick=rf"/convection_diffusion\|{_FEW}",
    ),
    _suite(
        "conditional",
        "Does it learn programs with conditions?",
        lambda _: conditional.TASKS,
        quick=rf"/clamp\|{_FEW}",
    ),
)
