"""The page as text: one file, nothing from outside, nothing from data that could run."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from sklearn.exceptions import NotFittedError

from bayes_hybrid import HybridRegressor
from bayes_hybrid.errors import DataError, OutputExistsError
from bayes_hybrid.report import write_report
from bayes_hybrid.report.page import content_policy
from bayes_hybrid.report.sections import SECTIONS
from tests.report.conftest import HOSTILE_FEATURES, HOSTILE_TARGET, grown, make_rows

KINDS = ["hostile", "thresholds", "several", "single", "one"]


class Page(HTMLParser):
    """Elements with their attributes, text of scripts, and text of everything else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self._open != "style":
            self.words.append(data)

    def running(self) -> list[str]:
        return [text for attributes, text in self.scripts if "type" not in attributes]

    def data(self) -> list[str]:
        return [text for attributes, text in self.scripts if "type" in attributes]


@pytest.fixture(params=KINDS)
def page(request, pages) -> Page:
    return Page(pages[request.param])


def test_nothing_comes_from_outside(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            # A fragment of the page, or the thing itself.
            assert value is None or value.startswith(("#", "data:")), (tag, name, value[:60])


def test_only_our_scripts_run_and_the_policy_names_them(page):
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in page.running()
    ]
    assert len(digests) == 2
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    assert policy == content_policy(page.running())


def test_attributes_hold_no_script(page):
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)


def test_all_data_are_json(page):
    def refuse(constant):
        raise AssertionError(constant)

    assert len(page.data()) > 5
    for text in page.data():
        assert "<" not in text
        json.loads(text, parse_constant=refuse)


def test_anchors_are_unique_and_found(page):
    found = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(found) == len(set(found))
    wanted = {
        value[1:]
        for _, attributes in page.elements
        if (value := attributes.get("href") or "").startswith("#")
    }
    assert wanted <= set(found)
    # One that a model with a single regime has no use for.
    assert {section.key for section in SECTIONS} - wanted <= {"readings"}


def test_controls_have_labels_and_pictures_have_words(page):
    labelled = {attributes.get("for") for tag, attributes in page.elements if tag == "label"}
    for tag, attributes in page.elements:
        if tag in ("select", "input"):
            assert attributes["id"] in labelled
        if attributes.get("role") == "img":
            assert len(attributes["aria-label"] or "") > 5


def test_hostile_names_are_words(pages):
    page = Page(pages["hostile"])
    text = " ".join(page.words)
    for name in (*HOSTILE_FEATURES, HOSTILE_TARGET):
        assert name in text
        # In attributes they are values, and nothing of theirs is an element.
        assert any(name in (value or "") for _, a in page.elements for value in a.values())
    assert "img" not in {tag for tag, _ in page.elements}
    assert "<b>fit</b>" in text
    assert "49" not in pages["hostile"].partition("<h1>")[2].partition("</h1>")[0]


def test_a_section_has_a_template_and_a_template_a_section():
    folder = resources.files("bayes_hybrid.report") / "templates" / "sections"
    assert {entry.name for entry in folder.iterdir()} == {f"{s.key}.html" for s in SECTIONS}


def test_size_does_not_grow_with_the_rows(hostile, pages):
    from bayes_hybrid.report.page import render

    big = render(grown(hostile, times=400))  # 24,000 rows
    points = 2_000 * 4 * 20  # features, target and regime of each point in 20 characters
    assert len(big) - len(pages["hostile"]) < 1.5 * points


def test_a_file_is_written_whole_or_not_at_all(hostile, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_report(hostile.estimator, path)
    assert path.read_text() == "mine"
    write_report(hostile.estimator, path, force=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileNotFoundError):
        write_report(hostile.estimator, tmp_path / "missing" / "report.html")


def test_what_cannot_be_reported(thresholds, tmp_path):
    path = tmp_path / "report.html"
    x, y = make_rows()
    with pytest.raises(NotFittedError):
        write_report(HybridRegressor(), path)
    with pytest.raises(DataError, match="without X_test"):
        write_report(thresholds.estimator, path, y_test=y)
    with pytest.raises(DataError):
        write_report(thresholds.estimator, path, X_test=x[:, :1], y_test=y)
    assert not path.exists()
