import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from bayes_hybrid.errors import OptionError
from bayes_hybrid.nn import SMOOTHINGS, GaussianBlock, smooth

_BASES = {
    "step": lambda u: float(u > 0),
    "relu": lambda u: max(u, 0.0),
    "identity": lambda u: u,
}
_WIDTHS = (0.05, 0.7, 3.0)
_POINTS = (-4.0, -1.0, -0.1, 0.0, 0.3, 2.0, 5.0)
# A slope's bound is missed by rounding only, of a slope of at most 1 / width or 1.
_ROUNDING = 1e-14


def _double(value):
    return torch.tensor(value, dtype=torch.float64)


def _smooth(z, width, base):
    return smooth(_double(z), _double(width), base)


def test_roll_call():
    assert set(SMOOTHINGS) == {"bump", *_BASES}


@pytest.mark.parametrize("base", _BASES)
@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("z", _POINTS)
def test_is_the_expectation_under_gaussian_noise(base, width, z):
    def integrand(eps):
        return _BASES[base](z + width * eps) * stats.norm.pdf(eps)

    kink = float(np.clip(-z / width, -12.0, 12.0))
    left, _ = integrate.quad(integrand, -12.0, kink, epsabs=1e-11)
    right, _ = integrate.quad(integrand, kink, 12.0, epsabs=1e-11)
    # The quadrature's own tolerance; the mass beyond twelve sds is below 1e-32.
    assert float(_smooth(z, width, base)) == pytest.approx(left + right, abs=1e-9)


@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("z", _POINTS)
def test_bump_is_a_smoothed_point_mass_with_peak_one(width, z):
    box = 1e-3 * width  # a box this narrow stands for the point mass

    def smoothed(center):
        edges = (np.array([-box / 2, box / 2]) - center) / width
        return special.ndtr(edges[1]) - special.ndtr(edges[0])

    ratio = smoothed(z) / smoothed(0.0)
    # The box adds a relative (box / width)**2 / 24 * (z / width)**2; far out both are zero.
    tolerance = 1e-6 * (1 + (z / width) ** 2)
    assert float(_smooth(z, width, "bump")) == pytest.approx(ratio, rel=tolerance, abs=1e-10)


@pytest.mark.parametrize("base", _BASES)
@pytest.mark.parametrize("z", [-2.0, -1e-3, 1e-3, 2.0])
def test_width_to_zero_gives_the_unsmoothed_unit(base, z):
    # A thousandth of the smallest distance to the kink: the Gaussian tail there is exactly zero.
    assert float(_smooth(z, 1e-6, base)) == pytest.approx(_BASES[base](z), abs=1e-15)


@given(
    z=st.floats(-30, 30),
    width=st.floats(1e-2, 1e2),
    base=st.sampled_from(sorted(SMOOTHINGS)),
)
def test_slopes_are_bounded_by_the_width(z, width, base):
    point = _double(z).requires_grad_()
    (slope,) = torch.autograd.grad(smooth(point, _double(width), base), point)
    bounds = {
        "bump": (-math.exp(-0.5) / width, math.exp(-0.5) / width),
        "step": (0.0, 1.0 / (width * math.sqrt(2 * math.pi))),
        "relu": (0.0, 1.0),
        "identity": (1.0, 1.0),
    }
    low, high = bounds[base]
    assert low - _ROUNDING * (1 + 1 / width) <= float(slope) <= high + _ROUNDING * (1 + 1 / width)


@pytest.mark.parametrize("base", SMOOTHINGS)
def test_extreme_inputs_stay_finite_in_value_and_gradient(base):
    z = torch.tensor([-1e6, -50.0, 0.0, 50.0, 1e6], requires_grad=True)
    width = torch.tensor([1e-2, 1.0, 1e2]).unsqueeze(-1).requires_grad_()
    value = smooth(z, width, base)
    gradients = torch.autograd.grad(value.sum(), (z, width), materialize_grads=True)
    assert all(bool(torch.isfinite(part).all()) for part in (value, *gradients))


def test_unknown_base_is_refused():
    with pytest.raises(OptionError, match="tanh"):
        smooth(torch.zeros(1), torch.ones(1), "tanh")
    with pytest.raises(OptionError, match="tanh"):
        GaussianBlock(1, 1, smoothing="tanh")


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_block_is_the_smoothed_affine_map(smoothing):
    torch.manual_seed(0)
    block = GaussianBlock(3, 5, smoothing=smoothing).double()
    with torch.no_grad():
        block.bias.normal_()
        block.width.uniform_(0.2, 2.0)
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    hidden = block(x)
    assert hidden.shape == (2, 7, 5)
    unit = 4
    z = (x * block.weight[unit]).sum(-1) + block.bias[unit]
    # Two orders of summation of four terms.
    torch.testing.assert_close(
        hidden[..., unit], smooth(z, block.width[unit], smoothing), rtol=1e-12, atol=1e-12
    )
    assert repr(block) == f"GaussianBlock(in_features=3, num_units=5, smoothing={smoothing!r})"
