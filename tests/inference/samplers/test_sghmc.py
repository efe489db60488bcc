"""Stochastic gradient HMC against the closed form."""

import dataclasses
import math

import arviz_stats as az
import numpy as np
import pytest
import torch

from bayes_hybrid.inference import SGHMC
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import whiten_at
from bayes_hybrid.inference.samplers import sghmc
from tests.inference.linear import closed_form, problem, run_sampler

_CHAINS = 8


def _laplace(model, rows):
    """The guide that SVI would end with: about the mode, and as wide as the posterior."""
    mean, _ = closed_form(model, rows.x, rows.target.y)
    theta = mean.to(rows.x).expand(_CHAINS, -1)
    every = torch.ones(theta.shape[1], dtype=torch.bool)
    return BlockGaussian.start(whiten_at(rows, theta, every, torch.Generator().manual_seed(0)), 1.0)


@pytest.mark.parametrize(("size", "share"), [(30, 0.5), (2_560, 0.1)])
def test_finds_the_closed_form(monkeypatch, size, share):
    """By the default's steps; with all rows a step, and with a tenth of them."""
    monkeypatch.setattr(sghmc, "_SHARE", share)
    model, rows = problem(size, batch=_CHAINS, batch_size=min(size, 256))
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    chains = run_sampler(rows, _laplace(model, rows), SGHMC(), 50)
    assert chains.draws.shape == (_CHAINS, 50, 4)
    sd = covariance.diagonal().sqrt()
    for entry in range(4):
        found = chains.draws[..., entry].double().numpy()
        # A direction forgets in (1 + N / B) / (2 c) steps of 2,000, at most 55, so that eight
        # chains are worth 145 draws and more; four standard errors of 80 are 0.45 of an sd for a
        # mean and 0.32 of it for an sd.
        assert az.ess(found) > 80
        width = float(sd[entry])
        assert float(found.mean()) == pytest.approx(float(mean[entry]), abs=0.45 * width)
        assert float(found.std()) == pytest.approx(width, rel=0.32)
    assert chains.temperature.shape == (_CHAINS, 50)
    assert float(chains.temperature.mean()) == pytest.approx(1.0, abs=0.15)
    assert chains.acceptance is chains.diverging is None
    assert chains.words == f"temperature {float(chains.temperature.mean()):.2f}"
    assert bool(chains.moving.all())


def test_the_minibatch_s_noise_is_left_out_of_its_own(monkeypatch):
    """Were it not, variances would be 1 + c N / (N + B) times too large."""
    monkeypatch.setattr(sghmc, "_SHARE", 0.9)
    model, rows = problem(4_000, batch=_CHAINS, batch_size=200)
    _, covariance = closed_form(model, rows.x, rows.target.y)
    options = SGHMC(num_warmup=20, num_iterations=75)
    draws = run_sampler(rows, _laplace(model, rows), options, 75).draws.double()
    ratio = draws.var(dim=1).mean(0) / covariance.diagonal()
    # 3,000 steps that forget in 12, in eight chains: 4% and less are chance; the rest is the step.
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(("width", "hot"), [(0.02, False), (3.0, True)])
def test_the_temperature_says_where_chains_are_not_yet(width, hot):
    model, rows = problem(100_000, batch=_CHAINS, batch_size=100)
    guide = _laplace(model, rows)
    guide.log_diagonal.fill_(math.log(width))
    whitening = _laplace(model, rows).whitening
    guide = dataclasses.replace(guide, whitening=whitening)
    # Five hundred steps, of the five thousand in which a chain forgets.
    options = SGHMC(num_warmup=5, num_iterations=8)
    temperature = float(run_sampler(rows, guide, options, 8).temperature.mean())
    assert temperature > 1.5 if hot else temperature < 0.7


def test_is_repeatable_and_seeded():
    model, rows = problem(batch=_CHAINS)
    options = SGHMC(num_warmup=2, num_iterations=3, num_leapfrog=5)
    first, again, other = (
        run_sampler(rows, _laplace(model, rows), options, 3, seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)


def test_one_broken_chain_does_not_touch_the_others():
    model, rows = problem(batch=_CHAINS)
    guide = _laplace(model, rows)
    options = SGHMC(num_warmup=2, num_iterations=3, num_leapfrog=5)
    whole = run_sampler(rows, guide, options, 3)
    guide.mean[2] = np.nan
    chains = run_sampler(rows, guide, options, 3)
    others = torch.arange(_CHAINS) != 2
    assert chains.moving.tolist() == others.tolist()
    assert torch.equal(chains.draws[others], whole.draws[others])


def test_a_chain_that_loses_its_density_is_lost(monkeypatch):
    model, rows = problem(batch=_CHAINS)
    options = SGHMC(num_warmup=2, num_iterations=3, num_leapfrog=5)
    gradient, count = Rows.gradient, 0

    def once(self, *arguments):
        nonlocal count
        count += 1
        value, slope = gradient(self, *arguments)
        if count == 7:
            value = value.clone()
            value[3] = -np.inf
        return value, slope

    monkeypatch.setattr(Rows, "gradient", once)
    chains = run_sampler(rows, _laplace(model, rows), options, 3)
    assert chains.moving.tolist() == [number != 3 for number in range(_CHAINS)]


def test_progress_counts_to_the_end():
    model, rows = problem(batch=_CHAINS)
    calls = []
    options = SGHMC(num_warmup=10, num_iterations=20, num_leapfrog=2)
    run_sampler(rows, _laplace(model, rows), options, 5, progress=lambda *call: calls.append(call))
    assert calls == [("refinement (SGHMC)", done, 30) for done in (10, 20, 30)]
