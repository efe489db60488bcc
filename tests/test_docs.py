"""What the documentation shows runs, what it links to exists, and what it lists is public."""

import importlib
import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from arviz_stats import ecdf_utils

import bayes_hybrid
import bayes_hybrid.inference
from bayes_hybrid import FitOptions, Variational, WarmStart
from bayes_hybrid.cli.app import report
from bayes_hybrid.models import HybridMixture, Polynomial
from bayes_hybrid.report.sections import SECTIONS

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

# Leave-one-out and ArviZ's plots ask for a hundred draws in all.
QUICK: Final = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=10),
    variational=Variational(num_steps=5, selection_steps=5, kl_weights=(0.0,), num_draws=50),
    sampler=None,
    compile="never",
)


def blocks(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(1)) + 1, match.group(1))
        for match in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    ]


def links(page: Path) -> list[str]:
    """The relative targets of links and pictures, without their anchors."""
    found = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [target for target in found if "://" not in target]


def public_names() -> dict[str, list[str]]:
    """The names that docs/api.md lists, by module."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    modules: dict[str, list[str]] = {}
    for section in text.split("\n## From `")[1:]:
        module, _, body = section.partition("`")
        cells = re.findall(r"^\| (`.*?) \|", body, flags=re.MULTILINE)
        modules[module] = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    return modules


@pytest.fixture
def quick(monkeypatch, few_ratios):
    """Fits of small models with next to no training, whatever the options say."""
    fit = bayes_hybrid.inference.fit

    def small(expert):
        return expert if isinstance(expert, Polynomial) else replace(expert, num_units=4)

    def quick_fit(model, x, y, **options):
        if isinstance(model, HybridMixture):
            model = replace(model, experts=tuple(map(small, model.experts)))
        else:
            model = replace(model, pathway=small(model.pathway))
        return fit(model, x, y, **(options | {"options": QUICK}))

    for module in ("estimator.regressor", "validation.replication", "validation.reference"):
        monkeypatch.setattr(f"bayes_hybrid.{module}.fit", quick_fit)
    monkeypatch.setitem(bayes_hybrid.ablate.__kwdefaults__, "num_folds", 2)
    monkeypatch.setattr("bayes_hybrid.choosing.scores.NUM_FOLDS", 2)
    # ArviZ simulates its bands of a PIT a thousand times.
    bands = ecdf_utils.simulate_confidence_bands

    def quick_bands(*arguments):
        *others, _, rng = arguments
        return bands(*others, 10, rng)

    monkeypatch.setattr(ecdf_utils, "simulate_confidence_bands", quick_bands)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    # The script that writes the gallery runs what it shows.
    [page for page in PAGES if blocks(page) and page.name != "gallery.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_python_blocks_run(page, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The blocks of a page are one program.
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, source in blocks(page):
        short = re.sub(r"^(num_\w+) = [\d_]+$", r"\1 = 4", source, flags=re.MULTILINE)
        exec(compile("\n" * (line - 1) + short, str(page), "exec"), namespace)


def test_the_pages_that_show_code_are_found():
    shown = {page.stem for page in PAGES if blocks(page)}
    assert shown >= {"README", "did-my-gate-collapse", "how-do-i-use-the-raw-pyro-model"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    assert [target for target in links(page) if not (page.parent / target).exists()] == []


def test_the_readme_shows_the_essentials_first():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first_screen = text.partition("## ")[0]
    for part in ("docs/images/motorcycle.png", "make demo", "make test", "```python"):
        assert part in first_screen
    (_, source), *_ = blocks(ROOT / "README.md")
    assert source.count("\n") <= 11


def test_the_order_of_the_report_is_what_the_documentation_says():
    titles = [section.title.casefold() for section in SECTIONS]
    page = (ROOT / "docs" / "how-do-i-read-the-report.md").read_text(encoding="utf-8")
    steps = page.split("\n## In which order\n")[1].split("\n## ")[0]
    told = [bold.rstrip(".").casefold() for bold in re.findall(r"\*\*(.+?)\*\*", steps)]
    assert len(told) == len(titles)
    assert all(title.startswith(bold) for title, bold in zip(titles, told, strict=True))
    help_text = inspect.getdoc(report) or ""
    words = [
        *("verdict", "data", "readings", "thresholds", "checks", "calibration"),
        *("approximation", "trained", "every finding", "columns", "model", "reproduce"),
    ]
    places = [help_text.casefold().index(word, help_text.index("Verdict")) for word in words]
    assert places == sorted(places)
    assert len(words) == len(titles)


def test_the_picture_of_the_report_is_made_by_the_command_beside_it():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = r"!\[[^]]*\]\((docs/images/report\.png)\)\n\n\*(.*?)\*\n"
    picture = re.search(shown, readme, re.DOTALL)
    assert picture is not None
    command = f"python -m benchmarks.report --screenshot {picture[1]}"
    assert f"`{command}`" in picture[2]
    assert command in (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def test_all_is_what_the_documentation_lists():
    names = public_names()
    assert sorted(names["bayes_hybrid"]) == sorted(bayes_hybrid.__all__)


def test_every_listed_name_exists():
    for module, names in public_names().items():
        assert names
        assert set(names) <= set(importlib.import_module(module).__all__)
