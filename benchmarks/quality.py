"""How good are the fits?  ``python -m benchmarks quality`` prints targets beside figures.

Every cell (one data set, one model) is a fit with the estimator's defaults and a stated seed.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from bayes_hybrid import HMC, SGHMC, FitOptions, HybridRegressor, Variational
from bayes_hybrid.data import FAMILIES, load_motorcycle, simulate
from bayes_hybrid.inference import Posterior
from bayes_hybrid.random import spawn_seeds
from benchmarks.cells import Cell, Figures, Job
from benchmarks.fits import regressor
from benchmarks.methods.gaussian_processes import GAUSSIAN_PROCESSES
from benchmarks.suite import Given, Suite
from benchmarks.tasks.tables import uci_split

SIZES = (50, 200)
TEST_ROWS = 2_000
LOW_NOISE = 0.001
LOW_NOISE_FAMILIES = ("smooth", "step", "kink")
PROBS = (0.05, 0.95)
SINGLES = ("gaussian", "relu")
# The same with one noise level for all x: what a single pathway is elsewhere.
CONSTANT = ("gaussian_constant", "relu_constant")
# Five times the gradients of the default (4.8), from other starting points.
REFERENCE = FitOptions(
    variational=Variational(num_draws=100),
    sampler=HMC(num_warmup=300, num_iterations=500, num_leapfrog=30, budget=None),
)
# SVI alone, with three times the default's restarts.
ENSEMBLE = FitOptions(num_restarts=48, sampler=None)
# The default before regimes and weights of restarts were settled by their predictions; its four KL
# weights were tried in one run.
EARLIER = FitOptions(
    plan="direct",
    variational=Variational(num_steps=1_500, selection_steps=400),
)
# SG-HMC where HMC could have been.
MINIBATCH = FitOptions(sampler=SGHMC(batch_size=128, budget=None))
OTHERS = {"ensemble": ENSEMBLE, "earlier": EARLIER, "minibatch": MINIBATCH}
# RMSE and log density of the best that is published for the standard splits.
TABLES = {
    "boston": (2.68, -2.35),
    "concrete": (4.83, -2.83),
    "kin8nm": (0.08, 1.20),
    "power": (4.01, -2.79),
}
Rows = tuple[np.ndarray, np.ndarray]


# -- one cell


def scores(posterior: Posterior, x: np.ndarray, y: np.ndarray) -> Cell:
    """Mean log density, RMSE of the mean and coverage of the central 90% interval."""
    cdf = posterior.predictive.pit(x, y)
    return {
        "log_density": float(posterior.predictive.log_density(x, y).mean()),
        "rmse": float(np.sqrt(np.mean((posterior.predictive.mean(x) - y) ** 2))),
        "coverage": float(np.mean((cdf > PROBS[0]) & (cdf < PROBS[1]))),
        "rows": len(y),
    }


def fit_scores(
    train: Rows,
    test: Rows,
    seed: int,
    **settings: Any,
) -> tuple[Cell, HybridRegressor]:
    """Fit with ``settings``; score the posterior, and what HMC went on from beside it."""
    start = time.perf_counter()
    reg = regressor(random_state=seed, **settings).fit(*train)
    fit = reg.fit_
    cell = {
        "seconds": time.perf_counter() - start,
        "method": fit.training.method,
        "kl_weight": fit.training.kl_weight,
        "status": fit.training.status,
        "default": scores(fit.posterior, *test),
        "svi": scores(fit.variational, *test),
    }
    return cell, reg


def simulated(family: str, size: int, noise: float, seed: int) -> tuple[Rows, Rows]:
    """Training and test rows; the test rows have a seed of their own."""
    train_seed, test_seed = spawn_seeds(seed, 2)
    train = simulate(family, size, noise_scale=noise, seed=train_seed)
    test = simulate(family, TEST_ROWS, noise_scale=noise, seed=test_seed)
    return (train.x, train.y), (test.x, test.y)


def family_cell(family: str, size: int, noise: float, seed: int, what: str) -> Cell:
    """One simulated data set and one way to fit it."""
    train, test = simulated(family, size, noise, seed)
    if what == "gp":
        gp = GAUSSIAN_PROCESSES[0].fit(*train, seed)
        return {"default": {"log_density": float(gp.log_density(*test).mean())}}
    if what == "truth":
        return {"default": {"log_density": true_density(family, *test, noise)}}
    if what == "reference":
        return fit_scores(train, test, seed + 1_000, fit_options=REFERENCE)[0]
    if what in OTHERS:
        return fit_scores(train, test, seed, fit_options=OTHERS[what])[0]
    if what != "mixture":
        model, _, suffix = what.partition("_")
        return fit_scores(train, test, seed, model=model, noise=suffix or "input")[0]
    cell, reg = fit_scores(train, test, seed)
    if family == "step":
        cell["switch"] = switch_interval(reg.fit_.posterior)
    return cell


def true_density(family: str, x: np.ndarray, y: np.ndarray, noise: float) -> float:
    """Mean log density of the rows under the density that they were drawn from."""
    x = x[:, 0]
    if family != "two_branch":
        means, _ = FAMILIES[family](x, np.random.default_rng(0))
        return float(np.mean(norm.logpdf(y, means, noise)))
    branch = 0.3 * (x > 0)
    terms = [norm.logpdf(y, np.sin(2 * x), noise), norm.logpdf(y, -1.5, noise)]
    return float(np.mean(logsumexp(terms, axis=0, b=[1 - branch, branch])))


def switch_interval(posterior: Posterior) -> Cell:
    """90% interval of where the gate switches: per draw, the crossing of 1/2 with the largest jump.

    The jump is the distance between the experts' means there; draws whose gate never crosses 1/2
    within the data are left out and counted.
    """
    grid = np.linspace(-2.0, 2.0, 801)[:, None]
    gate = posterior.by_draw.regime_probability(grid)[..., 1]
    means = posterior.by_draw.expert_mean(grid)
    jump = np.abs(means[..., 1] - means[..., 0]).reshape(-1, len(grid))
    above = gate.reshape(-1, len(grid)) > 0.5
    crossing = above[:, 1:] != above[:, :-1]
    found = crossing.any(-1)
    best = np.argmax(np.where(crossing, jump[:, 1:], -1.0), axis=-1)[found]
    points = 0.5 * (grid[best, 0] + grid[best + 1, 0])
    low, high = np.quantile(points, PROBS) if len(points) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high), "crossing": float(found.mean())}


def motorcycle_cell(fold: int, model: str) -> Cell:
    """One fold of ten of the motorcycle data: row index modulo 10."""
    table = load_motorcycle()
    x, y = table.iloc[:, :1].to_numpy(float), table.iloc[:, 1].to_numpy(float)
    test = np.arange(len(y)) % 10 == fold
    return fit_scores((x[~test], y[~test]), (x[test], y[test]), fold, model=model)[0]


def uci_cell(data: Path, name: str, split: int, what: str = "default") -> Cell:
    """One split, with the default or one of the ``OTHERS``."""
    settings: dict[str, Any] = {"fit_options": OTHERS[what]} if what in OTHERS else {}
    train, test = ((rows.x, rows.y) for rows in uci_split(data, name, split))
    return fit_scores(train, test, split, **settings)[0]


# -- all cells


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    seeds, splits = given.range(5), given.range(20)
    for family in FAMILIES:
        for size in SIZES:
            for seed in seeds:
                for what in ("mixture", "reference", *SINGLES, *CONSTANT, "gp", "truth"):
                    name = f"families/{family}/{size}/{seed}/{what}"
                    yield name, family_cell, (family, size, 0.1, seed, what)
    for family in LOW_NOISE_FAMILIES:
        for seed in seeds:
            for what in ("mixture", "reference"):
                name = f"low_noise/{family}/{seed}/{what}"
                yield name, family_cell, (family, 200, LOW_NOISE, seed, what)
    for fold in range(10):
        for model in ("mixture", "gaussian", "relu"):
            yield f"motorcycle/{fold}/{model}", motorcycle_cell, (fold, model)
    for what in OTHERS:
        for family in FAMILIES:
            for size in SIZES:
                for seed in seeds:
                    name = f"{what}/families/{family}/{size}/{seed}"
                    yield name, family_cell, (family, size, 0.1, seed, what)
        for family in LOW_NOISE_FAMILIES:
            for seed in seeds:
                name = f"{what}/low_noise/{family}/{seed}"
                yield name, family_cell, (family, 200, LOW_NOISE, seed, what)
    if given.data is None:
        return
    for name in TABLES:
        for split in splits:
            yield f"{name}/{split}", uci_cell, (given.data, name, split)
    for what in OTHERS:
        for name in ("boston", "concrete"):
            for split in splits:
                yield f"{what}/{name}/{split}", uci_cell, (given.data, name, split, what)


def summarise(done: dict[str, Cell]) -> Figures:
    """Every figure beside its target."""
    out = Figures(done)
    density = "log_density"
    for family in FAMILIES:
        for size in SIZES:
            prefix, label = f"families/{family}/{size}/", f"{family}, N={size}"
            mixture = out.values(prefix, "/mixture", "default", density)
            svi = out.values(prefix, "/mixture", "svi", density)
            reference = out.values(prefix, "/reference", "default", density)
            for name, values in (("default", mixture), ("SVI before HMC", svi)):
                if len(values) > 1:
                    error = float(values.std(ddof=1) / np.sqrt(len(values)))
                    what = f"{label}: {name}, log density"
                    out.add(what, float(values.mean()), -np.inf, np.inf, error)
            out.gap(f"{label}: SVI before HMC minus long HMC, nats/row", svi, reference, -0.05)
            out.gap(f"{label}: default minus long HMC, nats/row", mixture, reference, -0.02)
            coverage = out.values(prefix, "/mixture", "default", "coverage")
            low, high = (0.82, 0.96) if size == 50 else (0.86, 0.94)
            if len(coverage):
                out.add(f"{label}: 90% interval coverage", float(coverage.mean()), low, high)
            truth = out.values(prefix, "/truth", "default", density)
            bound = {"step": 0.3 if size == 200 else -0.02, "two_branch": 1.0}
            for names, kind in ((SINGLES, "noise a function of x"), (CONSTANT, "constant noise")):
                single = [out.values(prefix, f"/{name}", "default", density) for name in names]
                if len(single[0]) == len(mixture) > 0:
                    better = max(single, key=np.mean)
                    what = f"{label}: mixture minus better single pathway ({kind})"
                    out.gap(what, mixture, better, bound.get(family, -0.02))
                    what = f"{label}: the true density minus that single pathway"
                    out.gap(what, truth, better, -np.inf)
    gp = out.values("families/smooth/50/", "/gp", "default", density)
    mixture = out.values("families/smooth/50/", "/mixture", "default", density)
    out.gap("smooth, N=50: mixture minus GP (RBF + white)", mixture, gp, -0.03)
    _switch(out)
    for family in LOW_NOISE_FAMILIES:
        prefix = f"low_noise/{family}/"
        reference = out.values(prefix, "/reference", "default", density)
        for kind, label in (("svi", "SVI before HMC"), ("default", "default")):
            values = out.values(prefix, "/mixture", kind, density)
            if len(values) > 1:
                error = float(values.std(ddof=1) / np.sqrt(len(values)))
                what = f"{family}, noise sd 0.001: {label}, log density"
                out.add(what, float(values.mean()), -np.inf, np.inf, error)
            out.gap(f"{family}, noise sd 0.001: {label} minus long HMC", values, reference, -0.1)
    _motorcycle(out)
    for name, (rmse, bar) in TABLES.items():
        for kind, label in (("default", "default"), ("svi", "SVI before HMC")):
            values = out.values(f"{name}/", "", kind, density)
            if len(values):
                error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
                what = f"{name}, {len(values)} splits, {label}"
                out.add(f"{what}: log density", float(values.mean()), bar, np.inf, float(error))
                errors = out.values(f"{name}/", "", kind, "rmse")
                error = errors.std(ddof=1) / np.sqrt(len(errors)) if len(values) > 1 else 0.0
                out.add(f"{what}: RMSE", float(errors.mean()), -np.inf, rmse, float(error))
    _others(out)
    return out


def _others(out: Figures) -> None:
    """SVI with many restarts beside HMC, and the default beside the earlier one, row by row."""
    settings = {f"families/{family}/{size}": "/mixture" for family in FAMILIES for size in SIZES}
    settings |= {f"low_noise/{family}": "/mixture" for family in LOW_NOISE_FAMILIES}
    settings |= {"boston": "", "concrete": ""}
    for setting, suffix in settings.items():
        label = setting.removeprefix("families/")
        beside, name = ("/reference", "long HMC") if suffix else ("", "default")
        ensemble, reference = _pairs(out, "ensemble", setting, beside)
        what = f"{label}: 48 restarts of SVI alone minus {name}, nats/row, {len(ensemble)} cells"
        out.gap(what, ensemble, reference, -0.02)
        minibatch, ours = _pairs(out, "minibatch", setting, suffix)
        what = f"{label}: SG-HMC on 128 rows a step minus HMC, nats/row, {len(ours)} cells"
        out.gap(what, minibatch, ours, -0.02)
        for kind, name in (("default", "default"), ("svi", "SVI before HMC")):
            earlier, ours = _pairs(out, "earlier", setting, suffix, kind)
            what = f"{label}: {name} minus that of the earlier default, nats/row"
            out.gap(f"{what}, {len(ours)} cells", ours, earlier, -0.01)


def _pairs(
    out: Figures, what: str, setting: str, suffix: str, kind: str = "default"
) -> tuple[np.ndarray, np.ndarray]:
    """Log densities of the cells ``what/setting/*`` and of those beside them, where both ran."""
    prefix = f"{what}/{setting}/"
    pairs = [
        (cell[kind]["log_density"], out.done[other][kind]["log_density"])
        for name, cell in out.done.items()
        if name.startswith(prefix) and (other := name.removeprefix(f"{what}/") + suffix) in out.done
    ]
    ours, theirs = np.array(pairs).reshape(-1, 2).T
    return ours, theirs


def _switch(out: Figures) -> None:
    names = [n for n in out.done if n.startswith("families/step/200/") and "switch" in out.done[n]]
    intervals = [out.done[n]["switch"] for n in names]
    if intervals:
        covers = np.mean([i["low"] <= 0.3 <= i["high"] for i in intervals])
        what = f"step, N=200: switch intervals that cover 0.3, share of {len(names)}"
        out.add(what, float(covers), 0.8, 1.0)
        widths = [i["high"] - i["low"] for i in intervals]
        out.add(
            "step, N=200: mean width of the switch interval", float(np.mean(widths)), -np.inf, 0.15
        )
        what = "step, N=200: median width of the switch interval"
        out.add(what, float(np.median(widths)), -np.inf, 0.15)


def _motorcycle(out: Figures) -> None:
    best: dict[str, float] = {}
    for model in ("mixture", "gaussian", "relu"):
        for kind in ("default", "svi"):
            density = out.values("motorcycle/", f"/{model}", kind, "log_density")
            if not len(density):
                return
            rows = out.values("motorcycle/", f"/{model}", kind, "rows")
            rmse = out.values("motorcycle/", f"/{model}", kind, "rmse")
            best[f"{model}/{kind}"] = float(np.average(density, weights=rows))
            if model == "mixture":
                label = f"motorcycle, 10 folds, {'SVI before HMC' if kind == 'svi' else kind}"
                pooled = float(np.sqrt(np.average(rmse**2, weights=rows)))
                out.add(f"{label}: log density", best["mixture/" + kind], -4.28, np.inf)
                out.add(f"{label}: RMSE", pooled, -np.inf, 23.1)
    single = max(best["gaussian/default"], best["relu/default"])
    difference = best["mixture/default"] - single
    out.add("motorcycle: mixture minus better single pathway, log density", difference, 0.0, np.inf)


SUITE: Final = Suite(
    name="quality",
    question="How good are the fits, beside long HMC, single pathways and earlier defaults?",
    jobs=jobs,
    summarise=summarise,
    quick="^families/step/50/0/(mixture|gp|truth)|^motorcycle/0/mixture",
)
