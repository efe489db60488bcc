"""The whole recipe, on budgets of a few steps: how it runs, not how well."""

import dataclasses
import math
import re
import warnings
from typing import Any

import numpy as np
import pyro
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import FitError, OptionError
from bayes_hybrid.gates import ThresholdGate
from bayes_hybrid.inference import (
    HMC,
    NUTS,
    SGHMC,
    FitOptions,
    Variational,
    WarmStart,
    fit,
    resolve_device,
)
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.guides.svi import train as svi_train
from bayes_hybrid.inference.recipe import start
from bayes_hybrid.inference.recipe import variational as svi_step
from bayes_hybrid.inference.recipe.variational import GUIDES
from tests.inference.linear import LinearRegression, closed_form
from tests.models import zoo

_LINE = LinearRegression()
_MIXTURE = zoo.MODELS["mixture of 2, constant, constant"]
_RESTARTS = 2


def _options(**settings):
    defaults: dict[str, Any] = {
        "num_restarts": _RESTARTS,
        "warm_start": WarmStart(max_steps=40, check_every=20),
        "variational": Variational(
            num_steps=30,
            selection_steps=6,
            kl_weights=(0.0, 1.0),
            num_draws=5,
        ),
        "sampler": None,
        "compile": "never",
    }
    return FitOptions(**defaults | settings)


_HMC = HMC(num_warmup=8, num_iterations=10, num_leapfrog=3, budget=None)


def _table(num_rows=25, seed=0, num_features=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((num_rows, num_features)) * 3.0 + 1.0
    return x, 20.0 * x[:, 0] + 5.0 * rng.standard_normal(num_rows) - 40.0


def _fit(model=_LINE, table=None, *, seed=0, options=None, **settings):
    x, y = _table(num_features=model.num_features) if table is None else table
    return fit(model, x, y, seed=seed, options=options or _options(), **settings)


def _equal(one, other):
    same = torch.equal(one.posterior.theta, other.posterior.theta)
    return (
        same
        and bool((one.restarts.elbo == other.restarts.elbo).all())
        and one.training.kl_scores == other.training.kl_scores
    )


@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
@pytest.mark.parametrize("model", [_LINE, _MIXTURE], ids=["line", "mixture"])
def test_contract(model, sampler):
    x, y = _table(num_features=model.num_features)
    done = fit(model, x, y, seed=3, options=_options(sampler=sampler)).named(None, ["yield"])
    refined = sampler is not None
    assert done.training.method == ("svi+hmc" if refined else "svi")
    size = SiteTable.of(model, torch.zeros(1, model.num_features)).num_parameters
    assert done.posterior.theta.shape[1:] == (5, size)
    restarts = done.posterior.num_restarts
    assert 1 <= restarts <= _RESTARTS
    assert done.posterior.theta.dtype == torch.float32
    assert bool(torch.isfinite(done.posterior.theta).all())
    assert done.restarts.elbo.shape == (restarts,)
    assert np.isfinite(done.restarts.elbo).all()
    assert (done.x is x, done.y is y, done.seed, done.training.device) == (True, True, 3, "cpu")
    assert done.feature_names == tuple(f"x{column}" for column in range(x.shape[1]))
    assert done.target_name == "yield"
    assert done.training.num_dropped == 0
    assert done.training.compiled is False
    assert set(done.training.kl_scores) == (set() if refined else {0.0, 1.0})
    assert done.training.kl_weight == max(
        done.training.kl_scores, key=done.training.kl_scores.get, default=0.0
    )
    fields = {"acceptance_rate", "diverging", "energy", "step_size"} if refined else set()
    assert set(done.restarts.sampler) == fields
    assert all(values.shape == (restarts, 5) for values in done.restarts.sampler.values())
    assert done.posterior.predictive.mean(x).shape == y.shape
    assert np.isfinite(done.posterior.predictive.log_density(x, y)).all()
    assert done.variational_log_ratios.shape == done.variational.theta.shape[:2]
    assert np.isfinite(done.variational_log_ratios).all()
    # SVI's own draws stay at hand beside HMC's.
    assert torch.equal(done.variational.theta, done.posterior.theta) is not refined


@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
def test_stages_and_status(sampler):
    done = _fit(options=_options(sampler=sampler))
    # Without noise slopes there is nothing to hold back while means come first.
    names = ["recording", "warm start: all", "warm start: small steps"]
    # Where a sampler follows, features start as points.
    refined = sampler is not None
    names += ["SVI", "refinement (HMC)"] if refined else ["choice of the KL weight", "SVI"]
    assert [stage.name for stage in done.training.stages] == [*names, "weighing"]
    assert all(
        stage.reason and stage.seconds >= 0 and stage.steps >= 0 for stage in done.training.stages
    )
    steps = {stage.name: stage.steps for stage in done.training.stages}
    assert steps["SVI"] == 30
    assert steps.get("choice of the KL weight") == (None if refined else 6)
    # 40 steps, a check every 20, and again after the cut.
    assert [len(stage.trace) for stage in done.training.stages[1:3]] == [2, 2]
    assert len(done.training.stages[names.index("SVI")].trace) == 30
    assert done.training.seconds == pytest.approx(
        sum(stage.seconds for stage in done.training.stages)
    )
    assert re.fullmatch(r"[A-Z].*\.", done.training.status)
    assert done.training.converged == done.training.status.startswith("Every stage")
    assert ("Refined by HMC" in done.training.status) == refined


def test_an_unfinished_warm_start_says_what_to_do():
    # 20 steps of at most 0.03 from prior draws: slopes of order one are still far away.
    options = _options(warm_start=WarmStart(max_steps=20, check_every=5, learning_rate=0.03))
    done = _fit(options=options)
    assert done.training.converged is False
    assert "max_steps" in done.training.status


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
def test_an_elbo_that_has_not_settled_matters_where_no_sampler_goes_on(
    monkeypatch, sampler, settled
):
    monkeypatch.setattr("bayes_hybrid.inference.guides.svi._settled", lambda losses: settled)
    warm_start = WarmStart(max_steps=2_000, check_every=20, patience=1)
    done = _fit(options=_options(sampler=sampler, warm_start=warm_start))
    assert done.training.converged == (settled or sampler is not None)
    assert ("num_steps" in done.training.status) != done.training.converged


def test_traces_are_thinned():
    variational = Variational(num_steps=1_000, selection_steps=5, kl_weights=(0.0,), num_draws=2)
    done = _fit(options=_options(variational=variational))
    assert 100 <= len(done.training.stages[-2].trace) <= 400
    # A single candidate weight needs no trial.
    assert (done.training.kl_weight, done.training.kl_scores) == (0.0, {})


@pytest.mark.parametrize("model", [_LINE, _MIXTURE], ids=["line", "mixture"])
def test_a_seed_fixes_every_bit(model):
    options = _options(sampler=_HMC)
    first = _fit(model, seed=0, options=options)
    # Other fits and other users of the generators in between leave no trace.
    other = _fit(model, seed=1, options=options)
    _fit(model, _table(25, seed=9, num_features=model.num_features), options=_options())
    torch.randn(3)
    np.random.default_rng()
    assert _equal(_fit(model, seed=0, options=options), first)
    assert not torch.equal(other.posterior.theta, first.posterior.theta)


@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
def test_the_callers_precision_changes_nothing(sampler):
    model = dataclasses.replace(_MIXTURE, gate=ThresholdGate(feature=0))
    whole = _fit(model, options=_options(sampler=sampler))
    torch.set_default_dtype(torch.float64)
    try:
        again = _fit(model, options=_options(sampler=sampler))
    finally:
        torch.set_default_dtype(torch.float32)
    assert _equal(again, whole)


def test_global_state_is_left_alone():
    pyro.get_param_store()["mine"] = torch.tensor(3.0)
    pyro.get_param_store()["noise"] = torch.tensor(1.0)  # the name of a site
    settings = pyro.settings.get()
    legacy: Any = np.random.get_state()  # noqa: NPY002
    state = torch.random.get_rng_state()
    dtype = torch.get_default_dtype()
    _fit(_MIXTURE, options=_options(sampler=_HMC))
    assert set(pyro.get_param_store().keys()) == {"mine", "noise"}
    assert torch.equal(pyro.get_param_store()["mine"], torch.tensor(3.0))
    assert pyro.settings.get() == settings
    assert torch.equal(torch.random.get_rng_state(), state)
    now: Any = np.random.get_state()  # noqa: NPY002
    assert now[2:] == legacy[2:]
    assert (now[1] == legacy[1]).all()
    assert torch.get_default_dtype() == dtype


@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
def test_minibatches(sampler):
    options = _options(batch_size=10, sampler=sampler)
    done = _fit(options=options)
    assert np.isfinite(done.restarts.elbo).all()
    assert _equal(done, _fit(options=options))
    assert not torch.equal(done.posterior.theta, _fit(options=_options()).posterior.theta)


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5])
def test_few_rows(num_rows):
    # Fewer rows than restarts, than folds, than features; of a single row the scale is 1.
    options = _options(num_restarts=4, sampler=_HMC)
    done = _fit(table=_table(num_rows), options=options)
    assert np.isfinite(done.posterior.predictive.mean(done.x)).all()
    assert np.isfinite(done.posterior.predictive.log_density(done.x, done.y)).all()


def test_constant_columns():
    x, y = _table()
    x[:, 1] = 7.0
    for target in (y, np.full_like(y, 3.0)):
        done = _fit(table=(x, target))
        assert np.isfinite(done.posterior.predictive.mean(x)).all()


@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_units_do_not_matter(size):
    x, y = _table()
    plain, scaled = _fit(table=(x, y)), _fit(table=(x * size, y * size))
    # Powers of ten round the standardised table in its last float64 digit, if at all.
    np.testing.assert_allclose(
        scaled.posterior.predictive.mean(x * size) / size,
        plain.posterior.predictive.mean(x),
        rtol=1e-3,
    )


def test_names_are_kept():
    done = _fit()
    assert done.feature_names == ("x0", "x1", "x2")
    named = done.named(["dose", "age", "day"], None)
    assert named.feature_names == ("dose", "age", "day")
    assert (named.target_name, named.output_names) == ("y", ("y",))


@pytest.mark.parametrize("sampler", [None, _HMC], ids=["svi", "hmc"])
def test_progress_reports_every_stage(sampler):
    calls = []
    _fit(
        options=_options(
            variational=Variational(
                num_steps=100,
                selection_steps=50,
                kl_weights=(0.0, 1.0),
                num_draws=2,
            ),
            sampler=sampler,
        ),
        progress=lambda *call: calls.append(call),
    )
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == [
        "warm start",
        *([] if sampler is _HMC else ["choice of the KL weight"]),
        "SVI",
        "weighing of the guide",
        "refinement (HMC)" if sampler is _HMC else "choice of the restarts",
    ]
    for stage in stages:
        done = [step for name, step, _ in calls if name == stage]
        totals = {total for name, _, total in calls if name == stage}
        assert done == sorted(done)
        assert len(totals) == 1
        assert 0 < done[-1] <= totals.pop()
    assert ("SVI", 100, 100) in calls


def test_progress_may_interrupt():
    def stop(*_call):
        raise KeyboardInterrupt

    settings = pyro.settings.get()
    with pytest.raises(KeyboardInterrupt):
        _fit(progress=stop)
    assert pyro.settings.get() == settings


def _spoil(monkeypatch, place, name, change):
    """Let a function, or a method, return a changed result."""
    before = getattr(place, name)
    monkeypatch.setattr(place, name, lambda *a, **k: change(before(*a, **k)))


def _lose(monkeypatch, rows):
    """Restarts that start where no density is finite."""

    def change(theta):
        theta = theta.clone()
        theta[rows] = math.nan
        return theta

    _spoil(monkeypatch, start, "prior_draws", change)


@pytest.mark.parametrize("model", [_LINE, _MIXTURE], ids=["line", "mixture"])
def test_lost_candidates_are_dropped_and_reported(monkeypatch, model):
    _lose(monkeypatch, [0, 2])
    done = _fit(model, options=_options(num_restarts=3))
    assert done.restarts.sources.tolist() == [1]
    assert done.posterior.num_restarts == len(done.restarts.elbo) == 1
    assert done.training.num_dropped == 2
    assert re.search(r"\b2 restarts .* dropped", done.training.status)
    assert bool(torch.isfinite(done.posterior.theta).all())


def test_all_lost_is_a_clear_error(monkeypatch):
    _lose(monkeypatch, [0, 1, 2])
    with pytest.raises(FitError, match=r"Every one of the 3 restarts .* warm start.*learning rate"):
        _fit(options=_options(num_restarts=3))


def test_lost_in_svi(monkeypatch):
    def change(trained):
        elbo = trained.elbo.clone()
        elbo[0] = math.nan
        return dataclasses.replace(trained, elbo=elbo)

    _spoil(monkeypatch, svi_step, "train", change)
    done = _fit()
    assert done.training.num_dropped >= 1
    assert "dropped" in done.training.status
    assert np.isfinite(done.restarts.elbo).all()

    def lose_all(trained):
        return dataclasses.replace(trained, elbo=torch.full_like(trained.elbo, math.nan))

    _spoil(monkeypatch, svi_step, "train", lose_all)
    with pytest.raises(FitError, match="Every one"):
        _fit()


def test_a_stuck_chain_is_dropped(monkeypatch):
    options = _options(num_restarts=3, sampler=_HMC)
    whole = _fit(options=options)

    def change(chains):
        acceptance = chains.acceptance.clone()
        acceptance[1] = 0.0
        return dataclasses.replace(chains, acceptance=acceptance)

    _spoil(monkeypatch, HMC, "run", change)
    done = _fit(options=options)
    assert torch.equal(done.posterior.theta, whole.posterior.theta[[0, 2]])
    assert (done.restarts.elbo == whole.restarts.elbo[[0, 2]]).all()
    assert (done.restarts.sources == whole.restarts.sources[[0, 2]]).all()
    assert len(set(whole.restarts.sources)) == 3
    assert all(values.shape == (2, 5) for values in done.restarts.sampler.values())
    assert done.training.num_dropped == 1
    assert re.search(r"\b1 restarts? .* dropped", done.training.status)

    def stick(chains):
        return dataclasses.replace(chains, acceptance=torch.zeros_like(chains.acceptance))

    _spoil(monkeypatch, HMC, "run", stick)
    with pytest.raises(FitError, match=r"did not move in HMC.*num_warmup"):
        _fit(options=options)


def test_divergences_are_counted(monkeypatch):
    def change(chains):
        diverging = torch.zeros_like(chains.diverging)
        diverging[:, :2] = True
        return dataclasses.replace(chains, diverging=diverging)

    _spoil(monkeypatch, HMC, "run", change)
    done = _fit(options=_options(sampler=_HMC))
    assert done.restarts.sampler["diverging"].sum() == 2 * done.posterior.num_restarts
    count = done.posterior.num_restarts
    assert f"; {2 * count} of {5 * count} draws followed a divergence" in done.training.status


def test_failed_compilation_is_one_warning_and_the_recorded_graph(monkeypatch):
    whole = _fit(options=_options())

    def fail(*_arguments, **_settings):
        raise RuntimeError("no compiler")

    monkeypatch.setattr("bayes_hybrid.inference.engine.recorder.compile_graph", fail)
    with pytest.warns(RuntimeWarning, match=r"torch.compile failed.*up to rounding") as caught:
        done = _fit(options=_options(compile="always"))
    assert len(caught) == 1
    assert done.training.compiled is False
    assert _equal(done, whole)


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(OptionError, match="'abacus'"):
        resolve_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="cuda"):
            _fit(options=_options(device="cuda"))


def test_auto_refines_within_its_budget():
    steps = {"num_warmup": 10, "num_iterations": 10, "num_leapfrog": 5}
    hmc = HMC(**steps, budget=1e6)
    assert hmc.suited(10, 100, 10) == hmc  # 10 x 100 x 10 x 20 x 5 is the budget
    assert hmc.suited(11, 100, 10) is None
    by_ten = SGHMC(**steps, batch_size=10, budget=1e6)
    assert by_ten.suited(11, 100, 10) == by_ten
    assert by_ten.suited(11, 101, 10) is None
    always = dataclasses.replace(hmc, budget=None)
    assert always.suited(10**9, 100, 10) == always


@pytest.mark.parametrize(
    ("kind", "name", "bad"),
    [
        (FitOptions, "num_restarts", 0),
        (FitOptions, "batch_size", 0),
        (FitOptions, "compile", "maybe"),
        (WarmStart, "learning_rate", 0.0),
        (WarmStart, "num_folds", 1),
        (Variational, "kl_weights", ()),
        (Variational, "kl_weights", (2.0,)),
        (Variational, "num_draws", 0),
        (FitOptions, "sampler", "never"),
        (HMC, "target_acceptance", 1.0),
        (HMC, "budget", -1.0),
        (HMC, "num_leapfrog", 0),
        (NUTS, "max_tree_depth", 0),
        (SGHMC, "batch_size", 0),
    ],
)
def test_bad_settings_are_named(kind, name, bad):
    with pytest.raises(OptionError, match=name):
        kind(**{name: bad})


@pytest.mark.slow
@pytest.mark.parametrize("refined", [False, True])
def test_finds_the_closed_form(refined):
    x, y = _table(40)
    options = FitOptions(
        num_restarts=4,
        warm_start=WarmStart(max_steps=500),
        variational=Variational(num_steps=2_000, kl_weights=(0.0,), num_draws=300),
        sampler=HMC(num_warmup=150, num_iterations=300, num_leapfrog=8) if refined else None,
        compile="never",
    )
    done = fit(_LINE, x, y, seed=0, options=options)
    scaled = torch.as_tensor(done.posterior.x_scaling.transform(x))
    mean, covariance = closed_form(
        _LINE, scaled, torch.as_tensor(done.posterior.y_scaling.transform(y))
    )
    sd = covariance.diagonal().sqrt()
    draws = done.posterior.theta.double().reshape(-1, 4)
    # SVI stops 0.15 of an sd off at most; HMC's 1,200 draws, were a third of them independent,
    # have standard errors of 0.05: four of them.  Variances are twice as uncertain.
    assert float(((draws.mean(0) - mean) / sd).abs().max()) < 0.2
    error = (torch.cov(draws.T) - covariance) / sd.outer(sd)
    assert float(error.abs().max()) < 0.4


@pytest.mark.slow
def test_a_compiled_fit_gives_the_same_and_does_not_change_a_later_one():
    flag = torch.distributions.Distribution._validate_args
    table = _table(26)  # a number of rows that no other test has recorded
    before = _fit(table=table)
    with warnings.catch_warnings():
        # Imports of the compiler's own dependencies.
        warnings.simplefilter("ignore", DeprecationWarning)
        done = _fit(table=table, options=_options(compile="always"))
    assert done.training.compiled is True
    assert torch.distributions.Distribution._validate_args is flag
    # Another order of float32 sums, over a hundred steps.
    np.testing.assert_allclose(
        done.posterior.predictive.mean(done.x),
        before.posterior.predictive.mean(done.x),
        rtol=1e-2,
        atol=1e-1,
    )
    after = _fit(table=table)
    assert after.training.compiled is False
    assert _equal(before, after)


def test_nuts_takes_the_place_of_hmc():
    nuts = NUTS(num_warmup=8, num_iterations=10, max_tree_depth=2, budget=None)
    done = _fit(options=_options(sampler=nuts))
    assert done.training.method == "svi+nuts"
    assert "Refined by NUTS" in done.training.status
    assert done.training.stages[-2].name == "refinement (NUTS)"
    assert set(done.restarts.sampler) == {"acceptance_rate", "diverging"}
    assert not torch.equal(done.variational.theta, done.posterior.theta)


@pytest.mark.parametrize("compiled", [False, True])
def test_sghmc_takes_its_own_minibatches(monkeypatch, built, compiled):
    taken = []
    gradient = Rows.gradient

    def spy(rows, theta, *rest):
        taken.append(rows.batch_size)
        return gradient(rows, theta, *rest)

    monkeypatch.setattr(Rows, "gradient", spy)
    some = SGHMC(num_warmup=8, num_iterations=10, num_leapfrog=3, batch_size=10)
    options = _options(sampler=some, compile="always" if compiled else "never")
    done = _fit(_LINE, options=options)
    # Gradient and step of SVI, and the gradient of its own rows.
    assert len(built) == (3 if compiled else 0)
    assert set(taken[-20:]) == {10}
    assert taken[0] > 10
    assert done.training.method == "svi+sghmc"
    assert "Refined by SGHMC with temperature" in done.training.status
    assert done.training.stages[-2].name == "refinement (SGHMC)"
    assert set(done.restarts.sampler) == {"temperature"}
    assert not torch.equal(done.variational.theta, done.posterior.theta)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_guide_fits_and_says_how_far_it_is(monkeypatch, guide):
    rates = []

    def train(*arguments, **settings):
        rates.append(settings["schedule"].learning_rate)
        return svi_train(*arguments, **settings)

    monkeypatch.setattr(svi_step, "train", train)
    variational = dataclasses.replace(_options().variational, guide=guide)
    done = _fit(_MIXTURE, options=_options(variational=variational))
    assert rates[-1] == (0.0 if guide == "laplace" else variational.learning_rate)
    restarts = done.posterior.num_restarts
    assert done.restarts.log_ratios.shape == (restarts, 200)
    assert np.isfinite(done.restarts.log_ratios).all() == (guide != "point")
    theta = done.posterior.theta
    moving = (theta != theta[:, :1]).any(1).float().mean(-1)
    features = SiteTable.of(_MIXTURE, torch.zeros(1, _MIXTURE.num_features)).feature_mask
    share = {"point": 0.0, "block": float((~features).float().mean())}.get(guide, 1.0)
    assert bool((moving >= share - 1e-6).all())


def test_hmc_after_minibatches_is_compiled_for_all_rows(built):
    # A model of its own: engines are shared, and know what they compiled.
    _fit(
        LinearRegression(noise=0.6),
        options=_options(batch_size=10, compile="always", sampler=_HMC),
    )
    # The gradient of ten rows, SVI's step on them, and the gradient of all rows.
    assert len(built) == 3


def test_stages_say_what_was_done_under_thresholds():
    model = dataclasses.replace(_MIXTURE, gate=ThresholdGate(feature=0))
    done = _fit(model, options=_options(num_restarts=2, sampler=_HMC))
    stages = {stage.name: stage.reason for stage in done.training.stages}
    assert re.search(r"^2 restarts, .* in effect$", stages["weighing"])
    assert re.search(r", of single-site steps 0\.\d\d$", stages["refinement (HMC)"])


def test_sources_are_numbers_of_candidates_also_where_some_were_lost(monkeypatch):
    _lose(monkeypatch, [0])
    done = _fit(options=_options(num_restarts=3))
    assert set(done.restarts.sources.tolist()) <= {1, 2}
    assert len(done.restarts.sources) + done.training.num_negligible == 2


@pytest.mark.parametrize(
    ("model", "labels", "message"),
    [
        (zoo.MODELS["mixture of 2, labels"], None, "no labels came"),
        (_MIXTURE, np.zeros(25), "labels came"),
        (zoo.MODELS["mixture of 2, 3 outputs"], None, "num_outputs=3"),
    ],
)
def test_targets_and_labels_have_to_be_the_models(model, labels, message):
    x, y = _table(num_features=zoo.NUM_FEATURES)
    with pytest.raises(OptionError, match=message):
        fit(model, x, y, seed=0, labels=labels, options=_options())


def test_given_scalings_take_the_place_of_the_datas_own():
    x, y = _table()
    own = _fit(table=(x, y))
    scalings = own.posterior.x_scaling, own.posterior.y_scaling
    assert _equal(_fit(table=(x, y), scalings=scalings), own)
    # Data that are standardised already, and are to stay as they are.
    z, v = (scaling.transform(values) for scaling, values in zip(scalings, (x, y), strict=True))
    same = tuple(
        Standardizer(mean=np.zeros_like(scaling.mean), scale=np.ones_like(scaling.scale))
        for scaling in scalings
    )
    plain = _fit(table=(z, v), scalings=same)
    assert _equal(plain, own)
    # The draws are float32, and so is a change of units.
    np.testing.assert_allclose(
        scalings[1].inverse_transform(plain.posterior.predictive.mean(z)),
        own.posterior.predictive.mean(x),
        rtol=1e-6,
    )
    halved = Standardizer(mean=scalings[1].mean, scale=2.0 * scalings[1].scale)
    assert not _equal(_fit(table=(x, y), scalings=(scalings[0], halved)), own)
