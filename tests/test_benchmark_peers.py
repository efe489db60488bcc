"""Peers keep the benchmark's interface, in the units of the data, and change nothing global."""

import logging
import random
import warnings

import numpy as np
import pyro
import pytest
import torch
from scipy.stats import laplace, norm

from benchmarks.methods import networks, trees
from benchmarks.methods.apart import Scales, apart
from benchmarks.methods.peers import PEERS
from benchmarks.methods.predictives import FromQuantiles, FromSamples, NormalMixture

_PROBS = np.array([0.01, 0.1, 0.5, 0.8, 0.99])
# A power of two: standardised data are the same bits in both units.
_FACTOR = 2.0**10
# Peers that need not beat a Normal without features here, and why.
_POOR_HERE = {
    "Treeffuser": "it holds out six rows, and needs hundreds",
    "mean-field network (Pyro)": "nearly all of its steps are cut",
}
# Tolerances of the density's integral and of its cdf, and points of the grid.
_EXACT = (0.01, 0.01, 2_001)
# More than a few seconds.
_LONG = {"BART", "Laplace network", "NGBoost", "Treeffuser", "piecewise-regression"}


# -- predictive distributions


def _mixture(rng, num_parts):
    weights = rng.dirichlet(np.ones(num_parts), 3)
    means, sds = rng.normal(0.0, 2.0, (3, num_parts)), rng.uniform(0.1, 1.0, (3, num_parts))
    return NormalMixture(lambda x: tuple(v[x[:, 0].astype(int)] for v in (weights, means, sds)))


def _from_quantiles(rng):
    found = np.sort(rng.normal(size=(3, 9)), axis=1)
    found[0, 3:5] = found[0, 3]
    probs = np.linspace(0.1, 0.9, 9)
    return FromQuantiles(lambda x: found[x[:, 0].astype(int)], probs, max_density=10.0)


def _by_quadrature(predictive, row, low, high, num_points):
    """Grid, its cdf and the mean at one row ``[1, D]``, from the density alone."""
    grid = np.linspace(low, high, num_points)
    density = np.exp(predictive.log_density(np.repeat(row, num_points, axis=0), grid))
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    return grid, cdf, np.trapezoid(grid * density, grid)


_MAKERS = {
    "Normal": lambda rng: _mixture(rng, 1),
    "mixture": lambda rng: _mixture(rng, 4),
    "quantiles": _from_quantiles,
}


@pytest.mark.parametrize("kind", _MAKERS)
def test_predictives_agree_with_their_density(kind):
    predictive = _MAKERS[kind](np.random.default_rng(0))
    rows = np.arange(3.0)[:, None]
    quantiles, means = predictive.quantiles(rows, _PROBS), predictive.mean(rows)
    assert quantiles.shape == (3, len(_PROBS))
    # The trapezoidal rule misses at most half a step times the jump, 10, at each of 9 knots.
    step = 50.0 / 200_000
    exact = 10 * 9 * step / 2 if kind == "quantiles" else 1e-6
    for i in range(3):
        grid, cdf, mean = _by_quadrature(predictive, rows[i : i + 1], -25.0, 25.0, 200_001)
        assert cdf[-1] == pytest.approx(1.0, abs=exact)
        np.testing.assert_allclose(np.interp(quantiles[i], grid, cdf), _PROBS, rtol=0, atol=exact)
        assert means[i] == pytest.approx(mean, abs=5.0 * exact)


def test_quantiles_are_returned_where_they_were_given():
    found = np.array([[-2.0, -1.0, 0.5, 1.0, 4.0]])
    probs = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    predictive = FromQuantiles(lambda x: found, probs, max_density=1e6)
    np.testing.assert_allclose(predictive.quantiles(np.zeros((1, 1)), probs), found)


def test_exponential_tails_go_on():
    """A Laplace distribution is what its own quantiles are made into, beyond the outermost."""
    probs = np.linspace(0.1, 0.9, 9)
    given = laplace.ppf(probs)[None]
    predictive = FromQuantiles(lambda x: given.repeat(len(x), axis=0), probs, max_density=1e6)
    y = np.array([-6.0, -2.0, 3.0])
    density = predictive.log_density(np.zeros((3, 1)), y)
    np.testing.assert_allclose(density, laplace.logpdf(y))
    outer = np.array([0.001, 0.02, 0.95])
    np.testing.assert_allclose(predictive.quantiles(np.zeros((1, 1)), outer)[0], laplace.ppf(outer))


def test_kernel_density_of_many_draws():
    draws = np.random.default_rng(0).normal(3.0, 2.0, (1, 20_000))
    predictive, row = FromSamples(lambda x: np.repeat(draws, len(x), axis=0)), np.zeros((1, 1))
    y = np.array([0.0, 3.0, 5.0])
    density = predictive.log_density(np.zeros((3, 1)), y)
    # Bandwidth 0.25: it adds 0.25**2 to the variance, up to 0.02 in log density here; the draws'
    # own error is about 0.02.
    np.testing.assert_allclose(density, norm.logpdf(y, 3.0, 2.0), rtol=0, atol=0.08)
    np.testing.assert_allclose(predictive.quantiles(row, _PROBS)[0], np.quantile(draws, _PROBS))
    assert predictive.mean(row)[0] == pytest.approx(draws.mean())


def test_one_prediction_answers_three_questions():
    calls = []

    def normals(x):
        calls.append(len(x))
        return 1.0, x.copy(), np.ones_like(x)

    predictive, rows = NormalMixture(normals), np.zeros((2, 1))
    predictive.mean(rows)
    predictive.quantiles(rows, _PROBS)
    assert calls == [2]
    rows += 1.0  # changed in place
    assert predictive.mean(rows) == pytest.approx(1.0)


def test_scales_put_densities_into_units():
    x, y = np.zeros((4, 1)), np.array([1.0, 2.0, 3.0, 6.0])
    predictive = Scales.of(x, y).predictive(lambda x: (1.0, x, np.ones_like(x)))
    expected = norm.logpdf(y, y.mean(), y.std())
    np.testing.assert_allclose(predictive.log_density(x, y), expected)


# -- peers


def _state():
    """What a fit could change in the process."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return {
        "python": python,
        "numpy": (numpy["key"].tolist(), numpy["pos"]),
        "torch": torch.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "filters": list(warnings.filters),
        "errors": np.geterr(),
        "parameters": dict(pyro.get_param_store().get_state()["params"]),
        "logging": logging.root.level,
    }


def _draws():
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def test_apart_puts_back_what_changes():
    pyro.param("kept", torch.ones(1))
    before = _state()
    try:
        with apart(3):
            first = _draws()
            torch.set_default_dtype(torch.float64)
            np.seterr(all="raise")
            warnings.simplefilter("always")
            pyro.param("new", torch.ones(1))
        assert _state() == before
        with apart(3):
            assert _draws() == first
    finally:
        del pyro.get_param_store()["kept"]


def test_roll_call():
    names = [method.name for method in PEERS]
    assert len(set(names)) == len(names) == 14
    for method in PEERS:
        assert method.name.strip()
        assert method.settings.strip()
        assert method.max_rows is None or method.max_rows >= 1_000
    assert _POOR_HERE.keys() | _LONG <= set(names)


def test_early_stopping_goes_back_to_the_best(monkeypatch):
    seen = []
    loss = networks._Networks.loss

    def recorded(self, x, y):
        value = loss(self, x, y)
        if not value.requires_grad:
            seen.append(value)
        return value

    monkeypatch.setattr(networks._Networks, "loss", recorded)
    monkeypatch.setattr(networks, "EPOCHS", 100)
    x, y = _rows(60, 0)
    scales = Scales.of(x, y)
    with apart(0):
        two = networks._Networks(2, 1, 1, torch.relu)
        held = torch.arange(60).expand(2, 60) < 12
        inputs, targets = torch.as_tensor(scales.x(x)), torch.as_tensor(scales.y(y))
        networks._train(two, inputs, targets, held)
        with torch.no_grad():
            final = loss(two, inputs[:12].expand(2, 12, 1), targets[:12].expand(2, 12))
    torch.testing.assert_close(final, torch.stack(seen).amin(0))


@pytest.fixture
def short(monkeypatch):
    """Cut what takes long; the contract is the same."""
    monkeypatch.setattr(networks, "SVI_STEPS", 100)
    monkeypatch.setattr(networks, "SVI_DRAWS", 20)
    monkeypatch.setattr(networks, "EPOCHS", 200)
    monkeypatch.setattr(networks, "LAPLACE_EPOCHS", 200)
    monkeypatch.setattr(trees, "BART_STEPS", 100)


def _rows(num_rows, seed):
    """A noisy sine in odd units."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(1_000.0, 3_000.0, num_rows)
    return x[:, None], 1e-3 * (np.sin(x / 300.0) + 0.1 * rng.normal(size=num_rows)) + 5e-3


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, id=m.name, marks=[pytest.mark.slow] if m.name in _LONG else [])
        for m in PEERS
    ],
)
def test_peer(method, short):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages' imports
        for module in method.needs:
            pytest.importorskip(module)
    (x, y), (x_test, y_test) = _rows(60, 0), _rows(40, 1)
    before = _state()
    fit = method.fit(x, y, 3)
    density, mean = fit.log_density(x_test, y_test), fit.mean(x_test)
    quantiles = fit.quantiles(x_test, _PROBS)
    again = method.fit(x, _FACTOR * y, 3)
    in_units = again.log_density(x_test, _FACTOR * y_test)
    assert _state() == before

    assert density.shape == mean.shape == (40,)
    assert quantiles.shape == (40, len(_PROBS))
    assert all(np.isfinite(part).all() for part in (density, mean, quantiles))
    assert (np.diff(quantiles) >= 0.0).all()
    # The same seed, hence the same answer.
    np.testing.assert_allclose(in_units, density - np.log(_FACTOR), rtol=0, atol=1e-6)
    if method.name not in _POOR_HERE:
        assert density.mean() > norm.logpdf(y_test, y.mean(), y.std()).mean()
    _check_quadrature(fit, x_test[:1])
    if method.one_feature:
        places = fit.places(0)
        assert places.ndim == 2
        assert places.shape[1] == 3
        assert ((places[:, 0] > x.min()) & (places[:, 0] < x.max())).all()


def _check_quadrature(fit, row):
    """The density integrates to one, and to each probability at its quantile."""
    low, high = fit.quantiles(row, np.array([0.001, 0.999]))[0]
    span = high - low
    # Rows of the grid that repeat one x have draws of their own, 100 each: a cdf's sd is 0.05.
    total, close, num_points = (0.05, 0.15, 2_001) if isinstance(fit, FromSamples) else _EXACT
    if isinstance(fit, FromQuantiles):
        num_points = 100_001  # its density jumps
    grid, cdf, _ = _by_quadrature(fit, row, low - 2.0 * span, high + 2.0 * span, num_points)
    assert cdf[-1] == pytest.approx(1.0, abs=total)
    quantiles = fit.quantiles(row, _PROBS)[0]
    np.testing.assert_allclose(np.interp(quantiles, grid, cdf), _PROBS, rtol=0, atol=close)
