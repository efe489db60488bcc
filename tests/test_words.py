"""Settings as options: what is advised on the command line can be typed there."""

import re

import pytest
from typer.main import get_command

import bayes_hybrid
from bayes_hybrid.cli.app import app
from bayes_hybrid.estimator import build_options
from bayes_hybrid.estimator.build import build_model
from bayes_hybrid.words import OPTIONS, on_command_line, placed


def options_of(command):
    """Names of the options of a command."""
    params = get_command(app).commands[command].params
    return {name for param in params for name in param.opts}


def test_every_setting_with_an_option_has_that_option():
    assert {f"--{name.replace('_', '-')}" for name in OPTIONS} <= options_of("fit")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("`num_restarts=64`", "--num-restarts 64"),
        ("`num_restarts`", "--num-restarts"),
        ("`plan=('default', 'balanced')`", "--plan default,balanced"),
        ("`plan='balanced'`", "--plan balanced"),
        ("`label_weight=0.5`", "--label-weight 0.5"),
        ("`refine='always'` (`num_restarts=4`)", "--refine always (--num-restarts 4)"),
        (
            "`HMC(num_warmup=...)`",
            "fit_options=FitOptions(sampler=HMC(num_warmup=...)) in Python",
        ),
        (
            "`Variational(guide='block')`",
            "fit_options=FitOptions(variational=Variational(guide='block')) in Python",
        ),
        ("`Pathway(depth=2)`", "Pathway(depth=2) in Python"),
        ("`depth=2`", "depth=2 in Python"),
        ("`ablate`", "bayes-hybrid ablate"),
        ("model='relu' has one regime", "--model relu has one regime"),
        ("num_units=8, not depth=2", "--num-units 8, not depth=2"),
        ("noise = 2, a gate, and the plan", "noise = 2, a gate, and the plan"),
        ("gate=ThresholdGate(feature='x')", "gate=ThresholdGate(feature='x')"),
        ("--model='linear' is none", "--model='linear' is none"),
        ("no settings", "no settings"),
        ("", ""),
    ],
)
def test_settings_are_typed(text, words):
    assert on_command_line(text) == words


@pytest.mark.parametrize(
    ("option", "setting", "typed"),
    [
        ("num_restarts=64", "fit_options=FitOptions(num_restarts=64)", "--num-restarts 64"),
        ("num_restarts", "fit_options=FitOptions(num_restarts=...)", "--num-restarts"),
        ("plan=('a', 'b')", "fit_options=FitOptions(plan=('a', 'b'))", "--plan a,b"),
        ("refine='always'", "fit_options=FitOptions(sampler=HMC(budget=None))", "--refine always"),
        ("refine='never'", "fit_options=FitOptions(sampler=None)", "--refine never"),
        ("num_units", "Pathway(num_units=...)", "--num-units"),
        ("noise='input'", "noise='input'", "--noise input"),
    ],
)
def test_options_have_their_place_in_python_and_back(option, setting, typed):
    assert placed(f"`{option}`") == f"`{setting}`"
    assert on_command_line(f"`{setting}`") == on_command_line(f"`{option}`") == typed


def test_no_option_is_left_that_does_not_exist():
    text = " ".join(f"`{name}=1` `{name}` {name}='a'" for name in OPTIONS)
    assert set(re.findall(r"--[a-z-]+", on_command_line(text))) <= options_of("fit")


@pytest.mark.parametrize(
    "code", ["HMC(num_warmup=9)", "Variational()", "WarmStart(max_steps=9)", "Priors()"]
)
def test_an_object_is_placed_where_the_estimator_takes_it(code):
    written = placed(f"Take `{code}` or `noise='input'`.")
    setting = written.split("`")[1]
    assert written == f"Take `{setting}` or `noise='input'`."
    assert code in setting
    estimator = eval(f"HybridRegressor({setting})", vars(bayes_hybrid) | exported())
    build_options(estimator)
    build_model(estimator, 1)
    # What is placed is left alone.
    assert placed(written) == written


def exported():
    return {name: getattr(bayes_hybrid, name) for name in bayes_hybrid.__all__}
