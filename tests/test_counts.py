"""Counts and events: densities against scipy's, whole quantiles, and fits with their regimes."""

import numpy as np
import pytest
import torch
from scipy import stats

from bayes_hybrid import HybridRegressor, Pathway, load
from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.distributions import RegimeMixture, pooled_quantiles
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.inference import fit
from bayes_hybrid.likelihoods import Bernoulli, Binomial, NegativeBinomial, Normal, Poisson
from bayes_hybrid.models import HybridMixture, PathwayModel
from bayes_hybrid.report import write_report
from bayes_hybrid.validation.prior import simulate_prior, spread_features
from tests.budgets import SHORT

_LOCATIONS = torch.tensor([-3.0, -0.4, 0.0, 1.2, 4.0], dtype=torch.float64)[:, None]
_C = 2.5
_TRIALS = 12
_FAMILIES = {
    "poisson": (Poisson(base=2.0), lambda mean: stats.poisson(mean)),
    "negative_binomial": (
        NegativeBinomial(base=2.0, concentration=_C),
        lambda mean: stats.nbinom(_C, _C / (_C + mean)),
    ),
    "bernoulli": (Bernoulli(base=0.3), lambda mean: stats.bernoulli(mean)),
    "binomial": (Binomial(trials=0, base=0.3), lambda mean: stats.binom(_TRIALS, mean / _TRIALS)),
}
_MOST = {"bernoulli": 1, "binomial": _TRIALS}
families = pytest.mark.parametrize("name", _FAMILIES)


def _built(name):
    likelihood, reference = _FAMILIES[name]
    density = _density(name, _LOCATIONS)
    mean = likelihood.base * np.exp(_LOCATIONS.numpy())
    if name in _MOST:
        mean = _MOST[name] / (1.0 + np.exp(-np.log(0.3 / 0.7) - _LOCATIONS.numpy()))
    return density, reference(mean), torch.arange(_MOST.get(name, 199) + 1.0).double()


def _density(name, location):
    numbers = (location,)
    if name == "binomial":
        numbers = _FAMILIES[name][0].sized(numbers, torch.tensor(float(_TRIALS)).to(location))
    return _FAMILIES[name][0](*numbers)


@families
def test_is_scipys_density(name):
    density, reference, values = _built(name)
    # Two libraries in float64; torch's incomplete gamma function is off by 1.5e-9 at a mean of 109.
    close = {"rtol": 1e-8, "atol": 1e-12}
    np.testing.assert_allclose(density.log_prob(values), reference.logpmf(values), **close)
    np.testing.assert_allclose(density.cdf(values), reference.cdf(values), **close)
    np.testing.assert_allclose(density.cdf(values + 0.5), reference.cdf(values), **close)
    np.testing.assert_allclose(density.mean, reference.mean(), **close)
    np.testing.assert_allclose(density.variance, reference.var(), **close)
    assert bool((density.cdf(torch.tensor(-1.0).double()) == 0.0).all())


@families
def test_float32_and_far_locations_are_finite(name):
    location = torch.tensor([-200.0, -3.0, 5.0, 200.0], requires_grad=True)
    density = _density(name, location)
    exact = _density(name, location.detach().double())
    values = torch.tensor([0.0, 1.0, 1.0, 1.0])
    found = density.log_prob(values)
    torch.testing.assert_close(
        found.detach(), exact.log_prob(values.double()).float(), rtol=2e-6, atol=2e-6
    )
    found.sum().backward()
    assert bool(location.grad.isfinite().all())


@families
def test_draws_have_the_moments(name):
    density, reference, _ = _built(name)
    torch.manual_seed(0)
    draws = density.expand((5, 1)).sample((20_000,)).numpy()
    error = np.sqrt(reference.var() / 20_000)
    # Five means: four standard errors are passed by chance once in 3,000 seeds.
    assert (np.abs(draws.mean(0) - reference.mean()) < 4.0 * error).all()
    assert set(np.unique(draws)) >= {0.0, 1.0}


def _mixture():
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    low = torch.tensor([[0.0], [0.5]], dtype=torch.float64)
    return RegimeMixture(weights, [Poisson()(low), NegativeBinomial(concentration=2.0)(low + 3.0)])


def test_quantiles_are_the_least_numbers_that_reach_the_probability():
    mixture = _mixture()
    probs = torch.tensor([1e-6, 0.05, 0.3, 0.5, 0.95, 1.0 - 1e-9], dtype=torch.float64)
    found = mixture.icdf(probs.expand(2, -1))
    values = torch.arange(5_000.0).double()
    for row, cdf in zip(found, mixture.cdf(values).numpy(), strict=True):
        np.testing.assert_array_equal(row, np.searchsorted(cdf, probs.numpy()))
    # The level itself is reached, though a sum of probabilities may round to less.
    at = mixture.cdf(torch.tensor([[4.0], [11.0]]).double())
    assert mixture.icdf(at).tolist() == [[4.0], [11.0]]


def test_quantiles_over_draws_are_those_of_their_mixture():
    shares = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mixture, probs = _mixture(), torch.tensor([0.05, 0.5, 0.99], dtype=torch.float64)
    found = pooled_quantiles(lambda draws, rows: mixture, probs, shares)
    cdf = shares @ mixture.cdf(torch.arange(2_000.0).double())
    np.testing.assert_array_equal(found[:, 0], np.searchsorted(cdf.numpy(), probs.numpy()))


@pytest.mark.parametrize("likelihood", [Poisson(base=3.0), Bernoulli(base=0.3)], ids=repr)
def test_the_pit_of_the_truth_is_uniform(likelihood):
    experts = tuple(
        Pathway(kind=k, num_units=4, likelihood=likelihood) for k in ("gaussian", "relu")
    )
    model, x = HybridMixture(experts=tuple(experts)), spread_features(4_000, 1, seed=0)
    truth, y = simulate_prior(model, x, seed=1)
    assert stats.kstest(truth.predictive.pit(x, y), "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(truth.predictive.pit(x, y), truth.by_draw.pit(x, y)[0, 0])
    # Without a place in the step it is not.
    assert stats.kstest(truth.predictive.pit(x, y - 1.0 + (y == 0.0)), "uniform").pvalue < 1e-3


@pytest.mark.parametrize(
    ("likelihood", "y", "base"),
    [
        (Poisson(), [0.0, 3.0, 6.0], 3.0),
        (Poisson(), [0.0, 0.0], 0.25),
        (Poisson(base=9.0), [0.0, 3.0], 9.0),
        (NegativeBinomial(), [[0.0, 4.0], [np.nan, 8.0]], (0.5, 6.0)),
        (Bernoulli(), [0.0, 1.0, 1.0], 2.5 / 4.0),
        (Bernoulli(), [1.0, 1.0], 2.5 / 3.0),
    ],
)
def test_the_base_is_the_mean_of_the_targets(likelihood, y, base):
    assert likelihood.anchored(np.array(y)).base == pytest.approx(base)


def test_what_a_likelihood_is_not_of_is_refused():
    x = np.linspace(-1.0, 1.0, 20)[:, None]
    for kind, wrong, words in (
        (Poisson, -1.0, "Poisson is a likelihood of whole numbers from 0 on; got -1"),
        (NegativeBinomial, 0.5, "got 0.5"),
        (Bernoulli, 2.0, "Bernoulli is a likelihood of 0 and 1; got 2"),
    ):
        y = np.where(np.arange(20) == 7, wrong, 1.0)
        model = PathwayModel(pathway=Pathway(num_units=3, likelihood=kind()))
        with pytest.raises(DataError, match=words):
            fit(model, x, y, seed=0, options=SHORT)
    with pytest.raises(OptionError, match=r"not of one: Normal \(numbers\), Poisson \(whole"):
        HybridMixture(experts=(Pathway(), Pathway(likelihood=Poisson())))


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0.0, 10.0, 120))
    y = rng.poisson(np.where(x < 6.0, 12.0, 1.5)).astype(float)
    reg = with_units(
        HybridRegressor(likelihood="poisson", gate="threshold", fit_options=SHORT, random_state=0),
        num_units=4,
    )
    return reg.fit(x[:, None], y), x[:, None], y


def test_a_regime_of_counts_is_found(counts):
    reg, X, y = counts
    (boundary,) = reg.boundaries(0).boundaries
    assert abs(boundary.mean - 6.0) < 0.3
    # The spread of counts follows from their mean, and is no regime's own.
    where = " ".join(reg.readings().filter(like="where").iloc[0])
    assert "x0 < 6" in where
    assert not {"quiet", "noisy"} & set(where.split())
    mean = reg.predict(X)
    # Some fifty counts a side: four standard errors.
    assert abs(mean[X[:, 0] < 5.5].mean() - 12.0) < 4.0 * np.sqrt(12.0 / 60)
    assert abs(mean[X[:, 0] > 6.5].mean() - 1.5) < 4.0 * np.sqrt(1.5 / 40)
    ends = reg.predict_interval(X)
    np.testing.assert_array_equal(ends, ends.round())
    assert ((ends[:, 0] <= y) & (y <= ends[:, 1])).mean() >= 0.85
    # What is in float64 after a fit in float32: the density is one of counts, in no unit.
    total = sum(np.exp(reg.log_density(X[:3], np.full(3, float(n)))) for n in range(60))
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)
    with pytest.raises(DataError, match="whole numbers"):
        reg.log_density(X[:1], [0.5])


def test_a_fit_of_counts_comes_back_and_is_reported(counts, tmp_path):
    reg, X, _ = counts
    assert {finding.severity for finding in diagnose(reg.fit_)} <= {"ok", "note", "warning"}
    assert reg.fit_.posterior.scale_floor is None
    reg.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    np.testing.assert_array_equal(back.predict(X), reg.predict(X))
    (base,) = {expert.likelihood.base for expert in back.fit_.posterior.model.experts}
    write_report(back, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Poisson counts: the variance is the mean." in page
    assert f"Its base is {base:g}." in page
    assert "(hanging rootogram)" in page
    assert "Density of y in the data" not in page


def test_several_targets_are_counted_with_gaps():
    rng = np.random.default_rng(0)
    X = np.linspace(-1.0, 1.0, 40)[:, None]
    y = rng.poisson([2.0, 30.0], (40, 2)).astype(float)
    y[::5, 1] = np.nan
    reg = with_units(
        HybridRegressor(likelihood="negative_binomial", fit_options=SHORT), num_units=3
    )
    reg.set_params(random_state=0).fit(X, y)
    assert reg.predict(X).shape == (40, 2)
    # The targets' own means, to half.
    np.testing.assert_allclose(reg.predict(X).mean(0), [2.0, 30.0], rtol=0.5)


def test_equal_counts_are_trained_on():
    X = np.linspace(-1.0, 1.0, 30)[:, None]
    reg = with_units(
        HybridRegressor(model="relu", likelihood="poisson", fit_options=SHORT), num_units=3
    )
    reg.set_params(random_state=0).fit(X, np.zeros(30))
    assert reg.fit_.training.method == "svi"
    assert 0.0 < reg.predict(X).max() < 0.3


def test_normal_numbers_are_any_numbers():
    assert Normal().anchored(np.array([1.0])) == Normal()
