"""The commands and their options.

A command imports what it needs when it runs, because torch and pandas take seconds to load and
``--help`` should not.
"""

import atexit
import gc
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from bayes_hybrid import __version__
from bayes_hybrid.cli.exits import (
    UNPRINTED,
    clean_exit,
    complain,
    open_streams,
    silence,
    stop_as_ctrl_c,
    stopped,
)
from bayes_hybrid.cli.settings import Settings

__all__ = ["app", "main"]

_HELP: Final = """Fit data that are mostly smooth except when they are not.

A Bayesian mixture of a Gaussian and a ReLU pathway, with a gate that says which of them a row
follows, and findings that say whether to believe it.  Start with: bayes-hybrid demo

\b
Exit codes:
  0    done; for check: every finding is ok
  1    check only: warnings; predictions hold, a reading needs care
  2    refused, no output was written, and stderr says why; for check also: the fit cannot be used
  3    all was done and every file is written, but standard output took no words (full disk)
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
"""

app = typer.Typer(
    name="bayes-hybrid",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

bench = typer.Typer(no_args_is_help=True, help="Measure the package itself.")
app.add_typer(bench, name="bench")

# What several commands have in common.
Data = Annotated[Path, typer.Argument(metavar="DATA", help="Table: .csv, .csv.gz or .parquet.")]
Features = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns to predict from, a,b,c or the option repeated; all but the target by default."
    ),
]
Family = Annotated[
    str,
    typer.Option(
        help="normal, student_t, laplace, huber, pseudo_huber or contaminated_normal; of counts "
        "poisson or negative_binomial; of 0 and 1 bernoulli; of events among trials binomial; of "
        "positive numbers gamma or log_normal; of shares beta."
    ),
]
Exposure = Annotated[
    str | None,
    typer.Option(
        help="Column that says how long or how much each row was watched, of counts: poisson, "
        "negative_binomial."
    ),
]
Trials = Annotated[
    str | None, typer.Option(help="Column with the number of trials of each row: binomial.")
]
CensoredBy = Annotated[
    str | None,
    typer.Option(
        "--censored",
        help="Column that is 0 where the target is the value, 1 where the value is larger, -1 "
        "where it is smaller: normal, laplace, contaminated_normal, log_normal.",
    ),
]
Seed = Annotated[int, typer.Option(help="Everything random is derived from it.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that stands already.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but warnings and errors.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or another device of torch.")]
Jobs = Annotated[int, typer.Option(help="Fits side by side; -1 is one for each core.")]
RunFolder = Annotated[Path, typer.Option(help="Folder to make, or of a run to go on with.")]
SavedFit = Annotated[
    Path, typer.Argument(metavar="FIT", help="Folder that fit or demo saved a fit in.")
]
HeldOutRows = Annotated[
    Path | None,
    typer.Option(help="Table of held-out rows to judge by; by default those that fit held out."),
]
FittedTargets = Annotated[
    list[str] | None,
    typer.Option(help="Columns that hold the targets, by default those that were fitted."),
]
# Options of fit.
Targets = Annotated[
    list[str],
    typer.Option(
        help="Column to predict; or several, a,b or the option repeated, that share their "
        "regimes and may have empty cells."
    ),
]
FitFolder = Annotated[Path, typer.Option(help="Folder to save the fit in.")]
FitFeatures = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns to predict from, a,b,c or the option repeated; by default all but those "
        "of --target and --regime-label."
    ),
]
RegimeLabel = Annotated[
    str | None,
    typer.Option(
        help="Column that says which regime a row is in, where that is known; empty cells are "
        "latent."
    ),
]
LabelNoise = Annotated[
    str, typer.Option(help="learned, how often labels are wrong, or none, they are the truth.")
]
LabelWeight = Annotated[float, typer.Option(help="Weight of the labels beside the targets.")]
Test = Annotated[Path | None, typer.Option(help="Table of held-out rows, to measure coverage on.")]
TestFraction = Annotated[
    float, typer.Option(help="Share of the rows of DATA to hold out instead, at random.")
]
Model = Annotated[
    str,
    typer.Option(
        help="mixture, or a single pathway: gaussian, relu, linear_mix, "
        "relu_gates_gaussian, gaussian_stabilizes_relu, constant, line, polynomial."
    ),
]
Experts = Annotated[
    str,
    typer.Option(
        help="What a mixture has in each regime, separated by commas: a pathway, or constant, "
        "line or polynomial (a parabola), such as line,line,line."
    ),
]
Joined = Annotated[
    bool, typer.Option("--joined", help="Curves meet at the thresholds, without jumps.")
]
GateName = Annotated[
    str,
    typer.Option(
        help="relu, linear or constant; or, with thresholds that are reported: threshold, "
        "monotone, oblique."
    ),
]
GateFeature = Annotated[
    str | None,
    typer.Option(help="Column that the gate threshold or monotone reads, if there are more."),
]
Abrupt = Annotated[
    bool, typer.Option("--abrupt", help="Regimes change from one row to the next at a threshold.")
]
Noise = Annotated[str, typer.Option(help="input, a noise scale that depends on x, or constant.")]
NumUnits = Annotated[
    str, typer.Option(help="Hidden units of each pathway; auto is 32 up to 3 features, else 50.")
]
NumRestarts = Annotated[
    str,
    typer.Option(
        help="Modes that are looked for, each from a start of its own; auto is 64 for a small "
        "table, else 32."
    ),
]
PlanNames = Annotated[
    str,
    typer.Option(
        help="Training plan: default, direct, even_gate, gaussian_first, balanced or plain; or "
        "several of them, separated by commas, which share the restarts."
    ),
]
Refine = Annotated[
    str, typer.Option(help="Short HMC after SVI: auto (where the budget allows), always, never.")
]
Missing = Annotated[
    str,
    typer.Option(
        help="Empty cells of features: impute, by the median and an indicator, or refuse."
    ),
]
LogColumns = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns whose logarithm the model reads, such as --log dose,size; results stay "
        "in their units."
    ),
]
# For the tests: the same steps with next to no training.
Quick = Annotated[
    bool, typer.Option("--quick", envvar="BAYES_HYBRID_QUICK", hidden=True, show_envvar=False)
]


def _settings(context: typer.Context) -> Settings:
    """The options that were typed and are settings of a fit."""
    names = context.params.keys() & {field.name for field in fields(Settings)}
    given = {name: context.params[name] for name in names}
    # Click makes a list of what may be repeated; nothing is None.
    if "log" in given:
        given["log"] = tuple(given["log"] or ())
    return Settings(**given)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bayes-hybrid {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("demo-output"),
    force: Force = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    quick: Quick = False,
) -> None:
    """Fit the built-in motorcycle data and write plots, tables and the fit.

    The folder gets report.html (open this first), findings.md, overview.png, plot_fit.png,
    plot_regime.png, predictions.csv, findings.csv and fit/, the saved fit with an ArviZ file.
    """
    with clean_exit():
        from bayes_hybrid.cli.demo import run

        run(out, Settings(seed=seed, device=device, quick=quick), force=force, quiet=quiet)


@app.command()
def fit(
    context: typer.Context,
    data: Data,
    target: Targets,
    out: FitFolder,
    features: FitFeatures = None,
    regime_label: RegimeLabel = None,
    label_noise: LabelNoise = Settings.label_noise,
    label_weight: LabelWeight = Settings.label_weight,
    test: Test = None,
    test_fraction: TestFraction = 0.0,
    model: Model = Settings.model,
    experts: Experts = Settings.experts,
    joined: Joined = Settings.joined,
    gate: GateName = Settings.gate,
    gate_feature: GateFeature = Settings.gate_feature,
    abrupt: Abrupt = Settings.abrupt,
    likelihood: Family = Settings.likelihood,
    exposure: Exposure = Settings.exposure,
    trials: Trials = Settings.trials,
    censored: CensoredBy = Settings.censored,
    noise: Noise = Settings.noise,
    num_units: NumUnits = Settings.num_units,
    num_restarts: NumRestarts = Settings.num_restarts,
    plan: PlanNames = Settings.plan,
    refine: Refine = Settings.refine,
    missing: Missing = Settings.missing,
    log: LogColumns = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    quick: Quick = False,
) -> None:
    """Fit a table, print the findings, and save the fit.

    Columns may be numbers, words, dates such as 2024-01-31, or true and false, and may have empty
    cells; what each becomes is printed.
    """
    with clean_exit():
        from bayes_hybrid.cli.fitting import Source, run

        rows = Source(
            data=data,
            target=target,
            features=features,
            regime_label=regime_label,
            test=test,
            test_fraction=test_fraction,
        )
        run(rows, _settings(context), out, force=force, quiet=quiet)


@app.command()
def predict(
    fit: SavedFit,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to predict.")],
    out: Annotated[Path, typer.Option(help="Table to write: .csv, .csv.gz or .parquet.")],
    prob: Annotated[float, typer.Option(help="Probability of the predictive interval.")] = 0.9,
    regimes: Annotated[
        bool, typer.Option("--regimes", help="Add p(z|x) of every regime, with its band.")
    ] = False,
    target: FittedTargets = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Predict rows: mean, interval, and on request the regimes.

    The output has the columns of DATA as they stand, then TARGET_mean and the ends of the
    interval, such as TARGET_q5 and TARGET_q95, and last out_of_data, whether the row lies outside
    the training data.  Rows whose target is known also get TARGET_log_density, and with --regimes
    p(z|x, y), both as rows that were not fitted.  Several targets have a mean and an interval
    each, and one joint_log_density of those that are known.
    """
    with clean_exit():
        from bayes_hybrid.cli.predicting import Wanted, run

        wanted = Wanted(prob=prob, regimes=regimes, target=target)
        run(fit, data, out, wanted, force=force, quiet=quiet)


@app.command()
def check(
    fit: SavedFit,
    data: HeldOutRows = None,
    target: FittedTargets = None,
    against: Annotated[
        str | None,
        typer.Option(help="nuts: fit some of the rows again, by the recipe and by Pyro's NUTS."),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of that, 200 by default.")] = None,
    chains: Annotated[int | None, typer.Option(help="Chains of NUTS, 2 by default.")] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Iterations of a chain that adapt, 150 by default.")
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="Iterations of a chain that are kept, 150 by default.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Print the findings about a saved fit, and on request compare it with NUTS.

    Exits with 0 when every finding is ok, 1 with warnings, 2 when the fit cannot be used.
    """
    with clean_exit():
        from bayes_hybrid.cli.checking import run
        from bayes_hybrid.cli.comparing import Against, compare, refuse_unused

        wanted = Against(against=against, rows=rows, chains=chains, warmup=warmup, draws=draws)
        refuse_unused(wanted)
        code = run(fit, data, target, quiet=quiet)
        if against is not None:
            code = max(code, compare(fit, wanted, quiet=quiet))
    raise typer.Exit(code)


@app.command()
def report(
    fit: SavedFit,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    data: HeldOutRows = None,
    target: FittedTargets = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a saved fit as one HTML file that explains itself and needs no network.

    Verdict first, then the data with fit and regimes to explore, readings, thresholds, checks,
    calibration, approximation, how it was trained, every finding, columns, model with its
    equations, and how to reproduce it.
    """
    with clean_exit():
        from bayes_hybrid.cli.reporting import run

        run(fit, out, data, target, force=force, quiet=quiet)


@app.command()
def ablate(
    context: typer.Context,
    data: Data,
    target: Annotated[list[str], typer.Option(help="Column to predict.")],
    out: RunFolder = Path("ablation"),
    features: Features = None,
    only: Annotated[
        str | None,
        typer.Option(help="Variants to compare with the base, a,b,c; all of them by default."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of each repeat of cross-validation.")] = 5,
    repeats: Annotated[int, typer.Option(help="Repeats of cross-validation.")] = 2,
    likelihood: Family = Settings.likelihood,
    exposure: Exposure = Settings.exposure,
    trials: Trials = Settings.trials,
    censored: CensoredBy = Settings.censored,
    jobs: Jobs = 1,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    quick: Quick = False,
) -> None:
    """Compare the model with variants of it, each with one part changed or taken away.

    The folder gets ablation.md (read this first), table.csv, comparison.csv, cells.csv and
    plot.png.  Each fit is kept in cells/ as soon as it is done: after an interruption, the same
    command goes on from there, and with more repeats or other variants it computes only what is
    missing.
    """
    with clean_exit():
        from bayes_hybrid.cli.ablating import AblationRun, run
        from bayes_hybrid.cli.fitting import Source

        rows = Source(data=data, target=target, features=features)
        plan = AblationRun(only=only, num_folds=folds, num_repeats=repeats, num_jobs=jobs)
        run(rows, _settings(context), plan, out, quiet=quiet)


@app.command()
def choose(
    context: typer.Context,
    data: Data,
    target: Annotated[list[str], typer.Option(help="Column to predict.")],
    out: RunFolder = Path("choice"),
    features: Features = None,
    max_regimes: Annotated[int, typer.Option(help="Most regimes.")] = 5,
    experts: Annotated[
        str, typer.Option(help="What a regime may look like: constant, line, smooth.")
    ] = "constant,line,smooth",
    gate_feature: Annotated[
        str | None,
        typer.Option(
            help="Column of the thresholds, if there are more; without it there are none then."
        ),
    ] = Settings.gate_feature,
    likelihood: Family = Settings.likelihood,
    exposure: Exposure = Settings.exposure,
    trials: Trials = Settings.trials,
    censored: CensoredBy = Settings.censored,
    noise: Annotated[
        str, typer.Option(help="Of smooth experts, as for fit: input or constant.")
    ] = Settings.noise,
    jobs: Jobs = 1,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    quick: Quick = False,
) -> None:
    """Find how many regimes a table has, and which experts suit them.

    Candidates from one level to five lines or smooth curves are compared by leave-one-out.  The
    answer is the simplest that no other clearly beats: by more than one standard error, and more
    than 4 nats.  It is printed with the command that fits it.

    The folder gets choice.md (read this first), table.csv and plot.png.  Each fit is kept in
    cells/ as soon as it is done: after an interruption, or with more regimes, the same command goes
    on from there.
    """
    with clean_exit():
        from bayes_hybrid.cli.choosing import Search, run
        from bayes_hybrid.cli.fitting import Source

        rows = Source(data=data, target=target, features=features)
        search = Search(
            max_regimes=max_regimes, experts=experts, gate_feature=gate_feature, num_jobs=jobs
        )
        settings = replace(_settings(context), experts=Settings.experts, gate_feature=None)
        run(rows, settings, search, out, quiet=quiet)


@bench.command()
def sbc(
    context: typer.Context,
    out: RunFolder,
    replications: Annotated[int, typer.Option(help="Data sets to simulate and fit.")] = 200,
    rows: Annotated[int, typer.Option(help="Rows of each.")] = 100,
    gate: Annotated[
        str, typer.Option(help="Gate over the two lines: threshold, monotone, linear or constant.")
    ] = "threshold",
    num_restarts: Annotated[str, typer.Option(help="Modes that are looked for.")] = "12",
    refine: Refine = Settings.refine,
    jobs: Jobs = 1,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    quick: Quick = False,
) -> None:
    """Simulation-based calibration: is the posterior right, over data from the prior?

    Two lines under a gate, drawn from the prior, simulated and fitted, again and again.  Ranks of
    true values among posterior draws are held against simultaneous 95% bands.  The folder gets
    sbc.md (read this first), table.csv, ranks.csv, runs.csv and plot.png.  Each replication is
    kept as soon as it is done: after an interruption, or with more replications, the same command
    goes on from there.  A replication of 100 rows takes about 8 seconds on one core.
    """
    with clean_exit():
        from bayes_hybrid.cli.calibrating import CalibrationRun, run

        plan = CalibrationRun(replications=replications, rows=rows, jobs=jobs)
        run(_settings(context), plan, out, quiet=quiet)


def main() -> None:
    """Run the command line on the process's own arguments, and exit."""
    # Or the interpreter looks through torch's objects once more on its way out: a second.
    atexit.register(gc.freeze)
    open_streams()
    printed = sys.stdout
    try:
        stop_as_ctrl_c()
        app(prog_name="bayes-hybrid")
    except KeyboardInterrupt as stop:
        # Before a command has begun; inside one, clean_exit has seen to it.
        sys.exit(stopped(stop))
    except SystemExit:
        # A closed pipe is no failure: the reader of --help, such as head, has seen enough.  The
        # parser ends with 1 then, as check does with warnings, and silences the stream.
        if sys.stdout is not printed:
            sys.exit(0)
        raise
    except OSError as error:
        # Nothing else is written outside of clean_exit than --help and --version.
        complain(f"error: standard output took no words: {error.strerror}")
        silence(sys.stdout)
        sys.exit(UNPRINTED)
