"""Advice that is followed already is not given, and all of it can be read."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bayes_hybrid
from bayes_hybrid import (
    HMC,
    NUTS,
    SGHMC,
    FitOptions,
    HybridRegressor,
    Pathway,
    Priors,
    Variational,
    WarmStart,
)
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.findings.advice import resolved
from bayes_hybrid.estimator import settings_of, with_units
from bayes_hybrid.words import OPTIONS, SPAN, on_command_line, placed
from tests.budgets import tiny
from tests.diagnostics.fakes import collapsed, healthy, refined

SETTINGS = {"num_restarts": 32, "plan": "default", "refine": "never", "noise": "constant"}
_SOURCES = [
    path
    for path in Path(bayes_hybrid.__file__).parent.rglob("*.py")
    if {"diagnostics", "validation"} & {*path.parts}
]
CLASSES: dict[str, Any] = {
    "HMC": HMC,
    "NUTS": NUTS,
    # The sampler that ran, where advice names it.
    "WORD": HMC,
    "SGHMC": SGHMC,
    "Variational": Variational,
    "WarmStart": WarmStart,
}
CLASSES |= {"Priors": Priors, "FitOptions": FitOptions, "Pathway": Pathway}


def written():
    """Every advice that the package gives, as it is written."""
    found = []
    for path in _SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "advice":
                found.append(node.value)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                named = isinstance(target, ast.Name) and target.id in ("advice", "_ADVICE")
                if named and node.value is not None:
                    found.append(node.value)
    return [text for text in map(as_text, found) if text]


def as_text(node):
    """What a string says, with a word for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(as_text(part) or "WORD" for part in node.values)
    return ""


ADVICE = written()


def test_all_advice_was_found():
    assert len(ADVICE) > 25


@pytest.mark.parametrize("text", ADVICE, ids=range(len(ADVICE)))
def test_settings_that_are_advised_exist(text):
    for span in SPAN.findall(text):
        within = re.fullmatch(r"([A-Z]\w*)\((.*)\)", span)
        if within:
            fields = CLASSES[within[1]].__dataclass_fields__
            assert all(name in fields for name in re.findall(r"(\w+)=", within[2]))
        elif span not in ("ablate", "plot_pit"):
            name = span.partition("=")[0]
            assert name in {*OPTIONS, *HybridRegressor().get_params(deep=False)}, span
            # In Python it is a setting that the estimator takes, or a Pathway's.
            code = placed(f"`{span}`")[1:-1].replace("...", "'auto'")
            if "=" in code:
                setting = f"model={code}" if code.startswith("Pathway") else code
                eval(f"HybridRegressor({setting})", CLASSES | {"HybridRegressor": HybridRegressor})


@pytest.mark.parametrize("text", ADVICE, ids=range(len(ADVICE)))
def test_advice_reads_as_sentences_whatever_is_followed(text):
    everything = {name: ast.literal_eval(value) for name, value in wanted(text)}
    for settings in ({}, SETTINGS, everything):
        words = resolved(text, settings)
        assert words.endswith(".")
        assert "{" not in words
        assert "|" not in words.replace("p(z | x", "").replace("p(z|x", "")
        assert all(part[0].isupper() or part[0] == "`" for part in re.split(r"(?<=\.) ", words))
        assert "`" not in on_command_line(words)
        assert not re.search(r"`(HMC|NUTS|SGHMC|Variational|WarmStart|Priors)", words)


def wanted(text):
    """Settings with their values within braces."""
    for group in re.findall(r"\{([^{}]*)\}", text):
        for span in SPAN.findall(group):
            within = re.fullmatch(r"([A-Z]\w*)\((.*)\)", span)
            name, _, value = (within[2] if within else span).partition("=")
            if value and value != "...":
                yield (f"{within[1]}.{name}" if within else name), value


@pytest.mark.parametrize("text", ADVICE, ids=range(len(ADVICE)))
def test_what_is_set_is_not_advised(text):
    for name, value in wanted(text):
        settings = {name: ast.literal_eval(value)}
        if name == "num_restarts":
            continue  # more are as good, see below
        assert f"{name.rpartition('.')[2]}={value}" not in resolved(text, settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "Do {a (`num_restarts=128`)|b (`plan=('default', 'balanced')`)|c}."),
        (
            {"num_restarts": 127},
            "Do a (`num_restarts=128`), b (`plan=('default', 'balanced')`) or c.",
        ),
        ({"num_restarts": 128}, "Do b (`plan=('default', 'balanced')`) or c."),
        ({"plan": "balanced"}, None),
        ({"plan": ("balanced", "direct", "even_gate")}, "Do a (`num_restarts=128`) or c."),
        ({"num_restarts": 199, "plan": ("default", "balanced")}, "Do c."),
    ],
)
def test_alternatives(settings, words):
    text = "Do {a (`num_restarts=128`)|b (`plan=('default', 'balanced')`)|c}."
    everything = "Do a (`num_restarts=128`), b (`plan=('default', 'balanced')`) or c."
    expected = everything if words is None or not settings else words
    assert resolved(text, settings) == placed(expected)


def test_settings_that_go_together_are_followed_together():
    text = "So. {More with noise (`num_restarts=32`, `noise='constant'`)} may do."
    both = {"num_restarts": 32, "noise": "constant"}
    assert resolved(text, both) == "So."
    assert resolved(text, both | {"num_restarts": 40}) == "So."
    for less in (both | {"num_restarts": 16}, both | {"noise": "input"}):
        assert "may do" in resolved(text, less)
    assert resolved("{`refine='always'`} helps.", {"refine": "always"}).startswith("What is usual")
    assert resolved("", {}) == ""


def test_findings_know_the_settings():
    fit = collapsed(switch=3.0)
    (plain,) = (f for f in diagnose(fit) if f.name == "dominant_regime")
    assert "`fit_options=FitOptions(num_restarts=128)`" in plain.advice
    settings = {"num_restarts": 128}
    (told,) = (f for f in diagnose(fit, settings=settings) if f.name == "dominant_regime")
    assert "num_restarts" not in told.advice
    assert "balanced" in told.advice
    for made in (healthy(shift=0.5), refined(shift=0.4, diverging=0.2, rate=0.1)):
        assert all("{" not in f.advice for f in diagnose(made))


TINY = tiny(plan=("default", "balanced"), num_draws=30)


def test_the_estimator_says_what_it_was_fitted_with():
    x = [[float(value)] for value in range(20)]
    y = [value[0] % 3.0 for value in x]
    reg = with_units(
        HybridRegressor(fit_options=TINY, noise="constant", random_state=0), num_units=3
    ).fit(x, y)
    settings = settings_of(reg)
    assert settings["num_restarts"] == TINY.num_restarts == 2
    # Those that were left out were started, too.
    training = replace(reg.fit_.training, num_dropped=1, num_negligible=4)
    reg.fit_ = replace(reg.fit_, training=training)
    assert settings_of(reg)["num_restarts"] == 2 + 1 + 4
    assert settings["plan"] == ("default", "balanced")
    assert (settings["gate"], settings["noise"]) == ("relu", "constant")
    assert (settings["model"], settings["refine"]) == ("mixture", "never")
    assert settings["Variational.guide"] == "block"
    assert set(settings) <= {*OPTIONS, "Variational.guide"}
    for finding in reg.diagnose():
        assert "balanced" not in finding.advice
        assert "gate='relu'" not in finding.advice
    again = with_units(
        HybridRegressor(model="gaussian", fit_options=TINY, random_state=0, noise="input"),
        num_units=3,
    )
    single = settings_of(again.fit(x, y))
    assert "model" not in single
    assert "gate" not in single
    assert single["noise"] == "input"
