"""How long the report takes to build, how large it is, and how soon it can be used.

Of the motorcycle fit, with the settings of ``bayes-hybrid demo``, and of 100,000 simulated rows,
fitted in few steps, with 400 draws.  Time to interactive is read in Chromium without a network:
from the start of navigation until the controls of the interactive plot work, the median of several
visits.  ``--screenshot`` writes the picture in the README.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.data import load_motorcycle
from bayes_hybrid.report import write_report
from benchmarks.cells import Figures

_ROWS: Final = 100_000
_VISITS: Final = 5
_ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_VIEW: Final[ViewportSize] = {"width": 1100, "height": 760}


def motorcycle() -> HybridRegressor:
    """The fit of the demo."""
    table = load_motorcycle()
    reg = HybridRegressor(noise="constant", random_state=0)
    return reg.fit(table[["times"]], table["accel"])


def many_rows() -> HybridRegressor:
    """100,000 rows of three features: 4 restarts with 100 draws each, and next to no training."""
    options = FitOptions(
        num_restarts=4,
        warm_start=WarmStart(max_steps=50),
        variational=Variational(num_steps=20, kl_weights=(0.0,), selection_steps=5, num_draws=100),
        sampler=None,
        compile="never",
    )
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-2.0, 2.0, (_ROWS, 3)), rng.standard_normal(_ROWS)
    y = np.sin(2.0 * x[:, 0]) + 1.5 * (x[:, 0] > 0.3) + 0.3 * x[:, 1] + 0.1 * y
    return HybridRegressor(fit_options=options, random_state=0).fit(x, y)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or that of Playwright."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


def interactive_after(browser: Browser, page: Path) -> float:
    """Seconds from the start of navigation until the controls work, median over visits."""
    times = []
    for _ in range(_VISITS):
        context = browser.new_context(viewport=_VIEW)
        context.set_offline(True)
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]")
        mark = "performance.getEntriesByName('interactive')[0].startTime"
        times.append(float(tab.evaluate(mark)) / 1000.0)
        context.close()
    return statistics.median(times)


def hiding() -> str:
    """Style that leaves the verdict's banner and the interactive plot, one below the other."""
    hidden = ["#verdict > :not(h2, .banner)", "#regimes > p", "#regimes > details"]
    return f"{', '.join(hidden)} {{ display: none }} h2 {{ margin-top: 1.5rem }}"


def picture(browser: Browser, page: Path, path: Path) -> None:
    """Verdict and interactive plot, in one view; the rest of their sections is hidden."""
    context = browser.new_context(viewport=_VIEW, device_scale_factor=1.0)
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector("html[data-drawn]")
    tab.add_style_tag(content=hiding())
    tab.screenshot(path=path, clip={"x": 0, "y": 0, "width": 1100, "height": 1020}, full_page=True)
    context.close()


def measure(
    browser: Browser, out: Figures, name: str, reg: HybridRegressor, page: Path, longest: float
) -> None:
    """Write one report and add its figures; ``longest`` is the target for building it."""
    started = time.perf_counter()
    write_report(reg, page)
    out.add(f"{name}: seconds to build", time.perf_counter() - started, -np.inf, longest)
    out.add(f"{name}: size in MB", page.stat().st_size / 1e6, -np.inf, 5.0)
    out.add(f"{name}: seconds to interactive", interactive_after(browser, page), -np.inf, 2.0)


def main() -> None:
    """Fit, measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/report.json"))
    parser.add_argument("--screenshot", type=Path, help="PNG file to write, and nothing else")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    figures = Figures({})
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = Path(folder, "motorcycle.html")
        if args.screenshot is not None:
            write_report(motorcycle(), page)
            picture(browser, page, args.screenshot)
            return
        measure(browser, figures, "motorcycle", motorcycle(), page, 10.0)
        many = Path(folder, "many.html")
        measure(browser, figures, "100,000 rows", many_rows(), many, np.inf)
    print(figures.table())
    figures.write(args.out)


if __name__ == "__main__":
    main()
