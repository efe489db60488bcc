"""Hamiltonian Monte Carlo against a posterior known in closed form."""

import dataclasses
import itertools
import math
from dataclasses import dataclass
from functools import partial

import arviz as az
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bayes_hybrid.inference.samplers.hmc as hmc_module
from bayes_hybrid.distributions import OrderedNormal
from bayes_hybrid.gates import ThresholdGate
from bayes_hybrid.inference import HMC
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import Whitening, whiten_at
from bayes_hybrid.inference.samplers.base import kept_iterations
from bayes_hybrid.inference.samplers.hmc import StepSize
from bayes_hybrid.likelihoods import Normal
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models import HybridMixture, SiteGroup, Target
from bayes_hybrid.models.sampled import Expert, Parts
from tests.inference.linear import LinearRegression, closed_form, problem, run_sampler
from tests.models import zoo

_CHAINS = 8


def _wrong_guide(scale, count=_CHAINS):
    """About zero and round: neither where the posterior is nor of its shape."""
    entries, center = torch.arange(4), torch.zeros(count, 4)
    factor = scale * torch.eye(4).expand(count, 4, 4)
    return BlockGaussian.start(Whitening(center, entries, entries, factor, center[:, :0]), 0.0)


def _laplace(rows):
    everything = torch.ones(4, dtype=torch.bool)
    return BlockGaussian.start(
        whiten_at(rows, torch.zeros(_CHAINS, 4), everything, torch.Generator()), 0.0
    )


# Preconditioned by the whole curvature, or by the guide.
@pytest.mark.parametrize("max_dense", [600, 1])
@pytest.mark.parametrize("start", ["laplace", "elsewhere"])
def test_finds_the_closed_form(max_dense, start):
    model, rows = problem(batch=_CHAINS)
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    laplace = _laplace(rows)
    options = HMC(num_warmup=150, num_iterations=250, num_leapfrog=8, max_dense=max_dense)
    guide = laplace if start == "laplace" else _wrong_guide(0.1)
    chains = run_sampler(rows, guide, options, 250)
    assert chains.draws.shape == (_CHAINS, 250, 4)
    draws = chains.draws.double().reshape(-1, 4)
    sd = covariance.diagonal().sqrt()
    # 2,000 draws; were a third of them worth an independent one, four standard errors are 4/26 of
    # an sd for a mean, and the square root of two times that for a variance.
    assert float(((draws.mean(0) - mean) / sd).abs().max()) < 0.16
    error = (torch.cov(draws.T) - covariance) / sd.outer(sd)
    assert float(error.abs().max()) < 0.22
    # Chains agree: the mean of each is off by less than five of its own standard errors.
    apart = (chains.draws.double().mean(1) - mean) / sd
    assert float(apart.abs().max()) < 5 / (250 / 3) ** 0.5
    acceptance = float(chains.acceptance.mean())
    assert abs(acceptance - options.target_acceptance) < 0.12
    assert not bool(chains.diverging.any())
    assert chains.step_size.shape == (_CHAINS,)
    for column in (chains.acceptance, chains.diverging, chains.energy):
        assert column.shape == (_CHAINS, 250)


def _swept(rows, guide, singles, num_sweeps):
    """States ``[sweeps, C, P]`` of chains that take single-site steps and no trajectory."""
    run = hmc_module._Run(rows, guide.as_whitening(1.0), HMC(), torch.Generator().manual_seed(0))
    rates, states = [], []
    for _ in range(num_sweeps):
        rates.append(run.sweep(singles))
        states.append(run.theta)
    assert 0.02 < float(torch.stack(rates).mean()) < 0.98
    return torch.stack(states).double()


def _bulk_ess(draws):
    return float(az.ess(draws.numpy()))


def test_single_site_steps_alone_find_the_closed_form():
    model, rows = problem(batch=_CHAINS)
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    slopes, intercept = rows.joint.table.sites
    singles = [hmc_module._Single(slopes, number, 1.0, constrained=False) for number in range(3)]
    singles.append(hmc_module._Single(intercept, 0, 2.0, constrained=False))
    states = _swept(rows, _laplace(rows), singles, 1_500)[100:]
    sd = covariance.diagonal().sqrt()
    for entry in range(4):
        draws = states[..., entry].T
        # Each of eight quantities within four of its own standard errors, which are small.
        for method, found, exact in (
            ("mean", draws.mean(), mean[entry]),
            ("sd", draws.std(), sd[entry]),
        ):
            error = float(az.mcse(draws.numpy(), method=method))
            assert float(found) == pytest.approx(float(exact), abs=4 * error)
            assert error < 0.12 * sd[entry]


@dataclass(frozen=True, kw_only=True)
class _Cut(LinearRegression):
    """``y ~ Normal(1{x > tau}, noise)``, nothing unknown but ``tau ~ Normal(0, 1)``.

    With ``num_thresholds`` of 2 there are two, sorted, of which y says nothing.
    """

    num_thresholds: int = 1

    @property
    def has_thresholds(self) -> bool:
        return True

    @property
    def num_features(self) -> int:
        return 1

    @property
    def regime_names(self) -> tuple[str, ...]:
        return ("below", "above")

    @property
    def likelihoods(self) -> Likelihoods:
        return Likelihoods([Normal(), Normal()])

    def parts(self, sites, like):
        prior = dist.Normal(like.new_zeros(1), 1.0).to_event(1)
        if self.num_thresholds > 1:
            prior = OrderedNormal(like.new_zeros(()), like.new_ones(()), self.num_thresholds)
        tau = sites("gate.location", lambda: prior, {"group": SiteGroup.THRESHOLDS})
        if self.num_thresholds > 1:
            tau = like.new_zeros(1)

        def gate(x):
            logits = 200.0 * torch.cat([tau - x, x - tau], dim=-1)
            return torch.nn.functional.logsigmoid(logits)

        def level(height, x):
            location = torch.full((len(x),), height)
            return Expert(Normal(), (location, torch.full_like(location, self.noise)))

        return Parts(gate, (partial(level, 0.0), partial(level, 1.0)))


def test_a_sharp_threshold_s_posterior_is_that_of_quadrature():
    # With noise as large as the jump the posterior is a histogram with a bar for each gap between
    # neighbouring rows; every chain starts in the same one, and takes single-site steps.
    generator = torch.Generator().manual_seed(3)
    x = torch.linspace(-2.0, 2.0, 41).unsqueeze(-1)
    y = (x[:, 0] > 0.33) + torch.randn(41, generator=generator)
    model = _Cut(noise=1.0)
    rows = Rows(LogJoint(model, x[:1], _CHAINS), x, Target(y), 41, torch.Generator())
    grid = torch.linspace(-4.0, 4.0, 8_000).unsqueeze(-1)
    value = torch.cat([rows.full_gradient(part)[0] for part in grid.split(_CHAINS)]).double()
    exact = value.sub(value.max()).exp()
    exact, place = exact / exact.sum(), grid[:, 0].double()
    mean = float((exact * place).sum())
    sd = float((exact * (place - mean).square()).sum().sqrt())
    entries = torch.arange(1)
    factor, center = torch.full((_CHAINS, 1, 1), 0.1), torch.full((_CHAINS, 1), -1.0)
    guide = BlockGaussian.start(Whitening(center, entries, entries, factor, center[:, :0]), 0.0)
    options = HMC(num_warmup=100, num_iterations=400, num_leapfrog=4)
    chains = run_sampler(rows, guide, options, 400)
    assert chains.single_acceptance.shape == (_CHAINS,)
    assert chains.select(torch.tensor([2])).single_acceptance.shape == (1,)
    # Without single-site steps 3,200 draws are worth 40.
    assert _bulk_ess(chains.draws[..., 0].double()) > 320
    # Four standard errors of so many: of the mean 0.22 sds, of the sd 0.16 of it.
    assert float(chains.draws.mean()) == pytest.approx(mean, abs=0.22 * sd)
    assert float(chains.draws.std()) == pytest.approx(sd, rel=0.16)


def test_thresholds_are_stepped_one_by_one_in_their_own_coordinates():
    x = torch.linspace(-2.0, 2.0, 8).unsqueeze(-1)
    model = _Cut(noise=1.0, num_thresholds=2)
    rows = Rows(LogJoint(model, x[:1], _CHAINS), x, Target(x[:, 0]), 8, torch.Generator())
    singles = hmc_module._single_sites(rows)
    theta = torch.tensor([[0.3, 0.0]]).expand(_CHAINS, 2)  # 0.3 and 1.3
    transform = singles[0].site.transform
    for single, expected in zip(singles, ([0.5, 1.3], [0.3, 1.5]), strict=True):
        moved, _ = single.moved(theta, torch.full((_CHAINS,), 0.2))
        assert transform(moved)[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert bool(singles[0].moved(theta, torch.full((_CHAINS,), 2.0))[0].isnan().any())
    # Of two sorted standard Normals the means are -+1 / sqrt(pi), the variances 1 - 1 / pi.
    center, entries = torch.zeros(_CHAINS, 2), torch.arange(2)
    factor = torch.eye(2).expand(_CHAINS, 2, 2)
    guide = BlockGaussian.start(Whitening(center, entries, entries, factor, center[:, :0]), 0.0)
    states = transform(_swept(rows, guide, singles, 2_500)[100:])
    assert min(_bulk_ess(states[..., k].T) for k in range(2)) > 400
    mean, spread = states.mean((0, 1)), states.reshape(-1, 2).std(0)
    # Four standard errors of so many independent draws.
    sd = (1 - 1 / math.pi) ** 0.5
    expected = torch.tensor([-1.0, 1.0]).double() / math.pi**0.5
    torch.testing.assert_close(mean, expected, rtol=0, atol=4 * sd / 400**0.5)
    torch.testing.assert_close(spread, torch.full_like(spread, sd), rtol=0, atol=4 * sd / 800**0.5)


def test_a_point_without_a_gradient_is_not_stepped_to(monkeypatch):
    _, rows = problem(batch=2)
    run = hmc_module._Run(
        rows, _wrong_guide(0.1, 2).as_whitening(1.0), HMC(), torch.Generator().manual_seed(0)
    )
    before, evaluate = run.theta, run._evaluate

    def without_gradient(q):
        state = evaluate(q)
        state.gradient[0, 1] = math.inf  # of the first chain
        return dataclasses.replace(state, value=state.value + 1e3)  # which is as good as any

    monkeypatch.setattr(run, "_evaluate", without_gradient)
    site = rows.joint.table.sites[-1]
    rates = run.sweep([hmc_module._Single(site, 0, 1.0, constrained=False)])
    assert rates.tolist() == [0.0, 1.0]
    assert torch.equal(run.theta[0], before[0])
    assert not torch.equal(run.theta[1], before[1])


def test_what_is_stepped_by_itself():
    experts = (zoo.pathway("relu", noise="constant"), zoo.pathway("gaussian", noise="constant"))
    sizes = {"location": 0.3, "sharpness": 1.0}  # of a prior of LogNormal(., 1)
    for gate, names in (
        (ThresholdGate(feature=0, location_scale=0.3), ["location", "sharpness"]),
        (zoo.GATES["oblique"], ["location", "sharpness"]),
        (zoo.GATES["relu"], None),
    ):
        model = HybridMixture(num_features=zoo.NUM_FEATURES, experts=experts, gate=gate)
        x, y = zoo.rows(10)
        rows = Rows(LogJoint(model, x[:1], 2), x, Target(y), 10, torch.Generator())
        singles = hmc_module._single_sites(rows)
        if names is None:
            assert singles == []
            continue
        found = [s for s in singles if s.site.name.startswith("gate.")]
        assert [s.site.name for s in found] == [f"gate.{name}" for name in names]
        assert len(singles) > len(found)
        assert all(s.site.group is SiteGroup.SCALES for s in singles if s not in found)
        if isinstance(gate, ThresholdGate):
            assert [s.scale for s in found] == pytest.approx(list(sizes.values()))


def test_finds_a_needle():
    # A posterior 1,000 times narrower than the guide's coordinates: only the curvature of the log
    # joint itself makes it reachable.
    model, rows = problem(batch=_CHAINS, noise=1e-3)
    mean, covariance = closed_form(model, rows.x, rows.target.y)
    sd = covariance.diagonal().sqrt()
    guide = _wrong_guide(1.0)
    guide.mean.copy_(mean.float() + 3.0 * sd.float())
    options = HMC(num_warmup=200, num_iterations=200, num_leapfrog=8)
    draws = run_sampler(rows, guide, options, 200).draws.double().reshape(-1, 4)
    # As above; float32 keeps 1e-7 of values of one, a thousandth of these sds.
    assert float(((draws.mean(0) - mean) / sd).abs().max()) < 0.2
    error = (torch.cov(draws.T) - covariance) / sd.outer(sd)
    assert float(error.abs().max()) < 0.3


def test_energy_is_that_of_the_target():
    model, rows = problem(batch=_CHAINS)
    guide = _laplace(rows)
    options = HMC(num_warmup=100, num_iterations=200, num_leapfrog=6)
    chains = run_sampler(rows, guide, options, 200)
    value = torch.stack([rows.full_gradient(chains.draws[:, s])[0] for s in range(200)], dim=1)
    kinetic = chains.energy + value
    # Half a chi-squared of four: mean 2; 1,600 draws with some autocorrelation, and energies are
    # those of accepted trajectories, which favours smaller kinetic terms a little.
    assert bool((kinetic > -1e-3).all())
    assert float(kinetic.mean()) == pytest.approx(2.0, abs=0.3)
    assert model.num_regimes == 1


def test_is_repeatable_and_seeded():
    _, rows = problem(batch=2)
    options = HMC(num_warmup=4, num_iterations=6, num_leapfrog=3)
    first, again, other = (
        run_sampler(rows, _wrong_guide(0.1, 2), options, 3, seed=seed).draws for seed in (0, 0, 1)
    )
    assert first.shape == (2, 3, 4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_divergence_is_flagged_and_refused():
    # A posterior 100,000 times narrower than the guide, and no time to adapt.
    _, rows = problem(batch=2, noise=1e-5)
    options = HMC(num_warmup=1, num_iterations=40, num_leapfrog=4, max_dense=1)
    chains = run_sampler(rows, _wrong_guide(1.0, 2), options, 40)
    # Every step diverges, and counts where it is of the shorter half: of 80 fair coins fewer than
    # 24 or more than 56 show heads in 1 of 5,000 runs.
    assert 0.3 <= float(chains.diverging.float().mean()) <= 0.7
    assert bool((chains.acceptance == 0).all())
    assert bool((chains.draws == 0).all())  # where it started


def test_one_broken_chain_does_not_touch_the_others():
    _, rows = problem(batch=2)
    # Which preconditioner is taken is decided for all chains together; here it is the guide's.
    options = HMC(num_warmup=20, num_iterations=5, num_leapfrog=3, max_dense=1)
    guide = _wrong_guide(0.1, 2)
    guide.mean[0].fill_(torch.nan)
    broken = run_sampler(rows, guide, options, 5)
    whole = run_sampler(rows, _wrong_guide(0.1, 2), options, 5)
    assert torch.equal(broken.draws[1], whole.draws[1])
    assert bool((broken.acceptance[0] == 0).all())


def test_progress_counts_to_the_end():
    _, rows = problem(batch=1)
    options = HMC(num_warmup=10, num_iterations=10, num_leapfrog=1)
    calls = []
    run_sampler(rows, _wrong_guide(0.1, 1), options, 5, progress=lambda *call: calls.append(call))
    assert [call[1:] for call in calls] == [(10, 22), (20, 22), (22, 22)]


@given(num_iterations=st.integers(1, 500), num_draws=st.integers(1, 500))
def testkept_iterations_iterations_are_evenly_spaced_and_end_at_the_last(num_iterations, num_draws):
    kept = sorted(kept_iterations(num_iterations, num_draws))
    assert len(kept) == min(num_iterations, num_draws)
    assert kept[-1] == num_iterations - 1
    assert kept[0] >= 0
    gaps = {after - before for before, after in itertools.pairwise(kept)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("target", [0.65, 0.8, 0.9])
def test_step_size_approaches_its_target(target):
    sharpness = torch.tensor([0.3, 3.0, 30.0])  # a tenth, one and ten times the same problem
    step_size = StepSize(0.02, 3, target, sharpness)
    generator = torch.Generator().manual_seed(0)
    for _ in range(1_000):
        jitter = 0.8 + 0.4 * torch.rand(3, generator=generator)
        step_size.update(torch.exp(-sharpness * step_size.exploring * jitter))
    # Jitter moves an acceptance by up to a fifth of its logarithm; its average by a hundredth.
    found = torch.exp(-sharpness * step_size.final)
    assert found.tolist() == pytest.approx([target] * 3, abs=0.02)


def test_divergences_of_iterations_that_are_thinned_away_count(monkeypatch):
    _, rows = problem(batch=2)
    number = 0

    def iterate(self, *, adapting):
        nonlocal number
        number += 1
        # The first iteration after two of warm-up, of which every other one is kept.
        diverging = torch.tensor([number == 3, False])
        return torch.tensor([0.1 * number, 1.0]), diverging, torch.zeros(2)

    monkeypatch.setattr(hmc_module._Run, "iterate", iterate)
    options = HMC(num_warmup=2, num_iterations=4, max_dense=1)
    chains = run_sampler(rows, _wrong_guide(0.1, 2), options, 2)
    assert chains.diverging.tolist() == [[True, False], [False, False]]
    torch.testing.assert_close(chains.acceptance, torch.tensor([[0.35, 0.55], [1.0, 1.0]]))
