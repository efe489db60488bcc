"""The recorded density of any Pyro program is the program's own."""

import functools
import itertools
import warnings
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS, config_enumerate
from pyro.infer.mcmc.util import initialize_model

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import ProgramDensity
from tests.models import zoo

# Two orders of summation in float64.
_EXACT: Any = {"rtol": 1e-10, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def constrained(x, y):
    """Sites on the half line, an interval, a simplex, and one whose prior another site sets."""
    scale = pyro.sample("scale", dist.Gamma(2.0, 3.0))
    share = pyro.sample("share", dist.Beta(2.0, 5.0))
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    slope = pyro.sample("slope", dist.Normal(torch.zeros(2), scale).to_event(1))
    with pyro.plate("rows", len(x)):
        location = x @ slope + share * weights[0]
        pyro.sample("y", dist.StudentT(4.0, location, 0.1 + scale), obs=y)


def subsampled(x, y, index):
    """A minibatch that the caller picks, scaled by N / B."""
    slope = pyro.sample("slope", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    with pyro.plate("rows", len(x), subsample=index):
        pyro.sample("y", dist.Normal(x[index] @ slope, 0.5), obs=y[index])


@config_enumerate
def enumerated(x, y):
    """A mixture with an explicit regime, summed out by Pyro."""
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    with pyro.plate("regimes", 3):
        slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Categorical(weights))
        pyro.sample("y", dist.Normal(slope[z] * x[:, 0], 0.5), obs=y)


def _data(name):
    x, y = zoo.rows(12)
    return (x, y, torch.tensor([1, 3, 3, 8])) if name == "subsampled" else (x, y)


_MIXTURE = zoo.MODELS["mixture of 2, relu, input"]
_PROGRAMS = {
    "constrained": constrained,
    "subsampled": subsampled,
    "enumerated": enumerated,
    "package, marginal": _MIXTURE.marginal,
    "package, enumerated": _MIXTURE.enumerated,
}


@functools.cache
def _density(name):
    """Recorded once for all tests that look at it."""
    return ProgramDensity(_PROGRAMS[name], *_data(name))


@pytest.mark.parametrize("name", _PROGRAMS)
def test_value_and_gradient_are_those_of_pyros_potential(name):
    program, data = _PROGRAMS[name], _data(name)
    density = _density(name)
    theta = 0.5 * torch.randn(2, density.table.num_parameters)
    value, gradient = density.value_and_grad(theta, *data)
    # Pyro's own potential, of the program's sites by name, is minus the log joint.
    _, potential, transforms, _ = initialize_model(program, model_args=data, max_plate_nesting=1)
    assert set(transforms) == {site.name for site in density.table.sites}
    for c in range(2):
        flat = theta[c].clone().requires_grad_()
        free = {
            site.name: flat[site.start : site.stop].reshape(site.free_shape)
            for site in density.table.sites
        }
        expected = -potential(free)
        torch.testing.assert_close(value[c], expected.detach(), **_EXACT)
        torch.testing.assert_close(gradient[c], torch.autograd.grad(expected, flat)[0], **_EXACT)
        torch.testing.assert_close(density.log_density(theta[c], *data), value[c], **_EXACT)


def test_data_are_arguments_and_not_frozen():
    x, y = zoo.rows(12)
    density = ProgramDensity(constrained, x, y)
    theta = torch.randn(2, density.table.num_parameters)
    density.value_and_grad(theta, x, y)
    value, _ = density.value_and_grad(theta, x + 1.0, 2.0 * y)
    for c in range(2):
        torch.testing.assert_close(
            value[c], density.log_density(theta[c], x + 1.0, 2 * y), **_EXACT
        )


def test_the_two_readings_of_a_hybrid_model_agree():
    data = _data("package, marginal")
    readings = [_density(f"package, {reading}") for reading in ("marginal", "enumerated")]
    theta = torch.randn(2, readings[0].table.num_parameters)
    for one, other in zip(
        *(reading.value_and_grad(theta, *data) for reading in readings), strict=True
    ):
        torch.testing.assert_close(one, other, **_EXACT)


def test_a_plate_that_picks_its_rows_picks_them_anew():
    def program(y):
        mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 100, subsample_size=5) as index:
            pyro.sample("y", dist.Normal(mean, 1.0), obs=y[index])

    y = torch.arange(100.0)
    density = ProgramDensity(program, y)
    theta = torch.zeros(2, 1)
    values = [density.value_and_grad(theta, y)[0] for _ in range(3)]
    assert all(float(value[0]) == float(value[1]) for value in values)
    assert len({float(value[0]) for value in values}) == 3


def test_a_program_that_branches_on_a_value_runs_as_it_is_with_one_warning():
    def program(y):
        scale = pyro.sample("scale", dist.Gamma(2.0, 2.0))
        location = 1.0 if scale > 1.0 else 0.0
        pyro.sample("y", dist.Normal(location, scale).expand([4]).to_event(1), obs=y)

    y = torch.randn(4)
    density = ProgramDensity(program, y)
    theta = torch.tensor([[0.7], [-0.7]])
    with pytest.warns(RuntimeWarning, match=r"plain Pyro.* after site 'scale' "):
        value, gradient = density.value_and_grad(theta, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert density.value_and_grad(theta, y)[0].tolist() == value.tolist()
        assert density.compile(theta, y) is False
    for c, location in ((0, 1.0), (1, 0.0)):
        flat = theta[c].clone().requires_grad_()
        scale = flat.exp()[0]
        prior = dist.Gamma(2.0, 2.0).log_prob(scale) + flat[0]
        expected = dist.Normal(location, scale).log_prob(y).sum() + prior
        torch.testing.assert_close(value[c], expected.detach(), **_EXACT)
        torch.testing.assert_close(gradient[c], torch.autograd.grad(expected, flat)[0], **_EXACT)


def test_a_program_that_is_wrong_says_so_itself():
    def program(y):
        mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(mean, 1.0).expand([len(y)]).to_event(1), obs=y @ y)

    with pytest.raises(RuntimeError):
        ProgramDensity(program, torch.randn(3, 2))


def test_programs_that_cannot_be_are_refused():
    bounds = [-1e9, 1e9]

    def comes_and_goes():
        if pyro.sample("first", dist.Normal(0.0, 1.0)) > bounds.pop():
            pyro.sample("second", dist.Normal(0.0, 1.0))

    with pytest.raises(OptionError, match="'second' is not the same in two runs"):
        ProgramDensity(comes_and_goes)

    def discrete():
        pyro.sample("count", dist.Bernoulli(0.5))

    with pytest.raises(OptionError, match="'count' is discrete; mark it"):
        ProgramDensity(discrete)

    def tuned(y):
        location = pyro.param("location", torch.tensor(0.0))
        mean = pyro.sample("mean", dist.Normal(location, 1.0))
        pyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    refused = pytest.raises(OptionError, match=r"pyro\.param\('location'\).*argument")
    with pyro.get_param_store().scope(), refused:
        ProgramDensity(tuned, torch.zeros(()))
    with pytest.raises(OptionError, match="arguments must be a Tensor; got 3"):
        ProgramDensity(constrained, torch.zeros(4, 1), 3)


_BERNOULLI = {"enumerate": "parallel"}
_STEPS = 4


def markov(y):
    """Two states; they stay with probability p, and start as if the one before was 0."""
    stay = pyro.sample("stay", dist.Beta(2.0, 2.0))
    state = torch.tensor(0)
    for t in pyro.markov(range(_STEPS)):
        one = torch.where(state == 0, 1.0 - stay, stay)
        state = pyro.sample(f"state_{t}", dist.Bernoulli(one), infer=_BERNOULLI).long()
        pyro.sample(f"y_{t}", dist.Normal(2.0 * state, 1.0), obs=y[t])


def every_path(stay, y):
    """The same by the sum over all paths."""
    total = torch.zeros(())
    for path in itertools.product((0, 1), repeat=_STEPS):
        states = torch.tensor((0, *path))
        stays = states[1:] == states[:-1]
        prior = torch.where(stays, stay, 1.0 - stay).prod()
        likelihood = dist.Normal(2.0 * states[1:], 1.0).log_prob(y).sum().exp()
        total = total + prior * likelihood
    return total.log() + dist.Beta(2.0, 2.0).log_prob(stay) + (stay * (1.0 - stay)).log()


def nested(y):
    """A coin in each cell of nested plates."""
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    with pyro.plate("columns", 3, dim=-1), pyro.plate("rows", 4, dim=-2):
        z = pyro.sample("z", dist.Bernoulli(0.3), infer=_BERNOULLI)
        pyro.sample("y", dist.Normal(mean * z, 1.0), obs=y)


def every_coin(mean, y):
    """The same by hand."""
    terms = [
        torch.tensor(p).log() + dist.Normal(z * mean, 1.0).log_prob(y)
        for z, p in ((0, 0.7), (1, 0.3))
    ]
    return torch.logsumexp(torch.stack(terms), 0).sum() + dist.Normal(0.0, 1.0).log_prob(mean)


@pytest.mark.parametrize(
    ("program", "by_hand", "constrain", "shape"),
    [(markov, every_path, torch.sigmoid, (_STEPS,)), (nested, every_coin, torch.clone, (4, 3))],
    ids=["markov", "nested plates"],
)
def test_discrete_sites_are_summed_out_exactly(program, by_hand, constrain, shape):
    y = torch.randn(shape)
    density = ProgramDensity(program, y)
    theta = torch.tensor([[0.4], [-1.3]])
    value, gradient = density.value_and_grad(theta, y)
    for c in range(2):
        flat = theta[c].clone().requires_grad_()
        expected = by_hand(constrain(flat[0]), y)
        torch.testing.assert_close(value[c], expected.detach(), **_EXACT)
        torch.testing.assert_close(gradient[c], torch.autograd.grad(expected, flat)[0], **_EXACT)


def test_double_precision_stays():
    def program(x, y):
        prior = dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1)
        weights = pyro.sample("weights", prior)
        pyro.sample("y", dist.Normal(x @ weights, 1.0).to_event(1), obs=y)

    x, y = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    theta = torch.randn(3, 2, dtype=torch.float64)
    value, gradient = ProgramDensity(program, x, y).value_and_grad(theta, x, y)
    assert value.dtype == gradient.dtype == torch.float64
    prior = dist.Normal(0.0, 1.0).log_prob(theta).sum(1)
    expected = prior + dist.Normal(theta @ x.mT, 1.0).log_prob(y).sum(1)
    # Two ways to add up fifteen numbers of size one.
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)


def test_a_second_derivative_is_refused_and_not_zero():
    x, y = zoo.rows(12)
    density = ProgramDensity(constrained, x, y)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        torch.autograd.functional.hessian(
            lambda q: density.potential(x, y)({"theta": q}),
            torch.zeros(density.table.num_parameters),
        )


def test_nuts_runs_on_the_recorded_potential():
    def program(y):
        mean = pyro.sample("mean", dist.Normal(0.0, 10.0))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    torch.manual_seed(0)
    y = 3.0 + torch.randn(50)
    density = ProgramDensity(program, y)
    kernel = NUTS(potential_fn=density.potential(y))
    start = {"theta": torch.zeros(1)}
    mcmc = MCMC(
        kernel, num_samples=400, warmup_steps=100, initial_params=start, disable_progbar=True
    )
    mcmc.run()
    draws = mcmc.get_samples()["theta"][:, 0]
    precision, count = 50.0 + 0.01, 150
    # About that many effective draws: five standard errors of a mean and of an sd.
    error = 5 / (count * precision) ** 0.5
    assert float(draws.mean()) == pytest.approx(float(y.sum()) / precision, abs=error)
    assert float(draws.std()) == pytest.approx(precision**-0.5, rel=5 / (2 * count) ** 0.5)


@pytest.mark.slow
def test_compiled_equals_recorded():
    x, y = zoo.rows(12)
    density = ProgramDensity(constrained, x, y)
    theta = torch.randn(2, density.table.num_parameters)
    recorded = density.value_and_grad(theta, x, y)
    assert density.compile(theta, x, y) is True
    for one, other in zip(density.value_and_grad(theta, x, y), recorded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
