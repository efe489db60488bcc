"""Every figure of bayes_hybrid.plots, and the page that shows them.

``python examples/gallery.py docs`` made docs/gallery.md.  It fits three small data sets, runs the
line of code above each picture, and writes the pictures to ``images/`` and the page to
``gallery.md``, in the folder that was named or in ``gallery``.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from bayes_hybrid import FitOptions, Variational, WarmStart

# With BAYES_HYBRID_QUICK=1 the tests run this file in seconds, with next to no training.
QUICK = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=50),
    variational=Variational(num_steps=20, kl_weights=(0.0,), num_draws=30),
    sampler=None,
    compile="never",
)
FULL = FitOptions(num_restarts=12)

IMPORTS = """\
import numpy as np
import pandas as pd

from bayes_hybrid import FitOptions, HybridRegressor, plots
from bayes_hybrid.data import load_motorcycle, load_nile
"""

FITS = """\
crash = load_motorcycle()
reg = HybridRegressor(noise="constant", fit_options=options, random_state=0)
reg.fit(crash[["times"]], crash["accel"])

river = load_nile()
nile = HybridRegressor(gate="threshold", noise="constant", fit_options=options, random_state=0)
nile.fit(river[["year"]], river["flow"])

# Beyond load = 0.3 the target jumps, and from there on it depends on the heat.
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.uniform(-2, 2, (200, 2)), columns=["load", "heat"])
high = X["load"] > 0.3
strain = np.sin(2 * X["load"]) + high * (1.5 + X["heat"]) + rng.normal(0, 0.1, 200)
two = HybridRegressor(noise="constant", fit_options=options, random_state=0)
two.fit(X, strain.rename("strain"))
"""


class Picture(NamedTuple):
    """A picture of the page: name of its file, the code that makes it, what it shows."""

    name: str
    code: str
    words: str


PICTURES = (
    Picture(
        "fit",
        "plots.plot_fit(reg)",
        "Data and predictive bands; colour and hatch say which regime.",
    ),
    Picture(
        "regime",
        "plots.plot_regime(reg)",
        "The probability of each regime, with the band of that probability over the draws.",
    ),
    Picture(
        "boundary",
        "plots.plot_boundary(reg)",
        "Where the most probable regime changes, in each draw, under the regime probabilities.",
    ),
    Picture(
        "uncertainty",
        "plots.plot_regime_uncertainty(reg)",
        "Why a regime is not certain: because the regimes overlap, or because the draws disagree.",
    ),
    Picture("overview", "plots.plot_overview(reg)", "Both, one above the other."),
    Picture(
        "effect",
        "plots.plot_effect(reg, beyond=0.15)",
        "The mean of the fitted function with its band; where the background is hatched, the fit "
        "has seen no data and follows its priors.",
    ),
    Picture(
        "experts",
        'plots.plot_effect(reg, of="expert")',
        "Each expert by itself, also where the gate gives it no weight and no data hold it.",
    ),
    Picture(
        "slope",
        "plots.plot_effect(reg, derivative=True)",
        "The slope of the mean: where the target rises, falls, and turns.",
    ),
    Picture(
        "contributions",
        "plots.plot_contributions(reg)",
        "What each pathway adds to the mean, and what the predictive variance is made of: noise "
        "within each expert, which regime it is, and what the fit does not know yet.",
    ),
    Picture(
        "partial_dependence",
        "plots.plot_partial_dependence(two)",
        "Partial dependence on each feature over the curves of single rows, which are not parallel "
        "where features interact.",
    ),
    Picture(
        "thresholds",
        "plots.plot_thresholds(nile)",
        "Where the regime changes: the posterior of the threshold, with its 90% interval.",
    ),
    Picture(
        "ppc",
        "plots.plot_ppc(reg)",
        "The density of the data over those of data that the fit makes.",
    ),
    Picture(
        "pit",
        "plots.plot_pit(reg)",
        "Leave-one-out PIT values against the uniform distribution: inside the band, predictive "
        "distributions are calibrated.",
    ),
    Picture(
        "coverage",
        "plots.plot_coverage(reg)",
        "The share of rows inside central intervals, against what these claim.",
    ),
    Picture(
        "statistics",
        "plots.plot_statistics(reg)",
        "Test statistics of the data among those of data that the fit makes.",
    ),
    Picture(
        "findings",
        "plots.plot_findings(reg)",
        "Each finding against its threshold: right of the line is healthy.",
    ),
    Picture(
        "training",
        "plots.plot_training(reg)",
        "How the objective went in each stage, and what the stages did to the regimes' usage.",
    ),
    Picture(
        "restarts",
        "plots.plot_restarts(reg)",
        "The mean curve of each restart, and the share of rows that each pair of restarts gives to "
        "different regimes.",
    ),
)

PAGE = f"""\
# Gallery

Every figure of `bayes_hybrid.plots`, with the line that makes it. `examples/gallery.py` wrote this
page and ran what it shows. A figure takes the fitted estimator or its `fit_`, belongs to no window,
and is saved with `figure.savefig("figure.png")`. A regime has the same colour, hatch, marker and
line in all of them; the colours are told apart by colour-blind readers (Okabe and Ito 2008), and in
grey by hatch and line. The fits behind the pictures:

```python
{IMPORTS}
options = FitOptions(num_restarts=12)

{FITS}```
"""


def write(folder: Path, options: FitOptions) -> None:
    """The page and its pictures."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    page = [PAGE]
    names: dict[str, object] = {"options": options}
    exec(IMPORTS + FITS, names)
    for name, code, words in PICTURES:
        path = images / f"gallery_{name}.png"
        figure = eval(code, names)
        figure.savefig(path, dpi=80)
        print(f"{path}: {path.stat().st_size / 1024:.0f} kB")
        block = f"```python\n{code}\n```"
        title = name.replace("_", " ").capitalize()
        image = f"![{words}](images/{path.name})"
        page.append(f"\n## {title}\n\n{block}\n\n{image}\n\n{words}\n")
    (folder / "gallery.md").write_text("".join(page), encoding="utf-8")


quick = os.environ.get("BAYES_HYBRID_QUICK") == "1"
write(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"), QUICK if quick else FULL)
