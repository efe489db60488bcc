"""Every figure of bayes_hybrid.plots, and the page that shows them.

``python examples/gallery.py docs`` made docs/gallery.md.  It fits three small data sets, runs the
line of code above each picture, and writes the pictures to ``images/`` and the page to
``gallery.md``, in the folder that was named or in ``gallery``.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from bayes_hybrid import FitOptions

# With BAYES_HYBRID_QUICK=1 the tests run this file in seconds, with next to no training.
QUICK = FitOptions.quick()
FULL = FitOptions(num_restarts=12)

IMPORTS = """\
import numpy as np
import pandas as pd

from bayes_hybrid import FitOptions, HybridRegressor, plots
from bayes_hybrid.data import load_motorcycle, load_nile
from bayes_hybrid.diagnostics import contributions
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

# A hundred yearly counts, which drop from 4 to 1 in 1950.
year = pd.DataFrame({"year": np.arange(1900.0, 2000.0)})
events = pd.Series(rng.poisson(np.where(year["year"] < 1950, 4, 1)), name="events")
counts = HybridRegressor(likelihood="poisson", fit_options=options, random_state=0)
counts.fit(year, events)
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
        "Data and predictive bands. Colour and hatch show the regime.",
    ),
    Picture(
        "regime",
        "plots.plot_regime(reg)",
        "The probability of each regime, with its band over the draws.",
    ),
    Picture(
        "boundary",
        "plots.plot_boundary(reg)",
        "The regime probabilities, and below them the places where the most probable regime "
        "changes in each draw.",
    ),
    Picture(
        "uncertainty",
        "plots.plot_regime_uncertainty(reg)",
        "Why a regime is uncertain: the regimes overlap, or the draws disagree.",
    ),
    Picture(
        "overview",
        "plots.plot_overview(reg)",
        "The fit and the regime probabilities, one above the other.",
    ),
    Picture(
        "effect",
        "reg.effect(grid=range(-5, 67)).plot()",
        "The mean of the fitted function with its band. Where the background is hatched, the fit "
        "has seen no data and follows its priors.",
    ),
    Picture(
        "experts",
        'plots.plot_effect(reg.effect(of="expert"))',
        "Each expert by itself, even where the gate gives it no weight and no data constrain it.",
    ),
    Picture(
        "slope",
        "reg.effect(derivative=True).plot()",
        "The slope of the mean. It shows where the target rises, falls, and turns.",
    ),
    Picture(
        "contributions",
        "plots.plot_contributions(contributions(reg.fit_))",
        "Above, the part of each pathway in the mean. Below, the parts of the predictive variance: "
        "noise within each expert, which regime it is, and what the fit does not know yet.",
    ),
    Picture(
        "partial_dependence",
        "plots.plot_partial_dependence(two)",
        "Partial dependence on each feature, with the curves of single rows. These are not "
        "parallel where features interact.",
    ),
    Picture(
        "thresholds",
        "plots.plot_thresholds(nile)",
        "The posterior of the threshold, where the regime changes, with its 90% interval.",
    ),
    Picture(
        "ppc",
        "plots.plot_ppc(reg)",
        "The density of the data, over the densities of data sets drawn from the fit.",
    ),
    Picture(
        "rootogram",
        "plots.plot_rootogram(counts)",
        "Frequencies of counts as square roots, hanging from what the fit expects. Bars that end "
        "outside the band are too long or too short.",
    ),
    Picture(
        "pit",
        "plots.plot_pit(reg)",
        "Leave-one-out PIT values against the uniform distribution. Inside the band, predictive "
        "distributions are calibrated.",
    ),
    Picture(
        "coverage",
        "plots.plot_coverage(reg)",
        "The share of rows inside central intervals, against the probability that these claim.",
    ),
    Picture(
        "statistics",
        "plots.plot_statistics(reg)",
        "Test statistics of the data, among those of data sets drawn from the fit.",
    ),
    Picture(
        "findings",
        "plots.plot_findings(reg)",
        "Each finding against its threshold. Values to the right of the line are healthy.",
    ),
    Picture(
        "training",
        "plots.plot_training(reg)",
        "The objective in each stage, and the usage of the regimes from stage to stage.",
    ),
    Picture(
        "restarts",
        "plots.plot_restarts(reg)",
        "The mean curve of each restart, and the share of rows that two restarts give to different "
        "regimes, for each pair.",
    ),
)

PAGE = f"""\
# Gallery

Here is every figure of `bayes_hybrid.plots`, with the line of code that makes it. A function
takes the fitted estimator or its `fit_`; what the estimator gives has a `plot()` of its own. The
figure belongs to no window, and `figure.savefig("figure.png")` saves it. A regime has the same
colour, hatch, marker and line in all figures. Colour-blind readers can tell the colours apart
(Okabe and Ito 2008). Hatch and line tell them apart in grey. `examples/gallery.py` wrote this page
and ran its code.

These are the fits behind the pictures:

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
