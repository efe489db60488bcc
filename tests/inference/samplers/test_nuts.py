"""Pyro's NUTS on the recorded log joint finds what is known."""

import pytest
import torch

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import NUTS
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import whiten_at
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.samplers import nuts
from bayes_hybrid.inference.samplers.nuts import potential
from tests.inference.linear import closed_form, problem, run_sampler


def _run(rows, options, num_draws, seed=0, progress=silent):
    theta = torch.zeros(2, 4)
    block = torch.tensor([True, True, False, True])
    guide = BlockGaussian.start(whiten_at(rows, theta, block, torch.Generator()), 0.0)
    return run_sampler(rows, guide, options, num_draws, seed, progress)


@pytest.mark.slow
def test_finds_the_closed_form():
    model, rows = problem(batch=2)
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    chains = _run(rows, NUTS(num_warmup=50, num_iterations=500), 500)
    assert chains.draws.shape == (2, 500, 4)
    draws, sd = chains.draws.double().reshape(-1, 4), covariance.diagonal().sqrt()
    # 1,000 draws; were a third of them worth an independent one, four standard errors are 4/18 of
    # an sd for a mean, and the square root of two times that for a variance.
    assert float(((draws.mean(0) - mean) / sd).abs().max()) < 0.22
    assert float(((torch.cov(draws.T) - covariance) / sd.outer(sd)).abs().max()) < 0.31
    assert bool((chains.acceptance > 0.6).all())
    assert not bool(chains.diverging.any())


def test_is_repeatable_thinned_and_tells_its_progress():
    _, rows = problem(batch=2)
    told = []
    options = NUTS(num_warmup=10, num_iterations=20, max_tree_depth=3)
    before = torch.get_rng_state()
    first = _run(rows, options, 5, progress=lambda *what: told.append(what))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.draws.shape == (2, 5, 4)
    assert first.acceptance.shape == first.diverging.shape == (2, 5)
    assert told[-1] == ("refinement (NUTS)", 60, 60)
    assert torch.equal(_run(rows, options, 5).draws, first.draws)
    assert not torch.equal(_run(rows, options, 5, seed=1).draws, first.draws)


def test_potential_is_minus_the_density_with_its_gradient():
    point = torch.tensor([1.0, -2.0], requires_grad=True)
    minus = potential(lambda q: (-(q**2).sum(), -2.0 * q), "q")({"q": point})
    assert float(minus.detach()) == 5.0
    assert torch.autograd.grad(minus, point)[0].tolist() == [2.0, -4.0]


def test_four_iterations_are_enough_and_fewer_are_refused():
    _, rows = problem(batch=2)
    chains = _run(rows, NUTS(num_warmup=3, num_iterations=4, max_tree_depth=1), 1)
    assert chains.draws.shape == (2, 1, 4)
    with pytest.raises(OptionError, match="num_iterations must be an integer >= 4; got 3"):
        NUTS(num_iterations=3)


def test_divergences_of_thinned_iterations_count(monkeypatch):
    _, rows = problem(batch=2)
    flags = torch.zeros(40, dtype=torch.bool)
    flags[[0, 1, 12, 39]] = True
    monkeypatch.setattr(
        nuts, "_chain", lambda _, like, *__: (like.expand(40, -1), like.new_tensor(0.8), flags)
    )
    chains = _run(rows, NUTS(num_warmup=1, num_iterations=40), 10)
    assert chains.diverging is not None
    assert chains.diverging[0].nonzero()[:, 0].tolist() == [0, 3, 9]
