"""Several numbers in a row, some of them missing, and their mixture over regimes."""

import math
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from scipy import stats

from bayes_hybrid.distributions import Outputs, RegimeMixture

_N = torch.distributions.Normal
_L = torch.distributions.Laplace
_NAN = math.nan
# Two orders of evaluation in float64.
_EXACT: Any = {"rtol": 1e-12, "atol": 1e-12}


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


LOCATIONS = (_t(-1.0, 0.0, 2.0), _t(3.0, 1.0, -2.0))
SCALES = (_t(0.5, 1.0, 2.0), _t(0.3, 2.0, 1.0))
WEIGHTS = _t(0.3, 0.7)
ROWS = _t(
    [-1.2, 0.3, 1.0], [_NAN, 0.5, -1.5], [2.9, _NAN, _NAN], [_NAN, _NAN, 0.0], [_NAN, _NAN, _NAN]
)


def _marginals(k):
    """Regime k's three numbers; the second regime is of another family."""
    return (_N, _L)[k](LOCATIONS[k], SCALES[k])


def _mixture():
    return RegimeMixture(WEIGHTS.log(), [Outputs(_marginals(0)), Outputs(_marginals(1))])


def _scalar(q):
    """The mixture that output q follows by itself."""
    parts = [kind(LOCATIONS[k][q], SCALES[k][q]) for k, kind in enumerate((_N, _L))]
    return RegimeMixture(WEIGHTS.log(), parts)


def test_log_prob_is_the_sum_over_what_is_there():
    outputs = Outputs(_marginals(1))
    assert (outputs.batch_shape, outputs.event_shape) == ((), (3,))
    for row in ROWS:
        expected = sum(
            float(_L(LOCATIONS[1][q], SCALES[1][q]).log_prob(value))
            for q, value in enumerate(row)
            if not math.isnan(value)
        )
        assert float(outputs.log_prob(row)) == pytest.approx(expected, rel=1e-12)


def test_a_mixture_shares_the_regime_between_outputs():
    for row in ROWS:
        joint = 0.0
        for k in range(2):
            term = float(WEIGHTS[k])
            for q, value in enumerate(row):
                if not math.isnan(value):
                    term *= float(_marginals(k).log_prob(value).exp()[q])
            joint += term
        assert float(_mixture().log_prob(row)) == pytest.approx(math.log(joint), rel=1e-12)


def test_a_row_without_values_says_nothing():
    mixture = _mixture()
    torch.testing.assert_close(mixture.log_prob(ROWS[-1]), _t(0.0)[0], rtol=0, atol=1e-15)
    torch.testing.assert_close(
        mixture.log_responsibilities(ROWS[-1]).exp(), WEIGHTS, rtol=1e-14, atol=0
    )


def test_responsibilities_are_bayes_rule_over_what_is_there():
    terms = torch.stack([Outputs(_marginals(k)).log_prob(ROWS) for k in range(2)], dim=-1)
    joint = WEIGHTS * terms.exp()
    torch.testing.assert_close(
        _mixture().log_responsibilities(ROWS).exp(), joint / joint.sum(-1, keepdim=True), **_EXACT
    )


@pytest.mark.parametrize("missing", [_NAN, 0.7])
def test_gradients_are_finite_and_those_of_what_is_there(missing):
    location = LOCATIONS[0].clone().requires_grad_()
    scale = SCALES[0].clone().requires_grad_()
    logits = _t(0.2, -0.1).requires_grad_()
    parts = [Outputs(_N(location, scale)), Outputs(_marginals(1))]
    mixture = RegimeMixture(logits.log_softmax(-1), parts)
    value = _t([0.1, missing, 1.0], [missing, missing, 0.0])
    gradients = torch.autograd.grad(mixture.log_prob(value).sum(), [location, scale, logits])
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    # Nobody has seen the second number, unless it is there.
    assert bool(gradients[0][1] == 0) == math.isnan(missing)


def test_everything_by_output_is_that_of_the_output_alone():
    mixture = _mixture()
    assert mixture.event_shape == (3,)
    for q in range(3):
        alone = _scalar(q)
        for name in ("mean", "variance"):
            torch.testing.assert_close(getattr(mixture, name)[q], getattr(alone, name), **_EXACT)
        torch.testing.assert_close(mixture.cdf(ROWS[0])[q], alone.cdf(ROWS[0, q]), **_EXACT)
        # The root finder stops at the rounding of values below 20.
        torch.testing.assert_close(
            mixture.icdf(_t(0.1, 0.5, 0.99))[q],
            alone.icdf(_t(0.1, 0.5, 0.99)[q]),
            rtol=0,
            atol=1e-12,
        )


def test_cdf_inverts_icdf_and_is_nan_where_the_value_is():
    mixture, probs = _mixture(), _t(0.01, 0.3, 0.98)
    # A relative error of 1e-10 in y times the steepest density, 2 per unit of y.
    torch.testing.assert_close(mixture.cdf(mixture.icdf(probs)), probs, rtol=1e-8, atol=1e-9)
    for distribution in (mixture, Outputs(_marginals(0))):
        assert torch.equal(torch.isnan(distribution.cdf(ROWS)), torch.isnan(ROWS))


def test_samples_share_the_regime_and_nothing_else():
    torch.manual_seed(0)
    size = 20_000
    draws = _mixture().sample((size,)).numpy()
    for q in range(3):
        # A fixed seed; 1e-3 is the rate at which a right sampler would fail under another seed.
        uniform = _scalar(q).cdf(torch.as_tensor(draws[:, q])).numpy()
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    # Given the regime outputs are independent, so that they covary by the regimes' means alone.
    gap = (LOCATIONS[1] - LOCATIONS[0]).numpy()
    expected = float(WEIGHTS[0] * WEIGHTS[1]) * np.outer(gap, gap)
    centred = draws - draws.mean(axis=0)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        products = centred[:, one] * centred[:, other]
        # Three means at four standard errors: one false alarm in 5,000 seeds.
        error = products.std() / math.sqrt(size)
        assert abs(products.mean() - expected[one, other]) < 4.0 * error


def test_expanded_rows_are_drawn_independently():
    torch.manual_seed(0)
    wide = _mixture().expand((4, 2))
    assert (wide.batch_shape, wide.event_shape) == ((4, 2), (3,))
    assert wide.log_prob(ROWS[0]).shape == (4, 2)
    draws = wide.sample((5,))
    assert draws.shape == (5, 4, 2, 3)
    assert len(set(draws.flatten().tolist())) == draws.numel()


def test_pyro_scores_rows_with_missing_values():
    def program():
        with pyro.plate("rows", len(ROWS)):
            pyro.sample("y", _mixture(), obs=ROWS)

    scored = poutine.trace(program).get_trace().log_prob_sum()
    torch.testing.assert_close(scored, _mixture().log_prob(ROWS).sum(), **_EXACT)
    assert _mixture().has_rsample is False
