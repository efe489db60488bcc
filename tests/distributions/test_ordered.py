import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import biject_to

from bayes_hybrid.distributions import OrderedNormal

_LOCATION, _SCALE = 0.4, 1.3


def _ordered(size):
    location, scale = torch.tensor([_LOCATION, _SCALE], dtype=torch.float64)
    return OrderedNormal(location, scale, size)


def _density(*values):
    vector = torch.tensor(values, dtype=torch.float64)
    return math.exp(float(_ordered(len(values)).log_prob(vector)))


def test_one_number_is_normal():
    value = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)[:, None]
    expected = stats.norm.logpdf(value.numpy()[:, 0], _LOCATION, _SCALE)
    # Two orders of evaluation in float64.
    np.testing.assert_allclose(_ordered(1).log_prob(value), expected, rtol=1e-14)


def test_integrates_to_one():
    # Ten standard deviations leave out less than 1e-22; the triangle y_1 < y_2 is the support.
    low, high = _LOCATION - 10 * _SCALE, _LOCATION + 10 * _SCALE
    mass, _ = integrate.dblquad(lambda b, a: _density(a, b), low, high, lambda a: a, high)
    # dblquad's own tolerance.
    assert mass == pytest.approx(1.0, abs=1e-7)


def test_log_prob_is_that_of_sorted_normals():
    value = torch.tensor([-1.0, 0.2, 2.5], dtype=torch.float64)
    expected = math.log(6.0) + stats.norm.logpdf(value.numpy(), _LOCATION, _SCALE).sum()
    # Sums of four float64 numbers.
    assert float(_ordered(3).log_prob(value)) == pytest.approx(expected, rel=1e-14)


def test_samples_are_ordered_and_follow_the_density():
    torch.manual_seed(0)
    draws = _ordered(3).sample((4_000,))
    assert bool((draws.diff() > 0).all())
    # The k-th of n uniforms is Beta(k, n + 1 - k).  A fixed seed, three tests: false alarms in one
    # of 300 other seeds.
    uniform = stats.norm.cdf(draws.numpy(), _LOCATION, _SCALE)
    for k in range(3):
        assert stats.kstest(uniform[:, k], stats.beta(k + 1, 3 - k).cdf).pvalue > 1e-3


def test_support_round_trip():
    ordered = _ordered(4)
    transform = biject_to(ordered.support)
    free = torch.randn(50, 4, dtype=torch.float64)
    value = transform(free)
    assert bool(ordered.support.check(value).all())
    # Gaps of 0.05 and more between numbers below 100: rounding of 1e-14 over the gap.
    torch.testing.assert_close(transform.inv(value), free, rtol=0, atol=1e-12)


def test_values_out_of_order_are_refused():
    with pytest.raises(ValueError, match="support"):
        _ordered(2).log_prob(torch.tensor([1.0, 0.0], dtype=torch.float64))


def test_expand_and_batches():
    location = torch.tensor([0.0, 5.0])
    ordered = OrderedNormal(location, torch.tensor(1.0), 3)
    assert (ordered.batch_shape, ordered.event_shape) == ((2,), (3,))
    wide = ordered.expand((4, 2))
    draws = wide.sample((6,))
    assert draws.shape == (6, 4, 2, 3)
    assert wide.log_prob(draws).shape == (6, 4, 2)
    alone = OrderedNormal(location[1], torch.tensor(1.0), 3).log_prob(draws[..., 1, :])
    assert torch.equal(wide.log_prob(draws)[..., 1], alone)
    # Rows of an expanded distribution are drawn independently.
    assert np.unique(draws.numpy()).size == draws.numel()


def test_vmap():
    value = torch.randn(5, 3).sort(dim=-1).values
    ordered = OrderedNormal(torch.tensor(0.0), torch.tensor(1.0), 3, validate_args=False)
    assert torch.equal(torch.func.vmap(ordered.log_prob)(value), ordered.log_prob(value))
