"""Positive numbers and shares: densities against scipy's, quantiles on the line, and small fits."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from bayes_hybrid import HybridRegressor, Pathway, load
from bayes_hybrid import distributions as densities
from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.distributions import RegimeMixture, pooled_quantiles
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference import fit
from bayes_hybrid.likelihoods import LIKELIHOODS, Beta, Gamma, LogNormal, Normal, Poisson
from bayes_hybrid.models import HybridMixture, PathwayModel
from bayes_hybrid.report import write_report
from bayes_hybrid.validation.prior import simulate_prior, spread_features
from tests.budgets import SHORT


def _gamma(location, scale):
    return stats.gamma(scale**-2.0, scale=2.5 * np.exp(location) * scale**2)


def _log_normal(location, scale):
    return stats.lognorm(0.4 * scale, scale=np.exp(-1.2 + 0.4 * location))


def _beta(location, scale):
    mean = 1.0 / (1.0 + np.exp(-np.log(0.3 / 0.7) - location))
    return stats.beta(mean / scale**2, (1.0 - mean) / scale**2)


_FAMILIES = {
    "gamma": (Gamma(base=2.5), _gamma),
    "log_normal": (LogNormal(centre=-1.2, spread=0.4), _log_normal),
    "beta": (Beta(base=0.3), _beta),
}
_FORMULAS = {
    "gamma": "the standard deviation is v sigma times the mean",
    "log_normal": "Normal noise of the logarithm",
    "beta": "Beta: shares with mean m",
}
_PROBS = (1e-9, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-6)
families = pytest.mark.parametrize("name", _FAMILIES)


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


def _built(name, locations=(-2.0, 0.0, 0.4, 2.5), scales=(1e-3, 0.05, 0.4, 1.0, 2.5)):
    likelihood, reference = _FAMILIES[name]
    location, scale = (
        part.reshape(-1, 1) for part in torch.meshgrid(_t(*locations), _t(*scales), indexing="ij")
    )
    return likelihood(location, scale), reference(location.numpy(), scale.numpy())


def test_roll_call():
    others = {n for n, kind in LIKELIHOODS.items() if kind.has_scale and not kind.standardises}
    assert others == set(_FAMILIES)


@families
def test_is_scipys_density(name):
    density, reference = _built(name)
    values = torch.as_tensor(reference.ppf(_PROBS))
    inside = (values > 1e-300) & (values < 1.0 - 1e-9 if name == "beta" else values > 0.0)
    assert inside.double().mean() > 0.8
    values = torch.where(inside, values, torch.as_tensor(reference.mean()))
    # Two libraries in float64; at a scale of 1e-3 scipy takes differences of terms of 1e7.
    close = {"rtol": 1e-9, "atol": 3e-8}
    np.testing.assert_allclose(density.log_prob(values), reference.logpdf(values), **close)
    np.testing.assert_allclose(density.cdf(values), reference.cdf(values), rtol=1e-9)
    np.testing.assert_allclose(density.mean, reference.mean(), rtol=1e-12)
    np.testing.assert_allclose(density.variance, reference.var(), rtol=1e-10)
    probs = density.cdf(density.icdf(_t(*_PROBS)))
    there = inside.numpy() & (reference.ppf(_PROBS) < 1.0 - 1e-5 if name == "beta" else True)
    np.testing.assert_allclose(probs[there], np.broadcast_to(_PROBS, there.shape)[there], rtol=1e-8)
    assert bool((density.cdf(_t(0.0)) == 0.0).all())
    assert bool((density.cdf(_t(-1.0)) == 0.0).all())
    assert bool((density.log_prob(_t(-1.0)) == -torch.inf).all())


@families
def test_far_numbers_keep_their_digits(name):
    """Exact at the mean: there the density is the normalising constant, by mpmath to 50 digits."""
    mpmath = pytest.importorskip("mpmath")
    for scale in (1e-4, 0.2, 0.3, 50.0):
        density = _FAMILIES[name][0](_t(0.0), _t(scale))
        with mpmath.workdps(50):
            p, s = 1 / mpmath.mpf(scale) ** 2, mpmath.mpf(scale)
            log, log_gamma = mpmath.log, mpmath.loggamma
            if name == "gamma":
                y = mpmath.mpf(2.5)
                exact = p * log(p) - p - log_gamma(p) - log(y)
            elif name == "log_normal":
                y = mpmath.exp(mpmath.mpf(float(density.centre[0])))
                exact = -log(y * mpmath.mpf(0.4) * s) - log(2 * mpmath.pi) / 2
            else:
                y = mpmath.mpf(0.3)
                a, b = y * p, (1 - y) * p
                exact = log_gamma(p) - log_gamma(a) - log_gamma(b)
                exact += (a - 1) * log(y) + (b - 1) * log(1 - y)
            found = float(density.log_prob(_t(float(y))))
            # float64 has 1e-16 of y, over the scale; the figure asked for is 1e-7.
            assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-9)


@families
def test_integrates_to_one(name):
    for scale in (0.05, 0.6):
        density = _FAMILIES[name][0](_t(0.4), _t(scale))
        low, high = (float(density.icdf(_t(p))) for p in (1e-12, 1.0 - 1e-12))

        def height(u, density=density):
            return np.exp(u + float(density.log_prob(_t(np.exp(u)))))

        middle = float(density.icdf(_t(0.5)))
        ends = np.log([low, middle, high])
        total = sum(integrate.quad(height, *part)[0] for part in (ends[:2], ends[1:]))
        # Quadrature's default is 1.5e-8.
        assert total == pytest.approx(1.0, abs=1e-7)


@families
def test_float32_and_far_locations_are_finite(name):
    likelihood, _ = _FAMILIES[name]
    inputs = [
        part.flatten().clone().requires_grad_()
        for part in torch.meshgrid(
            torch.tensor([-200.0, -3.0, 0.0, 5.0, 200.0]),
            torch.tensor([1e-4, 0.2, 10.0]),
            indexing="ij",
        )
    ]
    exact = [part.detach().double() for part in inputs]
    for value in (1e-30, 0.3, 1.0 - 1e-9):
        y = torch.tensor(value)
        found = likelihood(*inputs).log_prob(y)
        grads = torch.autograd.grad(found.sum(), inputs)
        assert bool(torch.isfinite(found).all())
        assert all(bool(torch.isfinite(grad).all()) for grad in grads)
        near = exact[0].abs() < 10.0
        expected = likelihood(*exact).log_prob(y.double().clamp(max=1.0 - 2.0**-24))
        # A rounding of the location, 6e-8 of it, counts 1 / scale times.
        close = (found.double() - expected).abs() <= 2e-3 * (1.0 + expected.abs())
        assert bool(close[near].all())


@families
def test_gradients_are_those_of_finite_differences(name):
    start = [_t(-1.0, 0.3, 0.8).requires_grad_(), _t(0.05, 0.4, 3.0).requires_grad_()]

    def log_prob(location, scale):
        return _FAMILIES[name][0](location, scale).log_prob(_t(0.2, 0.3, 0.9))

    # Their defaults: steps of 1e-6 in float64.
    assert torch.autograd.gradcheck(log_prob, start)
    assert torch.autograd.gradgradcheck(log_prob, start)


@families
def test_draws_follow_the_density(name):
    for scale in (0.02, 0.4, 1.0):
        likelihood, reference = _FAMILIES[name]
        torch.manual_seed(0)
        draws = likelihood(_t(0.4), _t(scale)).expand((4_000,)).sample().numpy()
        # Nine tests with a fixed seed: a false alarm once in a hundred seeds.
        assert stats.kstest(draws, reference(0.4, scale).cdf).pvalue > 1e-3
    # So dispersed that nearly all is below the smallest number, or next to 0 and 1.
    draws = _FAMILIES[name][0](torch.zeros(1000), torch.full((1000,), 1e3)).sample()
    assert bool((torch.isfinite(draws) & (draws > 0.0)).all())
    assert draws.dtype == torch.float32
    if name == "beta":
        assert bool((draws < 1.0).all())
        # A mean of 0.3 in events: four standard errors.
        assert abs(float(draws.mean()) - 0.3) < 4.0 * (0.21 / 1000) ** 0.5


def test_a_log_normal_is_a_normal_of_logs():
    rng = np.random.default_rng(0)
    y = np.exp(rng.normal(3.0, 0.5, (50, 2)))
    y[::4, 1] = np.nan
    scaling = Standardizer.of_targets(np.log(y))
    anchored = LogNormal().anchored(y)
    location, scale = torch.as_tensor(rng.normal(0.0, 1.0, (50, 2))), _t(0.3, 1.7)
    found = anchored(location, scale).log_prob(torch.as_tensor(y))
    z = torch.as_tensor(scaling.transform(np.log(y)))
    expected = Normal()(location, scale).log_prob(z).numpy() - np.log(scaling.scale) - np.log(y)
    # Roundings of float64.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_families_agree_where_dispersion_is_small():
    y = _t(2.4, 2.5, 2.6)
    one, other = (
        each(_t(0.0), _t(0.04)) for each in (Gamma(base=2.5), LogNormal(centre=np.log(2.5)))
    )
    # Both are Normal of the mean 2.5 up to a skewness of twice and three times 0.04.
    np.testing.assert_allclose(one.log_prob(y), other.log_prob(y), atol=0.1)
    np.testing.assert_allclose(one.stddev, other.stddev, rtol=2e-3)


_PARTS = {
    "positive": ((Gamma(), (-6.0, 0.0), (3.0, 0.2)), (LogNormal(), (2.0, 1.0), (0.1, 4.0))),
    "shares": ((Beta(), (-6.0, 0.0), (0.3, 0.8)), (Beta(), (3.0, 1.0), (0.01, 0.2))),
}


def _mixture(name, draws=slice(None)):
    """Of two draws, a row each."""
    parts = [
        likelihood(_t(*locations)[draws, None], _t(*scales)[draws, None])
        for likelihood, locations, scales in _PARTS[name]
    ]
    log_weights = _t(0.3, 0.7).log().expand(*parts[0].batch_shape, 2)
    return RegimeMixture(log_weights, parts)


@pytest.mark.parametrize("name", ["positive", "shares"])
def test_quantiles_of_a_mixture_are_exact_in_both_tails(name):
    mixture, probs = _mixture(name), _t(1e-6, 0.05, 0.29, 0.31, 0.6, 0.95, 1.0 - 1e-6)
    found = mixture.icdf(probs.expand(2, -1))
    np.testing.assert_allclose(mixture.cdf(found), probs.expand(2, -1), rtol=1e-8)
    assert bool((found.diff(dim=-1) > 0.0).all())
    shares = _t(0.25, 0.75)
    levels = _t(1e-6, 0.05, 0.5, 0.95, 1.0 - 1e-6)
    pooled = pooled_quantiles(lambda draws, rows: _mixture(name, draws), levels, shares)
    cdf = shares @ torch.stack([mixture.cdf(value.expand(2, 1))[:, 0] for value in pooled], -1)
    np.testing.assert_allclose(cdf, levels, rtol=1e-8)


def test_quantiles_do_not_need_moments():
    """A draw with a wide scale has a variance beyond float64; quantiles stay where they are."""
    location, scale = torch.zeros(9, 1).double(), torch.full((9, 1), 0.5).double()
    scale[0] = 40.0
    mixture = RegimeMixture(torch.zeros(9, 1, 1).double(), [LogNormal()(location, scale)])
    shares = torch.full((9,), 1.0 / 9.0).double()
    levels = _t(0.01, 0.5, 0.9)

    def of(draws, rows):
        return RegimeMixture(
            torch.zeros(1).double().expand(len(scale[draws]), 1, 1),
            [LogNormal()(location[draws], scale[draws])],
        )

    assert not bool(mixture.variance.isfinite().all())
    found = pooled_quantiles(of, levels, shares)[:, 0]
    cdf = torch.stack([shares @ mixture.cdf(value.expand(9, 1))[:, 0] for value in found])
    np.testing.assert_allclose(cdf, levels, rtol=1e-8)


@families
def test_the_pit_of_the_truth_is_uniform(name):
    likelihood, _ = _FAMILIES[name]
    experts = tuple(
        Pathway(kind=kind, num_units=4, likelihood=likelihood) for kind in ("gaussian", "relu")
    )
    model, x = HybridMixture(experts=experts), spread_features(2_000, 1, seed=0)
    truth, y = simulate_prior(model, x, seed=2)
    # A fixed seed, false-alarm rate 1e-3.
    assert stats.kstest(truth.predictive.pit(x, y), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("likelihood", "y", "expected"),
    [
        (Gamma(), [1.0, 3.0], {"base": 2.0, "spread": np.log(3.0) / 2.0}),
        (Gamma(base=9.0, spread=2.0), [1.0, 3.0], {"base": 9.0, "spread": 2.0}),
        (
            Gamma(),
            [[1.0, 4.0], [np.nan, 8.0]],
            {"base": (1.0, 6.0), "spread": (1.0, np.log(2.0) / 2.0)},
        ),
        (Beta(), [0.2, 0.8], {"base": 0.5, "spread": np.log(4.0)}),
        (Beta(base=0.5, spread=3.0), [0.2, 0.4], {"base": 0.5, "spread": 3.0}),
        (LogNormal(), np.exp([1.0, 3.0]), {"centre": 2.0, "spread": 1.0}),
        (LogNormal(spread=5.0), np.exp([1.0, 3.0]), {"centre": 2.0, "spread": 5.0}),
        (LogNormal(), [1.0, 1.0], {"centre": 0.0, "spread": 1.0}),
    ],
)
def test_anchors_are_those_of_the_targets(likelihood, y, expected):
    found = likelihood.anchored(np.array(y))
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value)


def test_a_mean_is_in_units_of_the_spread():
    waits = Gamma(base=2.5, spread=0.5)(_t(2.0), _t(0.4))
    assert (float(waits.mean), float(waits.stddev)) == pytest.approx((2.5 * np.e, 0.5 * np.e))
    share = Beta(base=0.3, spread=2.0)(_t(1.5), _t(0.1))
    assert float(share.mean.logit()) == pytest.approx(np.log(0.3 / 0.7) + 3.0)


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (Gamma, 0.0, "Gamma is a likelihood of numbers above 0; got 0. Take another"),
        (LogNormal, -2.0, "LogNormal is a likelihood of numbers above 0; got -2"),
        (Beta, 0.0, "Beta is a likelihood of numbers above 0 and below 1; got 0"),
        (Beta, 1.0, "got 1. Take another likelihood, or other rows"),
    ],
)
def test_what_a_likelihood_is_not_of_is_refused(kind, wrong, words):
    x, y = np.linspace(-1.0, 1.0, 20)[:, None], np.where(np.arange(20) == 7, wrong, 0.5)
    model = PathwayModel(pathway=Pathway(num_units=3, likelihood=kind()))
    with pytest.raises(DataError, match=words):
        fit(model, x, y, seed=0, options=SHORT)


def test_supports_do_not_mix():
    with pytest.raises(OptionError, match=r"Gamma \(numbers above 0\), Poisson \(whole"):
        HybridMixture(experts=(Pathway(likelihood=Gamma()), Pathway(likelihood=Poisson())))
    both = (Pathway(likelihood=Gamma()), Pathway(likelihood=LogNormal()))
    assert HybridMixture(experts=both).likelihoods.has_relative_noise


def _rows(name):
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0.0, 10.0, 80))
    location, scale = np.where(x < 6.0, 1.5, -1.0), np.where(x < 6.0, 0.1, 0.8)
    return x[:, None], _FAMILIES[name][1](location, scale).rvs(random_state=rng)


@pytest.fixture(scope="module", params=_FAMILIES)
def fitted(request):
    X, y = _rows(request.param)
    reg = HybridRegressor(
        likelihood=request.param,
        gate="threshold",
        experts=("constant", "constant"),
        noise="constant",
        fit_options=SHORT,
        random_state=0,
    )
    return request.param, reg.fit(X, y), X, y


def test_a_regime_is_found_and_told_by_its_dispersion(fitted):
    name, reg, X, y = fitted
    (boundary,) = reg.boundaries(0).boundaries
    assert abs(boundary.mean - 6.0) < 0.5
    # The second is by far the more dispersed, though its standard deviation may be the smaller.
    quiet, noisy = sorted(reg.readings().filter(like="where").iloc[0], key=lambda text: ">" in text)
    assert quiet.endswith(", quiet")
    assert noisy.endswith(", noisy")
    low, high = reg.predict_interval(X).T
    assert bool((low > 0.0).all())
    assert bool((low < high).all())
    assert name != "beta" or bool((high < 1.0).all())
    assert 0.85 <= ((low <= y) & (y <= high)).mean() <= 1.0
    with pytest.raises(DataError, match="a likelihood of numbers above 0"):
        reg.log_density(X[:1], [0.0])


def test_a_fit_comes_back_and_is_reported(fitted, tmp_path):
    name, reg, X, y = fitted
    assert "whole_target" not in {finding.name for finding in diagnose(reg.fit_)}
    # Noise far above its floor, whatever the unit of y.
    floor = next(each for each in diagnose(reg.fit_) if each.name == "scale_floor")
    assert floor.value == 0.0
    reg.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    for ask in ("predict", "predict_interval"):
        np.testing.assert_array_equal(getattr(back, ask)(X), getattr(reg, ask)(X))
    np.testing.assert_array_equal(back.log_density(X, y), reg.log_density(X, y))
    assert back.fit_.posterior.model == reg.fit_.posterior.model
    write_report(back, tmp_path / "report.html")
    assert _FORMULAS[name] in (tmp_path / "report.html").read_text(encoding="utf-8")


@families
def test_each_output_has_its_anchors(name):
    rng = np.random.default_rng(0)
    y = _FAMILIES[name][1](_t(0.0, 1.0).numpy(), 0.3).rvs((40, 2), random_state=rng)
    y[::5, 1] = np.nan
    likelihood = LIKELIHOODS[name]()
    numbers = torch.zeros(1, 2).double(), torch.ones(1, 2).double()
    both = likelihood.anchored(y)(*numbers).mean
    one = likelihood.anchored(y[~np.isnan(y[:, 1]), 1])(numbers[0][:, :1], numbers[1][:, :1]).mean
    torch.testing.assert_close(both[:, 1:], one)


def test_several_targets_with_gaps():
    (X, first), (_, second) = _rows("log_normal"), _rows("gamma")
    y = np.c_[first, second[::-1]]
    y[::5, 1] = np.nan
    reg = HybridRegressor(likelihood="log_normal", model="line", fit_options=SHORT)
    reg.set_params(random_state=0).fit(X, y)
    assert reg.predict(X).shape == (80, 2)
    assert bool(np.isfinite(reg.log_density(X, y)).all())
    assert bool((reg.predict_interval(X) > 0.0).all())


def test_equal_targets_are_trained_on():
    X = np.linspace(-1.0, 1.0, 30)[:, None]
    reg = HybridRegressor(model="constant", likelihood="gamma", fit_options=SHORT)
    reg.set_params(random_state=0).fit(X, np.full(30, 0.25))
    assert reg.fit_.training.method == "svi"
    # Next to no training.
    np.testing.assert_allclose(reg.predict(X), 0.25, rtol=0.2)


def test_small_units_are_no_small_noise():
    X, y = _rows("gamma")
    reg = HybridRegressor(model="constant", likelihood="gamma", fit_options=SHORT)
    reg.set_params(random_state=0).fit(X, 1e-9 * y)
    assert 0.2e-9 * y.mean() < reg.predict(X).mean() < 5e-9 * y.mean()
    floor = next(each for each in diagnose(reg.fit_) if each.name == "scale_floor")
    assert floor.value == 0.0


def test_names_are_those_of_the_densities():
    for kind in (Gamma, LogNormal, Beta):
        density = kind()(torch.zeros(2), torch.ones(2))
        assert type(density) is getattr(densities, kind.__name__)
        assert eval(repr(kind()), {kind.__name__: kind}) == kind()
