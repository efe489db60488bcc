"""Which restarts regimes are read from."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bayes_hybrid import FitOptions, HybridRegressor, Refinement, WarmStart
from bayes_hybrid.gates import LinearGate
from bayes_hybrid.inference import reading as module
from bayes_hybrid.inference.reading import leave_one_out, regime_reading


class Restarts:
    """R restarts of one draw each, which give every row the densities ``[R, N]``."""

    def __init__(self, log_density):
        self.log_density = np.asarray(log_density)

    def log_likelihood(self, x, y, labels=None):
        self.labels = labels
        return self.log_density[:, None, x[:, 0].astype(int)]


def _read(log_density, labels=None):
    rows = np.arange(np.shape(log_density)[1], dtype=float)
    return regime_reading(Restarts(log_density), rows[:, None], rows, labels).tolist()


def test_a_row_left_out_has_the_density_of_the_exact_answer():
    """Of a Normal mean with a flat prior: p(y_n | others) is Normal with variance 1 + 1 / (N-1)."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(30)
    draws = y.mean() + rng.standard_normal((2, 40_000, 1)) / math.sqrt(len(y))
    found = leave_one_out(stats.norm.logpdf(y, draws))
    others = (y.sum() - y) / (len(y) - 1)
    exact = stats.norm.logpdf(y, others, math.sqrt(1 + 1 / (len(y) - 1)))
    # 40,000 draws of weights that vary by a third of themselves at most.
    assert np.abs(found - exact).max() < 0.01
    # With its row the density of every row is larger.
    assert (found < stats.norm.logpdf(y, draws).mean(axis=1)).mean() > 0.9


def test_one_draw_that_all_others_contradict_does_not_decide():
    # 99 draws at a density of 1 and one of e^-50, whose weight alone would be e^50.
    logs = np.zeros((1, 100, 1))
    logs[0, 0] = -50.0
    # Truncated at sqrt(100) of the mean weight, it has a tenth of the weights' sum at most.
    assert leave_one_out(logs)[0, 0] > -50.0
    assert leave_one_out(np.zeros((1, 100, 1)))[0, 0] == 0.0


@pytest.mark.parametrize("num_rows", [16, 1_600])
def test_a_restart_counts_by_half_of_what_it_explains_better(num_rows):
    better = 2.0 * math.log(3.0)  # three to one
    found = _read([np.full(num_rows, better / num_rows), *np.zeros((3, num_rows))])
    # Half of four places, a sixth each, which is less than one place: two of three.
    assert found.count(0) == 2
    level = _read([np.full(num_rows, -1e4 + better / num_rows), *np.full((3, num_rows), -1e4)])
    assert level == found


def test_a_restart_that_gives_a_row_no_density_is_not_read():
    none = np.zeros((3, 20))
    none[0, 5] = -np.inf
    none[1, 3] = np.nan
    assert _read(none) == [2, 2, 2]
    assert _read(none[:2]) == [0, 1]  # nobody is better


def test_restarts_that_explain_the_rows_worse_are_not_read():
    # Two that explain every row alike, and one that loses a nat on each of 40 rows.
    assert _read([np.zeros(40), np.full(40, -1.0), np.zeros(40)]) in ([0, 0, 2], [0, 2, 2])
    assert _read(np.zeros((4, 40))) == [0, 1, 2, 3]
    assert _read(np.zeros((1, 40))) == [0]


def test_of_many_rows_evenly_spread_ones_are_read(monkeypatch):
    monkeypatch.setattr(module, "_MAX_ROWS", 10)
    logs = np.zeros((2, 95))
    logs[0, ::10] = -1.0  # the rows that are read
    labels = np.arange(95.0)
    restarts, rows = Restarts(logs), np.arange(95.0)
    found = regime_reading(restarts, rows[:, None], rows, labels)
    assert found.tolist() == [1, 1]
    assert restarts.labels.tolist() == list(range(0, 95, 10))


def _quick(**options):
    return FitOptions(
        num_restarts=4,
        num_candidates=10,
        warm_start=WarmStart(max_steps=60),
        refinement=Refinement(mode="never"),
        compile="never",
        **options,
    )


def _fit(labels=None, **settings):
    x = np.linspace(-1.0, 1.0, 40)
    y = np.where(x > 0.2, 1.0 + x, np.sin(3.0 * x)) + 0.1 * np.cos(40.0 * x)
    options = _quick(**{k: settings.pop(k) for k in ("weighting",) if k in settings})
    reg = HybridRegressor(
        num_units=4, fit_options=options, random_state=0, progress=False, **settings
    )
    return reg.fit(x[:, None], y, regime_label=labels).fit_


def test_tempered_fits_are_read_by_these_weights():
    fit = _fit()
    assert fit.reading is not None
    elpd = leave_one_out(fit.posterior.log_likelihood(fit.x, fit.y)).sum(axis=1)
    times = np.bincount(fit.reading, minlength=4)
    assert times.sum() == 4
    assert times[elpd.argmax()] >= times[elpd.argmin()]


@pytest.mark.parametrize(
    "settings", [{"weighting": "uniform"}, {"weighting": "elbo"}, {"gate": "threshold"}]
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
    assert torch.isfinite(torch.as_tensor(both)).all()
