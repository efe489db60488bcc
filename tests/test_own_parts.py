"""Parts from outside the package: those that the documentation shows, as a module of their own."""

import importlib
import shutil
import sys
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from scipy import stats
from torch import nn
from torch.distributions import constraints

import bayes_hybrid
from bayes_hybrid import (
    ConstantGate,
    Gate,
    GateModule,
    HybridRegressor,
    Likelihood,
    LogNormalPrior,
    NormalPrior,
    Pathway,
    StudentT,
    load,
)
from bayes_hybrid.ablation.cells import encoded
from bayes_hybrid.distributions import RegimeMixture
from bayes_hybrid.errors import FileFormatError, OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.gates import LinearGate
from bayes_hybrid.models import HybridMixture, HybridModel, PathwayModel, register, registry
from bayes_hybrid.models.latent import given
from bayes_hybrid.models.registry import part_named
from bayes_hybrid.nn import ReLUBlock, bind
from bayes_hybrid.report import write_report
from tests.budgets import tiny
from tests.test_docs import ROOT, blocks

pytestmark = pytest.mark.usefixtures("few_ratios")

_NAME = "parts_of_ones_own"


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_parts", {})


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """The parts of the documentation, imported from a file outside the package."""
    *sources, _ = blocks(ROOT / "docs" / "how-do-i-add-a-part.md")
    (tmp_path / f"{_NAME}.py").write_text("\n".join(source for _, source in sources))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(_NAME)
    del sys.modules[_NAME]


def _rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (30, 2))
    return X, np.where((X**2).sum(axis=1) < 1.5, 2.0, X[:, 0]) + 0.1 * rng.normal(size=30)


def _settings(parts: Any) -> dict[str, dict[str, Any]]:
    small = Pathway(kind="relu", num_units=3, noise="constant")
    return {
        "likelihood": {"model": Pathway("gaussian", num_units=3, likelihood=parts.Leaning())},
        "gate": {"gate": parts.RadialGate(), "experts": (small, small)},
        "pathway": {"experts": (parts.FourierPathway(num_units=3), small)},
    }


def _sampled(model: HybridModel) -> dict[str, Any]:
    """Values of a model's sites, drawn from their priors."""
    trace = poutine.trace(model.marginal).get_trace(torch.zeros(1, model.num_features))
    return {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}


def _fitted(settings: dict[str, Any]) -> HybridRegressor:
    options = replace(tiny(), variational=replace(tiny().variational, num_draws=30))
    return HybridRegressor(**settings, fit_options=options, random_state=0).fit(*_rows())


@pytest.mark.parametrize("which", ["likelihood", "gate", "pathway"])
def test_a_part_fits_predicts_saves_loads_and_reports(parts, which, tmp_path, monkeypatch):
    X, y = _rows()
    reg = _fitted(_settings(parts)[which])
    assert np.isfinite(reg.log_density(X, y)).all()
    reg.save(tmp_path / "fit")
    loaded = load(tmp_path / "fit")
    for ask in ("predict", "predict_interval"):
        np.testing.assert_array_equal(getattr(loaded, ask)(X), getattr(reg, ask)(X))
    assert loaded.fit_.posterior.model == reg.fit_.posterior.model
    assert _NAME in str(encoded(loaded))  # which ablations tell settings by
    write_report(reg, tmp_path / "report.html")
    shown = {"likelihood": "Leaning", "gate": "RadialGate", "pathway": "FourierPathway"}[which]
    assert shown in (tmp_path / "report.html").read_text()
    monkeypatch.setattr(registry, "_parts", {})
    with pytest.raises(FileFormatError, match=f"not registered; import {_NAME} first"):
        load(tmp_path / "fit")


def test_an_entry_point_is_imported_where_a_fit_names_it(parts, tmp_path, monkeypatch):
    X, _ = _rows()
    reg = _fitted(_settings(parts)["gate"])
    reg.save(tmp_path / "fit")
    monkeypatch.setattr(registry, "_parts", {})
    installed = tmp_path / f"{_NAME}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: 1.0\n")
    points = f"[bayes_hybrid.parts]\nradial = {_NAME}:RadialGate\n"
    (installed / "entry_points.txt").write_text(points)
    importlib.invalidate_caches()
    np.testing.assert_array_equal(load(tmp_path / "fit").predict(X), reg.predict(X))
    assert part_named(f"{_NAME}:FourierPathway") is None  # it is no entry point
    shutil.rmtree(installed)


@dataclass(frozen=True, kw_only=True)
class _Unregistered(Gate):
    def build(self, num_features, num_regimes):
        return LinearGate().build(num_features, num_regimes)


def test_what_could_not_be_saved_is_refused_before_the_fit():
    with pytest.raises(OptionError, match=r"_Unregistered is not registered.*@bayes_hybrid.regis"):
        HybridRegressor(gate=_Unregistered(), fit_options=tiny()).fit(*_rows())
    register(_Unregistered)
    with_units(HybridRegressor(gate=_Unregistered(), fit_options=tiny()), num_units=2).fit(*_rows())


class _Odd(GateModule):
    """Logits, or a column too many, or a parameter without a prior."""

    def __init__(self, num_features, num_regimes, wrong):
        super().__init__()
        self.weight, self.wrong = nn.Parameter(torch.ones(num_regimes, num_features)), wrong

    def forward(self, x):
        logits = x @ self.weight.mT
        if self.wrong == "logits":
            return logits
        return torch.log_softmax(torch.cat([logits, logits], dim=-1), dim=-1)

    def parameter_priors(self, priors, like):
        prior = dist.Normal(torch.zeros_like(self.weight), 1.0).to_event(2)
        return {} if self.wrong == "prior" else {"weight": prior}


@dataclass(frozen=True, kw_only=True)
class _OddGate(Gate):
    wrong: str

    def build(self, num_features, num_regimes):
        if self.wrong == "module":
            return nn.Linear(num_features, num_regimes)
        return _Odd(num_features, num_regimes, self.wrong)


@dataclass(frozen=True, kw_only=True)
class _OddPathway(Pathway):
    kind: str = "odd"
    wrong: str

    def build(self, num_features):
        module = nn.Linear(num_features, self.num_units + (self.wrong == "units"))
        if self.wrong == "bias":
            module = nn.Module()
            module.bias = nn.Parameter(torch.zeros(self.num_units))
        if self.wrong == "scalar":
            module.gain = nn.Parameter(torch.ones(()))
        return None if self.wrong == "module" else module


class _Backwards(dist.Normal):
    def cdf(self, value):
        return 1.0 - super().cdf(value)


class _Summed(dist.Normal):
    def log_prob(self, value):
        return super().log_prob(value).sum()


class _Anything(TorchDistribution):
    """A density that leaves open what values it is of, and has no quantiles."""

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, loc, scale):
        self._normal = dist.Normal(loc, scale, validate_args=False)
        super().__init__(self._normal.batch_shape, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        wide = self._normal.expand(batch_shape)
        return _Anything(wide.loc, wide.scale)

    def __getattr__(self, name):
        return getattr(self._normal, name)

    mean = property(lambda self: self._normal.mean)
    variance = property(lambda self: self._normal.variance)

    def log_prob(self, value):
        return self._normal.log_prob(value)

    def cdf(self, value):
        return self._normal.cdf(value)

    def sample(self, sample_shape=()):
        return self._normal.sample(sample_shape)


@dataclass(frozen=True, kw_only=True)
class _Plain(Likelihood):
    def __call__(self, location, scale):
        return _Anything(location, scale)


@dataclass(frozen=True, kw_only=True)
class _Whole(Likelihood):
    support = constraints.nonnegative_integer
    standardises: ClassVar[bool] = False

    def __call__(self, location, scale):
        return _Anything(location, scale)


def test_a_density_need_not_say_what_it_is_of():
    register(_Plain)
    register(_Whole)
    reg = _fitted({"likelihood": _Plain()})
    ends = reg.predict_interval(_rows()[0])
    assert bool((ends[:, 0] < ends[:, 1]).all())
    with pytest.raises(OptionError, match="_Whole: its support is IntegerGreaterThan"):
        _fitted({"likelihood": _Whole()})


@dataclass(frozen=True, kw_only=True)
class _OddLikelihood(Likelihood):
    wrong: str

    def __call__(self, location, scale, shape=None):
        if self.wrong == "nothing":
            return None
        if self.wrong == "cdf":
            return dist.AsymmetricLaplace(location, scale, torch.ones_like(scale))
        kinds = {"backwards": _Backwards, "summed": _Summed, "mean": dist.Cauchy}
        return kinds[self.wrong](location, scale)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (_OddGate, "logits", "expected log probabilities, which add up to one; use torch.log_sof"),
        (_OddGate, "column", r"expected log weights of the shape \(rows, 2\).*got \(3, 4\)"),
        (_OddGate, "prior", r"own parameters, \['weight'\]; parameter_priors gives \[\]"),
        (_OddGate, "module", "expected a GateModule, got Linear"),
        (_OddPathway, "units", r"of the shape \(rows, 3\), as num_units says; got \(3, 4\)"),
        (_OddPathway, "bias", "'bias' shares the scale of a weight, which its module has to have"),
        (_OddPathway, "scalar", "'gain' has no axis"),
        (_OddPathway, "module", "expected a torch module, got None"),
        (_OddLikelihood, "cdf", r"its density AsymmetricLaplace has no cdf\(value\)"),
        (_OddLikelihood, "backwards", r"its cdf does not belong to its log_prob: .* add"),
        (_OddLikelihood, "summed", r"expected a log_prob\(value\) for each of 2001 rows; got the"),
        (_OddLikelihood, "mean", "has no finite mean"),
        (_OddLikelihood, "nothing", "expected a distribution, got None"),
    ],
)
def test_a_part_that_does_not_keep_its_promise_is_refused_before_the_fit(kind, wrong, message):
    register(kind)
    small = Pathway(kind="relu", num_units=3)
    settings = {
        _OddGate: {"gate": _OddGate(wrong=wrong)},
        _OddPathway: {"experts": (small, _OddPathway(wrong=wrong, num_units=3))},
        _OddLikelihood: {"likelihood": _OddLikelihood(wrong=wrong)},
    }[kind]
    before = torch.get_rng_state()
    with pytest.raises(OptionError, match=message):
        HybridRegressor(**settings, fit_options=tiny()).fit(*_rows())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_class_registered_anew_takes_the_place_of_the_one_before(monkeypatch):
    register(_Unregistered)
    again = dataclass(frozen=True, kw_only=True)(type("_Unregistered", (_Unregistered,), {}))
    monkeypatch.setattr(again, "__module__", _Unregistered.__module__)
    with pytest.warns(UserWarning, match="_Unregistered is registered anew"):
        register(again)
    with pytest.raises(OptionError, match=r"registered anew after _Unregistered\(\) was made"):
        HybridRegressor(gate=_Unregistered(), fit_options=tiny()).fit(*_rows())


class _Gelu(ReLUBlock):
    def forward(self, x):
        return nn.functional.gelu(x @ self.weight.mT + self.bias)


def test_a_subclass_of_our_block_is_read_draw_by_draw():
    block, x = _Gelu(1, 4), torch.randn(7, 1)
    draws = {"weight": torch.randn(7, 4, 1), "bias": torch.randn(7, 4)}
    with torch.no_grad():
        found = bind(block, draws)(x)
        each = [bind(block, {k: v[s] for k, v in draws.items()})(x) for s in range(7)]
    torch.testing.assert_close(found, torch.stack(each))


@dataclass(frozen=True, kw_only=True)
class _Fixed(Pathway):
    kind: str = "fixed"
    noise: str = "constant"

    def build(self, num_features):
        return nn.AdaptiveAvgPool1d(self.num_units)


def test_a_pathway_without_parameters_is_loaded(tmp_path):
    register(_Fixed)
    experts = (_Fixed(num_units=30), _Fixed(num_units=30))
    reg = _fitted({"experts": experts, "gate": "constant"})
    reg.save(tmp_path / "fit")
    assert load(tmp_path / "fit").fit_.posterior.model.experts == experts


@dataclass(frozen=True, kw_only=True)
class _Dropped(Pathway):
    kind: str = "dropped"

    def build(self, num_features):
        return nn.Sequential(nn.Linear(num_features, self.num_units), nn.Dropout(0.5))


@pytest.mark.parametrize(
    "model",
    [
        PathwayModel(pathway=_Dropped(num_units=4)),
        HybridMixture(experts=(_Dropped(num_units=4), Pathway(num_units=4))),
    ],
)
def test_what_is_random_in_training_is_not_in_a_model(model):
    x = torch.randn(5, 1)
    parts = model.parts(given(_sampled(model)), x)
    for first, second in zip(parts(x).tensors, parts(x).tensors, strict=True):
        assert torch.equal(first, second)


def test_regimes_of_one_name_are_refused():
    twice = _OddPathway(kind="relu_1", wrong="")
    with pytest.raises(OptionError, match="their kinds give regimes of one name"):
        HybridMixture(experts=(twice, Pathway(kind="relu"), Pathway(kind="relu")))


def test_only_frozen_settings_of_our_kinds_are_registered():
    for other in (3, int, ConstantGate()):
        with pytest.raises(OptionError, match="expected a class that extends Gate, Likelihood or"):
            register(other)

    class Plain(Pathway):
        pass

    with pytest.raises(OptionError, match="Plain must be a frozen dataclass"):
        register(Plain)
    with pytest.raises(OptionError, match="Plain is made inside a function"):
        register(dataclass(frozen=True, kw_only=True)(Plain))
    assert register(_Unregistered) is _Unregistered
    assert bayes_hybrid.register is register


def test_a_pathway_of_ones_own_says_what_its_regimes_are_called(parts):
    with pytest.raises(OptionError, match="kind: expected what to call regimes of FourierPathway"):
        parts.FourierPathway(kind="not a name")
    own = parts.FourierPathway(num_units=2)
    model = HybridMixture(experts=(own, Pathway(kind="relu", num_units=2)))
    assert model.regime_names == ("fourier", "relu")
    assert model.relu_regimes == (1,)
    assert model.marginal(torch.zeros(4, 1)).shape == (4,)


def test_a_learned_shape_of_either_sign_has_a_normal_prior(parts):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (200, 1))
    density = parts.LeaningDensity(torch.zeros(200), torch.ones(200), torch.full((200,), 0.4))
    torch.manual_seed(0)
    y = density.sample().numpy()
    options = replace(tiny(300), variational=replace(tiny().variational, num_steps=200))
    reg = with_units(
        HybridRegressor(
            model="gaussian",
            noise="constant",
            likelihood=parts.Leaning(),
            fit_options=options,
            random_state=0,
        ),
        num_units=2,
    ).fit(X, y)
    lean = reg.fit_.posterior.sites["gaussian.lean"]
    # The truth is log 0.4 = -0.92, under a prior with sd 0.5.
    assert -1.2 < lean.mean() < -0.4


@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_a_learned_shape_scatters_about_the_mean_of_its_prior(mean):
    likelihood = _Number(number=NormalPrior(mean=mean, sd=0.01))
    model = PathwayModel(pathway=Pathway(num_units=2, likelihood=likelihood))
    # Ten of its prior's standard deviations.
    (expert,) = model.parts(given(_sampled(model)), torch.zeros(()))(torch.zeros(4, 1)).experts
    _, _, shapes = expert.numbers
    assert bool(((shapes - mean).abs() < 0.1).all())


def test_a_normal_prior_of_a_shape_with_a_floor_is_refused():
    with pytest.raises(OptionError, match=r"df: a NormalPrior may be below 1.*shape_floor = None"):
        StudentT(df=NormalPrior(mean=4.0, sd=1.0))
    assert StudentT(df=LogNormalPrior(median=3.0, spread=1.0)).typical_shape == 4.0


@dataclass(frozen=True, kw_only=True)
class _Number(Likelihood):
    shape_name = "number"
    shape_floor = None
    number: float | LogNormalPrior | NormalPrior = 0.0

    def __call__(self, location, scale, shape=None):
        return dist.Normal(location + self._shape(shape, scale), scale)


@pytest.mark.parametrize(
    ("number", "typical"),
    [
        (-2, -2.0),
        (NormalPrior(mean=-1.0, sd=2.0), -1.0),
        (LogNormalPrior(median=3.0, spread=1.0), 3.0),
    ],
)
def test_a_shape_without_a_floor_is_any_number_or_a_prior(number, typical):
    likelihood = _Number(number=number)
    assert likelihood.typical_shape == typical
    for wrong in (float("nan"), "wide", None):
        with pytest.raises(OptionError, match="number must be a finite number"):
            _Number(number=wrong)


class _WithoutIcdf(dist.StudentT):  # type: ignore[misc]
    def cdf(self, value):
        z = ((value - self.loc) / self.scale).numpy()
        return torch.as_tensor(stats.t.cdf(z, self.df.numpy()))


def test_quantiles_without_an_icdf_are_found_from_the_cdf():
    df, loc, scale = np.array([3.0, 5.0]), np.array([0.0, 7.0]), np.array([1.0, 0.01])
    part = _WithoutIcdf(*map(torch.as_tensor, (df, loc, scale)))
    mixture = RegimeMixture(torch.zeros(2, 1, dtype=torch.float64), [part])
    for prob in (1e-9, 0.05, 0.5, 0.999):
        found = mixture.icdf(torch.full((2,), prob, dtype=torch.float64))
        expected = stats.t.ppf(prob, df, loc, scale)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
