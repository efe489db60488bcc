"""The grid, the rule, stacking, and the command line."""

import shlex
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from bayes_hybrid import (
    ABRUPT,
    Binomial,
    FitOptions,
    HybridRegressor,
    LogNormalPrior,
    MonotoneGate,
    Pathway,
    Poisson,
    Priors,
    StudentT,
    ThresholdGate,
    WarmStart,
)
from bayes_hybrid.choosing import candidates, fit_command, pays, simplest, stacking_weights
from bayes_hybrid.choosing.candidates import FAMILIES
from bayes_hybrid.choosing.fits import estimator_of, searching
from bayes_hybrid.cli.app import app
from bayes_hybrid.cli.regressor import regressor
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import build_model, build_options
from bayes_hybrid.inference.recipe.plans import plans_of

# The grid


def test_every_candidate_is_a_model():
    places = []
    for size in (1, 2, 3):
        for each in candidates(size):
            model = build_model(estimator_of(HybridRegressor(), each), 1)
            assert model.num_regimes == each.num_regimes == len(each.experts) == size
            assert model.has_thresholds == (each.gate == "threshold")
            places.append(each.place)
    assert len(set(places)) == len(places)
    families = {each.family for size in (1, 2) for each in candidates(size)}
    assert families == set(FAMILIES)


@pytest.mark.parametrize("feature", [None, "dose"])
def test_levels_and_lines_change_from_one_row_to_the_next(feature):
    gates = {each.family: each.settings["gate"] for each in candidates(3, feature=feature)}
    abrupt = ThresholdGate(feature=feature, sharpness=ABRUPT)
    assert gates["levels"] == gates["lines"] == abrupt
    # Lines that meet may turn gradually.
    assert gates["joined"] == ("threshold" if feature is None else ThresholdGate(feature=feature))


def test_thresholds_start_between_what_the_candidate_has():
    def start(family, **options):
        candidate = next(each for each in candidates(2) if each.family == family)
        base = HybridRegressor(fit_options=FitOptions(**options))
        return build_options(searching(base, candidate)).warm_start

    assert [start(family).segments for family in ("levels", "joined", "lines")] == [
        "levels",
        "lines",
        "lines",
    ]
    assert start("smooth") == WarmStart()
    own = WarmStart(max_steps=7)
    assert start("lines", warm_start=own) == own


def test_two_smooth_regimes_are_the_default_estimator():
    smooth = next(each for each in candidates(2) if each.family == "smooth")
    default = HybridRegressor()
    assert estimator_of(default, smooth).get_params() == default.get_params()


# The rule


def test_a_gain_has_to_exceed_its_error_and_four_nats():
    # The gain is N m, and its error sqrt(N) s.
    rows = np.tile([-1.0, 1.0], 50)
    assert pays(0.11 + rows, np.zeros(100))
    assert not pays(0.09 + rows, np.zeros(100))
    assert not pays(0.039 + 0.1 * rows, np.zeros(100))
    assert pays(0.041 + 0.1 * rows, np.zeros(100))


def test_the_first_that_the_best_does_not_beat_is_chosen():
    rows = {"a": np.full(100, -1.0), "b": np.full(100, -0.03), "c": np.zeros(100)}
    assert simplest(rows) == "b"
    assert simplest({"a": rows["a"]}) == "a"


def test_pure_chance_is_seldom_taken_for_a_regime():
    # Differences of equal models: a gain beyond one error in 16% of draws by theory, and in fewer
    # with the 4 nats.  400 draws: four standard errors of 1.8% are 7.3%.
    rng = np.random.default_rng(0)
    taken = [pays(0.5 * rng.normal(size=100), np.zeros(100)) for _ in range(400)]
    assert np.mean(taken) < 0.16 + 0.073


# Stacking


def test_stacking_has_the_optimum_of_its_objective():
    rng = np.random.default_rng(0)
    rows = {name: rng.normal(size=60) for name in "abc"}
    weights = stacking_weights(rows)
    logs = np.stack([*rows.values()], axis=1)
    found = np.array([*weights.values()])
    assert found.sum() == pytest.approx(1.0)
    # At the maximum the mean share over the mixture is 1 where a weight is positive, else less.
    shares = (np.exp(logs) / (np.exp(logs) @ found)[:, None]).mean(axis=0)
    np.testing.assert_allclose(shares[found > 1e-3], 1.0, atol=1e-3)
    assert (shares < 1.0 + 1e-3).all()


# The command line


def typed(command, monkeypatch):
    """What a printed command fits: rows, estimator and folder."""
    seen = {}

    def run(rows, settings, out, **flags):
        seen.update(rows=rows, estimator=regressor(settings, quiet=True), out=str(out))

    monkeypatch.delenv("BAYES_HYBRID_QUICK", raising=False)
    monkeypatch.setattr("bayes_hybrid.cli.fitting.run", run)
    name, *words = shlex.split(command)
    assert name == "bayes-hybrid"
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen


def settings(estimator):
    """Its settings, where a word is as good as a tuple of it."""
    params = estimator.get_params(deep=False)
    del params["progress"]
    options = build_options(estimator)
    options = replace(options, plan=plans_of(options.plan))
    return params | {"fit_options": options, "experts": tuple(params["experts"])}


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("feature", [None, "dose, mg"])
def test_the_command_fits_what_the_estimator_does(size, feature, monkeypatch):
    options = FitOptions(num_restarts=7, sampler=None)
    base = HybridRegressor(random_state=3, likelihood="student_t", fit_options=options)
    for candidate in candidates(size, feature=feature):
        estimator = estimator_of(base, candidate)
        seen = typed(fit_command(estimator, data="data.csv", target="y"), monkeypatch)
        assert settings(seen["estimator"]) == settings(estimator)


@pytest.mark.parametrize("name", ["it's", 'a "b" $HOME `x`', "two\nlines", "-rf", "a,b", "é"])
def test_names_survive_the_shell(name, monkeypatch):
    command = fit_command(
        HybridRegressor(), data=f"{name}.csv", target=name, features=["x", name], out=name
    )
    seen = typed(command, monkeypatch)
    rows = seen["rows"]
    assert (rows.target, rows.features, seen["out"]) == ([name], ["x", name], name)
    assert rows.data.name == f"{name}.csv"
    # A shell takes the words apart as shlex does.
    echoed = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True
    )
    assert echoed.stdout.split("\0")[:-1] == shlex.split(command)


def test_gates_have_their_options(monkeypatch):
    for gate in (ThresholdGate(feature="x", sharpness=ABRUPT), MonotoneGate(feature="x")):
        command = fit_command(HybridRegressor(gate=gate), data="d.csv", target="y")
        assert typed(command, monkeypatch)["estimator"].gate == gate


def test_sizes_of_rows_have_their_options(monkeypatch):
    for likelihood in (Poisson(exposure="years, at risk"), Binomial(trials="shots")):
        command = fit_command(HybridRegressor(likelihood=likelihood), data="d.csv", target="y")
        assert typed(command, monkeypatch)["estimator"].likelihood == likelihood


@pytest.mark.parametrize(
    "setting",
    [
        {"priors": Priors(width=LogNormalPrior(median=1.0, spread=1.0))},
        {"model": Pathway("relu", depth=2)},
        {"gate": ThresholdGate(feature=1)},
        {"gate": ThresholdGate(location_scale=2.0)},
        {"joined": (True, False)},
        {"likelihood": Poisson(exposure=0)},
        {"likelihood": Poisson(exposure="n", base=2.0)},
        {"likelihood": StudentT(df=3.0)},
    ],
)
def test_a_setting_without_an_option_is_refused(setting):
    (name,) = setting
    with pytest.raises(OptionError, match=f"{name}=.* has no option .* fit .* in Python"):
        fit_command(HybridRegressor(**setting), data="d.csv", target="y")
