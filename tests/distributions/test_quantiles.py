"""Quantiles of the predictive over draws, and the Normal density's tail."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from bayes_hybrid.distributions import (
    Laplace,
    Normal,
    Outputs,
    RegimeMixture,
    StudentT,
    mixture_quantile,
    pooled_quantiles,
)

_LEVELS = torch.tensor([1e-6, 0.05, 0.5, 0.95, 1.0 - 1e-6], dtype=torch.float64)
_DRAWS, _ROWS = 30, 40
_ALL = slice(None), slice(None)


def _mixture(spread, *, family=Normal, outputs=(), seed=0):
    """Two regimes a distance of ``spread`` apart; a function of draws and rows."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shape = (_DRAWS, _ROWS, *outputs)
    logits = torch.log_softmax(3.0 * draw(_DRAWS, _ROWS, 2), dim=-1)
    locations = [draw(*shape), spread + draw(*shape)]
    scales = [draw(*shape).exp(), 0.01 + draw(*shape).exp()]

    def of(draws, rows):
        parts = [
            family(m[draws, rows], s[draws, rows]) for m, s in zip(locations, scales, strict=True)
        ]
        return RegimeMixture(logits[draws, rows], [Outputs(p) for p in parts] if outputs else parts)

    return of


def _quantiles(of, levels):
    """Of draws that count alike."""
    count = len(of(*_ALL).log_weights)
    return pooled_quantiles(of, levels, torch.full((count,), 1.0 / count, dtype=torch.float64))


@pytest.mark.parametrize("spread", [0.0, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("family", [Normal, Laplace])
def test_quantiles_invert_the_cdf(spread, family):
    of = _mixture(spread, family=family)
    found, mixture = _quantiles(of, _LEVELS), of(*_ALL)
    for level, value in zip(_LEVELS, found, strict=True):
        below, density = (
            part.mean(0) for part in (mixture.cdf(value), mixture.log_prob(value).exp())
        )
        # What rounding of the value does, and of a mean of probabilities.
        rounding = 1e-15 * (1.0 + density * value.abs())
        assert bool(((below - level).abs() <= 1e-5 * min(level, 1.0 - level) + rounding).all())


def test_quantiles_are_those_of_the_bracketing_solver():
    of = _mixture(3.0)
    mixture = of(*_ALL)
    levels = _LEVELS[1:-1]
    for level, value in zip(levels, _quantiles(of, levels), strict=True):
        target = torch.full((_ROWS,), float(level), dtype=torch.float64)
        low, high = torch.full_like(target, -50.0), torch.full_like(target, 50.0)
        slow = mixture_quantile(lambda y: mixture.cdf(y).mean(0), target, low, high)
        torch.testing.assert_close(value, slow, rtol=0.0, atol=1e-9)


def test_several_outputs_are_each_by_itself():
    of = _mixture(3.0, outputs=(2,))
    found = _quantiles(of, _LEVELS)
    assert found.shape == (len(_LEVELS), _ROWS, 2)
    below = torch.stack([of(*_ALL).cdf(value).mean(0) for value in found])
    torch.testing.assert_close(below, _LEVELS[:, None, None].expand_as(below), rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", [Normal, Laplace, StudentT])
def test_the_farthest_levels_are_right(family):
    """Against scipy's tails, which are right to the last digits on both sides."""
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, _DRAWS, 3, 2, generator=generator, dtype=torch.float64)
    logits, location, scale = torch.log_softmax(draw(), dim=-1), draw(), draw().exp()
    degrees = torch.tensor(4.0).double()
    given = (degrees,) if family is StudentT else ()

    def of(draws, rows):
        parts = [family(*given, location[draws, rows, k], scale[draws, rows, k]) for k in (0, 1)]
        return RegimeMixture(logits[draws, rows], parts)

    same = {Normal: stats.norm, Laplace: stats.laplace, StudentT: stats.t}[family]
    shape = {"df": 4.0} if family is StudentT else {}
    lower, upper = _quantiles(of, torch.tensor([1e-12, 1.0 - 1e-12], dtype=torch.float64)).numpy()
    for tail, value in ((same.cdf, lower), (same.sf, upper)):
        z = (value[:, None] - location.numpy()) / scale.numpy()
        outside = (logits.exp().numpy() * tail(z, **shape)).sum(-1).mean(0)
        # A cdf near 1 is known to 4 eps: a thousandth of what is left.
        np.testing.assert_allclose(outside, 1e-12, rtol=1e-2)


def test_tails_without_a_variance():
    def of(draws, rows):
        location = torch.linspace(0.0, 1.0, _DRAWS).double()[:, None].expand(-1, 3)[draws, rows]
        part = StudentT(torch.tensor(1.5).double(), location, torch.tensor(0.1).double())
        return RegimeMixture(torch.zeros(*location.shape, 1), [part])

    found = _quantiles(of, _LEVELS)
    below = torch.stack([of(*_ALL).cdf(value).mean(0) for value in found])
    torch.testing.assert_close(below, _LEVELS[:, None].expand_as(below), rtol=0, atol=1e-9)


def test_rows_that_are_done_stay_as_they_are():
    """Hard rows beside easy ones: the same bits as each row by itself."""
    of = _mixture(1e3)
    together = _quantiles(of, _LEVELS)

    def only(row):
        return lambda draws, rows: of(draws, slice(row, row + 1) if rows == slice(None) else rows)

    alone = torch.cat([_quantiles(only(row), _LEVELS) for row in range(_ROWS)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("distance", [-30.0, -9.0, -1.0, 0.0, 2.0, 9.0])
def test_normal_tail(distance):
    density = Normal(torch.tensor(1.0).double(), torch.tensor(2.0).double())
    value = torch.tensor(1.0 + 2.0 * distance).double()
    expected = stats.norm(1.0, 2.0)
    # Of a distance r rounding leaves eps r**2 in the tail: 2e-13 for 30.
    assert math.isclose(float(density.cdf(value)), expected.cdf(float(value)), rel_tol=1e-12)
