"""Are regimes where the fit says they are?  ``python -m benchmarks regimes``.

======================  =========================================================================
cells                   question
======================  =========================================================================
``boundary``            does the 90% interval of a ReLU gate's boundary cover the place of a step?
``ece``                 are probabilities of overlapping regimes calibrated on new rows?
======================  =========================================================================
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from bayes_hybrid import FitOptions
from bayes_hybrid.data import simulate
from bayes_hybrid.data.simulators import SWITCH_POINT
from bayes_hybrid.diagnostics import regime_scores
from bayes_hybrid.random import spawn_seeds
from benchmarks.cells import Cell, Figures, Job
from benchmarks.family import TEST_ROWS, overlapping
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

FIRST_SEED = 100
"""The recipe was settled on data sets of seeds below."""
RESTARTS = {
    "default": FitOptions(),
    # Many rows are beyond HMC's budget.
    "svi": FitOptions(sampler=None),
}


def boundary_cell(restarts: str, seed: int) -> Cell:
    """``step``, N=100: the boundary that most draws have; of equal ones, the narrowest.

    A fit without a boundary does not cover.  ``gap`` is the distance between the rows on either
    side of the step: the data say nothing about where in it the step is.
    """
    rows = simulate("step", 100, seed=seed)
    options = RESTARTS[restarts]
    reg = regressor(fit_options=options, random_state=seed).fit(rows.x, rows.y)
    place = np.sort(rows.x[:, 0])
    after = int(np.searchsorted(place, SWITCH_POINT))
    gap = float(place[after] - place[after - 1])
    cell: Cell = {"gap": gap, "seconds": reg.fit_.training.seconds}
    for of in ("gate", "rows"):
        found = reg.boundaries(of=of).boundaries
        if not found:
            cell[of] = {"covers": False, "exists": 0.0}
            continue
        best = max(found, key=lambda each: (each.probability_exists, each.lower - each.upper))
        cell[of] = {
            "covers": bool(best.lower <= SWITCH_POINT <= best.upper),
            "exists": best.probability_exists,
            "agreement": best.agreement,
            "width": best.upper - best.lower,
            "listed": len(found),
        }
    return cell


def ece_cell(restarts: str, seed: int) -> Cell:
    """N=2,000 of overlapping regimes: calibration of p(z | x, y) on as many new rows.

    Without labels the regimes have no names: they get those that suit the test rows better.
    """
    train_seed, test_seed = spawn_seeds(seed, 2)
    x, y, _ = overlapping(2_000, train_seed)
    x_test, y_test, truth = overlapping(TEST_ROWS, test_seed)
    options = RESTARTS[restarts]
    reg = regressor(fit_options=options, random_state=seed).fit(x, y)
    probs = reg.predict_regime(x_test, y_test)
    orders = (probs, probs[:, ::-1])
    scores = min(
        (regime_scores(order, truth, reg.regimes_)["value"] for order in orders),
        key=lambda score: float(score["log_loss"]),
    )
    values = {str(name): float(value) for name, value in scores.items()}
    return {**values, "seconds": reg.fit_.training.seconds}


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    for how in RESTARTS:
        for seed in given.range(100, FIRST_SEED):
            yield f"boundary/{seed}/{how}", boundary_cell, (how, seed)
        for seed in given.range(3, FIRST_SEED):
            yield f"ece/{seed}/{how}", ece_cell, (how, seed)


# -- figures beside targets


def summarise(done: dict[str, Cell]) -> Figures:
    """Figures of the sections that have cells."""
    out = Figures(done)
    for how in RESTARTS:
        _boundary(out, how)
        ece = out.values("ece/", f"/{how}", "ece")
        if len(ece):
            out.add(f"ece, {how}, mean of {len(ece)} sets", float(ece.mean()), -np.inf, 0.03)
    return out


def _boundary(out: Figures, how: str) -> None:
    gap = out.values("boundary/", f"/{how}", "gap")
    if not len(gap):
        return
    out.add(f"boundary, {how}: median gap around the step", float(np.median(gap)), -np.inf, np.inf)
    for of in ("gate", "rows"):
        what = f"boundary of the {of}, {how}"
        covers = out.values("boundary/", f"/{how}", of, "covers")
        exists = out.values("boundary/", f"/{how}", of, "exists")
        error = float(np.sqrt(0.9 * 0.1 / len(covers)))
        out.add(f"{what}: coverage in {len(covers)} sets", covers.mean(), 0.85, 0.95, error)
        there = exists > 0.0
        out.add(f"{what}: share of sets with one", float(there.mean()), -np.inf, np.inf)
        if not there.any():
            continue
        out.add(f"{what}: coverage where there is one", covers[there].mean(), -np.inf, np.inf)
        cells = [c[of] for n, c in out.done.items() if n.endswith(f"/{how}") and of in c]
        widths = [each["width"] for each in cells if "width" in each]
        out.add(f"{what}: median width", float(np.median(widths)), -np.inf, np.inf)
        out.add(f"{what}: median share of draws", float(np.median(exists)), -np.inf, np.inf)


SUITE: Final = Suite(
    name="regimes",
    question="Are regimes where the fit says they are?",
    jobs=jobs,
    summarise=summarise,
    quick="/default$",
)
