"""Curves that meet at the thresholds: continuous whatever the parameters, and kinks found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pyro import poutine

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart, load
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import MonotoneGate, ThresholdGate
from bayes_hybrid.likelihoods import NegativeBinomial, Normal, StudentT
from bayes_hybrid.models import Constant, HybridMixture, Line, Pathway, Polynomial
from bayes_hybrid.models.latent import given
from bayes_hybrid.priors import LogNormalPrior
from bayes_hybrid.report.equations import joint_equations

_CURVES = (Line(), Polynomial(degree=3), Constant(), Line())
_LEARNED = LogNormalPrior(median=4.0, spread=0.5)
_TINY = FitOptions(
    num_restarts=4,
    warm_start=WarmStart(max_steps=600),
    variational=Variational(num_steps=200, kl_weights=(0.0,), num_draws=50),
    sampler=None,
    compile="never",
)


def _model(joined, num_outputs=1):
    return HybridMixture(
        num_features=2,
        experts=_CURVES,
        gate=ThresholdGate(feature=1),
        joined=joined,
        num_outputs=num_outputs,
    )


def _values(model):
    trace = poutine.trace(model.marginal).get_trace(torch.zeros(1, 2, dtype=torch.float64))
    return {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes if name != "y"}


def _either_side(model, values):
    """Locations just below and above each threshold, of the regimes that meet there."""
    found = model.boundaries(values)
    for k, place in enumerate(found.location.unbind(-1)):
        x = torch.tensor([[0.3, 0.0], [-1.7, 0.0]], dtype=torch.float64)
        x[:, 1] = place
        experts = model.parts(given(values), x)(x).experts
        yield experts[k].location, experts[k + 1].location


@pytest.mark.parametrize("num_outputs", [1, 3])
def test_curves_meet_where_they_are_to(num_outputs):
    meets = (True, False, True)
    model = _model(meets, num_outputs)
    sides = _either_side(model, _values(model))
    for meet, (below, above) in zip(meets, sides, strict=True):
        # Sums of a few numbers in float64.
        assert torch.allclose(below, above, rtol=1e-10, atol=1e-10) == meet


def test_away_from_the_thresholds_only_the_level_is_another():
    free, model = _model(()), _model((True, True, True))
    values = _values(free)
    x = torch.randn(6, 2, dtype=torch.float64)
    apart = [
        ours.location - theirs.location
        for ours, theirs in zip(
            model.parts(given(values), x)(x).experts,
            free.parts(given(values), x)(x).experts,
            strict=True,
        )
    ]
    assert torch.equal(apart[0], torch.zeros(6, dtype=torch.float64))
    # Moved by a curve of the other feature; along the threshold's own by one number.
    x[:, 0] = 0.4
    moved = (
        model.parts(given(values), x)(x).experts[1].location
        - free.parts(given(values), x)(x).experts[1].location
    )
    torch.testing.assert_close(moved, moved[:1].expand(6))


@pytest.mark.parametrize("likelihood", [Normal(), NegativeBinomial(), StudentT(df=_LEARNED)])
def test_several_draws_are_each_by_itself(likelihood):
    model = _model((True, True, True))
    experts = tuple(replace(curve, likelihood=likelihood) for curve in _CURVES)
    model = replace(model, experts=experts)
    draws = [_values(model) for _ in range(3)]
    x = torch.randn(5, 2, dtype=torch.float64)
    together = model.parts(given({n: torch.stack([d[n] for d in draws]) for n in draws[0]}), x)(x)
    for s, values in enumerate(draws):
        for ours, theirs in zip(
            together.tensors, model.parts(given(values), x)(x).tensors, strict=True
        ):
            torch.testing.assert_close(ours[s], theirs)


def test_what_begins_elsewhere_has_no_level_of_its_own():
    sites = _values(_model((True, False, True)))
    levels = {name.partition(".")[0] for name in sites if name.endswith("location.bias")}
    assert levels == {"line_1", "constant"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"experts": (Line(), Pathway()), "joined": (True,)}, "it is curves"),
        ({"experts": (Line(), Line()), "joined": (True,)}, "under ReLUGate"),
        (
            {"experts": (Line(), Line()), "gate": MonotoneGate(feature=0), "joined": (True,)},
            "under MonotoneGate",
        ),
        (
            {"experts": _CURVES, "gate": ThresholdGate(feature=0), "joined": (True,)},
            "for each of 3 thresholds",
        ),
    ],
)
def test_what_cannot_meet_is_refused(settings, words):
    with pytest.raises(OptionError, match=words):
        HybridMixture(num_features=2, **settings)
    X, y = np.arange(9.0)[:, None], np.arange(9.0)
    with pytest.raises(OptionError, match="joined: expected True, False, or one of them"):
        HybridRegressor(experts=("line", "line"), gate="threshold", joined="yes").fit(X, y)
    with pytest.raises(OptionError, match="joined=True would be ignored"):
        HybridRegressor(model="line", joined=True).fit(X, y)


def test_a_kink_is_found_and_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 10.0, 200)
    y = np.where(x < 6.0, 1.0 + 0.5 * x, 4.0 - 1.5 * (x - 6.0)) + 0.2 * rng.normal(size=200)
    reg = HybridRegressor(
        experts=("line", "line"), gate="threshold", joined=True, fit_options=_TINY, random_state=0
    ).fit(x[:, None], y)
    (threshold,) = reg.thresholds().itertuples()
    # Least squares has a standard error of some 0.05 here.
    assert abs(threshold.mean - 6.0) < 0.25
    grid = np.linspace(5.5, 6.5, 400)[:, None]
    # No jump: what a slope of 1.5 makes of a step of 0.0025, twice.
    assert np.abs(np.diff(reg.predict(grid))).max() < 2 * 1.5 * 0.0026
    reg.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    assert back.fit_.posterior.model.joined == (True,)
    assert np.array_equal(back.predict(grid), reg.predict(grid))


def test_the_report_says_where_curves_meet():
    words = [equation.words for equation in joint_equations(_model((True, False, True)))]
    assert any("no jump, at threshold 1 and 3." in each for each in words)
    assert not any("no jump" in each.words for each in joint_equations(_model(())))
