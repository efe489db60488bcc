"""The report in a real browser: controls work, nothing is fetched, nothing of the data runs."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bayes_hybrid.digits import figures, percentages
from benchmarks import report as figures_of_report
from tests.report.conftest import fitted, make_rows

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 800}
# Bokeh's models on the page, and the first of a name.
MODELS = "Bokeh.documents.flatMap((doc) => doc.roots()).flatMap((top) => [...top.references()])"
MODEL = f"{MODELS}.find((model) => model.name === '{{}}')"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(pages, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


class Tab:
    """A page that was opened without a network, and what went wrong in it."""

    def __init__(self, context: BrowserContext, file: Path) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn]", timeout=60_000)

    def _heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def curves(self) -> dict[str, Any]:
        # A column may be a typed array, which comes over as an object.
        columns = "Object.fromEntries(Object.entries({}.data).map(([k, v]) => [k, [...v]]))"
        found: dict[str, Any] = self.page.evaluate(columns.format(MODEL.format("curves")))
        return found

    def along(self) -> list[float]:
        model = MODEL.format("along")
        found: list[float] = self.page.evaluate(f"[{model}.start, {model}.end]")
        return found

    def ground(self) -> str:
        found: str = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found


@pytest.fixture
def tab(browser, files):
    """Open a report; at the end, nothing has gone wrong and only the file itself was asked for."""
    opened: list[tuple[BrowserContext, Tab]] = []

    def open_report(kind: str = "hostile", **options: Any) -> Tab:
        context = browser.new_context(**({"viewport": WIDE} | options))
        context.set_offline(True)
        new = Tab(context, files[kind])
        opened.append((context, new))
        return new

    yield open_report
    for context, old in opened:
        assert old.problems == []
        assert [url for url in old.requests if not url.startswith(("file:", "data:"))] == []
        assert len([url for url in old.requests if url.startswith("file:")]) == 1
        context.close()


def test_the_picture_of_the_readme(tmp_path, monkeypatch):
    """The command writes it."""
    monkeypatch.setattr(figures_of_report, "motorcycle", lambda: fitted(*make_rows()))
    monkeypatch.setattr("sys.argv", ["report", "--screenshot", str(tmp_path / "report.png")])
    figures_of_report.main()
    header = (tmp_path / "report.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert struct.unpack(">II", header[16:]) == (1100, 1020)


def test_the_picture_has_the_banner_and_the_plot(tab):
    report = tab()
    report.page.add_style_tag(content=figures_of_report.hiding())
    for shown in ("#verdict h2", "#verdict .banner", "#regimes h2", "#chart-explorer"):
        assert report.page.locator(shown).is_visible()
    for hidden in ("#verdict .answers", "#regimes > p", "#regimes > details"):
        assert not any(each.is_visible() for each in report.page.locator(hidden).all())


def test_the_feature_changes_the_curves(tab):
    report = tab("several")
    before = report.curves()
    choice = report.page.get_by_label("Feature", exact=True)
    name = choice.locator("option").nth(1).inner_text()
    choice.select_option(index=1)
    after = report.curves()
    assert after["mean"] != before["mean"]
    assert after["gate0"] != before["gate0"]
    labels = report.page.evaluate(f"{MODELS}.map((model) => model.axis_label ?? '')")
    assert name in labels
    assert report.page.locator("#explorer-readout").inner_text().startswith(f"{name} = ")


def test_the_target_changes_the_curves(tab):
    report = tab("several")
    before = report.curves()
    report.page.get_by_label("Target", exact=True).select_option(label="second")
    assert report.curves()["mean"] != before["mean"]
    assert ": second " in report.page.locator("#explorer-readout").inner_text()


def test_the_slider_widens_the_band(tab):
    report = tab()
    before = report.curves()
    slider = report.page.get_by_label("Probability of the bands")
    slider.focus()
    report.page.keyboard.press("ArrowRight")
    after = report.curves()
    assert report.page.locator("#explorer-prob-value").inner_text() == "95%"
    assert slider.get_attribute("aria-valuetext") == "95%"
    assert after["mean"] == before["mean"]
    assert all(low < old for low, old in zip(after["lower"], before["lower"], strict=True))
    assert all(high > old for high, old in zip(after["upper"], before["upper"], strict=True))
    assert after["low0"] != before["low0"]


def test_values_can_be_read_without_a_mouse(tab):
    report = tab()
    place = report.page.get_by_label("Read the values at")
    place.focus()
    report.page.keyboard.press("Home")
    words = report.page.locator("#explorer-readout").inner_text()
    curves = report.curves()
    low, high = curves["lower"][0], curves["upper"][0]
    mean, *ends = figures(high - low, curves["mean"][0], low, high)
    assert f" {mean}, 90% interval {' to '.join(ends)}" in words
    low, high = curves["low0"][0], curves["high0"][0]
    share, *ends = percentages(high - low, curves["gate0"][0], low, high)
    assert f" {share}, band {' to '.join(ends)}" in words
    assert report.page.evaluate(f"{MODEL.format('cursor')}.location") == curves["x"][0]


def test_the_view_zooms_and_moves(tab):
    report = tab()
    start, end = report.along()
    for name, expected in {
        "Zoom in": (start + (end - start) / 4, end - (end - start) / 4),
        "Move right": (start + 3 * (end - start) / 8, end - (end - start) / 8),
        "Whole range": (start, end),
        "Zoom out": (start - (end - start) / 2, end + (end - start) / 2),
    }.items():
        report.page.get_by_role("button", name=name).click()
        assert report.along() == pytest.approx(expected)


def test_pointing_at_the_curves_shows_values(tab):
    report = tab()
    plot = report.page.locator("#chart-explorer")
    plot.scroll_into_view_if_needed()
    plot.hover(position={"x": 400, "y": 150})
    report.page.wait_for_function(
        """() => {
          const tips = [...document.querySelectorAll("*")];
          const deep = (node) => [node, ...[...(node.shadowRoot?.querySelectorAll("*") ?? [])]
            .flatMap(deep)];
          return tips.flatMap(deep).some((node) => node.classList?.contains("bk-Tooltip")
            || node.localName.includes("tooltip"));
        }""",
        timeout=5_000,
    )


def test_the_keyboard_reaches_every_control(tab):
    report = tab("several")
    reached = set()
    for _ in range(60):
        report.page.keyboard.press("Tab")
        reached.add(report.page.evaluate("document.activeElement.id"))
    controls = ["feature", "output", "prob", "place", "in", "out", "left", "right", "reset"]
    assert {f"explorer-{name}" for name in controls} <= reached


def test_the_first_stop_skips_the_contents(tab):
    report = tab()
    report.page.keyboard.press("Tab")
    report.page.keyboard.press("Enter")
    assert report.page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("kind", ["hostile", "thresholds", "several", "single", "one"])
def test_a_phone_has_no_sideways_scroll(tab, kind):
    report = tab(kind, viewport=PHONE)
    assert report.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not report.page.evaluate("document.querySelector('nav details').open")


def test_dark_mode(tab):
    light, dark = tab(), tab(color_scheme="dark")
    assert light.ground() == "rgb(255, 255, 255)"
    assert max(map(int, dark.ground()[4:-1].split(","))) < 40
    # A page that is open follows.
    light.page.emulate_media(color_scheme="dark")
    light.page.wait_for_function(
        "getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'"
    )
    ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
    assert light.page.evaluate(f"{MODEL.format('cursor')}.line_color") == light.page.evaluate(ink)


@pytest.mark.parametrize("kind", ["hostile", "thresholds", "several", "single", "one"])
def test_axe_finds_nothing(tab, kind):
    report = tab(kind)
    views = [("light", WIDE), ("dark", WIDE), ("dark", PHONE)]
    for scheme, viewport in views:
        report.page.emulate_media(color_scheme=scheme)
        report.page.set_viewport_size(viewport)
        found = Axe().run(report.page).response["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("bypass_csp", [False, True], ids=["policy", "escaping-alone"])
def test_hostile_names_run_nothing(tab, bypass_csp):
    report = tab("hostile", bypass_csp=bypass_csp)
    for index in (1, 0):
        report.page.get_by_label("Feature", exact=True).select_option(index=index)
    report.page.locator("#chart-explorer").hover(position={"x": 400, "y": 150})
    assert report.page.evaluate("typeof window.pwned") == "undefined"
    assert report.page.evaluate("document.images.length") == 0


def test_the_policy_stops_what_would_get_past_the_escaping(browser, pages, tmp_path):
    page = pages["single"].replace("<h1>", "<script>window.pwned = 1</script><h1>")
    page = page.replace("<h1>", '<img src="missing.png" onerror="pwned = 1"><h1>')
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    context = browser.new_context()
    report = Tab(context, tmp_path / "report.html")
    assert report.page.evaluate("typeof window.pwned") == "undefined"
    assert any("Content Security Policy" in problem for problem in report.problems)
    context.close()


def test_a_table_is_downloaded(tab, hostile):
    report = tab()
    with report.page.expect_download() as download:
        report.page.locator("#table-columns a[download]").click()
    assert download.value.suggested_filename == "columns.csv"
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    quoted = hostile.fit.feature_names[0].replace('"', '""')
    assert lines[1].startswith(f'"{quoted}","feature",60,0,')


def test_the_page_is_there_without_scripts(browser, files):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["hostile"].as_uri())
    assert page.get_by_text("Can the predictions be used?").is_visible()
    assert page.locator("table").count() >= 9
    context.close()
