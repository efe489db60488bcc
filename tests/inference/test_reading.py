"""Which restarts regimes are read from."""

import math

import numpy as np
import pytest
from scipy import stats

from bayes_hybrid import FitOptions, HybridRegressor, Refinement, Variational, WarmStart
from bayes_hybrid.gates import LinearGate
from bayes_hybrid.inference.reading import regime_reading, truncated_loo


class Restarts:
    """R restarts of one draw each, which give every row the densities ``[R, N]``."""

    def __init__(self, log_density):
        self.log_density = np.asarray(log_density)
        self.num_restarts = len(self.log_density)

    def log_likelihood(self, x, y, labels=None):
        return self.log_density[:, None, x[:, 0].astype(int)]


def _read(log_density):
    rows = np.arange(np.shape(log_density)[1], dtype=float)
    return regime_reading(Restarts(log_density), rows[:, None], rows, None).tolist()


def test_a_row_left_out_has_the_density_of_the_exact_answer():
    """Of a Normal mean with a flat prior: p(y_n | others) is Normal with variance 1 + 1 / (N-1)."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(30)
    draws = y.mean() + rng.standard_normal((2, 40_000, 1)) / math.sqrt(len(y))
    found = truncated_loo(stats.norm.logpdf(y, draws))
    others = (y.sum() - y) / (len(y) - 1)
    exact = stats.norm.logpdf(y, others, math.sqrt(1 + 1 / (len(y) - 1)))
    # 40,000 draws of weights that vary by a third of themselves at most.
    assert np.abs(found - exact).max() < 0.01
    # With its row the density of every row is larger.
    assert (found < stats.norm.logpdf(y, draws).mean(axis=1)).mean() > 0.9


def test_weights_are_truncated():
    """Of 99 draws at a density of 1 and one of e^-3: its weight is e^3, the mean one 1.19."""
    logs = np.zeros((1, 100, 1))
    logs[0, 0] = -3.0
    most = math.sqrt(100) * (99 + math.exp(3.0)) / 100  # 11.9, less than e^3 = 20.1
    expected = math.log((99 + most * math.exp(-3.0)) / (99 + most))
    assert truncated_loo(logs)[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("num_rows", [12, 9_000])
def test_a_restart_counts_by_half_of_what_it_explains_better(num_rows):
    """Every row counts, of whatever many."""
    better = 2.0 * math.log(13.0)
    gains = np.zeros((4, num_rows))
    gains[0] = better / num_rows
    # 13 parts of 16 are the first's, and one is each other's.
    assert np.bincount(_read(gains)).tolist() == [13, 1, 1, 1]
    assert _read(gains - 1e4) == _read(gains)
    last = np.zeros((4, num_rows))
    last[0, -1] = better
    assert _read(last) == _read(gains)


def test_of_more_restarts_than_places_each_has_one():
    assert _read(np.zeros((20, 5))) == list(range(20))


def test_a_restart_that_gives_a_row_no_density_is_not_read():
    none = np.zeros((3, 20))
    none[0, 5] = -np.inf
    none[1, 3] = np.nan
    assert set(_read(none)) == {2}
    assert _read(none[:2]) == [0, 1]  # nobody is better
    assert set(_read(none[2:])) == {0}


def _fit(labels=None, **settings):
    quick = FitOptions(
        num_restarts=4,
        weighting=weighting,
        warm_start=WarmStart(max_steps=60),
        variational=Variational(num_steps=100, selection_steps=20),
        refinement=Refinement(mode="never"),
        compile="never",
    )
    x = np.linspace(-1.0, 1.0, 40)
    y = np.where(x > 0.2, 1.0 + x, np.sin(3.0 * x)) + 0.1 * np.cos(40.0 * x)
    reg = HybridRegressor(
        num_units=4, fit_options=quick, random_state=0, progress=False, **settings
    )
    return reg.fit(x[:, None], y, regime_label=labels).fit_


def test_tempered_fits_are_read_by_these_weights():
    fit = _fit()
    assert np.array_equal(fit.reading, regime_reading(fit.posterior, fit.x, fit.y, None))
    elpd = truncated_loo(fit.posterior.log_likelihood(fit.x, fit.y)).sum(axis=1)
    times = np.bincount(fit.reading, minlength=len(elpd))
    assert times.sum() == 16
    assert times[elpd.argmax()] > times[elpd.argmin()]


@pytest.mark.parametrize(
    "settings",
    [
        {"weighting": "uniform"},
        {"weighting": "elbo"},
        {"gate": "threshold"},
        {"model": "relu", "weighting": "tempered"},
    ],
)
def test_other_weights_are_those_of_the_regimes_too(settings):
    assert _fit(**settings).reading is None


def test_a_label_is_part_of_what_a_restart_explains():
    labels = np.full(40, np.nan)
    labels[:5], labels[-5:] = 0.0, 1.0
    fit = _fit(labels, gate=LinearGate())
    posterior = fit.posterior
    both = posterior.log_likelihood(fit.x, fit.y, fit.labels)
    alone = posterior.log_likelihood(fit.x, fit.y)
    known = ~np.isnan(fit.labels)
    # Responsibilities sum to one up to the rounding of float64.
    np.testing.assert_allclose(both[..., ~known], alone[..., ~known], atol=1e-12)
    # log sum_k p(z = k | x, y) p(label | z = k), from draws of the confusion matrix.
    given_y = posterior.regime_probability_draws(fit.x, fit.y)[:, :, known]
    confusion = posterior.sites["label_confusion"]
    columns = np.moveaxis(confusion[..., fit.labels[known].astype(int)], -1, 2)
    expected = alone[..., known] + np.log((given_y * columns).sum(axis=-1))
    # Sums of float64 against products of float32 draws.
    np.testing.assert_allclose(both[..., known], expected, atol=1e-5)
    assert np.array_equal(fit.reading, regime_reading(posterior, fit.x, fit.y, fit.labels))
