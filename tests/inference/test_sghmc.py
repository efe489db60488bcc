"""Stochastic gradient HMC against the closed form."""

import arviz_stats as az
import numpy as np
import pytest
import torch

from bayes_hybrid.inference import sghmc
from bayes_hybrid.inference.guides import BlockGaussian
from bayes_hybrid.inference.options import Refinement
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.rows import Rows
from bayes_hybrid.inference.sghmc import refine_by_sghmc
from bayes_hybrid.inference.whitening import whiten_at
from tests.inference.linear import closed_form, problem

_CHAINS = 8


def _laplace(model, rows):
    """The guide that SVI would end with: about the mode, and as wide as the posterior."""
    mean, _ = closed_form(model, rows.x, rows.y)
    theta = mean.to(rows.x).expand(_CHAINS, -1)
    every = torch.ones(theta.shape[1], dtype=torch.bool)
    return BlockGaussian.start(whiten_at(rows, theta, every, torch.Generator().manual_seed(0)), 1.0)


def _refine(rows, guide, options, num_draws, seed=0, progress=silent):
    return refine_by_sghmc(
        rows,
        guide,
        options,
        num_draws=num_draws,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
    )


@pytest.mark.parametrize(
    ("size", "batch_size", "num_steps"),
    [(30, 512, 60), (600, 120, 100)],
    ids=["full", "minibatch"],
)
def test_finds_the_closed_form(size, batch_size, num_steps):
    model, rows = problem(size, batch=_CHAINS)
    mean, covariance = closed_form(model, rows.x, rows.y)
    options = Refinement(
        num_warmup=50, num_iterations=200, num_leapfrog=num_steps, batch_size=batch_size
    )
    chains = _refine(rows, _laplace(model, rows), options, 200)
    assert chains.draws.shape == (_CHAINS, 200, 4)
    sd = covariance.diagonal().sqrt()
    for entry in range(4):
        found = chains.draws[..., entry].double().numpy()
        for method, value, exact in (
            ("mean", found.mean(), mean[entry]),
            ("sd", found.std(), sd[entry]),
        ):
            # Four of its own standard errors, and a twentieth for steps without an accept step.
            error = float(az.mcse(found, method=method))
            assert value == pytest.approx(float(exact), abs=4 * error + 0.05 * float(sd[entry]))
            assert error < 0.25 * float(sd[entry])
    assert chains.temperature.shape == (_CHAINS, 200)
    assert float(chains.temperature.mean()) == pytest.approx(1.0, abs=0.1)
    assert chains.acceptance is chains.diverging is None
    assert chains.words == f"kinetic temperature {float(chains.temperature.mean()):.2f}"
    assert bool(chains.moving.all())


def test_minibatches_that_are_too_noisy_show_in_the_temperature(monkeypatch):
    # At this step the noise of two rows in 4,000 is more than friction takes away.
    monkeypatch.setattr(sghmc, "_STEP", 0.1)
    model, rows = problem(4_000, batch=_CHAINS)
    options = Refinement(num_warmup=20, num_iterations=50, num_leapfrog=40, batch_size=2)
    chains = _refine(rows, _laplace(model, rows), options, 50)
    assert float(chains.temperature.mean()) > 1.5


def test_is_repeatable_and_seeded():
    model, rows = problem(batch=_CHAINS)
    options = Refinement(num_warmup=2, num_iterations=3, num_leapfrog=5)
    first, again, other = (
        _refine(rows, _laplace(model, rows), options, 3, seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)


def test_one_broken_chain_does_not_touch_the_others():
    model, rows = problem(batch=_CHAINS)
    guide = _laplace(model, rows)
    options = Refinement(num_warmup=2, num_iterations=3, num_leapfrog=5)
    whole = _refine(rows, guide, options, 3)
    guide.mean[2] = np.nan
    chains = _refine(rows, guide, options, 3)
    others = torch.arange(_CHAINS) != 2
    assert chains.moving.tolist() == others.tolist()
    assert torch.equal(chains.draws[others], whole.draws[others])


def test_a_chain_that_loses_its_density_is_lost(monkeypatch):
    model, rows = problem(batch=_CHAINS)
    options = Refinement(num_warmup=2, num_iterations=3, num_leapfrog=5)
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
    chains = _refine(rows, _laplace(model, rows), options, 3)
    assert chains.moving.tolist() == [number != 3 for number in range(_CHAINS)]


def test_progress_counts_to_the_end():
    model, rows = problem(batch=_CHAINS)
    calls = []
    options = Refinement(num_warmup=10, num_iterations=20, num_leapfrog=2)
    _refine(rows, _laplace(model, rows), options, 5, progress=lambda *call: calls.append(call))
    assert calls == [("refinement (SGHMC)", done, 30) for done in (10, 20, 30)]
