"""Do the parts of the family do what they are for?  ``python -m benchmarks family``.

======================  =========================================================================
cells                   question
======================  =========================================================================
``outliers``            do robust likelihoods keep the mean where a tenth of the rows are wrong?
``labels``              do labels of a tenth of the rows say which overlapping regime is which?
``thresholds``          does the threshold's interval cover, and is it as narrow as NUTS's?
``mcp``                 is the posterior of two change points that of the R package mcp?
======================  =========================================================================
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import log_loss

from bayes_hybrid import (
    HMC,
    NUTS,
    FitOptions,
    LogNormalPrior,
    Pathway,
    ThresholdGate,
    Variational,
)
from bayes_hybrid.data import simulate
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.random import spawn_seeds
from benchmarks.cells import Cell, Figures, Job
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

TEST_ROWS = 2_000
NUM_THRESHOLDS = 100
# NUTS takes chains one after another: the widths are compared on the first sets.
NUM_NUTS = 5


# -- outliers: a tenth of the rows of `step` get an error of sd 3


OUTLIER_MODELS: dict[str, dict[str, Any]] = {
    **{name: {"likelihood": name} for name, kind in LIKELIHOODS.items() if kind.standardises},
    # Regimes that follow each other along x, unless the gate turns so gentle that one of them is
    # the outliers'.
    **{
        f"{name} under a threshold": {"likelihood": name, "gate": "threshold"}
        for name in ("normal", "student_t", "huber", "pseudo_huber", "contaminated_normal")
    },
}

# What is lost with the rows themselves: a row beside the step says where the step is.
LEFT_OUT: dict[str, str] = {
    "wrong rows left out": "normal",
    "wrong rows left out under a threshold": "normal under a threshold",
}


def outlier_cell(model: str, dirty: bool, seed: int) -> Cell:
    """``step``, N=200: RMSE of the mean against the truth, log density of rows like the training's.

    Test rows are contaminated as the training rows are.  The models of ``LEFT_OUT`` know which rows
    are wrong.
    """
    seeds = spawn_seeds(seed, 4)
    train = simulate("step", 200, seed=seeds[0])
    test = simulate("step", TEST_ROWS, seed=seeds[1])
    y, y_test = (
        rows.y + (_gross_errors(len(rows.y), error_seed) if dirty else 0.0)
        for rows, error_seed in ((train, seeds[2]), (test, seeds[3]))
    )
    settings = OUTLIER_MODELS[LEFT_OUT.get(model, model)]
    used = y == train.y if model in LEFT_OUT else np.full(len(y), True)
    reg = regressor(**settings, random_state=seed)
    reg.fit(train.x[used], y[used])
    return {
        "rmse": float(np.sqrt(np.mean((reg.predict(test.x) - test.mean) ** 2))),
        "median_rmse": float(
            np.sqrt(np.mean((reg.predict_quantile(test.x, [0.5])[:, 0] - test.mean) ** 2))
        ),
        "log_density": float(reg.log_density(test.x, y_test).mean()),
        "seconds": reg.fit_.training.seconds,
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
    reg = regressor(random_state=seed).fit(x, y, regime_label=labels)
    probs = reg.predict_regime(x_test, y_test)
    losses = [log_loss(truth, order, labels=[0, 1]) for order in (probs, probs[:, ::-1])]
    return {
        "log_loss": float(losses[0] if share else min(losses)),
        "log_density": float(reg.log_density(x_test, y_test).mean()),
        "seconds": reg.fit_.training.seconds,
    }


# -- thresholds: two lines, one threshold, and the same model by NUTS

LINE = Pathway(kind="gaussian", smoothing="identity", num_units=1, noise="constant")
BY_NUTS = FitOptions(
    num_restarts=2,
    variational=Variational(num_draws=150),
    sampler=NUTS(num_warmup=150, num_iterations=150, max_tree_depth=6, budget=None),
)


def two_lines(num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """x ~ U(0, 10), threshold ~ U(3, 7): slopes of .3 and -.2, a jump of 1, noise of sd .4."""
    rng = np.random.default_rng(seed)
    x, threshold = rng.uniform(0.0, 10.0, num_rows), rng.uniform(3.0, 7.0)
    away = x - threshold
    mean = np.where(away < 0.0, 0.3 * away, 1.0 - 0.2 * away)
    return x[:, None], mean + 0.4 * rng.standard_normal(num_rows), float(threshold)


def threshold_cell(how: str, seed: int) -> Cell:
    """N=100: the threshold's 90% interval, by the recipe (6 restarts of 12) or by NUTS."""
    x, y, truth = two_lines(100, seed)
    options = BY_NUTS if how == "nuts" else FitOptions(num_restarts=6)
    reg = regressor(
        gate="threshold",
        experts=(LINE, LINE),
        fit_options=options,
        random_state=seed,
    ).fit(x, y)
    row = reg.thresholds(prob=0.9).iloc[0]
    return {
        "covers": bool(row["lower"] <= truth <= row["upper"]),
        "width": float(row["upper"] - row["lower"]),
        "seconds": reg.fit_.training.seconds,
    }


# -- mcp: a constant, a joined line, and another line


def mcp_cell(data: Path, seed: int) -> Cell:
    """Mean and sd of both change points.

    R's mcp was asked for a constant that goes over into a line (the change point is the kink of
    one ReLU unit) and then jumps to another line (the gate's threshold).  Its second change is
    abrupt, so the sharpness's prior is that of an abrupt one.
    """
    table = pd.read_csv(data / "regime" / "mcp_demo.csv")
    reg = regressor(
        gate=ThresholdGate(sharpness=LogNormalPrior(median=400.0, spread=0.5)),
        experts=(Pathway(kind="relu", num_units=1, noise="constant"), LINE),
        fit_options=FitOptions(
            variational=Variational(num_draws=200),
            sampler=HMC(num_warmup=150, num_iterations=200, budget=None),
        ),
        random_state=seed,
    ).fit(table[["time"]], table["response"])
    posterior = reg.fit_.posterior
    weight, bias = (
        posterior.sites[f"relu.0.{leaf}_raw"].reshape(-1) for leaf in ("weight", "bias")
    )
    kink = -bias / weight * posterior.x_scaling.scale[0] + posterior.x_scaling.mean[0]
    row = reg.thresholds().iloc[0]
    file = data / "regime" / "mcp_demo_posterior_summary.csv"
    by_mcp = pd.read_csv(file).set_index("param")[["mean", "sd"]].astype(float).T.to_dict()
    found = {"cp_1": (kink.mean(), kink.std()), "cp_2": (row["mean"], row["sd"])}
    return {
        "seconds": reg.fit_.training.seconds,
        **{
            point: {
                "mean": float(mean),
                "sd": float(sd),
                **{f"reference_{what}": value for what, value in by_mcp[point].items()},
            }
            for point, (mean, sd) in found.items()
        },
    }


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    for seed in given.range(5):
        for model in OUTLIER_MODELS:
            for dirty in (False, True):
                name = f"outliers/{seed}/{model}/{'dirty' if dirty else 'clean'}"
                yield name, outlier_cell, (model, dirty, seed)
        for model in LEFT_OUT:
            yield f"outliers/{seed}/{model}/dirty", outlier_cell, (model, True, seed)
        for share in (0.0, 0.1):
            yield f"labels/{seed}/{share:g}", label_cell, (share, seed)
    for seed in given.range(NUM_THRESHOLDS):
        yield f"thresholds/{seed}/recipe", threshold_cell, ("recipe", seed)
        if seed < NUM_NUTS:
            yield f"thresholds/{seed}/nuts", threshold_cell, ("nuts", seed)
    if given.data is not None:
        yield "mcp/0", mcp_cell, (given.data, 0)


# -- figures beside targets


def summarise(done: dict[str, Cell]) -> Figures:
    """Figures of the cells that are there."""
    out = Figures(done)
    _outliers(out)
    _labels(out)
    _thresholds(out)
    if "mcp/0" in done:
        _mcp(out)
    return out


def _outliers(out: Figures) -> None:
    density = {
        name: out.values("outliers/", f"/{name}/dirty", "log_density").mean()
        for name in (*OUTLIER_MODELS, *LEFT_OUT)
        if len(out.values("outliers/", f"/{name}/dirty", "log_density"))
    }
    for name in density:
        bound = 1.25 if "huber" in name or "contaminated" in name else np.inf
        for field, what in (("rmse", "mean"), ("median_rmse", "median")):
            dirty = out.values("outliers/", f"/{name}/dirty", field)
            clean = out.values("outliers/", f"/{LEFT_OUT.get(name, name)}/clean", field)
            label = f"outliers, {name}: RMSE of the predictive {what} over that of clean data"
            out.add(label, dirty.mean() / clean.mean(), -np.inf, bound)
        # The target is to be the best, or within .02 of Student's t.
        low = density.get("student_t", np.nan) - 0.02 if np.isfinite(bound) else -np.inf
        out.add(f"outliers, {name}: log density", float(density[name]), low, np.inf)


def _labels(out: Figures) -> None:
    without, with_labels = (
        {field: out.values("labels/", f"/{share}", field) for field in ("log_loss", "log_density")}
        for share in ("0", "0.1")
    )
    if len(without["log_loss"]) and len(with_labels["log_loss"]):
        ratio = with_labels["log_loss"].mean() / without["log_loss"].mean()
        out.add("labels of a tenth: log loss of the regime, over that without", ratio, -np.inf, 0.7)
        out.add("no labels: log loss of the regime", without["log_loss"].mean(), -np.inf, np.inf)
        what = "labels of a tenth: log density minus that without"
        out.gap(what, with_labels["log_density"], without["log_density"], 0.0)


def _thresholds(out: Figures) -> None:
    covers, width = (out.values("thresholds/", "/recipe", field) for field in ("covers", "width"))
    if not len(covers):
        return
    error = float(np.sqrt(0.9 * 0.1 / len(covers)))
    what = f"thresholds, {len(covers)} sets: coverage of the 90% interval"
    out.add(what, covers.mean(), 0.85, 0.95, error)
    out.add("thresholds: median width", float(np.median(width)), -np.inf, np.inf)
    nuts = {n: c["width"] for n, c in out.done.items() if n.endswith("/nuts")}
    if nuts:
        ratios = [out.done[n.replace("/nuts", "/recipe")]["width"] / w for n, w in nuts.items()]
        what = f"thresholds: width over NUTS's, median of {len(nuts)} sets"
        out.add(what, float(np.median(ratios)), -np.inf, 1.3)


def _mcp(out: Figures) -> None:
    for point in ("cp_1", "cp_2"):
        ours = out.done["mcp/0"][point]
        mean, sd = ours["reference_mean"], ours["reference_sd"]
        out.add(f"mcp, {point}: mean minus mcp's, in its sd", (ours["mean"] - mean) / sd, -1.0, 1.0)
        out.add(f"mcp, {point}: sd over mcp's", ours["sd"] / sd, 0.7, 1.3)


SUITE: Final = Suite(
    name="family",
    question="Do the parts of the family do what they are for?",
    jobs=jobs,
    summarise=summarise,
    quick="(outliers/0/normal/|labels/0/0.1|thresholds/0/recipe)",
)
