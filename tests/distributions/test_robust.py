"""The contract of every family that an expert's noise may have, and reference values."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import TorchDistributionMixin
from scipy import integrate, stats

from bayes_hybrid import distributions
from bayes_hybrid.distributions import (
    ContaminatedNormal,
    Huber,
    Laplace,
    PseudoHuber,
    RegimeMixture,
    StudentT,
)
from bayes_hybrid.inference.engine.recorder import Recorder

_LOC, _SCALE = 1.3, 0.7
# Of several numbers, and what makes them; the noise families are the others.
_OF_ROWS = {
    "Censored",
    "HasLogTails",
    "OrderedNormal",
    "Outputs",
    "RegimeMixture",
    "along_last",
    "chosen",
}
_OF_ROWS |= {"mixture_quantile", "pooled_quantiles", "support_of"}
_COUNTS = {"Bernoulli", "Binomial", "NegativeBinomial", "Poisson"}
_POSITIVE = {"Beta", "Gamma", "LogNormal"}
_PROBS = (1e-6, 1e-3, 0.05, 0.3, 0.4999, 0.5, 0.6, 0.95, 0.999, 1 - 1e-6)


class _HuberReference:
    """Huber's density from its definition, everything else from quadrature."""

    def __init__(self, threshold):
        self.threshold = threshold
        core = math.sqrt(2 * math.pi) * (2 * stats.norm.cdf(threshold) - 1)
        self.constant = core + 2 / threshold * math.exp(-(threshold**2) / 2)

    def logpdf(self, y):
        r, t = np.abs((np.asarray(y) - _LOC) / _SCALE), self.threshold
        energy = np.where(r <= t, r**2 / 2, t * (r - t / 2))
        return -energy - math.log(self.constant * _SCALE)

    def _integral(self, function, end):
        def integrand(y):
            return function(y) * math.exp(self.logpdf(y))

        width = self.threshold * _SCALE
        edges = [-math.inf, _LOC - width, _LOC, _LOC + width, math.inf]
        edges = [edge for edge in edges if edge < end] + [end]
        parts = itertools.pairwise(edges)
        return sum(integrate.quad(integrand, *part, epsabs=1e-13)[0] for part in parts)

    def cdf(self, y):
        return np.vectorize(lambda end: self._integral(lambda _: 1.0, end))(y)

    def mean(self):
        return _LOC

    def var(self):
        return self._integral(lambda y: (y - _LOC) ** 2, math.inf)

    def entropy(self):
        return self._integral(lambda y: -self.logpdf(y), math.inf)


def _hyperbolic(threshold):
    return stats.genhyperbolic(p=1, a=threshold**2, b=0, loc=_LOC, scale=threshold * _SCALE)


class _ContaminatedReference:
    """Two of scipy's Normals, and the entropy from quadrature."""

    def __init__(self, ratio, share=0.05):
        core, others = (stats.norm(_LOC, width * _SCALE) for width in (1, ratio))
        self.parts = [(1 - share, core), (share, others)]
        self.edges = [width * _SCALE * part for width in (1, ratio) for part in (1, 3, 6, 12, 40)]

    def logpdf(self, y):
        logs = [np.log(share) + part.logpdf(y) for share, part in self.parts if share]
        return np.logaddexp.reduce(logs)

    def cdf(self, y):
        return sum(share * part.cdf(y) for share, part in self.parts)

    def mean(self):
        return _LOC

    def var(self):
        return sum(share * part.var() for share, part in self.parts)

    def entropy(self):
        def integrand(r):
            log_density = self.logpdf(_LOC + r)
            return -2 * log_density * math.exp(log_density)

        pieces = itertools.pairwise(sorted({0.0, *self.edges}))
        return sum(integrate.quad(integrand, *piece, epsabs=1e-12)[0] for piece in pieces)


# How each family is built from (loc, scale, shape), and what it is to scipy at _LOC and _SCALE.
_FAMILIES: Final[Mapping[str, Callable[..., TorchDistribution]]] = {
    "Normal": lambda loc, scale, _: distributions.Normal(loc, scale),
    "Laplace": lambda loc, scale, _: Laplace(loc, scale),
    "StudentT": lambda loc, scale, df: StudentT(df, loc, scale),
    "Huber": Huber,
    "ContaminatedNormal": ContaminatedNormal,
    "PseudoHuber": PseudoHuber,
}
_REFERENCES: Final[Mapping[str, Callable[[float], Any]]] = {
    "Normal": lambda _: stats.norm(_LOC, _SCALE),
    "Laplace": lambda _: stats.laplace(_LOC, _SCALE),
    "StudentT": lambda df: stats.t(df, _LOC, _SCALE),
    "Huber": _HuberReference,
    "ContaminatedNormal": _ContaminatedReference,
    "PseudoHuber": _hyperbolic,
}
_CASES = [
    ("Normal", 1.0),
    ("Laplace", 1.0),
    *(("StudentT", df) for df in (1.5, 4.0, 1e3)),
    *((name, t) for name in ("Huber", "PseudoHuber") for t in (0.05, 0.6, 1.345, 3.0, 12.0)),
    *(("ContaminatedNormal", ratio) for ratio in (0.1, 1.0, 3.0, 30.0, 1e3)),
]
# Those with a shape parameter, which may itself be unknown.
_SHAPED = ("StudentT", "Huber", "PseudoHuber", "ContaminatedNormal")
_OWN = [case for case in _CASES if case[0] != "Normal"]

families = pytest.mark.parametrize("name", _FAMILIES)
cases = pytest.mark.parametrize(("name", "shape"), _CASES)


def _t(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def _build(name, shape, dtype=torch.float64):
    return _FAMILIES[name](*(torch.tensor(v, dtype=dtype) for v in (_LOC, _SCALE, shape)))


def test_roll_call():
    public = set(distributions.__all__) - _OF_ROWS - _COUNTS - _POSITIVE - {"Assignment"}
    assert set(_FAMILIES) == set(_REFERENCES) == public | {"Normal"}
    assert {name for name, _ in _CASES} == set(_FAMILIES)


@cases
def test_is_the_reference_density(name, shape):
    built, reference = _build(name, shape), _REFERENCES[name](shape)
    y = np.linspace(-8, 12, 33)
    # Two float64 evaluations; log densities here reach -150.
    np.testing.assert_allclose(built.log_prob(_t(*y)), reference.logpdf(y), rtol=1e-12, atol=1e-12)
    # The references' quadrature.
    np.testing.assert_allclose(built.cdf(_t(*y)), reference.cdf(y), rtol=0, atol=1e-9)


@cases
def test_moments_and_entropy_are_the_reference_ones(name, shape):
    built, reference = _build(name, shape), _REFERENCES[name](shape)
    assert float(built.mean) == pytest.approx(reference.mean(), rel=1e-12)
    # quad's default tolerance, 1.5e-8, with a margin for sums of it.
    assert float(built.variance) == pytest.approx(reference.var(), rel=1e-7)
    assert float(built.entropy()) == pytest.approx(float(reference.entropy()), rel=1e-7)


@cases
def test_integrates_to_one(name, shape):
    built = _build(name, shape)

    def density(r):
        return _SCALE * math.exp(float(built.log_prob(_t(_LOC + _SCALE * r)[0])))

    edges = [-math.inf, -shape, 0.0, shape, math.inf]
    parts = itertools.pairwise(edges)
    total = sum(integrate.quad(density, *part)[0] for part in parts)
    # quad's own tolerance, over four pieces.
    assert total == pytest.approx(1.0, abs=1e-7)


@cases
def test_cdf_inverts_icdf(name, shape):
    built, probs = _build(name, shape), _t(*_PROBS)
    # The rounding of y, 1e-16 of a loc of 1, times a slope of at most 1e2 per p (torch's Normal
    # subtracts from one: 1e-16 of a probability of 1e-6).
    torch.testing.assert_close(built.cdf(built.icdf(probs)), probs, rtol=1e-9, atol=0)
    assert bool((built.icdf(probs).diff() > 0).all())


@pytest.mark.parametrize(("name", "shape"), _OWN)
def test_float32_keeps_the_tails(name, shape):
    probs = _t(1e-12, 1e-8, 1e-6, 1e-3, 0.3, dtype=torch.float32)
    built = _FAMILIES[name](torch.tensor(0.0), torch.tensor(1.0), torch.tensor(shape))
    # float32's 6e-8 times the slope of log p in log y, at most 50 here (a Normal seven sds out).
    torch.testing.assert_close(built.cdf(built.icdf(probs)), probs, rtol=2e-5, atol=0)


@pytest.mark.parametrize(("name", "shape"), _OWN)
def test_ends_of_the_quantile_function(name, shape):
    ends = _build(name, shape).icdf(_t(0.0, 1.0, 1.5))
    assert ends[:2].tolist() == [-math.inf, math.inf]
    assert bool(ends[2].isnan())
    assert _build(name, shape).cdf(_t(-math.inf, math.inf)).tolist() == [0.0, 1.0]


@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_follow_the_density(name, shape, dtype):
    torch.manual_seed(0)
    draws = _build(name, shape, dtype).sample((20_000,))
    assert draws.dtype is dtype
    uniform = _build(name, shape).cdf(draws.double())
    # A fixed seed, false-alarm rate 1e-3.
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    torch.manual_seed(0)
    assert torch.equal(draws, _build(name, shape, dtype).sample((20_000,)))


@families
def test_shapes_and_broadcasting(name):
    loc, scale, shape = torch.zeros(3, 1, 5), torch.ones(4, 1), torch.full((3, 1, 1), 1.5)
    built = _FAMILIES[name](loc, scale, shape)
    full = _FAMILIES[name](*(part.expand(3, 4, 5) for part in (loc, scale, shape)))
    assert isinstance(built, TorchDistribution | TorchDistributionMixin)
    assert built.batch_shape == (3, 4, 5)
    assert built.event_shape == ()
    assert built.mean.shape == built.variance.shape == built.entropy().shape == (3, 4, 5)
    value = torch.randn(5)
    for method in ("log_prob", "cdf"):
        assert torch.equal(getattr(built, method)(value), getattr(full, method)(value))
    assert built.icdf(torch.tensor(0.3)).shape == (3, 4, 5)
    assert built.sample((2,)).shape == (2, 3, 4, 5)
    for numbers in (_FAMILIES[name](0.0, 1.0, 1.5), _FAMILIES[name](torch.tensor(0.0), 1.0, 1.5)):
        assert numbers.batch_shape == ()
        assert numbers.log_prob(value).shape == (5,)
    assert name in repr(built)


@families
def test_expand(name):
    torch.manual_seed(0)
    built = _FAMILIES[name](torch.randn(3), torch.tensor(2.0), torch.tensor(1.5))
    wide = built.expand((5, 3))
    assert type(wide) is type(built)
    assert wide.batch_shape == wide.mean.shape == wide.variance.shape == (5, 3)
    assert torch.equal(wide.log_prob(torch.tensor(0.4)), built.log_prob(torch.full((5, 3), 0.4)))
    # Rows are drawn independently: equal ones have probability zero.
    assert len(set(wide.sample()[:, 0].tolist())) == 5
    with pyro.plate("rows", 4):
        assert pyro.sample("y", _FAMILIES[name](0.0, 1.0, 1.5)).shape == (4,)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [*((name, p) for name in _FAMILIES for p in (0, 1)), *((name, 2) for name in _SHAPED)],
)
def test_parameters_are_validated(name, parameter):
    values = [0.0, 1.0, 1.5]
    values[parameter] = (math.nan, -1.0, -1.0)[parameter]
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        _FAMILIES[name](*map(torch.tensor, values))


@families
def test_values_are_validated(name):
    with pytest.raises(ValueError, match="within the support"):
        _FAMILIES[name](0.0, 1.0, 1.5).log_prob(torch.tensor(math.nan))


@pytest.mark.parametrize("name", _SHAPED)
def test_draws_for_parameters_that_are_not_a_number_end(name):
    parameters = (torch.zeros(2), torch.ones(2), _t(math.nan, 2.0))
    with pyro.validation_enabled(False):
        draws = _FAMILIES[name](*parameters).sample((50,))
    assert draws.isnan().all(0).tolist() == [True, False]


@cases
def test_gradients_are_those_of_finite_differences(name, shape):
    y = _t(-9.0, 0.2, 1.5, 2.0, 30.0)
    start = tuple(v.requires_grad_() for v in (y, _t(_LOC), _t(_SCALE), _t(shape)))

    def log_prob(value, *parameters):
        return _FAMILIES[name](*parameters).log_prob(value)

    # gradcheck's defaults: steps of 1e-6 in float64.
    assert torch.autograd.gradcheck(log_prob, start)
    log_prob(*start).sum().backward()
    changing = start if name in _SHAPED else start[:-1]
    assert all(bool((part.grad != 0).all()) for part in changing)


def _in_both_precisions(name, shape_value):
    """Log density and gradients in y, location, scale and shape: by float32, and by float64."""
    distances = (0.0, 1e-3, 0.1, 0.7, 3.0, 10.0, 1e2, 1e4, 1e6)
    found = []
    for dtype in (torch.float32, torch.float64):
        # Rounded first, so that both work on the same numbers.
        y, shape = (torch.tensor(v).to(dtype) for v in (distances, shape_value))
        inputs = [
            v.expand(len(y)).clone().requires_grad_()
            for v in (y, torch.zeros_like(shape), torch.ones_like(shape), shape)
        ]
        value = _FAMILIES[name](*inputs[1:]).log_prob(inputs[0])
        found.append(torch.stack([value, *torch.autograd.grad(value.sum(), inputs)]).double())
    return found


@pytest.mark.parametrize("name", ["Huber", "PseudoHuber"])
@pytest.mark.parametrize("threshold", np.logspace(-3, 3, 13).tolist())
def test_float32_is_stable(name, threshold):
    found = _in_both_precisions(name, threshold)
    # A few roundings, 6e-8 each, of the largest terms.  Gradients in the scale are |r rho'(r)| - 1
    # and in the threshold dlog C = h / t less the tail's |r|, so these set the absolute part;
    # beyond t = 10 nothing cancels.
    value, by_y, by_loc, by_scale, by_threshold = found[0] - found[1]
    _, exact_y, _, exact_scale, _ = found[1]
    share = 1.0 / threshold if threshold < 10 else 1e-9
    assert bool(torch.isfinite(found[0]).all())
    assert bool((value.abs() <= 1e-6 * (1 + found[1][0].abs())).all())
    assert bool((by_y.abs() <= 1e-6 * exact_y.abs()).all())
    assert torch.equal(by_y, -by_loc)
    assert bool((by_scale.abs() <= 1e-6 * (1 + exact_scale.abs())).all())
    assert bool((by_threshold.abs() <= 1e-6 * (share + found[1][4].abs())).all())


def test_student_t_keeps_its_constant_in_float32():
    df, y = torch.logspace(-1, 6, 15), torch.tensor(1.0)
    exact = StudentT(df.double()).log_prob(y.double())
    # A few roundings of values of 1; a difference of lgamma(5e5) would be off by 0.1.
    torch.testing.assert_close(StudentT(df).log_prob(y).double(), exact, rtol=0, atol=1e-6)
    exact = StudentT(df.double()).entropy()
    torch.testing.assert_close(StudentT(df).entropy().double(), exact, rtol=1e-6, atol=0)


def test_student_t_moments_that_do_not_exist():
    heavy = StudentT(_t(0.5, 1.0, 1.5, 2.0, 3.0), _LOC, 1.0)
    assert heavy.mean.isnan().tolist() == [True, True, False, False, False]
    assert heavy.variance[:2].isnan().all()
    assert heavy.variance[2:].tolist() == [math.inf, math.inf, 3.0]


def test_student_t_draws_are_differentiable():
    torch.manual_seed(0)
    df, loc, scale = (_t(v).requires_grad_() for v in (5.0, 1.0, 2.0))
    draws = StudentT(df, loc, scale).rsample((2_000,))
    (draws - loc).square().mean().backward()
    # d/dscale of scale**2 df / (df - 2) is 20 / 3; draws' fourth power has sd 2 of its mean 9,
    # which makes the mean of 2,000 uncertain by 0.3: four of those.
    assert float(scale.grad) == pytest.approx(20 / 3, abs=1.2)
    assert float(df.grad) < 0


@pytest.mark.parametrize("threshold", [0.01, 1.0, 14.1, 14.2, 100.0, 1e3])
def test_pseudo_huber_gradient_in_the_threshold(threshold):
    zero, one = _t(0.0, 1.0)
    at = _t(threshold)[0].requires_grad_()
    built = PseudoHuber(zero, one, at)
    (found,) = torch.autograd.grad(built.log_prob(zero), at)

    def slope(r):
        # The derivative of the energy in the threshold, whose mean is minus that of log C.
        u, root = r / threshold, math.hypot(1.0, r / threshold)
        derivative = (r / (1 + root)) ** 2 * u**2 / (root * threshold)
        return derivative * math.exp(float(built.log_prob(_t(r)[0]).detach()))

    ends = (0.0, 1 / threshold, 5.0, 10.0, 40 / threshold + 40.0)
    expected = 2 * sum(
        integrate.quad(slope, *part, epsabs=0, epsrel=1e-11)[0]
        for part in itertools.pairwise(sorted(ends))
    )
    # 1 - K0 / K1 and its series are both good for 2e-11 where they meet, at 200**0.5.
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_pseudo_huber_has_second_derivatives():
    inputs = tuple(v.requires_grad_() for v in (_t(0.3), _t(0.01, 0.8, 3.0)))

    def both(y, threshold):
        built = PseudoHuber(_t(0.0), _t(1.0), threshold)
        return built.log_prob(y), built.variance, built.entropy()

    # gradgradcheck's defaults.
    assert torch.autograd.gradgradcheck(both, inputs)


@pytest.mark.parametrize("family", [Huber, PseudoHuber])
def test_limits(family):
    y, one = torch.linspace(-4, 4, 17, dtype=torch.float64), _t(1.0)[0]
    wide = family(0 * one, one, 1e3 * one)
    normal = dist.Normal(0 * one, one)
    # r**4 / (8 t**2) is 3e-5 at r = 4, t = 1e3.
    torch.testing.assert_close(wide.log_prob(y), normal.log_prob(y), rtol=0, atol=5e-5)
    torch.testing.assert_close(wide.cdf(y), normal.cdf(y), rtol=0, atol=1e-6)
    # Var[r] is 1 + 3 / (2 t**2).
    torch.testing.assert_close(wide.variance, normal.variance, rtol=2e-6, atol=0)
    tight = family(0 * one, 1e-3 * one, 1e-3 * one)
    laplace = Laplace(0 * one, one)
    # The kink is rounded off over a width of t**2 = 1e-6.
    torch.testing.assert_close(tight.log_prob(y), laplace.log_prob(y), rtol=0, atol=2e-6)
    torch.testing.assert_close(tight.cdf(y), laplace.cdf(y), rtol=0, atol=2e-6)
    torch.testing.assert_close(tight.entropy(), laplace.entropy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("share", [0.0, 1e-8, 0.01, 0.4, 0.95, 1.0])
@pytest.mark.parametrize("ratio", [0.2, 30.0])
def test_contaminated_at_any_share(share, ratio):
    reference, built = (
        _ContaminatedReference(ratio, share),
        ContaminatedNormal(_t(_LOC), _t(_SCALE), _t(ratio), _t(share)),
    )
    y, probs = _t(-80.0, -3.0, 0.0, 1.3, 1.5, 9.0), _t(*_PROBS)
    expected = torch.as_tensor(reference.logpdf(y.numpy()))
    # float64, numbers of size 1e4.
    torch.testing.assert_close(built.log_prob(y), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(built.cdf(built.icdf(probs)), probs, rtol=1e-9, atol=0)
    # The reference's quadrature.
    assert float(built.entropy()) == pytest.approx(float(reference.entropy()), rel=1e-7)


def test_contaminated_share_is_validated_and_broadcast():
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        ContaminatedNormal(0.0, 1.0, 2.0, share=1.5)
    shares = _t(0.1, 0.6)
    both = ContaminatedNormal(_t(_LOC), _t(_SCALE), _t(5.0), shares)
    assert both.batch_shape == both.entropy().shape == both.sample().shape == (2,)
    for number, share in enumerate(shares):
        one = ContaminatedNormal(_t(_LOC), _t(_SCALE), _t(5.0), share)
        assert float(both.icdf(_t(0.9))[number]) == pytest.approx(float(one.icdf(_t(0.9))))


@pytest.mark.parametrize("ratio", [0.1, 3.0, 30.0, 1e3])
def test_contaminated_is_stable_in_float32(ratio):
    found = _in_both_precisions("ContaminatedNormal", ratio)
    assert bool(torch.isfinite(found[0]).all())
    # Roundings of the exponents of either part, of size ten where they are near each other.
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


_positive = st.floats(-3, 3).map(lambda power: 10.0**power)


@pytest.mark.parametrize("family", [Huber, PseudoHuber])
@given(prob=st.floats(1e-6, 0.5), loc=st.floats(-10, 10), scale=_positive, threshold=_positive)
def test_quantiles_at_any_scale(family, prob, loc, scale, threshold):
    built = family(_t(loc), _t(scale), _t(threshold))
    quantile = built.icdf(_t(prob))
    # y - loc loses 1e-15 of loc, over the scale; no log tail is steeper than 5 up to 1e-6.
    close = 1e-10 + 1e-14 * abs(loc) / scale
    assert float(built.cdf(quantile)) == pytest.approx(prob, rel=close)
    unit = family(_t(0.0), _t(1.0), _t(threshold))
    assert float(quantile) == pytest.approx(
        loc + scale * float(unit.icdf(_t(prob))), abs=1e-13 * abs(loc), rel=1e-12
    )


def _value_and_gradients(name):
    def one(loc, log_scale, log_shape, y):
        return _FAMILIES[name](loc, log_scale.exp(), log_shape.exp()).log_prob(y).sum()

    def every(*arguments):
        latents = [part.detach().requires_grad_() for part in arguments[:-1]]
        loc, log_scale, log_shape = latents
        value = torch.func.vmap(one, (0, 0, 0, None))(loc, log_scale, log_shape, arguments[-1])
        gradients = torch.autograd.grad(
            value.sum(), latents, allow_unused=True, materialize_grads=True
        )
        return torch.cat([value, *(part.flatten() for part in gradients)])

    torch.manual_seed(0)
    arguments = (torch.randn(4, 20), torch.randn(4, 1), torch.randn(4), 3 * torch.randn(20))
    return every, arguments


@families
def test_a_record_gives_the_same(name):
    function, arguments = _value_and_gradients(name)
    recorder = Recorder(function)
    recorder(*arguments)
    others = tuple(part + 0.3 for part in arguments)
    with pyro.validation_enabled(False):
        expected = function(*others)
    # The same operations, up to a few roundings of sums of 20 terms.
    torch.testing.assert_close(recorder(*others), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_record_gives_the_same():
    functions, (arguments, *_) = zip(*map(_value_and_gradients, _SHAPED), strict=True)
    # One program, because the compiler takes ten seconds for each.
    recorder = Recorder(lambda *given: torch.stack([function(*given) for function in functions]))
    expected = recorder(*arguments)
    assert recorder.compile(*arguments)
    # Reordered sums of 20 terms, in float32.
    torch.testing.assert_close(recorder(*arguments), expected, rtol=1e-5, atol=1e-5)


def test_a_mixture_of_all_families():
    torch.manual_seed(0)
    locs = torch.linspace(-6, 6, len(_FAMILIES), dtype=torch.float64)
    parts = [
        family(loc, _t(0.5)[0], _t(1.5)[0])
        for family, loc in zip(_FAMILIES.values(), locs, strict=True)
    ]
    weights = torch.full((len(parts),), 1.0 / len(parts), dtype=torch.float64)
    mixture, probs = RegimeMixture(weights.log(), parts), _t(*_PROBS)
    # What the root finder stops at.
    torch.testing.assert_close(mixture.cdf(mixture.icdf(probs)), probs, rtol=1e-8, atol=1e-9)
    uniform = mixture.cdf(mixture.sample((10_000,)))
    # A fixed seed, false-alarm rate 1e-3.
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
