"""Do the findings tell healthy gates from collapsed ones?  ``python -m benchmarks health``.

*Collapsed* fits are the naive fits of :mod:`benchmarks.collapse` at seeds of their own, those that
show their case's symptom.  *Healthy* fits are of six simulated families whose regimes are well
identified:

===============  ===========================================================================
``two_branch``   a wave, and where x > 0 another branch with probability 0.3
``rare``         a wave, and anywhere another branch with a probability from 0.05 to 0.10
``overlap``      two waves, even odds, from three noise scales apart to eleven: where they are
                 near, a row's regime is not certain
``switch``       a wave, then a line; the default gate
``threshold``    the same, with a threshold gate
``three``        three levels one after another; a threshold gate, three experts of one kind
===============  ===========================================================================

A fit to one of these, by the default recipe, is *healthy* when the regimes of its leading reading
agree with the true ones (adjusted Rand index of at least 0.8).  *Failed* ones are counted and their
findings reported beside.

A fit is *flagged* when one of the findings of ``GATE_HEALTH`` is not ok, and *warned of* when any
finding is not.  Cells keep the value and
the threshold of every finding, so that other thresholds can be tried without fitting again.  Cells
are kept as in :mod:`benchmarks.cells`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import adjusted_rand_score

from bayes_hybrid import HybridRegressor
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.findings.health import is_gate_health
from bayes_hybrid.estimator import with_units
from benchmarks.cells import Cell, Figures, Job
from benchmarks.collapse import CASES, options_of
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

NUM_ROWS: Final = 200
FIRST_SEED: Final = 2_000
"""Those of :mod:`benchmarks.collapse` begin at 0; the thresholds were settled on fits to seeds from
1,000 on, which are left out here."""

AGREES: Final = 0.8
"""Between two regimes of equal size, one row in twenty may be mistaken."""

Vector = np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Healthy:
    """Regimes' probabilities ``[N, K]`` and means ``[N, K]`` at x, noise, and the model."""

    gate: Callable[[Vector, np.random.Generator], Vector]
    means: Callable[[Vector], list[Vector]]
    noise: float
    settings: dict[str, Any]


def _one_in(share: Callable[[np.random.Generator], float]) -> Callable[..., Vector]:
    """Two regimes, the second with one probability everywhere."""

    def gate(x: Vector, rng: np.random.Generator) -> Vector:
        second = np.full_like(x, share(rng))
        return np.column_stack([1.0 - second, second])

    return gate


def _right_half(x: Vector, rng: np.random.Generator) -> Vector:
    second = 0.3 * (x > 0.0)
    return np.column_stack([1.0 - second, second])


def _steps(*places: float) -> Callable[..., Vector]:
    def gate(x: Vector, rng: np.random.Generator) -> Vector:
        return np.eye(len(places) + 1)[np.searchsorted(places, x)]

    return gate


_GAUSSIANS: Final = {"experts": ("gaussian", "gaussian"), "noise": "constant"}
HEALTHY: Final = {
    "two_branch": Healthy(
        gate=_right_half,
        means=lambda x: [np.sin(2.0 * x), np.full_like(x, -1.5)],
        noise=0.1,
        settings={"noise": "constant"},
    ),
    "rare": Healthy(
        gate=_one_in(lambda rng: rng.uniform(0.05, 0.1)),
        means=lambda x: [np.sin(2.0 * x), 2.0 + 0.3 * x],
        noise=0.1,
        settings={"noise": "constant"},
    ),
    "overlap": Healthy(
        gate=_one_in(lambda rng: 0.5),
        means=lambda x: [np.sin(2.0 * x) + 0.55 + 0.15 * x, np.sin(2.0 * x) - 0.55 - 0.15 * x],
        noise=0.15,
        settings=_GAUSSIANS,
    ),
    "switch": Healthy(
        gate=_steps(0.3),
        means=lambda x: [np.sin(2.0 * x), 2.0 - 0.5 * x],
        noise=0.1,
        settings={"noise": "constant"},
    ),
    "threshold": Healthy(
        gate=_steps(0.3),
        means=lambda x: [np.sin(2.0 * x), 2.0 - 0.5 * x],
        noise=0.1,
        settings={"noise": "constant", "gate": "threshold"},
    ),
    "three": Healthy(
        gate=_steps(-0.7, 0.7),
        means=lambda x: [0.0 * x, 1.5 + 0.0 * x, 0.5 + 0.0 * x],
        noise=0.15,
        settings={"noise": "constant", "gate": "threshold", "experts": ("gaussian",) * 3},
    ),
}


def healthy_rows(case: Healthy, seed: int) -> tuple[Vector, Vector, Vector]:
    """``x [N, 1]``, ``y [N]`` and the regime of each row."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, NUM_ROWS)
    gate = case.gate(x, rng)
    regime = (rng.random(NUM_ROWS)[:, None] > gate.cumsum(axis=1)).sum(axis=1)
    mean = np.column_stack(case.means(x))[np.arange(NUM_ROWS), regime]
    return x[:, None], mean + case.noise * rng.standard_normal(NUM_ROWS), regime


def fit_healthy(case: Healthy, x: Vector, y: Vector, seed: int) -> HybridRegressor:
    """Eight units a layer, which these curves do with."""
    reg = with_units(regressor(random_state=seed, **case.settings), num_units=8)
    return reg.fit(x, y)


def agreement(reg: HybridRegressor, truth: Vector) -> float:
    """Adjusted Rand index of the leading reading's most probable regimes with the true ones."""
    return float(adjusted_rand_score(truth, reg.training_regimes().argmax(axis=-1)))


def _findings(reg: HybridRegressor) -> dict[str, dict[str, Any]]:
    return {
        found.name: {
            "value": found.value,
            "threshold": found.threshold,
            "comparison": found.comparison,
            "severity": found.severity,
        }
        for found in diagnose(reg.fit_)
    }


def collapsed_cell(case: str, seed: int) -> Cell:
    """A naive fit of a collapse case: whether it has collapsed, and its findings."""
    made = CASES[case]
    rows = made.rows(np.random.default_rng(seed))
    reg = regressor(**made.settings, fit_options=options_of("naive"), random_state=seed)
    reg.fit(rows.x, rows.y)
    symptom = made.symptom(reg, rows)
    return {
        "state": "collapsed" if symptom < 0.5 else "escaped",
        "symptom": symptom,
        "agreement": agreement(reg, rows.regime),
        "usage": reg.training_regimes().mean(axis=0).tolist(),
        "findings": _findings(reg),
        "seconds": reg.fit_.training.seconds,
    }


def healthy_cell(name: str, seed: int) -> Cell:
    """A fit of a healthy family: how far it is healthy by the truth, and its findings."""
    case = HEALTHY[name]
    x, y, truth = healthy_rows(case, seed)
    reg = fit_healthy(case, x, y, seed)
    agrees = agreement(reg, truth)
    return {
        "state": "healthy" if agrees >= AGREES else "failed",
        "agreement": agrees,
        "usage": reg.training_regimes().mean(axis=0).tolist(),
        "findings": _findings(reg),
        "seconds": reg.fit_.training.seconds,
    }


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    for seed in given.range(50, FIRST_SEED):
        for case in CASES:
            yield f"collapsed/{case}/{seed}", collapsed_cell, (case, seed)
    for seed in given.range(34, FIRST_SEED):
        for case in HEALTHY:
            yield f"healthy/{case}/{seed}", healthy_cell, (case, seed)


# -- figures beside targets


def flags(cell: Cell) -> set[str]:
    """The findings of the gate's health that are not ok, without what is in their brackets."""
    return {
        name.partition("[")[0]
        for name, found in cell["findings"].items()
        if is_gate_health(name) and found["severity"] != "ok"
    }


def warnings(cell: Cell) -> set[str]:
    """All findings that are not ok, without what is in their brackets."""
    found = cell["findings"].items()
    return {name.partition("[")[0] for name, each in found if each["severity"] != "ok"}


def summarise(done: dict[str, Cell]) -> Figures:
    """Share flagged of fits in each state, by case and by finding."""
    out = Figures(done)
    _share(out, "collapsed/", CASES, "collapsed", (0.97, np.inf))
    _share(out, "collapsed/", CASES, "escaped", (-np.inf, np.inf))
    _share(out, "healthy/", HEALTHY, "healthy", (-np.inf, 0.05))
    _share(out, "healthy/", HEALTHY, "failed", (-np.inf, np.inf))
    return out


def _share(out: Figures, prefix: str, cases: Any, state: str, target: tuple[float, float]) -> None:
    cells = {
        case: [
            cell
            for name, cell in out.done.items()
            if name.startswith(f"{prefix}{case}/") and cell["state"] == state
        ]
        for case in cases
    }
    every = [flags(cell) for group in cells.values() for cell in group]
    if not every:
        return
    found = [name for group in cells.values() for cell in group for name in warnings(cell)]
    quiet = 1.0 - float(np.mean([bool(warnings(c)) for group in cells.values() for c in group]))
    least = 0.9 if state == "healthy" else -np.inf
    out.add(f"{state} fits without a warning, of {len(every)}", quiet, least, np.inf)
    for name in sorted(set(found)):
        share = found.count(name) / len(every)
        out.add(f"{state}: warned of by {name}", share, -np.inf, np.inf)
    flagged = np.array([bool(found) for found in every])
    error = float(np.sqrt(flagged.mean() * (1.0 - flagged.mean()) / len(flagged)))
    out.add(f"{state} fits flagged, of {len(every)}", flagged.mean(), *target, error)
    for case, group in cells.items():
        if group:
            share = float(np.mean([bool(flags(cell)) for cell in group]))
            out.add(f"{state}, {case}: flagged, of {len(group)}", share, -np.inf, np.inf)


SUITE: Final = Suite(
    name="health",
    question="Do the findings tell healthy gates from collapsed ones?",
    jobs=jobs,
    summarise=summarise,
    quick="/(twins|threshold)/",
)
