"""Parts from outside the package: those that the documentation shows, as a module of their own."""

import importlib
import shutil
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

import bayes_hybrid
from bayes_hybrid import (
    ConstantGate,
    Gate,
    HybridRegressor,
    Likelihood,
    LogNormalPrior,
    NormalPrior,
    Pathway,
    load,
)
from bayes_hybrid.ablation.cells import encoded
from bayes_hybrid.distributions import RegimeMixture
from bayes_hybrid.errors import FileFormatError, OptionError
from bayes_hybrid.gates import LinearGate
from bayes_hybrid.models import HybridMixture, register, registry
from bayes_hybrid.models.registry import part_named
from bayes_hybrid.report import write_report
from tests.test_docs import ROOT, blocks
from tests.test_estimator import tiny

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
        "likelihood": {"model": "gaussian", "likelihood": parts.Leaning(), "num_units": 3},
        "gate": {"gate": parts.RadialGate(), "experts": (small, small)},
        "pathway": {"experts": (parts.FourierPathway(num_units=3), small)},
    }


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
    HybridRegressor(gate=_Unregistered(), fit_options=tiny(), num_units=2).fit(*_rows())


def test_a_density_without_what_predictions_ask_for_is_refused_by_name():
    @register
    @dataclass(frozen=True, kw_only=True)
    class NoCdf(Likelihood):
        def __call__(self, location, scale, shape=None):
            return dist.AsymmetricLaplace(location, scale, torch.ones_like(scale))

    with pytest.raises(OptionError, match=r"NoCdf: its density AsymmetricLaplace has no cdf\(val"):
        HybridRegressor(likelihood=NoCdf(), fit_options=tiny()).fit(*_rows())


def test_only_frozen_settings_of_our_kinds_are_registered():
    for other in (3, int, ConstantGate()):
        with pytest.raises(OptionError, match="expected a class that extends Gate, Likelihood or"):
            register(other)

    class Plain(Pathway):
        pass

    with pytest.raises(OptionError, match="Plain must be a frozen dataclass"):
        register(Plain)
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
    reg = HybridRegressor(
        model="gaussian",
        noise="constant",
        likelihood=parts.Leaning(),
        num_units=2,
        fit_options=options,
        random_state=0,
    ).fit(X, y)
    lean = reg.fit_.posterior.sites["gaussian.lean"]
    # The truth is log 0.4 = -0.92, under a prior with sd 0.5.
    assert -1.2 < lean.mean() < -0.4


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
