"""SGHMC on minibatches finds what is known."""

import pytest
import torch

from bayes_hybrid.inference import Refinement
from bayes_hybrid.inference.guides import BlockGaussian
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.sghmc import refine_by_sghmc
from bayes_hybrid.inference.whitening import whiten_at
from tests.inference.linear import closed_form, problem

_CHAINS = 4


def _run(size, batch_size, options, num_draws, *, shift=0.0, seed=0, progress=silent):
    model, rows = problem(size, batch_size=batch_size)
    everything = torch.ones(4, dtype=torch.bool)
    start = torch.zeros(_CHAINS, 4)
    guide = BlockGaussian.start(whiten_at(rows, start, everything, torch.Generator()), 0.0)
    mean, _ = closed_form(model, rows.x, rows.y)
    offset = (mean.float() - guide.whitening.center).unsqueeze(-1)
    solved = torch.linalg.solve_triangular(guide.whitening.block_factor, offset, upper=False)
    guide.mean.copy_(solved.squeeze(-1) + shift)
    rows.generator.manual_seed(seed)
    chains = refine_by_sghmc(
        rows,
        guide,
        options,
        num_draws=num_draws,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
    )
    return model, rows, chains


@pytest.mark.slow
@pytest.mark.parametrize(("size", "batch_size"), [(200, 200), (2_000, 100)])
def test_finds_the_closed_form(size, batch_size):
    # From two posterior sds away in every direction.
    options = Refinement(num_warmup=50, num_iterations=250)
    model, rows, chains = _run(size, batch_size, options, 250, shift=2.0)
    mean, covariance = closed_form(model, rows.x, rows.y)
    sd = covariance.diagonal().sqrt()
    draws = chains.draws.double().reshape(-1, 4)
    # 1,000 draws, 40 steps apart; were a third of them worth an independent one, four standard
    # errors are 4/18 of an sd for a mean and the square root of two times that for a variance.
    assert float(((draws.mean(0) - mean) / sd).abs().max()) < 0.22
    assert float(((torch.cov(draws.T) - covariance) / sd.outer(sd)).abs().max()) < 0.31
    assert bool((chains.acceptance == 1).all())
    assert not bool(chains.diverging.any())


def test_is_repeatable_thinned_and_tells_its_progress():
    told = []
    options = Refinement(num_warmup=10, num_iterations=20, num_leapfrog=2)
    first = _run(40, 10, options, 5, progress=lambda *what: told.append(what))[2].draws
    assert first.shape == (_CHAINS, 5, 4)
    assert told[-1] == ("refinement (SGHMC)", 30, 30)
    assert torch.equal(_run(40, 10, options, 5)[2].draws, first)
    assert not torch.equal(_run(40, 10, options, 5, seed=1)[2].draws, first)


def test_a_chain_that_is_lost_counts_as_stuck():
    options = Refinement(num_warmup=1, num_iterations=2, num_leapfrog=1)
    shift = torch.zeros(_CHAINS, 4)
    shift[1] = torch.nan
    chains = _run(40, 10, options, 2, shift=shift)[2]
    assert chains.acceptance[:, 0].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert chains.diverging[:, 0].tolist() == [False, True, False, False]
