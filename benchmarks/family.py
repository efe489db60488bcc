"""Do the parts of the family do what they are for?  ``python -m benchmarks.family``.

======================  =========================================================================
section                 question
======================  =========================================================================
``outliers``            do robust likelihoods keep the mean where a tenth of the rows are wrong?
``labels``              do labels of a tenth of the rows say which overlapping regime is which?
``thresholds``          does the threshold's interval cover, and is it as narrow as NUTS's?
``mcp``                 is the posterior of two change points that of the R package mcp?
======================  =========================================================================

Cells are kept as in :mod:`benchmarks.cells`.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.metrics import log_loss

from bayes_hybrid import HybridRegressor
from bayes_hybrid.data import simulate
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.random import spawn_seeds
from benchmarks.cells import Cell, Figures, Job, run_jobs

SECTIONS = ("outliers", "labels", "thresholds", "mcp")
TEST_ROWS = 2_000


# -- outliers: a tenth of the rows of `step` get an error of sd 3


def outlier_cell(likelihood: str, dirty: bool, seed: int) -> Cell:
    """``step``, N=200: RMSE of the mean against the truth, log density of rows like the training's.

    Test rows are contaminated as the training rows are.
    """
    seeds = spawn_seeds(seed, 4)
    train = simulate("step", 200, seed=seeds[0])
    test = simulate("step", TEST_ROWS, seed=seeds[1])
    y, y_test = (
        rows.y + (_gross_errors(len(rows.y), error_seed) if dirty else 0.0)
        for rows, error_seed in ((train, seeds[2]), (test, seeds[3]))
    )
    reg = HybridRegressor(likelihood=likelihood, random_state=seed, progress=False)
    reg.fit(train.x, y)
    return {
        "rmse": float(np.sqrt(np.mean((reg.predict(test.x) - test.mean) ** 2))),
        "median_rmse": float(
            np.sqrt(np.mean((reg.predict_quantile(test.x, [0.5])[:, 0] - test.mean) ** 2))
        ),
        "log_density": float(reg.log_density(test.x, y_test).mean()),
        "seconds": reg.fit_.seconds,
    }


def _gross_errors(num_rows: int, seed: int) -> np.ndarray:
    """Normal errors of sd 3 on a random tenth of the rows, zero elsewhere."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(num_rows) < 0.1, rng.normal(0.0, 3.0, num_rows), 0.0)


# -- labels: two regimes that overlap in x and in y


def overlapping(num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x ~ U(-2, 2); z ~ Bernoulli(sigmoid(1.5 x)); y = sin(2 x) + z + .35 eps."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, num_rows)
    regime = (rng.random(num_rows) < expit(1.5 * x)).astype(int)
    y = np.sin(2.0 * x) + regime + 0.35 * rng.standard_normal(num_rows)
    return x[:, None], y, regime


def label_cell(share: float, seed: int) -> Cell:
    """N=300: log loss of p(z | x, y) and log density of new rows, with labels of a share of rows.

    Without labels the regimes have no names: they get those that suit the test rows better.
    """
    train_seed, test_seed, label_seed = spawn_seeds(seed, 3)
    x, y, regime = overlapping(300, train_seed)
    x_test, y_test, truth = overlapping(TEST_ROWS, test_seed)
    known = np.random.default_rng(label_seed).random(len(y)) < share
    labels = np.where(known, regime.astype(float), np.nan) if share else None
    reg = HybridRegressor(random_state=seed, progress=False).fit(x, y, regime_label=labels)
    probs = reg.predict_regime(x_test, y_test)
    losses = [log_loss(truth, order, labels=[0, 1]) for order in (probs, probs[:, ::-1])]
    return {
        "log_loss": float(losses[0] if share else min(losses)),
        "log_density": float(reg.log_density(x_test, y_test).mean()),
        "seconds": reg.fit_.seconds,
    }


def jobs(sections: list[str], seeds: range, data: Path | None) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    if "outliers" in sections:
        for seed in seeds:
            for likelihood in LIKELIHOODS:
                for dirty in (False, True):
                    name = f"outliers/{seed}/{likelihood}/{'dirty' if dirty else 'clean'}"
                    yield name, outlier_cell, (likelihood, dirty, seed)
    if "labels" in sections:
        for seed in seeds:
            for share in (0.0, 0.1):
                yield f"labels/{seed}/{share:g}", label_cell, (share, seed)


def main() -> None:
    """Run what is left, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--seeds", type=int, default=5, help="simulated data sets of a kind")
    parser.add_argument("--data", type=Path, help="folder with regime/mcp_demo.csv")
    parser.add_argument("--cells", type=Path, default=Path("benchmark-output/family-cells.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/family.json"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    done = run_jobs(jobs(args.sections, range(args.seeds), args.data), args.cells, args.jobs)
    figures = Figures(done)
    print(figures.table())


if __name__ == "__main__":
    main()
