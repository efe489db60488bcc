"""Does the answer depend on the seed?  ``python -m benchmarks stability``.

======================  =========================================================================
cells                   what is fitted, with each seed
======================  =========================================================================
``default``             four fifths of the motorcycle data, default settings
``constant``            the same with one noise level per regime, as README and demo have it
``nudged``              the same as ``constant``, with x moved by a millionth
``uncompiled``          the same as ``constant``, with the recorded graph as it is
``FAMILY/SIZE``         ``step``, ``two_branch`` and ``kink``, of 50 and 200 rows
``CASE``                the four cases of :mod:`benchmarks.collapse`
======================  =========================================================================

Every fifth row of the motorcycle data, from number 2 on, is left out.  Figures: mean and
standard deviation over the seeds of the held-out log density per row; of the leading reading its
weight, whether it has the same rows in every seed (adjusted Rand index of the most probable
regimes, at least .9), and the mean absolute difference of p(z | x, y) of two seeds.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import numpy as np
from sklearn.metrics import adjusted_rand_score

from bayes_hybrid import FitOptions, HybridRegressor
from bayes_hybrid.data import load_motorcycle, simulate
from benchmarks.cells import Cell, Figures, Job
from benchmarks.collapse import CASES, NUM_ROWS
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

_FAMILIES: Final = ("step", "two_branch", "kink")
_SIZES: Final = (50, 200)
# Worst standard deviation over seeds, by rows.
_SPREADS: Final = {50: 0.03, 200: 0.01}
_SAME: Final = 0.9


def _cell(reg: HybridRegressor, x: np.ndarray, y: np.ndarray) -> Cell:
    fit = reg.fit_
    return {
        "log_density": float(reg.log_density(x, y).mean()),
        "readings": [[reading.weight, *reading.usage] for reading in fit.readings],
        "regimes": reg.training_regimes()[:, 0].tolist(),
        "temperature": fit.training.temperature,
        "seconds": fit.training.seconds,
        "warnings": [found.name for found in reg.diagnose() if found.severity != "ok"],
    }


def motorcycle_cell(noise: str, nudge: float, compiled: str, seed: int) -> Cell:
    """Fitted without every fifth row."""
    table = load_motorcycle()
    x, y = table[["times"]].to_numpy(), table["accel"].to_numpy()
    x = x * (1.0 + nudge * np.random.default_rng(seed).standard_normal(x.shape))
    out = np.arange(2, len(x), 5)
    reg = regressor(noise=noise, fit_options=FitOptions(compile=compiled), random_state=seed)
    reg.fit(np.delete(x, out, axis=0), np.delete(y, out))
    return _cell(reg, x[out], y[out])


def family_cell(family: str, size: int, seed: int) -> Cell:
    """One data set, another seed of the fit."""
    rows, new = simulate(family, size, seed=0), simulate(family, 1_000, seed=1)
    reg = regressor(random_state=seed).fit(rows.x, rows.y)
    return _cell(reg, new.x, new.y)


def collapse_cell(case: str, seed: int) -> Cell:
    """One data set, another seed of the fit."""
    made = CASES[case]
    rows, new = (made.rows(np.random.default_rng(data)) for data in (0, 1))
    reg = regressor(**made.settings, random_state=seed).fit(rows.x, rows.y)
    return _cell(reg, new.x, new.y)


def jobs(given: Given) -> Iterator[Job]:
    """Every cell."""
    noises = {
        "default": ("input", 0.0, "auto"),
        "constant": ("constant", 0.0, "auto"),
        "nudged": ("constant", 1e-6, "auto"),
        "uncompiled": ("constant", 0.0, "never"),
    }
    for seed in given.range(10):
        for section, settings in noises.items():
            yield f"{section}/{seed}", motorcycle_cell, (*settings, seed)
        for family in _FAMILIES:
            for size in _SIZES:
                yield f"{family}/{size}/{seed}", family_cell, (family, size, seed)
        for case in CASES:
            yield f"{case}/{seed}", collapse_cell, (case, seed)


def summarise(done: dict[str, Cell]) -> Figures:
    """Means and spreads over seeds, beside the targets."""
    out = Figures(done, side_by_side=True)
    _section(out, "default", -4.35, 0.015)
    for same in ("constant", "nudged", "uncompiled"):
        _section(out, same, -4.45, 0.03)
    for family in _FAMILIES:
        for size in _SIZES:
            _section(out, f"{family}/{size}", -np.inf, _SPREADS[size])
    for case in CASES:
        _section(out, case, -np.inf, _SPREADS[NUM_ROWS])
    return out


def _section(out: Figures, name: str, least: float, spread: float) -> None:
    cells: list[dict[str, Any]] = [c for key, c in out.done.items() if key.startswith(f"{name}/")]
    if len(cells) < 2:
        return
    label = f"{name}, {len(cells)} seeds"
    density = np.array([cell["log_density"] for cell in cells])
    weights = np.array([cell["readings"][0][0] for cell in cells])
    regimes = [np.array(cell["regimes"]) for cell in cells]
    labels = [shares > 0.5 for shares in regimes]
    pairs = list(combinations(range(len(cells)), 2))
    same = np.array([adjusted_rand_score(labels[a], labels[b]) >= _SAME for a, b in pairs])
    apart = np.mean([np.abs(regimes[a] - regimes[b]).mean() for a, b in pairs])
    out.add(f"{label}: log density", float(density.mean()), least, np.inf)
    out.add(f"{label}: its sd", float(density.std(ddof=1)), -np.inf, spread)
    out.add(f"{label}: weight of the leading reading", float(weights.mean()), -np.inf, np.inf)
    out.add(f"{label}: sd of that", float(weights.std(ddof=1)), -np.inf, 0.1)
    out.add(f"{label}: pairs of seeds that agree on it", float(same.mean()), 1.0, np.inf)
    out.add(f"{label}: difference of p(z given x, y)", float(apart), -np.inf, 0.03)
    quiet = np.mean([not cell["warnings"] for cell in cells])
    out.add(f"{label}: fits without a warning", float(quiet), 0.9, np.inf)
    out.add(f"{label}: seconds", float(np.mean([c["seconds"] for c in cells])), -np.inf, np.inf)


SUITE: Final = Suite(
    name="stability",
    question="Does the answer depend on the seed?",
    jobs=jobs,
    summarise=summarise,
    quick="^(default|twins)/",
)
