import itertools
import math

import numpy as np
import pyro
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_hybrid.distributions import RegimeMixture, mixture_quantile

_N = torch.distributions.Normal
_L = torch.distributions.Laplace


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


def _mixture(weights, *parts):
    return RegimeMixture(_t(*weights).log(), parts)


_CASES = {
    "one": _mixture([1.0], _N(_t(1.5)[0], _t(0.5)[0])),
    "two": _mixture([0.3, 0.7], _N(_t(-1.0)[0], _t(0.3)[0]), _N(_t(2.0)[0], _t(1.5)[0])),
    "families": _mixture([0.4, 0.6], _N(_t(0.0)[0], _t(1.0)[0]), _L(_t(3.0)[0], _t(0.4)[0])),
    "three": _mixture(
        [0.05, 0.9, 0.05],
        _N(_t(-8.0)[0], _t(0.1)[0]),
        _L(_t(0.0)[0], _t(2.0)[0]),
        _N(_t(0.5)[0], _t(0.2)[0]),
    ),
}


@pytest.fixture(params=_CASES)
def mixture(request):
    return _CASES[request.param]


def _integral(mixture, function):
    def integrand(y):
        value = _t(y)[0]
        return function(y) * math.exp(float(mixture.log_prob(value)))

    # The kinks and peaks of every case, and ends beyond which less than 1e-12 of the mass lies.
    edges = [-60.0, -10.0, -8.0, -3.0, -1.0, 0.0, 0.5, 1.5, 2.0, 3.0, 6.0, 15.0, 60.0]
    return sum(
        integrate.quad(integrand, low, high, epsabs=1e-10, limit=200)[0]
        for low, high in itertools.pairwise(edges)
    )


# 1e-8 is the quadrature's tolerance summed over the pieces, with a margin of ten.
def test_integrates_to_one(mixture):
    assert _integral(mixture, lambda _: 1.0) == pytest.approx(1.0, abs=1e-8)


def test_moments(mixture):
    mean = _integral(mixture, lambda y: y)
    assert float(mixture.mean) == pytest.approx(mean, abs=1e-8)
    variance = _integral(mixture, lambda y: (y - mean) ** 2)
    assert float(mixture.variance) == pytest.approx(variance, abs=1e-7)
    assert float(mixture.stddev) == pytest.approx(math.sqrt(variance), abs=1e-7)


def test_cdf_is_the_integral_of_the_density(mixture):
    for y in (-7.9, -1.0, 0.45, 2.5):
        mass = _integral(mixture, lambda v, y=y: float(v <= y))
        # The indicator's jump falls inside a piece, where quad stops at about 1e-6.
        assert float(mixture.cdf(_t(y)[0])) == pytest.approx(mass, abs=1e-5)


def test_cdf_inverts_icdf(mixture):
    probs = _t(1e-6, 1e-3, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999, 1 - 1e-6)
    wide = mixture.expand((len(probs),))
    # A relative error of 1e-10 in y times the steepest density, 2 per unit of y.
    torch.testing.assert_close(wide.cdf(wide.icdf(probs)), probs, rtol=1e-8, atol=1e-9)
    assert bool((wide.icdf(probs).diff() > 0).all())


def test_samples_pass_kolmogorov_smirnov(mixture):
    torch.manual_seed(0)
    draws = mixture.sample((4_000,)).numpy()
    # A fixed seed; 1e-3 is the rate at which a right sampler would fail under another seed.
    assert stats.kstest(draws, lambda y: mixture.cdf(torch.as_tensor(y)).numpy()).pvalue > 1e-3


def test_responsibilities_are_bayes_rule(mixture):
    value = _t(0.4)[0]
    parts = np.array([float(part.log_prob(value)) for part in mixture.components])
    joint = mixture.log_weights.exp().numpy() * np.exp(parts)
    # Two orders of evaluation in float64.
    np.testing.assert_allclose(
        mixture.log_responsibilities(value).exp().numpy(), joint / joint.sum(), rtol=1e-12
    )
    assert float(mixture.log_prob(value)) == pytest.approx(math.log(joint.sum()), rel=1e-12)


@pytest.mark.parametrize("regime", [0, 1])
def test_one_hot_weights_leave_one_component(regime):
    parts = [_N(_t(0.0, 1.0), _t(1.0, 2.0)), _L(_t(5.0, 6.0), _t(0.1, 0.2))]
    log_weights = torch.full((2, 2), -math.inf, dtype=torch.float64)
    log_weights[:, regime] = 0.0
    mixture, part = RegimeMixture(log_weights, parts), parts[regime]
    value = _t(0.7, 5.5)
    assert torch.equal(mixture.log_prob(value), part.log_prob(value))
    assert torch.equal(mixture.cdf(value), part.cdf(value))
    assert torch.equal(mixture.mean, part.mean)
    assert torch.equal(mixture.variance, part.variance)
    # What the root finder stops at: rounding of values below 10.
    torch.testing.assert_close(
        mixture.icdf(_t(0.2, 0.9)), part.icdf(_t(0.2, 0.9)), atol=1e-9, rtol=0
    )
    torch.manual_seed(0)
    draws = mixture.sample((2_000,))[:, 0].numpy()
    # A fixed seed, false-alarm rate 1e-3.
    ks = stats.kstest(draws, lambda y: part.cdf(torch.as_tensor(y)[:, None]).numpy()[:, 0])
    assert ks.pvalue > 1e-3


def test_far_tails_do_not_underflow():
    mixture = _CASES["two"]
    assert float(mixture.log_prob(_t(-200.0)[0])) == pytest.approx(
        math.log(0.7) + float(_N(2.0, 1.5).log_prob(torch.tensor(-200.0))), rel=1e-6
    )
    assert bool(torch.isfinite(mixture.log_responsibilities(_t(-200.0)[0])).all())


@given(shape=st.lists(st.integers(1, 4), max_size=3), draws=st.lists(st.integers(1, 3), max_size=2))
def test_shapes(shape, draws):
    batch = tuple(shape)
    log_weights = torch.zeros(*batch, 3).log_softmax(-1)
    parts = [_N(torch.zeros(batch), torch.ones(batch)) for _ in range(3)]
    mixture = RegimeMixture(log_weights, parts)
    assert mixture.batch_shape == batch
    assert mixture.event_shape == ()
    assert mixture.sample(tuple(draws)).shape == (*draws, *batch)
    value = torch.zeros((*draws, *batch))
    assert mixture.log_prob(value).shape == value.shape
    assert mixture.cdf(value).shape == value.shape
    assert mixture.log_responsibilities(value).shape == (*value.shape, 3)
    assert mixture.mean.shape == mixture.variance.shape == batch


def test_expand():
    torch.manual_seed(0)
    weights = torch.randn(3, 2).log_softmax(-1)
    mixture = RegimeMixture(weights, [_N(torch.zeros(3), 1.0), _L(torch.ones(3), 2.0)])
    wide = mixture.expand((5, 3))
    assert wide.batch_shape == (5, 3)
    value = torch.randn(5, 3)
    assert torch.equal(wide.log_prob(value), mixture.log_prob(value))
    assert wide.sample().shape == (5, 3)
    # Rows of an expanded mixture are drawn independently: equal ones have probability zero.
    assert len(set(wide.sample()[:, 0].tolist())) == 5


def test_is_a_pyro_distribution():
    mixture = _CASES["two"]
    with pyro.plate("rows", 4):
        assert pyro.sample("y", mixture).shape == (4,)
    assert mixture.has_rsample is False


def test_wrong_number_of_components():
    with pytest.raises(ValueError, match="2 regimes on its last axis, but 1 components"):
        RegimeMixture(torch.zeros(3, 2), [_N(0.0, 1.0)])


@given(
    prob=st.floats(1e-6, 1 - 1e-6),
    center=st.floats(-100, 100),
    scale=st.floats(1e-3, 1e3),
)
def test_quantile_of_a_normal(prob, center, scale):
    normal = _N(_t(center), _t(scale))
    ends = normal.icdf(_t(1e-7)), normal.icdf(_t(1 - 1e-7))
    found = mixture_quantile(normal.cdf, _t(prob), *ends)
    # The cdf is rounded at 1e-16, which at probability 1e-6 is a relative 1e-10 of it; a slope
    # of a few 1e-6 per sd turns that into at most 1e-9 sds.
    assert float(found) == pytest.approx(float(normal.icdf(_t(prob))), abs=1e-8 * (scale + 1))


def test_quantile_across_a_gap_in_the_density():
    mixture = _mixture([0.25, 0.75], _N(_t(-1e3)[0], _t(1e-3)[0]), _N(_t(1e3)[0], _t(1e-3)[0]))
    wide = mixture.expand((4,))
    quantiles = wide.icdf(_t(0.1, 0.2499, 0.2501, 0.9))
    # Each lies within four sds of its component.
    assert (quantiles - _t(-1e3, -1e3, 1e3, 1e3)).abs().max() < 4e-3


def test_quantiles_in_float32():
    normal = _N(torch.tensor([0.0, 10.0]), torch.tensor([1.0, 1e-2]))
    probs = torch.tensor([0.9, 0.1])
    found = mixture_quantile(normal.cdf, probs, normal.mean - 9, normal.mean + 9)
    # Rounding of the cdf (6e-8 of 0.9) over the density there (0.18), and of values of 10.
    torch.testing.assert_close(found, normal.icdf(probs), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rest", [0.0, 1e-30, 1e-8])
def test_quantiles_where_one_regime_has_all_the_weight(dtype, rest):
    torch.manual_seed(0)
    probs = torch.rand(500, dtype=dtype)
    narrow, wide = (
        _N(scale * torch.randn(500, dtype=dtype), 0.1 + torch.rand(500, dtype=dtype))
        for scale in (1.0, 3.0)
    )
    for order in ([1.0 - rest, rest], [rest, 1.0 - rest]):
        log_weights = torch.tensor(order, dtype=dtype).log().expand(500, 2)
        mixture = RegimeMixture(log_weights, [narrow, wide])
        # A few roundings; the density is at most 4.
        close = 20 * torch.finfo(dtype).eps
        found = mixture.cdf(mixture.icdf(probs))
        torch.testing.assert_close(found, probs, rtol=0, atol=close)
