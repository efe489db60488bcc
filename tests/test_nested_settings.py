"""Settings inside settings have names, and settings by the names of before say the new ones."""

import re
from dataclasses import fields

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from bayes_hybrid import (
    FitOptions,
    HybridRegressor,
    Pathway,
    Priors,
    ReLUGate,
    ThresholdGate,
    Variational,
)
from bayes_hybrid.errors import OptionError
from bayes_hybrid.models import LabelHead
from tests.ablation.conftest import make_rows
from tests.budgets import tiny


def test_settings_inside_objects_are_listed_at_any_depth():
    reg = HybridRegressor(model=Pathway("relu", num_units=7), gate=ThresholdGate(feature="age"))
    params = reg.get_params()
    assert (params["model__num_units"], params["gate__feature"]) == (7, "age")
    # What is None has the settings of what it stands for.
    for name, kind in {
        "fit_options": FitOptions,
        "priors": Priors,
        "label_head": LabelHead,
    }.items():
        assert params[name] is None
        for field in fields(kind):
            assert params[f"{name}__{field.name}"] == getattr(kind(), field.name)
    assert params["fit_options__variational__guide"] == Variational().guide
    assert params["priors__noise__median"] == Priors().noise.median
    assert not [name for name in reg.get_params(deep=False) if "__" in name]


def test_an_inner_setting_makes_another_object():
    given = FitOptions(num_restarts=5)
    reg = HybridRegressor(fit_options=given)
    assert reg.set_params(fit_options__variational__guide="point", fit_options__plan="plain") is reg
    inner = Variational(guide="point")
    assert reg.fit_options == FitOptions(num_restarts=5, plan="plain", variational=inner)
    assert given == FitOptions(num_restarts=5)
    # Of None from its default, and of an object that is set at the same time.
    reg = HybridRegressor().set_params(
        priors__noise__spread=0.1, gate__num_units=3, gate=ReLUGate(num_units=9)
    )
    assert reg.priors.noise.spread == 0.1
    assert reg.priors.noise.median == Priors().noise.median
    assert reg.gate == ReLUGate(num_units=3)
    assert clone(reg).get_params() == reg.get_params()


def test_every_name_that_is_listed_can_be_set_to_what_it_is():
    reg = HybridRegressor(
        model=Pathway("relu"),
        gate=ReLUGate(),
        fit_options=tiny(),
        priors=Priors(),
        label_head=LabelHead(),
    )
    params = reg.get_params()
    assert clone(reg).set_params(**params).get_params() == params


def test_a_grid_search_goes_over_inner_settings():
    X, y = make_rows()
    base = HybridRegressor(
        model=Pathway("relu", num_units=2, noise="constant"), fit_options=tiny(), random_state=0
    )
    grid = {"fit_options__num_restarts": [1, 2], "model__num_units": [2, 3]}
    search = GridSearchCV(base, grid, cv=2).fit(X, y)
    best, params = search.best_estimator_, search.best_params_
    assert best.fit_options == tiny(num_restarts=params["fit_options__num_restarts"])
    assert best.model.num_units == params["model__num_units"]
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"fit_options__num_restart": 4}, "a setting of fit_options .* mean 'num_restarts'"),
        ({"fit_options__variational__guid": 4}, "a setting of variational .* mean 'guide'"),
        ({"gate__num_units": 4}, "gate__num_units: gate='relu' has no settings"),
        ({"fit_options__num_restarts": 0}, "num_restarts must be an integer >= 1"),
        ({"fit_option__num_restarts": 4}, "a setting of HybridRegressor .* mean 'fit_options'"),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_named(setting, message):
    reg = HybridRegressor()
    with pytest.raises(OptionError, match=message):
        reg.set_params(**setting)
    assert reg.get_params() == HybridRegressor().get_params()


@pytest.mark.parametrize(
    ("setting", "now"),
    [
        ({"num_restarts": 4}, "HybridRegressor(fit_options=FitOptions(num_restarts=4))"),
        ({"plan": "plain"}, "HybridRegressor(fit_options=FitOptions(plan='plain'))"),
        ({"batch_size": 9}, "HybridRegressor(fit_options=FitOptions(batch_size=9))"),
        ({"device": "cpu"}, "HybridRegressor(fit_options=FitOptions(device='cpu'))"),
        ({"compile": "never"}, "HybridRegressor(fit_options=FitOptions(compile='never'))"),
        ({"refine": False}, "HybridRegressor(fit_options=FitOptions(sampler=None))"),
        ({"num_units": 3}, "HybridRegressor(model=Pathway('relu', num_units=3))"),
        ({"depth": 2}, "HybridRegressor(model=Pathway('relu', depth=2))"),
        ({"smoothing": "step"}, "HybridRegressor(model=Pathway('relu', smoothing='step'))"),
    ],
    ids=str,
)
def test_names_of_before_say_the_new_one(setting, now):
    (name,) = setting
    for make in (HybridRegressor, HybridRegressor().set_params):
        with pytest.raises(OptionError, match=f"^{name} is a setting of .*{re.escape(now)}"):
            make(**setting)
    names = {"HybridRegressor": HybridRegressor, "FitOptions": FitOptions, "Pathway": Pathway}
    assert isinstance(eval(now, names), HybridRegressor)


def test_a_mistyped_name_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'modle'"):
        HybridRegressor(modle="relu")
    with pytest.raises(OptionError, match=r"HybridRegressor must be .* did you mean 'model'"):
        HybridRegressor().set_params(modle="relu")
