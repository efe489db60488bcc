"""The guide's formulas, and what SVI makes of a target whose answer is known."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from bayes_hybrid.inference.guides import whitening as whitening_module
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.svi import (
    _settled,
    exact_elbo,
    log_ratios,
    sample,
    svi_schedule,
    train,
    weighted_sample,
)
from bayes_hybrid.inference.guides.whitening import Whitening, feature_scale, whiten_at
from bayes_hybrid.inference.progress import silent
from tests.inference.linear import closed_form, log_evidence, problem

_COUNT = 3
# Two orders of summation in float64.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-9}
_PRIOR_SCALE = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64)


def _generator():
    return torch.Generator().manual_seed(0)


def _whiten_heads(rows, theta):
    return whiten_at(rows, theta, ~rows.joint.table.feature_mask, _generator())


def _whitening(*, features, like, scale=0.3):
    """Arbitrary coordinates, with the first ``features`` of four entries in the diagonal block."""
    size = 4 - features
    factor = torch.randn(_COUNT, size, size, dtype=like).tril(-1) * 0.2
    order = torch.cat([torch.arange(features, 4), torch.arange(features)])
    return Whitening(
        torch.randn(_COUNT, 4, dtype=like),
        order,
        order.argsort(),
        factor + torch.diag_embed(0.2 + torch.rand(_COUNT, size, dtype=like)),
        scale + torch.rand(_COUNT, features, dtype=like),
    )


def _guide(kl_weight, *, features):
    whitening = _whitening(features=features, like=torch.float64)
    guide = BlockGaussian.start(whitening, kl_weight)
    for parameter in guide.parameters:
        parameter += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
    guide.lower.tril_(-1)
    return guide


def _free(guide):
    """Copies of the parameters by name, to differentiate with respect to."""
    names = ("mean", "log_diagonal", "log_spread", "lower")
    assert len(guide.parameters) == len(names)
    return {name: getattr(guide, name).clone().requires_grad_() for name in names}


@pytest.mark.parametrize("features", [0, 1, 3])
def test_color_and_pull_are_adjoint(features):
    whitening = _whitening(features=features, like=torch.float64)
    q, g = torch.randn(2, _COUNT, 4, dtype=torch.float64)
    moved = whitening.color(q) - whitening.center
    torch.testing.assert_close((moved * g).sum(-1), (q * whitening.pull(g)).sum(-1), **_EXACT)
    torch.testing.assert_close(whitening.color(torch.zeros_like(q)), whitening.center)
    torch.testing.assert_close(whitening.uncolor(whitening.color(q)), q, **_EXACT)
    index = torch.tensor([2, 0])
    torch.testing.assert_close(whitening.select(index).color(q[index]), whitening.color(q)[index])


def _reference(guide, free):
    """The block's and the features' distributions in theta, by torch."""
    mean, log_spread, whitening = free["mean"], free["log_spread"], guide.whitening
    factor = torch.tril(free["lower"], -1) + torch.diag_embed(free["log_diagonal"].exp())
    block, features = whitening.block, whitening.features
    mean_block, mean_features = whitening.split(mean)
    shift = (whitening.block_factor @ mean_block.unsqueeze(-1)).squeeze(-1)
    joint = None
    if len(block):
        joint = MultivariateNormal(
            whitening.center[:, block] + shift, scale_tril=whitening.block_factor @ factor
        )
    center = whitening.center[:, features] + whitening.feature_scale * mean_features
    return joint, center, whitening.feature_scale * log_spread.exp()


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
def test_entropy(kl_weight, features):
    guide = _guide(kl_weight, features=features)
    joint, center, spread = _reference(guide, vars(guide))
    expected = joint.entropy()
    if kl_weight > 0:
        expected = expected + kl_weight * Normal(center, spread).entropy().sum(-1)
    torch.testing.assert_close(guide.entropy(), expected, **_EXACT)


@pytest.mark.parametrize("features", [0, 1, 4])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
def test_log_prob(kl_weight, features):
    guide = _guide(kl_weight, features=features)
    joint, center, spread = _reference(guide, vars(guide))
    noise = torch.randn(_COUNT, 4, dtype=torch.float64)
    theta = guide.draw(noise)
    block, rest = guide.whitening.block, guide.whitening.features
    expected = joint.log_prob(theta[:, block]) if len(block) else 0.0
    if kl_weight > 0:
        expected = expected + Normal(center, spread).log_prob(theta[:, rest]).sum(-1)
    torch.testing.assert_close(guide.log_prob(noise), expected + theta.new_zeros(_COUNT), **_EXACT)


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("kl_weight", [0.0, 1.0])
def test_draws_have_the_guides_moments(kl_weight, features):
    guide = _guide(kl_weight, features=features)
    joint, center, spread = _reference(guide, vars(guide))
    # Side by side, because a draw of a hundred restarts costs what a draw of one does.
    many = guide.select(torch.arange(_COUNT).repeat_interleave(100))
    draws = sample(many, 200, torch.Generator().manual_seed(0))
    assert draws.shape == (100 * _COUNT, 200, 4)
    draws = draws.reshape(_COUNT, 20_000, 4)
    block = draws[..., guide.whitening.block]
    # 20,000 draws of sd below one: five standard errors of a mean and of a covariance.
    torch.testing.assert_close(block.mean(1), joint.mean, rtol=0, atol=0.06)
    for c in range(_COUNT):
        expected = joint.covariance_matrix[c]
        torch.testing.assert_close(
            torch.cov(block[c].T).reshape(expected.shape), expected, rtol=0.05, atol=0.05
        )
    rest = draws[..., guide.whitening.features]
    torch.testing.assert_close(rest.mean(1), center, rtol=0, atol=0.1)
    if kl_weight == 0:
        assert bool((rest == rest[:, :1]).all())
    else:
        torch.testing.assert_close(rest.std(1), spread, rtol=0.04, atol=0)
    # In its own coordinates the guide's block is standard normal.
    own = guide.as_whitening(0.7)
    torch.testing.assert_close(own.center, guide.center)
    torch.testing.assert_close(
        own.block_factor @ own.block_factor.mT, joint.covariance_matrix, **_EXACT
    )
    assert bool((own.feature_scale == 0.7).all())


@pytest.mark.parametrize("slopes_are_features", [True, False])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
def test_gradients_are_those_of_the_elbo(kl_weight, slopes_are_features):
    model, rows = problem(dtype=torch.float64, slopes_are_features=slopes_are_features)
    count = 3 if slopes_are_features else 0
    guide = _guide(kl_weight, features=count)
    prior_weight = kl_weight or 1.0  # a point sits at the maximum of the ELBO, prior included
    noise = torch.randn(_COUNT, 4, dtype=torch.float64)
    free = _free(guide)
    joint, center, spread = _reference(guide, free)
    noises = guide.whitening.split(noise)
    block = joint.mean + (joint.scale_tril @ noises[0].unsqueeze(-1)).squeeze(-1)
    features = center if kl_weight == 0 else center + spread * noises[1]
    theta = torch.cat([features, block], dim=-1)
    log_prior = Normal(0.0, _PRIOR_SCALE).log_prob(theta)
    location = theta[:, :3] @ rows.x.T + theta[:, 3:]
    elbo = (
        Normal(location, model.noise).log_prob(rows.target.y).sum(-1)
        + prior_weight * log_prior[:, :count].sum(-1)
        + log_prior[:, count:].sum(-1)
        + joint.entropy()
    )
    if kl_weight > 0:
        elbo = elbo + kl_weight * Normal(center, spread).entropy().sum(-1)
    expected = torch.autograd.grad(elbo.sum(), list(free.values()), materialize_grads=True)

    weights = theta.new_full((_COUNT,), prior_weight)
    value, gradient = rows.gradient(guide.draw(noise), rows.all_rows(_COUNT), weights)
    torch.testing.assert_close(value + guide.entropy(), elbo.detach(), **_EXACT)
    found = guide.gradients(gradient, noise)
    assert len(found) == len(guide.parameters)
    for ours, parameter, name in zip(found, guide.parameters, free, strict=False):
        assert parameter is getattr(guide, name)
        theirs = expected[list(free).index(name)]
        # Of the last, only the strictly lower part is read.
        ours = torch.tril(ours, -1) if name == "lower" else ours
        torch.testing.assert_close(ours, theirs, **_EXACT)


def test_select_is_a_copy():
    guide = _guide(0.3, features=2)
    chosen = guide.select(torch.tensor([1]))
    before = guide.mean.clone()
    chosen.mean.add_(1.0)
    assert torch.equal(guide.mean, before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.float64, 1e-8)])
def test_whitening_inverts_the_curvature(dtype, tolerance):
    # The log joint is quadratic, so central differences are exact but for rounding, which at
    # a step of 2e-3 is worth a relative 1e-4 in float32 and 1e-12 in float64.
    model, rows = problem(dtype=dtype)
    whitening = _whiten_heads(rows, torch.randn(_COUNT, 4, dtype=dtype))
    _, covariance = closed_form(model, rows.x, rows.target.y)
    found = (whitening.block_factor @ whitening.block_factor.mT).double()
    scale = covariance.diagonal().sqrt()
    for c in range(_COUNT):
        torch.testing.assert_close(
            found[c] / scale.outer(scale), covariance / scale.outer(scale), rtol=0, atol=tolerance
        )


def test_whitening_by_some_rows(monkeypatch):
    model, rows = problem(2_000, dtype=torch.float64)
    theta = torch.randn(_COUNT, 4, dtype=torch.float64)
    _, covariance = closed_form(model, rows.x, rows.target.y)
    exact = _whiten_heads(rows, theta).block_factor
    monkeypatch.setattr(whitening_module, "_ROWS", 500)
    # They are for what does not fit one piece.
    assert torch.equal(_whiten_heads(rows, theta).block_factor, exact)
    monkeypatch.setattr(whitening_module, "CHUNK", 1_000)
    ours = _whiten_heads(rows, theta).block_factor
    scale = covariance.diagonal().sqrt()
    # Second moments of 500 rows have a relative standard error of .06; four of those, and no zero.
    gap = ((ours - exact) / scale.unsqueeze(-1)).abs().amax()
    assert 1e-6 < float(gap) < 0.25


def test_whitening_survives_a_restart_that_is_not_finite():
    _, rows = problem()
    theta = torch.zeros(2, 4)
    theta[0] = math.nan
    whitening = _whiten_heads(rows, theta)
    alone = _whiten_heads(rows, theta[1:])
    # Kernels may order the sums of two restarts and of one differently.
    torch.testing.assert_close(whitening.block_factor[1], alone.block_factor[0])


@pytest.mark.parametrize(("noise", "expected"), [(2.0, 0.1), (0.02, None), (1e-5, 0.003)])
def test_features_step_by_their_own_curvature(noise, expected):
    model, rows = problem(slopes_are_features=True, dtype=torch.float64, noise=noise)
    theta = torch.zeros(_COUNT, 4, dtype=torch.float64)
    features = torch.arange(3)
    unit = feature_scale(rows, theta, features, _generator())
    if expected is None:
        _, covariance = closed_form(model, rows.x, rows.target.y)
        mean = float(torch.linalg.inv(covariance).diagonal()[:3].mean())
        # Eight probes know the trace of a 3 x 3 matrix up to its off-diagonal entries.
        assert unit.tolist() == pytest.approx([10.0 / mean**0.5] * _COUNT, rel=0.3)
    else:
        assert unit.tolist() == pytest.approx([expected] * _COUNT)


def _round(scale, center):
    """Coordinates that know nothing of the posterior's shape."""
    entries, centers = torch.arange(4), torch.full((_COUNT, 4), center)
    factor = scale * torch.eye(4).expand(_COUNT, 4, 4)
    return Whitening(centers, entries, entries[:0], factor, centers[:, :0])


def _train(rows, guide, **settings: Any):
    count = guide.mean.shape[0]
    schedule = svi_schedule(settings.pop("learning_rate", 0.03), settings.pop("num_steps", 3_000))
    return train(
        rows,
        guide,
        rows.all_rows(count),
        generator=torch.Generator().manual_seed(0),
        schedule=schedule,
        progress=lambda *_: None,
        **settings,
    )


# In posterior sds.  One draw per step keeps the guide in motion until the step has decayed; over
# seeds and learning rates what was left was at most 0.13, and 0.14 of a variance.
_SVI_ERROR = 0.15


@pytest.mark.parametrize("start", ["laplace", "elsewhere"])
def test_full_rank_svi_finds_the_closed_form(start):
    model, rows = problem()
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    sd = covariance.diagonal().sqrt()
    if start == "laplace":
        whitening = _whiten_heads(rows, torch.zeros(_COUNT, 4))
    else:
        whitening = _round(0.3, 0.0)
    # From a wrong shape the off-diagonal entries have some way to go.
    rate = 0.03 if start == "laplace" else 0.1
    trained = _train(rows, BlockGaussian.start(whitening, 0.0), learning_rate=rate)
    found = trained.guide.as_whitening(1.0)
    for c in range(_COUNT):
        assert float(((found.center[c] - mean) / sd).abs().max()) < _SVI_ERROR
        guide_covariance = (found.block_factor[c] @ found.block_factor[c].mT).double()
        error = (guide_covariance - covariance) / sd.outer(sd)
        assert float(error.abs().max()) < 2 * _SVI_ERROR  # a variance, not an sd
    # The ELBO of the exact posterior is the evidence, and its one-draw estimate has variance 4/2;
    # the tail averages 300 of them: five standard errors are 0.4.
    assert trained.elbo.tolist() == pytest.approx(
        [log_evidence(model, rows.x, rows.target.y)] * 3, abs=0.4
    )
    assert trained.settled is True
    assert trained.neg_elbo.shape == (3_000, _COUNT)


@pytest.mark.parametrize("kl_weight", [0.0, 1.0])
def test_feature_block_finds_its_own_optimum(kl_weight):
    model, rows = problem(slopes_are_features=True)
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    precision = torch.linalg.inv(covariance).diagonal()
    guide = BlockGaussian.start(_whiten_heads(rows, torch.zeros(_COUNT, 4)), kl_weight)
    trained = _train(rows, guide, num_steps=2_500, learning_rate=0.05)
    guide = trained.guide
    # A factorised Gaussian has the exact mean, and the precisions of the conditionals.
    error = (guide.center.double() - mean) * precision.sqrt()
    assert float(error.abs().max()) < 2 * _SVI_ERROR
    block = guide.as_whitening(1.0).block_factor[:, 0, 0].double() * precision[3].sqrt()
    assert float((block - 1).abs().max()) < _SVI_ERROR
    if kl_weight > 0:
        spread = guide.whitening.feature_scale * guide.log_spread.exp()
        assert float((spread.double() * precision[:3].sqrt() - 1).abs().max()) < _SVI_ERROR


@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
def test_the_exact_elbo_is_what_svi_climbs(kl_weight):
    _, rows = problem(dtype=torch.float64, slopes_are_features=True)
    guide = BlockGaussian.start(
        _whiten_heads(rows, torch.zeros(_COUNT, 4, dtype=torch.float64)), kl_weight
    )
    # At a rate of zero a run of 200 steps is 200 draws of the guide, and these are the same.
    still = _train(rows, guide, num_steps=200, learning_rate=0.0)
    found = exact_elbo(rows, guide, _generator(), silent)
    torch.testing.assert_close(found, -still.neg_elbo.mean(0), rtol=1e-9, atol=1e-9)


def test_settled_is_about_the_last_two_tenths():
    noise = torch.randn(1_000, 5, generator=torch.Generator().manual_seed(0))
    assert _settled(100.0 + noise) is True
    assert _settled(100.0 - 0.02 * torch.arange(1_000.0)[:, None] + noise) is False
    assert _settled(torch.zeros(2, 5)) is False  # too short to say
    broken = 100.0 + noise
    broken[:, 0] = torch.nan
    assert _settled(broken) is True  # a lost restart has no say


def test_log_ratios_of_the_exact_posterior_are_the_evidence():
    model, rows = problem(dtype=torch.float64)
    guide = BlockGaussian.start(
        _whiten_heads(rows, torch.randn(_COUNT, 4, dtype=torch.float64)), 1.0
    )
    center, _ = closed_form(model, rows.x, rows.target.y)
    block = guide.whitening.block_factor
    offset = (center - guide.whitening.center).unsqueeze(-1)
    guide.mean.copy_(torch.linalg.solve_triangular(block, offset, upper=False).squeeze(-1))
    ratios = log_ratios(rows, guide, _generator())
    assert ratios.shape[0] == _COUNT
    evidence = log_evidence(model, rows.x, rows.target.y)
    # The curvature is a central difference, good to a relative 1e-7 here.
    torch.testing.assert_close(ratios, torch.full_like(ratios, evidence), rtol=1e-5, atol=1e-5)


# One draw of every restart at a time, and three.
@pytest.mark.parametrize("batch", [4, 3 * _COUNT])
def test_draws_come_with_their_own_ratios(batch):
    _, rows = problem(batch=batch, dtype=torch.float64)
    theta = torch.randn(_COUNT, 4, dtype=torch.float64)
    guide = BlockGaussian.start(_whiten_heads(rows, theta), 1.0)
    draws, ratios = weighted_sample(rows, guide, 6, _generator())
    assert torch.equal(draws, sample(guide, 6, _generator()))
    assert torch.equal(ratios, log_ratios(rows, guide, _generator())[:, :6])
    log_p = torch.stack([rows.full_gradient(draws[:, s])[0] for s in range(6)], dim=1)
    center, factor = guide.whitening.center, guide.whitening.block_factor
    # The guide is a normal distribution whose factor is the whitening's times its own.
    log_q = torch.stack(
        [
            torch.distributions.MultivariateNormal(
                guide.draw(torch.zeros(_COUNT, 4, dtype=torch.float64))[c],
                scale_tril=factor[c] @ guide.factor()[c],
            ).log_prob(draws[c])
            for c in range(len(center))
        ]
    )
    torch.testing.assert_close(ratios, log_p - log_q, rtol=1e-8, atol=1e-8)


def test_a_point_has_no_ratios():
    _, rows = problem(dtype=torch.float64)
    theta = torch.randn(_COUNT, 4, dtype=torch.float64)
    nothing = torch.zeros(4, dtype=torch.bool)
    guide = BlockGaussian.start(whiten_at(rows, theta, nothing, _generator()), 0.0)
    assert bool(log_ratios(rows, guide, _generator()).isnan().all())
