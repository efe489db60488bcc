"""The option of each family makes the right density; the densities' own tests are elsewhere."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from bayes_hybrid.errors import OptionError
from bayes_hybrid.likelihoods import (
    LIKELIHOODS,
    ContaminatedNormal,
    Huber,
    Laplace,
    Likelihood,
    Normal,
    PseudoHuber,
    StudentT,
)
from bayes_hybrid.priors import LogNormalPrior

_LOCATION, _SCALE = 1.3, 0.7
_SHAPE = 2.5


class _Contaminated:
    """The likelihood's mixture, of scipy's Normals."""

    def logpdf(self, y):
        wide = stats.norm(_LOCATION, _SHAPE * _SCALE).pdf(y)
        return np.log(0.95 * stats.norm(_LOCATION, _SCALE).pdf(y) + 0.05 * wide)


# What each family is in scipy, at that location and scale; scipy has no Huber density.
_REFERENCES: dict[str, Any] = {
    "normal": stats.norm(_LOCATION, _SCALE),
    "student_t": stats.t(_SHAPE, _LOCATION, _SCALE),
    "laplace": stats.laplace(_LOCATION, _SCALE),
    "pseudo_huber": stats.genhyperbolic(1, _SHAPE**2, 0, _LOCATION, _SHAPE * _SCALE),
    "contaminated_normal": _Contaminated(),
    "huber": None,
}
_SHAPED = {
    "student_t": "df",
    "huber": "threshold",
    "pseudo_huber": "threshold",
    "contaminated_normal": "ratio",
}


def _build(name):
    location = torch.tensor(_LOCATION, dtype=torch.float64)
    shape = [torch.full_like(location, _SHAPE)] if name in _SHAPED else []
    return LIKELIHOODS[name]()(location, torch.full_like(location, _SCALE), *shape)


def test_roll_call():
    scaled = {name: kind for name, kind in LIKELIHOODS.items() if kind.standardises}
    assert set(_REFERENCES) == set(scaled)
    assert {n: kind.shape_name for n, kind in scaled.items() if kind.shape_name} == _SHAPED


@pytest.mark.parametrize("name", [name for name, value in _REFERENCES.items() if value])
def test_is_the_reference_density(name):
    built, reference = _build(name), _REFERENCES[name]
    y = torch.linspace(-8, 8, 33, dtype=torch.float64)
    # Two libraries in float64.
    expected = torch.as_tensor(reference.logpdf(y.numpy()))
    torch.testing.assert_close(built.log_prob(y), expected, rtol=1e-9, atol=1e-9)


def test_huber_is_its_loss():
    built = _build("huber")
    r = torch.tensor([0.0, 1.0, _SHAPE, 4.0, -7.0], dtype=torch.float64)
    loss = torch.where(r.abs() <= _SHAPE, r.square() / 2, _SHAPE * (r.abs() - _SHAPE / 2))
    log_prob = built.log_prob(_LOCATION + _SCALE * r)
    # float64, numbers of size ten.
    torch.testing.assert_close(log_prob[0] - log_prob, loss, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", _REFERENCES)
def test_integrates_to_one(name):
    built = _build(name)

    def density(t):
        # From minus to plus infinity, with tails of any weight; scale times tan.
        y = torch.tensor(_LOCATION + _SCALE * math.tan(t), dtype=torch.float64)
        return math.exp(float(built.log_prob(y))) * _SCALE / math.cos(t) ** 2

    corner = math.atan(_SHAPE)  # where Huber's density has a kink
    edge = math.pi / 2 - 1e-9  # leaves out 1e-9 of the tails of StudentT at 1 degree of freedom
    total, _ = integrate.quad(density, -edge, edge, points=[-corner, 0.0, corner])
    assert total == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("name", _REFERENCES)
def test_shapes_gradients_and_repr(name):
    family = LIKELIHOODS[name]()
    location = torch.zeros(4, 3, requires_grad=True)
    scale = torch.ones(4, 3, requires_grad=True)
    shape = torch.full((4, 3), _SHAPE, requires_grad=True)
    built = family(location, scale, *([shape] if name in _SHAPED else []))
    assert built.batch_shape == (4, 3)
    assert built.event_shape == ()
    built.log_prob(torch.full((4, 3), 0.5)).sum().backward()
    for parameter in (location, scale, *([shape] if name in _SHAPED else [])):
        assert parameter.grad is not None
        assert bool((parameter.grad != 0).all())
    names = {kind.__name__: kind for kind in (type(family), LogNormalPrior)}
    twin = eval(repr(family), names)
    assert twin == family
    assert hash(twin) == hash(family)


@pytest.mark.parametrize(("name", "field"), _SHAPED.items())
def test_shape_is_fixed_given_or_learned(name, field):
    kind = LIKELIHOODS[name]
    location, scale, y = torch.tensor(0.0), torch.tensor(1.0), torch.tensor([0.3, 5.0])
    fixed = kind(**{field: 3.0})(location, scale)
    given = kind()(location, scale, torch.tensor(3.0))
    assert torch.equal(fixed.log_prob(y), given.log_prob(y))
    other = kind(**{field: 4.0})(location, scale)
    assert not torch.equal(fixed.log_prob(y), other.log_prob(y))
    learned = kind(**{field: LogNormalPrior(median=3.0, spread=0.5)})
    with pytest.raises(OptionError, match=f"{field}: it has a prior"):
        learned(location, scale)
    assert torch.equal(learned(location, scale, torch.tensor(3.0)).log_prob(y), fixed.log_prob(y))


@pytest.mark.parametrize("kind", [StudentT, Huber, PseudoHuber, ContaminatedNormal])
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, "1", None])
def test_bad_shapes(kind, bad):
    with pytest.raises(OptionError, match=kind.shape_name):
        kind(**{kind.shape_name: bad})


def test_degrees_of_freedom_without_a_mean_are_refused():
    with pytest.raises(OptionError, match="df must be above 1, or the density has no mean"):
        StudentT(df=1.0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan, "much", 5])
def test_a_share_that_is_none(share):
    with pytest.raises(OptionError, match="share"):
        ContaminatedNormal(share=share)


def test_the_share_is_that_of_the_density():
    noise = ContaminatedNormal(ratio=10.0, share=0.2)(torch.tensor(0.0), torch.tensor(1.0))
    assert float(noise.variance) == pytest.approx(0.8 + 0.2 * 100.0)


def test_families_without_a_shape_take_none():
    with pytest.raises(TypeError):
        Normal(threshold=1.0)
    assert Laplace().shape is None


def test_scale_of_the_normal_is_its_standard_deviation():
    assert float(Normal()(torch.tensor(0.0), torch.tensor(3.0)).variance) == 9.0


def test_abstract_class_cannot_be_built():
    with pytest.raises(TypeError):
        Likelihood()
