"""Low rank and flow: what a family's densities, gradients and fits have to be."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from bayes_hybrid import FitOptions, HybridRegressor, Refinement, Variational
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.flow import Flow
from bayes_hybrid.inference.low_rank import LowRank
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.svi import sample, train
from bayes_hybrid.inference.whitening import whiten, whiten_at
from tests.inference.linear import closed_form, log_evidence, problem

_COUNT, _BLOCK, _SIZE = 3, 4, 6
# Two orders of summation in float64.
_EXACT: Any = {"rtol": 1e-9, "atol": 1e-9}
_FAMILIES = [LowRank, Flow]


def _guide(family, kl_weight):
    """Arbitrary parameters about arbitrary coordinates; the last entries are the block."""
    torch.manual_seed(0)
    center = torch.randn(_COUNT, _SIZE, dtype=torch.float64)
    root = torch.randn(_COUNT, _BLOCK, _BLOCK, dtype=torch.float64)
    precision = root @ root.mT + torch.eye(_BLOCK, dtype=torch.float64)
    block = torch.arange(_SIZE - _BLOCK, _SIZE)
    guide = family.start(whiten(center, precision, block, center.new_tensor([0.1] * 3)), kl_weight)
    for parameter in guide.parameters:
        parameter += 0.2 * torch.randn(parameter.shape, dtype=torch.float64)
    return guide


def _density(guide, noise, has_features):
    """``log q`` by the change of variables, from the Jacobian of the draw."""
    size = guide.block_noise_size
    densities = []
    for c in range(_COUNT):
        one = guide.select(torch.tensor([c]))

        def draw(point, one=one):
            return one.draw(point.unsqueeze(0))[0]

        jacobian = torch.autograd.functional.jacobian(draw, noise[c])
        if not has_features:
            jacobian = jacobian[_SIZE - _BLOCK :, :size]
        used = noise[c] if has_features else noise[c, :size]
        # The Gaussian that a linear map of more noise than entries makes has this covariance.
        covariance = jacobian @ jacobian.mT
        if covariance.shape[0] == len(used):
            density = Normal(0.0, 1.0).log_prob(used).sum() - 0.5 * torch.logdet(covariance)
        else:
            center = one.draw(torch.zeros_like(noise[:1]))[0]
            place = draw(noise[c])
            rows = slice(None) if has_features else slice(_SIZE - _BLOCK, None)
            density = MultivariateNormal(center[rows], covariance).log_prob(place[rows])
        densities.append(density)
    return torch.stack(densities)


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_log_prob_is_that_of_the_draw(family, kl_weight):
    guide = _guide(family, kl_weight)
    noise = guide.noise(torch.Generator().manual_seed(1))
    assert noise.shape == (_COUNT, guide.noise_size)
    expected = _density(guide, noise, has_features=kl_weight > 0)
    torch.testing.assert_close(guide.log_prob(noise), expected, **_EXACT)


@pytest.mark.parametrize("family", _FAMILIES)
def test_entropy_is_the_mean_of_minus_log_prob(family):
    guide = _guide(family, 1.0)
    generator = torch.Generator().manual_seed(1)
    noises = [guide.noise(generator) for _ in range(4_000)]
    entropy = torch.stack([guide.entropy(noise) for noise in noises])
    density = torch.stack([guide.log_prob(noise) for noise in noises])
    # The variance of a Gaussian's log density is half its dimension: five standard errors.
    error = 5.0 * (_SIZE / 2 / len(noises)) ** 0.5
    torch.testing.assert_close(entropy.mean(0), -density.mean(0), rtol=0, atol=error)


@pytest.mark.parametrize("family", _FAMILIES)
def test_weight_zero_leaves_the_features_where_they_are(family):
    draws = sample(_guide(family, 0.0), 5, torch.Generator().manual_seed(0))
    assert bool((draws[..., : _SIZE - _BLOCK] == draws[:, :1, : _SIZE - _BLOCK]).all())
    assert bool((draws[:, 0, -_BLOCK:] != draws[:, 1, -_BLOCK:]).all())


@pytest.mark.parametrize("family", _FAMILIES)
def test_gradients_are_those_of_the_elbo(family):
    guide = _guide(family, 0.3)
    noise = guide.noise(torch.Generator().manual_seed(1))
    slope = torch.randn(_COUNT, _SIZE, dtype=torch.float64)
    found = guide.gradients(slope, noise)

    def elbo(parameters):
        moved = guide.with_parameters(guide.whitening, guide.kl_weight, parameters)
        return float(((moved.draw(noise) * slope).sum(-1) + moved.entropy(noise)).sum())

    for number, parameter in enumerate(guide.parameters):
        direction = torch.randn_like(parameter)
        step = 1e-5
        ends = []
        for sign in (1.0, -1.0):
            moved = list(guide.parameters)
            moved[number] = parameter + sign * step * direction
            ends.append(elbo(tuple(moved)))
        expected = (ends[0] - ends[1]) / (2.0 * step)
        # A central difference in float64: the step squared, and rounding over the step.
        assert float((found[number] * direction).sum()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("family", _FAMILIES)
def test_select_is_a_copy_and_gives_the_same_draws(family):
    guide = _guide(family, 0.3)
    index = torch.tensor([2, 0])
    chosen = guide.select(index)
    noise = guide.noise(torch.Generator().manual_seed(1))
    torch.testing.assert_close(chosen.draw(noise[index]), guide.draw(noise)[index])
    before = [parameter.clone() for parameter in guide.parameters]
    for parameter in chosen.parameters:
        parameter += 1.0
    for parameter, was in zip(guide.parameters, before, strict=True):
        assert torch.equal(parameter, was)


def test_the_block_of_low_rank_is_standard_normal_in_its_own_coordinates():
    guide = _guide(LowRank, 0.3)
    draws = sample(guide, 20_000, torch.Generator().manual_seed(0))[..., _SIZE - _BLOCK :]
    own = guide.as_whitening(1.0)
    expected = own.block_factor @ own.block_factor.mT
    for c in range(_COUNT):
        # Five standard errors of a variance, relative to it.
        error = (torch.cov(draws[c].T) - expected[c]) / expected[c].diagonal().max()
        assert float(error.abs().max()) < 5.0 * (2.0 / 20_000) ** 0.5
    torch.testing.assert_close(own.center, guide.center)


@pytest.mark.parametrize("family", _FAMILIES)
def test_a_restart_that_is_lost_does_not_take_the_others_along(family):
    guide = _guide(family, 0.3)
    noise = guide.noise(torch.Generator().manual_seed(1))
    slope = torch.ones(_COUNT, _SIZE, dtype=torch.float64)
    expected = guide.draw(noise), guide.log_prob(noise), *guide.gradients(slope, noise)
    for parameter in guide.parameters:
        parameter[1] = torch.nan
    found = guide.draw(noise), guide.log_prob(noise), *guide.gradients(slope, noise)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[[0, 2]], theirs[[0, 2]])
    assert bool(found[1][1].isnan())
    assert bool(guide.as_whitening(1.0).block_factor[1].isnan().any())


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 2])
def test_blocks_of_any_size(family, size):
    precision = torch.eye(size, dtype=torch.float64).expand(2, -1, -1)
    center = torch.zeros(2, 3, dtype=torch.float64)
    guide = family.start(whiten(center, precision, torch.arange(size), center[:, 0] + 0.1), 1.0)
    noise = guide.noise(torch.Generator().manual_seed(0))
    assert guide.draw(noise).shape == (2, 3)
    assert bool(torch.isfinite(guide.log_prob(noise)).all())
    for found, parameter in zip(
        guide.gradients(center + 1.0, noise), guide.parameters, strict=True
    ):
        assert found.shape == parameter.shape


@pytest.mark.slow
@pytest.mark.parametrize("family", _FAMILIES)
def test_svi_finds_the_closed_form(family):
    model, rows = problem()
    mean, covariance = closed_form(model, rows.x, rows.y)
    sd = covariance.diagonal().sqrt()
    everything = torch.ones(4, dtype=torch.bool)
    start = torch.zeros(_COUNT, 4)
    whitening = whiten_at(rows, start, everything, torch.Generator().manual_seed(0))
    trained = train(
        rows,
        family.start(whitening, 1.0),
        rows.all_rows(_COUNT),
        num_steps=3_000,
        learning_rate=0.03,
        generator=torch.Generator().manual_seed(0),
        stage="SVI",
        progress=silent,
    )
    draws = sample(trained.guide, 4_000, torch.Generator().manual_seed(1)).double()
    for c in range(_COUNT):
        # As of the full-rank block (tests/inference/test_guides.py), in posterior sds.
        assert float(((draws[c].mean(0) - mean) / sd).abs().max()) < 0.2
        error = (torch.cov(draws[c].T) - covariance) / sd.outer(sd)
        assert float(error.abs().max()) < 0.35
    # Within the noise of the tail's mean (0.4) and the spread that training leaves.
    assert trained.elbo.tolist() == pytest.approx(
        [log_evidence(model, rows.x, rows.y)] * _COUNT, abs=0.6
    )


@pytest.mark.parametrize("guide", ["low_rank", "flow"])
def test_a_fit_with_it(guide):
    x = torch.linspace(-1.0, 1.0, 30)[:, None].double().numpy()
    options = FitOptions(
        num_restarts=2,
        compile="never",
        variational=Variational(guide=guide, num_steps=20, selection_steps=5, num_draws=4),
        refinement=Refinement(mode="never"),
    )
    reg = HybridRegressor(random_state=0, progress=False, fit_options=options)
    fit = reg.fit(x, x[:, 0] ** 2).fit_
    assert fit.posterior.num_draws == 4
    assert bool(torch.isfinite(fit.posterior.theta).all())
    twin = HybridRegressor(random_state=0, progress=False, fit_options=options)
    twin.fit(x, x[:, 0] ** 2)
    assert torch.equal(twin.fit_.posterior.theta, fit.posterior.theta)


def test_loading_zuko_leaves_validation_on():
    code = (
        "import torch; from bayes_hybrid.inference.flow import autoregressive_class; "
        "autoregressive_class(); print(torch.distributions.Distribution._validate_args)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"]


def test_without_zuko_the_flow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko.flows.autoregressive", None)
    reg = HybridRegressor(fit_options=FitOptions(variational=Variational(guide="flow")))
    x = torch.linspace(-1.0, 1.0, 30)[:, None].double().numpy()
    with pytest.raises(OptionError, match=r"zuko.*pip install 'bayes-hybrid\[flow\]'"):
        reg.fit(x, x[:, 0])
