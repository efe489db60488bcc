"""How fast is it?  ``python -m benchmarks speed`` times the engine beside its peers, in one run.

The same model, priors, data, mean-field guide, one particle and Adam for everyone; one thread;
each figure is the median of repeats (``--seeds``) in which the methods take turns.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import arviz as az
import numpy as np
import pyro
import torch
from pyro.infer import SVI, JitTrace_ELBO, Trace_ELBO, TraceEnum_ELBO
from pyro.infer.autoguide import AutoNormal, init_to_sample
from torch import Tensor

from bayes_hybrid import FitOptions, Pathway
from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior, fit
from bayes_hybrid.inference.engine.adam import Schedule
from bayes_hybrid.inference.engine.graph import LogJoint, log_joint
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.guides.ascent import Ascent, CompiledAscent
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import whiten
from bayes_hybrid.inference.posterior.evaluation import evaluate_regimes
from bayes_hybrid.models import HybridMixture, Target
from benchmarks.cells import Cell, Job
from benchmarks.peers import HandWritten, hand_written_step, numpyro_model, pyro_model
from benchmarks.suite import Given, Suite
from benchmarks.tasks.tables import uci_split

FEATURES = 4
SIZES = ((200, 200), (1_000, 1_000), (10_000, 256))
UNITS = (32, 128)
RESTARTS = (1, 8, 32)
_SIZE = ("rows", "batch", "units", "restarts")
RATE, SCALE = 0.01, 0.05
# Held-out log density of boston, split 0, that is asked for: the bar of benchmarks/quality.py.
DENSITY = -2.35
Run = Callable[[int], None]
Row = dict[str, Any]


def model_of(units: int, features: int = FEATURES) -> HybridMixture:
    """The default mixture with H units in each expert."""
    experts = (Pathway(kind="gaussian", num_units=units), Pathway(kind="relu", num_units=units))
    return HybridMixture(num_features=features, experts=experts)


def data_of(num_rows: int) -> tuple[Tensor, Tensor]:
    """A step in the first of four features, standardised."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num_rows, FEATURES, generator=generator)
    y = torch.sin(x[:, 1]) + (x[:, 0] > 0.3) + 0.1 * torch.randn(num_rows, generator=generator)
    return x, (y - y.mean()) / y.std()


# -- one SVI step, by everyone: each returns a function that takes so many steps


def minibatches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All rows, or random ones, for ever."""
    while True:
        if size == len(x):
            yield x, y
        else:
            index = torch.randint(len(x), (size,))
            yield x[index], y[index]


def engine(
    model: HybridMixture, x: Tensor, y: Tensor, size: int, restarts: int, *, compiled: bool
) -> Run:
    """This package: the recorded graph as it is, or the whole step compiled."""
    joint = LogJoint(model, x, min(8, restarts), compiled=compiled)
    rows = Rows(joint, x, Target(y), size, torch.Generator().manual_seed(0))
    parameters = joint.table.num_parameters
    center = 0.1 * torch.randn(restarts, parameters, generator=rows.generator)
    empty = torch.zeros(restarts, 0, 0, dtype=torch.float64)
    none = torch.zeros(0, dtype=torch.long)
    whitening = whiten(center, empty, none, torch.full((restarts,), SCALE))
    guide = BlockGaussian.start(whitening, 1.0)
    schedule = Schedule(RATE, 50_000, final=1.0, decay=0.999)  # a constant rate
    make = CompiledAscent if compiled else Ascent
    ascent = make(rows, guide, rows.all_rows(restarts), schedule)

    def run(steps: int) -> None:
        for _ in range(steps):
            ascent.step(torch.randn(restarts, parameters))

    return run


def hand_written(
    model: HybridMixture, x: Tensor, y: Tensor, size: int, restarts: int, *, compiled: bool
) -> Run:
    """The model written by hand in flat torch, in eager mode or compiled as one program."""
    log_joint = HandWritten(model)
    mean = 0.1 * torch.randn(restarts, log_joint.num_parameters)
    log_sd = torch.full_like(mean, float(np.log(SCALE)))
    moments = [torch.zeros_like(mean) for _ in range(4)]
    state: tuple[Tensor, ...] = (mean, log_sd, *moments, torch.zeros(()), torch.zeros(restarts))
    step = hand_written_step(log_joint, mean, RATE)
    if compiled:
        step = torch.compile(step, fullgraph=True, dynamic=False)
    batches, scale = minibatches(x, y, size), len(x) / size

    def run(steps: int) -> None:
        nonlocal state
        with torch.no_grad():
            for _ in range(steps):
                state = step(state, torch.randn_like(mean), *next(batches), scale)

    return run


def by_pyro(
    model: HybridMixture,
    x: Tensor,
    y: Tensor,
    size: int,
    restarts: int,
    *,
    elbo: Any,
) -> Run:
    """Pyro's own loop with one of its ELBOs; it knows one restart at a time."""
    del restarts
    enumerated = elbo is TraceEnum_ELBO
    program = model.enumerated if enumerated else pyro_model(model)
    hidden = pyro.poutine.block(program, hide=["z"]) if enumerated else program
    guide = AutoNormal(hidden, init_loc_fn=init_to_sample, init_scale=SCALE)
    svi = SVI(program, guide, pyro.optim.ClippedAdam({"lr": RATE}), elbo(max_plate_nesting=1))
    batches, parameters = minibatches(x, y, size), None

    def run(steps: int) -> None:
        nonlocal parameters
        # The store is global, and every guide of this kind has the same names in it.
        with pyro.get_param_store().scope(parameters) as parameters:
            take(steps)

    def take(steps: int) -> None:
        for _ in range(steps):
            # A traced program takes tensors only; the scale N / B does not change its cost.
            svi.step(*next(batches))

    return run


def by_numpyro(model: HybridMixture, x: Tensor, y: Tensor, size: int, restarts: int) -> Run:
    """NumPyro's jitted update, with a map over the restarts."""
    import jax
    import jax.numpy as jnp
    import numpyro

    guide = numpyro.infer.autoguide.AutoNormal(numpyro_model(model), init_scale=SCALE)
    svi = numpyro.infer.SVI(
        numpyro_model(model), guide, numpyro.optim.Adam(RATE), numpyro.infer.Trace_ELBO()
    )
    rows, scale = (jnp.asarray(x.numpy()), jnp.asarray(y.numpy())), len(x) / size
    keys = jax.random.split(jax.random.PRNGKey(0), restarts)
    state = jax.vmap(lambda key: svi.init(key, *rows, scale))(keys)

    def update(state: Any, key: Any) -> Any:
        part = rows
        if size < len(x):
            index = jax.random.randint(key, (size,), 0, len(x))
            part = (rows[0][index], rows[1][index])
        return jax.vmap(lambda one: svi.update(one, *part, scale)[0])(state)

    compiled = jax.jit(update)
    key = jax.random.PRNGKey(1)

    def run(steps: int) -> None:
        nonlocal state, key
        for _ in range(steps):
            key, now = jax.random.split(key)
            state = compiled(state, now)
        jax.block_until_ready(state)

    return run


METHODS: dict[str, Callable[..., Run]] = {
    "engine, compiled": partial(engine, compiled=True),
    "engine, recorded": partial(engine, compiled=False),
    "torch by hand, compiled": partial(hand_written, compiled=True),
    "torch by hand": partial(hand_written, compiled=False),
    "NumPyro, jitted update": by_numpyro,
    "Pyro, Trace_ELBO": partial(by_pyro, elbo=Trace_ELBO),
    "Pyro, TraceEnum_ELBO": partial(by_pyro, elbo=TraceEnum_ELBO),
    "Pyro, JitTrace_ELBO": partial(by_pyro, elbo=JitTrace_ELBO),
}


def steps_of(num_rows: int, size: int, units: int, restarts: int, repeats: int) -> Cell:
    """Milliseconds of one step by every method, on one core."""
    everywhere = os.sched_getaffinity(0)
    # torch obeys its number of threads, XLA obeys this.
    os.sched_setaffinity(0, sorted(everywhere)[:1])
    try:
        return {"rows": _steps(num_rows, size, units, restarts, repeats)}
    finally:
        os.sched_setaffinity(0, everywhere)


def _steps(num_rows: int, size: int, units: int, restarts: int, repeats: int) -> list[Row]:
    model, (x, y) = model_of(units), data_of(num_rows)
    torch.compiler.reset()  # one function may be compiled for eight shapes only
    runs, counts = {}, {}
    for name, make in METHODS.items():
        if name.startswith("Pyro") and restarts > 1:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs[name] = run = make(model, x, y, size, restarts)
            run(3)
        started = time.perf_counter()
        run(5)
        counts[name] = max(5, int(0.3 / ((time.perf_counter() - started) / 5)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run(counts[name])
            times[name].append(1e3 * (time.perf_counter() - started) / counts[name])
    size_row = {"rows": num_rows, "batch": size, "units": units, "restarts": restarts}
    return [
        {**size_row, "method": name, "ms": float(np.median(values))}
        for name, values in times.items()
    ]


# -- whole processes

_START = """
import sys, time
import torch
from benchmarks.speed import data_of, model_of
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.models import Target
x, y = data_of(200)
compiled = sys.argv[1] == "compile"
started = time.perf_counter()
joint = LogJoint(model_of(32), x, 8, compiled=compiled)
joint.prepare(x, Target(y))
print(time.perf_counter() - started)
"""
_END = """
import resource, time
print(time.time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
_MOTORCYCLE = """
from bayes_hybrid import HybridRegressor
from bayes_hybrid.data import load_motorcycle
table = load_motorcycle()
reg = HybridRegressor(noise="constant", random_state=0)
reg.fit(table[["times"]], table["accel"])
reg.diagnose()
"""
_DENSITY = """
import sys, time
from pathlib import Path
from bayes_hybrid import HMC, FitOptions, HybridRegressor
from benchmarks.suite import Given, Suite
from benchmarks.tasks.tables import uci_split
train, test = uci_split(Path(sys.argv[1]), "boston", 0)
options = FitOptions(sampler=HMC(budget=None) if sys.argv[2] == "refined" else None)
reg = HybridRegressor(fit_options=options, random_state=0, progress=False)
posterior = reg.fit(train.x, train.y).fit_.posterior
print(posterior.predictive.log_density(test.x, test.y).mean(), time.time())
"""
_NUMPYRO_DENSITY = """
import sys
from pathlib import Path
from benchmarks.speed import numpyro_run
print(*numpyro_run(Path(sys.argv[1])))
"""
_IMPORT = """
import time
import pyro, torch
started = time.perf_counter()
import bayes_hybrid
print(time.perf_counter() - started)
from bayes_hybrid import HybridRegressor
print(time.perf_counter() - started)
"""


def process(code: str, *arguments: str, cache: str | None = None) -> tuple[float, str]:
    """Wall seconds of a Python process of its own, and what it printed."""
    environment = dict(os.environ)
    if cache is not None:
        environment["TORCHINDUCTOR_CACHE_DIR"] = cache
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return time.perf_counter() - started, done.stdout


def start_rows(repeats: int) -> list[Row]:
    """Recording, and compiling with an empty and a filled cache, in processes of their own."""
    recording = [float(process(_START, "record")[1]) for _ in range(repeats)]
    with tempfile.TemporaryDirectory() as cache:
        cold = float(process(_START, "compile", cache=cache)[1])
        warm = [float(process(_START, "compile", cache=cache)[1]) for _ in range(repeats)]
    return [
        {"what": "recording + first step, no compiler", "seconds": float(np.median(recording))},
        {"what": "recording + compiling, empty cache", "seconds": cold},
        {"what": "recording + compiling, filled cache", "seconds": float(np.median(warm))},
    ]


def to_end(code: str, *arguments: str, cache: str | None = None) -> tuple[list[float], Row]:
    """The numbers that a process printed; and when it had, after what seconds and memory."""
    started = time.time()
    *printed, ended, memory = map(float, process(code + _END, *arguments, cache=cache)[1].split())
    return printed, {"seconds": ended - started, "peak GB": memory}


def motorcycle_rows(repeats: int) -> list[Row]:
    """The fit of the README, from the start of the process to its findings."""
    with tempfile.TemporaryDirectory() as cache:
        cold = to_end(_MOTORCYCLE, cache=cache)[1]
        warm = [to_end(_MOTORCYCLE, cache=cache)[1] for _ in range(repeats)]
    middle = {name: float(np.median([row[name] for row in warm])) for name in warm[0]}
    return [
        {"what": "motorcycle, process to findings, empty compiler cache", **cold},
        {"what": "the same, filled compiler cache", **middle},
    ]


def numpyro_run(data: Path) -> tuple[float, float]:
    """NumPyro's ``SVI.run``, mean-field, 2,000 steps at a time: the best density, and the time.

    It stops at :data:`DENSITY`, or when 20,000 steps have not reached it.
    """
    import jax
    import numpyro

    train, test = uci_split(data, "boston", 0)
    x, y = train.x, train.y
    model = model_of(50, x.shape[1])
    inputs, targets = Standardizer.fit(x), Standardizer.fit(y)
    rows = inputs.transform(x).astype(np.float32), targets.transform(y).astype(np.float32)
    table = SiteTable.of(model, torch.as_tensor(rows[0][:1]))
    program = numpyro_model(model)
    guide = numpyro.infer.autoguide.AutoNormal(program, init_scale=SCALE)
    svi = numpyro.infer.SVI(program, guide, numpyro.optim.Adam(RATE), numpyro.infer.Trace_ELBO())
    state, best = None, (-np.inf, 0.0)
    for steps in range(2_000, 20_001, 2_000):
        done = svi.run(
            jax.random.PRNGKey(steps), 2_000, *rows, progress_bar=False, init_state=state
        )
        state = done.state
        draws = guide.sample_posterior(jax.random.PRNGKey(0), done.params, sample_shape=(400,))
        # The guide gives the local sites' draws too, if there are any.
        values = {site.name: torch.as_tensor(np.array(draws[site.name])) for site in table.sites}
        theta = table.flatten(values, batch_dims=1).unsqueeze(0)
        posterior = Posterior(model=model, theta=theta, x_scaling=inputs, y_scaling=targets)
        best = max(
            best, (float(posterior.predictive.log_density(test.x, test.y).mean()), time.time())
        )
        if best[0] >= DENSITY:
            break
    return best


def density_rows(data: Path) -> list[Row]:
    """Held-out log density beside the seconds it took, from the start of a process."""
    rows = []
    for what, code, *arguments in (
        ("engine, sampler=None", _DENSITY, "plain"),
        ("engine, refined by HMC", _DENSITY, "refined"),
        ("NumPyro, SVI.run, mean-field, one restart", _NUMPYRO_DENSITY),
    ):
        started = time.time()
        with tempfile.TemporaryDirectory() as cache:
            (density, reached), end = to_end(code, str(data), *arguments, cache=cache)
        rows.append({"what": what, "log density": density, **end, "seconds": reached - started})
    return rows


def import_rows(repeats: int) -> list[Row]:
    """What a user waits for before anything happens."""
    importing = [[float(s) for s in process(_IMPORT)[1].split()] for _ in range(repeats)]
    package, regressor = np.median(importing, axis=0)
    code = "import sys; sys.argv = ['bayes-hybrid', '--help']; from bayes_hybrid.cli import main; "
    helping = [process(code + "main()")[0] for _ in range(repeats)]
    return [
        {"what": "import bayes_hybrid after torch, pyro", "seconds": float(package)},
        {"what": "the same and HybridRegressor, with scikit-learn", "seconds": float(regressor)},
        {"what": "bayes-hybrid --help", "seconds": float(np.median(helping))},
    ]


_DEMO = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-m", "bayes_hybrid", "demo", "--out", sys.argv[1], "--force"],
               check=True, stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, usage.ru_maxrss / 2**20)
"""


def demo_rows() -> list[Row]:
    """``bayes-hybrid demo`` as a process of its own, with an empty and a filled compiler cache."""
    return [
        {"what": f"bayes-hybrid demo, {cache} compiler cache", **_demo(cache)}
        for cache in ("cold", "warm")
    ]


def _demo(cache: str) -> Row:
    """Seconds, and the largest process's peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if cache == "cold":
            environment["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder, "compiled"))
        command = [sys.executable, "-c", _DEMO, str(Path(folder, "demo"))]
        result = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        )
    seconds, memory = map(float, result.stdout.split())
    return {"seconds": seconds, "peak GB": memory}


# -- effective draws per second


def sampling_row(what: str, means: np.ndarray, seconds: float, of_sampler: float) -> Row:
    """Bulk ESS of predictive means ``[chains, draws, N]``, its minimum over the rows.

    Of all chains together, which are few effective draws where chains sit in different modes, and
    summed over chains taken one by one, which says how fast each moves.  Seconds are those from
    nothing to draws, and of the sampler alone, its warm-up included.
    """
    together = float(az.ess(az.convert_to_dataset({"mean": means}), method="bulk")["mean"].min())
    alone = [az.ess(az.convert_to_dataset({"mean": chain[None]}))["mean"] for chain in means]
    within = float(sum(ess.to_numpy() for ess in alone).min())
    return {
        "what": what,
        "chains": len(means),
        "seconds": seconds,
        "ess": together,
        "ess_per_second": together / seconds,
        "of_which_sampler": of_sampler,
        "ess_within": within,
        "ess_within_per_second": within / seconds,
    }


def engine_chains(x: np.ndarray, y: np.ndarray, num_chains: int) -> Row:
    """This package's fit: warm start, SVI and HMC, recording and reading compiled code included."""
    log_joint.cache_clear()
    model = model_of(50, x.shape[1])
    options = FitOptions(num_restarts=num_chains)
    started = time.perf_counter()
    fitted = fit(model, x, y, seed=0, options=options)
    seconds = time.perf_counter() - started
    gate = fitted.posterior.by_draw.regime_probability(x)
    means = (gate * fitted.posterior.by_draw.expert_mean(x)).sum(-1)
    hmc = sum(stage.seconds for stage in fitted.training.stages if "HMC" in stage.name)
    return sampling_row("engine: warm start, SVI and batched HMC", means, seconds, hmc)


def numpyro_chains(x: np.ndarray, y: np.ndarray) -> Row:
    """NumPyro's NUTS, 4 vectorised chains, compiling included.

    Trees are cut at 255 leapfrog steps; at its default of 1,023 a run takes half an hour.
    """
    import jax
    import numpyro

    model = model_of(50, x.shape[1])
    inputs = Standardizer.fit(x).transform(x).astype(np.float32)
    targets = Standardizer.fit(y).transform(y).astype(np.float32)
    kernel = numpyro.infer.NUTS(numpyro_model(model), max_tree_depth=8)
    sampler = numpyro.infer.MCMC(
        kernel,
        num_warmup=200,
        num_samples=200,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    started = time.perf_counter()
    sampler.run(jax.random.PRNGKey(0), inputs, targets)
    values = {
        name: torch.as_tensor(np.array(draws))
        for name, draws in sampler.get_samples(group_by_chain=True).items()
    }
    seconds = time.perf_counter() - started
    rows = torch.as_tensor(inputs)
    table = SiteTable.of(model, rows[:1])
    theta = table.flatten(values, batch_dims=2)
    parts = []
    for chain in theta:
        regimes = evaluate_regimes(model, table, chain, rows)
        parts.append(model.predictive(regimes).mean.numpy())
    return sampling_row("NumPyro, NUTS, 4 chains of 200 + 200", np.stack(parts), seconds, seconds)


def hmc_rows(data: Path) -> list[Row]:
    """Effective draws per second of the predictive mean, minimum over the rows: boston, split 0."""
    train, _ = uci_split(data, "boston", 0)
    x, y = train.x, train.y
    # As many as by default, and all that are trained.
    return [*(engine_chains(x, y, count) for count in (16, 32)), numpyro_chains(x, y)]


# -- tables


def step_table(rows: list[Row]) -> list[str]:
    """Milliseconds by size and method, then ratios beside their targets."""
    sizes = list(dict.fromkeys(tuple(row[name] for name in _SIZE) for row in rows))
    cells = {(*(row[name] for name in _SIZE), row["method"]): row["ms"] for row in rows}
    lines = [
        "| " + " | ".join((*_SIZE, *METHODS)) + " |",
        "|---" * (len(_SIZE) + len(METHODS)) + "|",
    ]
    for size in sizes:
        found = [cells.get((*size, method)) for method in METHODS]
        numbers = ["" if ms is None else f"{ms:.2f}" for ms in found]
        lines.append("| " + " | ".join((*map(str, size), *numbers)) + " |")
    ours, recorded = "engine, compiled", "engine, recorded"

    def ratios(slow: str, fast: str, only: Callable[[Any], bool], per_restart: bool) -> list[float]:
        found = []
        for size in sizes:
            # Pyro takes one restart at a time: its step at one restart is its price for each.
            of_slow = (*size[:3], 1) if slow.startswith("Pyro") else size
            scale = size[3] if per_restart else 1
            if only(size) and (*of_slow, slow) in cells and (*size, fast) in cells:
                found.append(scale * cells[*of_slow, slow] / cells[*size, fast])
        return found

    def single(size: Any) -> bool:
        return bool(size[3] == 1)

    def everywhere(_: Any) -> bool:
        return True

    lines += ["", "| ratio | target | figures |", "|---|---|---|"]
    for label, target, slow, fast, only, per_restart in (
        (
            "compiled / torch by hand, compiled",
            "≤ 1.15",
            ours,
            "torch by hand, compiled",
            everywhere,
            False,
        ),
        (
            "NumPyro's jitted update / compiled",
            "≥ 1",
            "NumPyro, jitted update",
            ours,
            everywhere,
            False,
        ),
        *(
            row
            for elbo in ("Trace_ELBO", "TraceEnum_ELBO")
            for row in (
                (
                    f"Pyro's {elbo} / recorded, one restart",
                    "≥ 4",
                    f"Pyro, {elbo}",
                    recorded,
                    single,
                    False,
                ),
                (
                    f"Pyro's {elbo} / compiled, one restart, N = 1,000",
                    "≥ 20",
                    f"Pyro, {elbo}",
                    ours,
                    lambda size: size[0] == 1_000 and size[3] == 1,
                    False,
                ),
                (
                    f"Pyro's {elbo} / compiled, per restart at 8 restarts, N = 1,000",
                    "≥ 60",
                    f"Pyro, {elbo}",
                    ours,
                    lambda size: size[0] == 1_000 and size[3] == 8,
                    True,
                ),
            )
        ),
    ):
        figures = ", ".join(f"{ratio:.2f}" for ratio in ratios(slow, fast, only, per_restart))
        lines.append(f"| {label} | {target} | {figures} |")
    return lines


def plain_table(rows: list[Row]) -> list[str]:
    """One line per row."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        values = (
            f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()
        )
        lines.append("| " + " | ".join(values) + " |")
    return lines


@dataclass(frozen=True, eq=False)
class Tables:
    """A table for each part of the suite."""

    done: dict[str, Cell]

    def table(self) -> str:
        """As Markdown."""
        parts: defaultdict[str, list[Row]] = defaultdict(list)
        for name, cell in self.done.items():
            parts[name.partition("/")[0]] += cell["rows"]
        lines: list[str] = []
        for name, rows in parts.items():
            made = step_table(rows) if name == "step" else plain_table(rows)
            lines += ["", f"{name}:", "", *made]
        return "\n".join(lines[1:])


def jobs(given: Given) -> Iterator[Job]:
    """Every cell: one at a time, because its seconds are the figure."""
    repeats = 5 if given.seeds is None else given.seeds
    for (rows, size), units, restarts in itertools.product(SIZES, UNITS, RESTARTS):
        name = f"step/{rows}/{size}/{units}/{restarts}"
        yield name, steps_of, (rows, size, units, restarts, repeats)
    for name, make in (
        ("start", start_rows),
        ("motorcycle", motorcycle_rows),
        ("import", import_rows),
    ):
        yield name, _cell, (make, repeats)
    yield "demo", _cell, (demo_rows,)
    if given.data is not None:
        yield "density", _cell, (density_rows, given.data)
        yield "hmc", _cell, (hmc_rows, given.data)


def _cell(make: Callable[..., list[Row]], *arguments: Any) -> Cell:
    return {"rows": make(*arguments)}


SUITE: Final = Suite(
    name="speed",
    question="How fast is it, beside its peers in the same run?",
    jobs=jobs,
    summarise=Tables,
    quick="^import$",
    alone=True,
)
