"""``demo``: the motorcycle data from their source to plots, tables and a saved fit."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_hybrid.cli.checking import print_findings
from bayes_hybrid.cli.console import bound, counted, number, say, typed, warn
from bayes_hybrid.cli.folders import refuse_place
from bayes_hybrid.cli.predicting import Wanted, predictions
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.data import atomic_folder, load_motorcycle, write_table
from bayes_hybrid.diagnostics import Finding, diagnose, findings_frame, verdict
from bayes_hybrid.diagnostics.regimes.description import describe
from bayes_hybrid.estimator import SAVED_FILES, settings_of
from bayes_hybrid.inference import Fit
from bayes_hybrid.plots import plot_fit, plot_overview, plot_regime
from bayes_hybrid.report.evidence import gather
from bayes_hybrid.report.page import write_page
from bayes_hybrid.words import on_command_line

__all__ = ["FILES", "run"]

FILES: Final = {
    "report.html": "the whole fit explained on one page, to be opened in a browser",
    "findings.md": "this page",
    "overview.png": "the fit above its regime probabilities",
    "plot_fit.png": "data, predictive mean and bands, coloured by regime",
    "plot_regime.png": "regime probabilities with their 90% band",
    "predictions.csv": "mean, 90% interval and regime probabilities at 200 times",
    "findings.csv": "every finding with value, threshold, severity and advice",
    "fit": "the saved fit: `bayes-hybrid check` and `predict` read it, ArviZ reads its netCDF file",
}
"""What the folder holds."""

# All that --force may cost: a file of the user's own in fit/ counts, too.  The first one tells the
# folder of a demo from others.
_REPLACEABLE: Final = (
    "findings.md",
    *(FILES.keys() - {"fit", "findings.md"}),
    *(f"fit/{name}" for name in SAVED_FILES),
)

_GRID = 200
_TEXT = (
    "Head acceleration (in g) by time after impact (milliseconds): flat, then violent, then calm, "
    "with noise that changes along the way."
)
_MODEL = (
    "A mixture of two pathways with 32 hidden units each: a Gaussian one (smooth bumps whose "
    "widths are learned) and a ReLU one (straight pieces with kinks). A gate of ReLU features says "
    "how probable each is at a given time; each has its own mean, a function of time, and one "
    "noise level, so that a change of noise is a change of regime."
)


def run(out: Path, settings: Settings, *, force: bool, quiet: bool) -> None:
    """Fit the motorcycle data and fill the folder ``out``.

    Raises:
        OutputExistsError: ``out`` stands already and may not be replaced.
        OSError: ``out`` cannot be written.
    """
    table = load_motorcycle()
    # A noise scale that follows time would explain the change of noise without any regime; and the
    # demo is about the regimes, so it keeps to the best of the modes.
    settings = replace(settings, noise="constant")
    model = regressor(settings, quiet=quiet)
    refuse_place(out, force=force)
    with atomic_folder(out, _REPLACEABLE, what="a demo", force=force) as folder:
        if not quiet:
            say(f"Data: {len(table)} rows. {_TEXT}")
            say(f"Source: {table.attrs['source']}")
            say(f"Model: {_MODEL}")
            say("Fitting; this takes about half a minute.")
            say()
        model = model.fit(table[["times"]], table["accel"])
        fit = model.fit_
        findings = typed(diagnose(fit, settings=settings_of(model)))
        model.save(folder / "fit")
        _write(folder, fit, findings)
        command = shlex.join(
            ["bayes-hybrid", "demo", "--out", str(out), "--seed", str(settings.seed)]
        )
        write_page(gather(model, command=command), folder / "report.html", force=False)
        page = _page(fit, findings, table.attrs["source"])
        (folder / "findings.md").write_text(page, encoding="utf-8")
    if quiet:
        warn(findings)
        return
    training = fit.training
    say(f"{on_command_line(training.status)} ({training.seconds:.0f} seconds, {training.method})")
    say()
    for sentence in describe(fit):
        say(sentence)
    say()
    print_findings(findings)
    say()
    say(f"Written to {out}: {', '.join(FILES)}")


def _write(folder: Path, fit: Fit, findings: Sequence[Finding]) -> None:
    """Pictures and tables."""
    pictures: dict[str, Callable[[Fit], Figure]] = {
        "plot_fit.png": plot_fit,
        "plot_regime.png": plot_regime,
        "overview.png": plot_overview,
    }
    for name, draw in pictures.items():
        draw(fit).savefig(folder / name)
    name = fit.feature_names[0]
    grid = pd.DataFrame({name: np.linspace(fit.x.min(), fit.x.max(), _GRID)})
    predicted = pd.DataFrame(predictions(fit, grid, Wanted(regimes=True)))
    write_table(pd.concat([grid, predicted], axis=1), folder / "predictions.csv")
    write_table(findings_frame(findings), folder / "findings.csv")


def _page(fit: Fit, findings: Sequence[Finding], source: str) -> str:
    """One page in Markdown, with the verdict first."""
    headline, _, details = verdict(findings).partition("\n")
    lines = [f"# {headline}", "", *details.splitlines(), ""] if details else [f"# {headline}", ""]
    lines += [
        on_command_line(fit.training.status),
        "",
        "![The fit above its regime probabilities](overview.png)",
        "",
        "## Where the regimes are",
        "",
        *(f"- {sentence}" for sentence in describe(fit)),
        "",
        "## All findings",
        "",
        "| check | value | wanted | result | meaning |",
        "|---|---|---|---|---|",
        *(
            f"| `{finding.name}` | {number(finding.value)} | {bound(finding)} | {finding.severity} "
            f"| {finding.meaning} |"
            for finding in findings
        ),
        "",
        "## What was done",
        "",
        f"{_TEXT} {len(fit.x)} rows. Source: {source}",
        "",
        f"{_MODEL} {_recipe(fit)}",
        "",
        "| stage | why it ended | steps | seconds |",
        "|---|---|---|---|",
        *(
            f"| {stage.name} | {stage.reason} | {stage.steps} | {stage.seconds:.1f} |"
            for stage in fit.training.stages
        ),
        "",
        "## Files",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in FILES.items()),
    ]
    return "\n".join(lines) + "\n"


def _recipe(fit: Fit) -> str:
    """How the posterior was reached."""
    posterior, training = fit.posterior, fit.training
    each = " each" if posterior.num_restarts > 1 else ""
    words = (
        f"The posterior is {counted(posterior.num_restarts, 'restart')} with "
        f"{counted(posterior.num_draws, 'draw')}{each} "
        f"({training.method}, seed {fit.seed}); the weight of the features' KL term was chosen by "
        f"held-out density: {training.kl_weight:g}."
    )
    if dropped := training.num_dropped:
        were = "was" if dropped == 1 else "were"
        words += f" {counted(dropped, 'restart')} {were} dropped."
    return words
