import math

import pytest
import torch
from scipy import integrate, stats

from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood, Normal

_LOCATION, _SCALE = 1.3, 0.7
# What each family is in scipy, at that location and scale.
_REFERENCES = {"normal": stats.norm(_LOCATION, _SCALE)}


def _build(name):
    location = torch.tensor(_LOCATION, dtype=torch.float64)
    return LIKELIHOODS[name]()(location, torch.full_like(location, _SCALE))


def test_roll_call():
    assert set(_REFERENCES) == set(LIKELIHOODS)


@pytest.mark.parametrize("name", _REFERENCES)
def test_is_the_reference_density(name):
    built, reference = _build(name), _REFERENCES[name]
    y = torch.linspace(-8, 8, 33, dtype=torch.float64)
    probs = torch.linspace(0.001, 0.999, 21, dtype=torch.float64)
    # Two libraries in float64.
    expected = torch.as_tensor(reference.logpdf(y.numpy()))
    torch.testing.assert_close(built.log_prob(y), expected, rtol=1e-10, atol=1e-10)
    expected = torch.as_tensor(reference.cdf(y.numpy()))
    torch.testing.assert_close(built.cdf(y), expected, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(built.cdf(built.icdf(probs)), probs, rtol=1e-9, atol=0)
    assert float(built.mean) == pytest.approx(reference.mean())
    assert float(built.variance) == pytest.approx(reference.var())


@pytest.mark.parametrize("name", _REFERENCES)
def test_integrates_to_one(name):
    built = _build(name)

    def density(y):
        return math.exp(float(built.log_prob(torch.tensor(y, dtype=torch.float64))))

    # quad's own tolerance; 40 scales hold all but 1e-300 of the mass of a Normal.
    total, _ = integrate.quad(density, _LOCATION - 28, _LOCATION + 28, points=[_LOCATION])
    assert total == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("name", _REFERENCES)
def test_samples_follow_the_density(name):
    torch.manual_seed(0)
    built = _build(name)
    draws = built.sample((4_000,)).numpy()
    # A fixed seed, false-alarm rate 1e-3.
    assert stats.kstest(draws, lambda y: built.cdf(torch.as_tensor(y)).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", _REFERENCES)
def test_shapes_gradients_and_repr(name):
    family = LIKELIHOODS[name]()
    location = torch.zeros(4, 3, requires_grad=True)
    scale = torch.ones(4, 3, requires_grad=True)
    built = family(location, scale)
    assert built.batch_shape == (4, 3)
    assert built.event_shape == ()
    built.log_prob(torch.full((4, 3), 0.5)).sum().backward()
    for parameter in (location, scale):
        assert parameter.grad is not None
        assert bool((parameter.grad != 0).all())
    assert repr(family) == f"{type(family).__name__}()"
    assert family == LIKELIHOODS[name]()


def test_scale_is_a_standard_deviation():
    assert float(Normal()(torch.tensor(0.0), torch.tensor(3.0)).variance) == 9.0


def test_abstract_class_cannot_be_built():
    with pytest.raises(TypeError):
        Likelihood()  # type: ignore[abstract]
