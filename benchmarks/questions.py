"""Are thresholds and labels those that are published?  ``python -m benchmarks questions``.

======================  ===========================================================================
cells                   question
======================  ===========================================================================
``place/...``           is the published place of a change inside the 90% interval, and is that as
                        wide as the reference's?
``place/lynx/...``      the same of a threshold autoregression (SETAR), which has an estimate only.
``labels/...``          of how many rows are the regimes right, which the fit is not told?  Of two
                        lines also: are the slopes within two posterior standard deviations?
``covers/...``          does the 90% interval of a threshold cover it, where targets are counts or
                        events?  Simulated, 100 rows, another threshold in each set.
``choose/lines_K/...``  is K found, where K lines with jumps between them are simulated, 150 rows?
``choose/...``          is what others fit to a data set chosen?
======================  ===========================================================================

``choose`` has levels and lines for candidates there; ``choose_smooth/...`` is the same with smooth
experts too, as by default.

Data and references of the other cells are in the folder that ``--data`` names: exact posteriors of
the Nile's flow and of coal mining disasters, MCMC of the R package mcp, estimates of the R package
segmented.  A method is told what the curves are and whether they meet, as the other package was.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hybrid import ABRUPT, FitOptions, ThresholdGate, choose
from bayes_hybrid.choosing.candidates import EXPERTS
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, sd_over_draws
from bayes_hybrid.random import spawn_seeds
from benchmarks.cells import Cell, Figures, Job
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

_HALF: Final = float(stats.norm.ppf(0.95))
FIRST_SEED: Final = 100
# Mean of the target below and above the threshold.
LEVELS: Final = {
    "poisson": (6.0, 2.0),
    "negative_binomial": (6.0, 2.0),
    "bernoulli": (0.8, 0.2),
}
_CONCENTRATION: Final = 5.0
DRAW: Final[dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]]] = {
    "poisson": lambda rng, mean: rng.poisson(mean),
    "negative_binomial": lambda rng, mean: rng.negative_binomial(
        _CONCENTRATION, _CONCENTRATION / (_CONCENTRATION + mean)
    ),
    "bernoulli": lambda rng, mean: rng.binomial(1, mean),
}
"""Targets of given means."""


FIRST_SET: Final = 300
# Fewer simulated sets say nothing of a share of nine in ten.
_ENOUGH: Final = 20
_CURVES: Final = ("constant", "line")
CHOICES: Final = {
    "nile": ("regime/nile.csv", "year", "flow", ("2-constants", "2-lines", "2-lines-joined")),
    "flexmix_npreg": ("regime/flexmix_npreg.csv", "x", "yn", ()),
    "tonedata": (
        "regime/tonedata.csv",
        "stretchratio",
        "tuned",
        ("2-lines-mixed", "2-lines", "2-lines-joined"),
    ),
    "nmoe_sim": ("moe/nmoe_sim.csv", "x", "y", ("2-lines-mixed", "2-lines", "2-lines-joined")),
    "tmoe_sim": ("moe/tmoe_sim.csv", "x", "y", ("2-lines-mixed", "2-lines", "2-lines-joined")),
}
"""Data sets with two regimes: table, feature, target, and the candidates that are right; none where
any of two regimes is."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A data set with a published place of each change.

    Args:
        table: file of ``regime/``.
        x: names of the features; thresholds are on the last one.
        y: name of the target.
        reference: middle and half the width of the 90% interval of each threshold, a width of NaN
            where only an estimate is published.
        settings: of the estimator, but for the gate.
        group: rows of one group only, of the column ``group``.
    """

    table: str
    x: tuple[str, ...]
    y: str
    reference: tuple[tuple[float, float], ...]
    settings: dict[str, Any] = field(default_factory=dict)
    group: str | None = None


def _lines(count: int, joined: bool | Sequence[bool] = True) -> dict[str, Any]:
    return {"experts": ("line",) * count, "joined": joined}


def _exact(folder: Path, name: str) -> tuple[tuple[float, float], ...]:
    """Of a change after one of the years, whose posterior is known: it is half a year later."""
    year, prob = pd.read_csv(folder / f"{name}_changepoint_posterior.csv").to_numpy(float).T
    ends = year[np.searchsorted(prob.cumsum() / prob.sum(), [0.05, 0.95])] + 0.5
    low, high = ends.tolist()
    return (((low + high) / 2.0, (high - low) / 2.0),)


def places(folder: Path) -> dict[str, Place]:
    """The data sets, by name."""
    levels = {"experts": ("constant", "constant")}
    mcp = pd.read_csv(folder / "mcp_demo_posterior_summary.csv").set_index("param")
    changes = mcp.loc[["cp_1", "cp_2"], ["mean", "sd"]].to_numpy(float)
    found = {
        "nile": Place(
            table="nile", x=("year",), y="flow", reference=_exact(folder, "nile"), settings=levels
        ),
        "coal": Place(
            table="coal_annual",
            x=("year",),
            y="disasters",
            reference=_exact(folder, "coal"),
            settings={**levels, "likelihood": "poisson"},
        ),
        "mcp_demo": Place(
            table="mcp_demo",
            x=("time",),
            y="response",
            reference=tuple((mean, _HALF * sd) for mean, sd in changes.tolist()),
            settings={"experts": ("constant", "line", "line"), "joined": (True, False)},
        ),
        # Estimates of segmented and their standard errors.
        "muggeo_1": Place(
            table="muggeo_1",
            x=("x",),
            y="y",
            reference=((7.152, _HALF * 0.101), (12.161, _HALF * 0.095)),
            settings=_lines(3),
        ),
    }
    # Of the R package tsDyn: setar(log10(lynx), m=2, thDelay=1).
    found["lynx"] = Place(
        table="lynx",
        x=("one_year_before", "two_years_before"),
        y="log10_lynx",
        reference=((3.310, float("nan")),),
        settings=_lines(2, joined=False),
    )
    # Of segmented, with 95% intervals.
    for group, middle, low, high in (
        ("RKV", 383.8, 366.9, 400.6),
        ("RKW", 469.1, 441.4, 496.8),
        ("RWC", 331.4, 312.3, 350.5),
    ):
        half = _HALF / float(stats.norm.ppf(0.975)) * (high - low) / 2.0
        found[f"plant_{group}"] = Place(
            table="plant",
            x=("time",),
            y="y",
            reference=((middle, half),),
            settings=_lines(2),
            group=group,
        )
    return found


def _table(folder: Path, place: Place) -> pd.DataFrame:
    """The rows; of a series of lynx trapped a year, its logarithms beside those before."""
    table = pd.read_csv(folder / f"{place.table}.csv")
    if place.group is not None:
        return table[table["group"] == place.group]
    if place.table != "lynx":
        return table
    level = np.log10(table["lynx"])
    before = dict(zip(place.x, (level.shift(1), level.shift(2)), strict=True))
    return pd.DataFrame({**before, place.y: level}).dropna()


def place_cell(folder: Path, name: str, seed: int) -> Cell:
    """One fit with an abrupt threshold gate, and each of its thresholds."""
    place = places(folder)[name]
    table = _table(folder, place)
    gate = ThresholdGate(sharpness=ABRUPT, feature=place.x[-1])
    reg = regressor(gate=gate, random_state=seed, **place.settings)
    reg.fit(table[list(place.x)], table[place.y])
    found = reg.thresholds(prob=0.9)
    cell: Cell = {"seconds": reg.fit_.training.seconds}
    thresholds = found[["mean", "lower", "upper"]].to_numpy().tolist()
    for k, (mean, lower, upper) in enumerate(thresholds, start=1):
        middle, half = place.reference[k - 1]
        cell[str(k)] = {
            "mean": mean,
            "lower": lower,
            "upper": upper,
            "reference": middle,
            "inside": lower <= middle <= upper,
            "width": (upper - lower) / (2.0 * half),
        }
    return cell


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A data set whose regimes are known.

    Args:
        table: file below the data folder.
        y: name of the target; the feature is ``x``.
        label: name of the column of the regimes, from 1 on.
        right: rows whose regime is right, at least and at most.
        settings: of the estimator.
        slopes: those of the two lines, where they are known.
    """

    table: str
    y: str
    label: str
    right: tuple[float, float]
    settings: dict[str, Any]
    slopes: tuple[float, float] | None = None


_EXPERTS: Final = {"experts": ("line", "line"), "gate": "linear", "noise": "constant"}
LABELS: Final = {
    # A line and a parabola that cross.
    "flexmix_npreg": Labelled(
        table="regime/flexmix_npreg.csv",
        y="yn",
        label="class",
        right=(188, np.inf),
        settings={"experts": ("line", "polynomial"), "gate": "constant", "noise": "constant"},
    ),
    "nmoe_sim": Labelled(
        table="moe/nmoe_sim.csv",
        y="y",
        label="label",
        right=(448, 460),
        settings=_EXPERTS,
        slopes=(-2.5, 2.5),
    ),
    "tmoe_sim": Labelled(
        table="moe/tmoe_sim.csv",
        y="y",
        label="label",
        right=(457, 469),
        settings={**_EXPERTS, "likelihood": "student_t"},
        slopes=(-2.5, 2.5),
    ),
}


def labels_cell(folder: Path, name: str, seed: int) -> Cell:
    """Rows whose regime is right, and errors of the slopes in posterior standard deviations."""
    data = LABELS[name]
    table = pd.read_csv(folder / data.table)
    reg = regressor(random_state=seed, **data.settings).fit(table[["x"]], table[data.y])
    found = reg.predict_regime(table[["x"]], table[data.y]).argmax(axis=1)
    right = int((found == table[data.label].to_numpy() - 1).sum())
    cell: Cell = {"right": max(right, len(table) - right), "seconds": reg.fit_.training.seconds}
    if data.slopes is not None:
        posterior = reg.fit_.for_regimes.posterior
        draws = posterior.by_draw.slopes([[0.0]], 0)[1][:, :, 0]
        mean = mean_over_draws(draws, posterior.restart_weights)
        sd = sd_over_draws(draws, posterior.restart_weights)
        order = np.argsort(mean)
        cell["slopes"] = mean[order].tolist()
        cell["off"] = float(np.abs((mean[order] - data.slopes) / sd[order]).max())
    return cell


def covers_cell(family: str, seed: int) -> Cell:
    """Levels on both sides of a threshold between 30% and 70% of the range."""
    rng = np.random.default_rng(spawn_seeds(seed, 1)[0])
    x = np.sort(rng.uniform(0.0, 10.0, 100))
    threshold = float(rng.uniform(3.0, 7.0))
    below, above = LEVELS[family]
    y = DRAW[family](rng, np.where(x < threshold, below, above)).astype(float)
    reg = regressor(
        likelihood=family,
        experts=("constant", "constant"),
        gate=ThresholdGate(sharpness=ABRUPT),
        random_state=seed,
    ).fit(x[:, None], y)
    ((mean, lower, upper),) = reg.thresholds(prob=0.9)[["mean", "lower", "upper"]].to_numpy()
    return {
        "covers": bool(lower <= threshold <= upper),
        "error": float(mean - threshold),
        "width": float(upper - lower),
        "seconds": reg.fit_.training.seconds,
    }


def lines(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """K lines over 0 to 10 with noise of 0.5, and jumps of 2 to 4 between them, 150 rows."""
    rng = np.random.default_rng(spawn_seeds(seed, 1)[0])
    x = np.sort(rng.uniform(0.0, 10.0, 150))
    ends = {1: (), 2: ((3.0, 7.0),), 3: ((2.5, 4.0), (6.0, 7.5))}[size]
    places = np.array([rng.uniform(low, high) for low, high in ends])
    jumps = rng.uniform(2.0, 4.0, size - 1) * rng.choice([-1.0, 1.0], size - 1)
    slopes = rng.uniform(-1.0, 1.0, size)
    edges = np.concatenate([[0.0], places, [10.0]])
    # Each line goes on from the end of the one before, and a jump.
    starts = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(edges)[:-1] + jumps)])
    k = np.searchsorted(places, x)
    y = starts[k] + slopes[k] * (x - edges[k]) + 0.5 * rng.normal(size=len(x))
    return x, y


def choose_cell(
    x: np.ndarray, y: np.ndarray, seed: int, experts: Sequence[str], right: Sequence[str], size: int
) -> Cell:
    """What is chosen, what that costs, and whether it is right."""
    # Compiled code is kept from set to set: the fits of all sets have the same graphs.
    base = regressor(random_state=seed, fit_options=FitOptions(compile="always"))
    started, used = time.perf_counter(), time.process_time()
    choice = choose(x[:, None], y, base=base, experts=experts)
    return {
        "chosen": choice.best,
        "regimes": choice.num_regimes,
        "right": choice.best in right if right else choice.num_regimes == size,
        "folds": bool((choice.table["by"] == "folds").any()),
        "tried": len(choice.table),
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - used,
    }


def lines_cell(size: int, seed: int, experts: Sequence[str]) -> Cell:
    """Of simulated lines."""
    return choose_cell(*lines(size, seed), seed, experts, (), size)


def data_cell(folder: Path, name: str, seed: int, experts: Sequence[str]) -> Cell:
    """Of a data set."""
    file, x, y, right = CHOICES[name]
    table = pd.read_csv(folder / file)
    return choose_cell(table[x].to_numpy(float), table[y].to_numpy(float), seed, experts, right, 2)


def choose_jobs(given: Given) -> Iterator[Job]:
    """Those of ``choose``; seed by seed, so that few seeds are of every kind."""
    for kind, experts in (("choose", _CURVES), ("choose_smooth", EXPERTS)):
        for seed in given.range(100, FIRST_SET):
            for size in (1, 2, 3):
                yield f"{kind}/lines_{size}/{seed}", lines_cell, (size, seed, experts)
        for name in CHOICES if given.data is not None else ():
            for seed in given.range(5):
                yield f"{kind}/{name}/{seed}", data_cell, (given.data, name, seed, experts)


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    for family in LEVELS:
        for seed in given.range(100, FIRST_SEED):
            yield f"covers/{family}/{seed}", covers_cell, (family, seed)
    yield from choose_jobs(given)
    if given.data is None:
        return
    folder = given.data / "regime"
    for name in places(folder):
        for seed in given.range(5):
            yield f"place/{name}/{seed}", place_cell, (folder, name, seed)
    for name in LABELS:
        for seed in given.range(5):
            yield f"labels/{name}/{seed}", labels_cell, (given.data, name, seed)


def summarise(done: dict[str, Cell]) -> Figures:
    """Figures of the data sets that have cells."""
    out = Figures(done)
    names = {name.split("/")[1] for name in done if name.startswith("place/")}
    for name in sorted(names):
        cells = [cell for key, cell in done.items() if key.startswith(f"place/{name}/")]
        for k in sorted(key for key in cells[0] if key.isdigit()):
            each = pd.DataFrame([cell[k] for cell in cells])
            what = f"{name}, threshold {k} (published {each['reference'].iloc[0]:.5g})"
            spread = float(each["mean"].std())
            out.add(f"{what}: mean over {len(each)} seeds", each["mean"].mean(), -np.inf, np.inf)
            out.add(f"{what}: sd over seeds", spread, -np.inf, np.inf)
            out.add(f"{what}: inside the 90% interval, share of seeds", each["inside"].mean(), 1, 1)
            if not np.isnan(width := each["width"].mean()):
                out.add(f"{what}: width over the reference's", width, 0.7, 1.3)
    for family in LEVELS:
        covers = out.values(f"covers/{family}/", "", "covers")
        if len(covers):
            error = float(np.sqrt(0.9 * 0.1 / len(covers)))
            what = f"{family}: thresholds covered in {len(covers)} sets"
            out.add(what, covers.mean(), 0.85, 0.95, error)
    for kind, words in (("choose", "levels or lines"), ("choose_smooth", "smooth, too")):
        for name in (*(f"lines_{size}" for size in (1, 2, 3)), *CHOICES):
            right = out.values(f"{kind}/{name}/", "", "right")
            if len(right):
                low = {"lines_1": 0.95, "lines_2": 0.9, "lines_3": 0.9}.get(name, 1.0)
                error = float(np.sqrt(low * (1.0 - low) / len(right)))
                if low < 1.0 and len(right) < _ENOUGH:
                    low, error = -np.inf, 0.0
                what = f"choose, {words}: {name}, right in {len(right)} sets or seeds"
                out.add(what, right.mean(), low, 1.0 if low > 0.0 else np.inf, error)
                cpu = out.values(f"{kind}/{name}/", "", "cpu")
                out.add(f"choose, {words}: {name}, CPU seconds", cpu.mean(), -np.inf, np.inf)
    for name, data in LABELS.items():
        right = out.values(f"labels/{name}/", "", "right")
        if len(right):
            low, high = data.right
            out.add(f"{name}: labels right, mean over {len(right)} seeds", right.mean(), low, high)
            out.add(f"{name}: the same, lowest", right.min(), low, high)
        if len(right) and data.slopes is not None:
            off = out.values(f"labels/{name}/", "", "off")
            out.add(f"{name}: slopes off by posterior sds, most", off.max(), 0.0, 2.0)
    return out


SUITE: Final = Suite(
    name="questions",
    question="Are thresholds and labels those that are published?",
    jobs=jobs,
    summarise=summarise,
    quick="/poisson/",
)
