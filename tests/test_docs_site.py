"""The documentation site builds without a warning, is complete, and can be read by everyone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def _links(page):
    found = re.findall(r'(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8"))
    return {unquote(target) for target in found if not re.match(r"(https?:|data:|mailto:)", target)}


def test_every_page_is_at_most_two_clicks_from_the_front(site):
    pages = {
        page.relative_to(ROOT / "docs").with_suffix(".html")
        for page in (ROOT / "docs").rglob("*.md")
    }
    front = {Path(target) for target in _links(site / "index.html")}
    reference = {page for page in pages if page.parent == Path("reference")}
    assert pages - reference <= front | {Path("index.html")}
    deeper = {Path("reference", target) for target in _links(site / "reference" / "index.html")}
    assert reference <= front | deeper


def test_no_link_is_broken_and_none_needs_a_network(site):
    for page in site.rglob("*.html"):
        broken = [t for t in _links(page) if not (page.parent / t).exists()]
        assert broken == [], page
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?:', text)


def test_axe_finds_nothing(site):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        for name in ("index", "tutorial", "which-model-do-i-need", "reference/data"):
            tab.goto((site / f"{name}.html").as_uri())
            found = Axe().run(tab).response["violations"]
            assert [(each["id"], each["help"]) for each in found] == [], name
        browser.close()
