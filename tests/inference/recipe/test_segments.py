"""Thresholds of least squares: the best of all, and where restarts get them."""

from itertools import combinations

import numpy as np
import pytest
import torch

from bayes_hybrid import ConstantGate, MonotoneGate, ThresholdGate, WarmStart
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.recipe.segments import least_squares_thresholds, segmented
from bayes_hybrid.inference.recipe.start import prior_draws
from bayes_hybrid.models import HybridMixture, Line, Target


def residual(x, y, segments):
    """Sum of squares about the level, or line, of the values that are there."""
    total = 0.0
    for column in y.T:
        there = np.isfinite(column)
        if there.any():
            fit = np.polyfit(x[there], column[there], {"levels": 0, "lines": 1}[segments])
            total += np.square(column[there] - np.polyval(fit, x[there])).sum()
    return total


def by_trying_all(x, y, count, segments):
    order = np.argsort(x)
    x, y = x[order], y[order]

    def cost(cuts):
        parts = np.split(np.arange(len(x)), cuts)
        if min(map(len, parts)) < 4:
            return np.inf
        return sum(residual(x[part], y[part], segments) for part in parts)

    best = min(combinations(range(1, len(x)), count - 1), key=cost)
    return [(x[cut - 1] + x[cut]) / 2 for cut in best]


@pytest.mark.parametrize("segments", ["levels", "lines"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_those_of_the_least_sum_of_squares(segments, count, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=20), rng.normal(size=(20, 2))
    y[rng.uniform(size=y.shape) < 0.1] = np.nan
    found = least_squares_thresholds(x, y, count, segments)
    np.testing.assert_allclose(found, by_trying_all(x, y, count, segments))


def test_no_threshold_is_between_rows_of_one_value():
    x = np.repeat([0.0, 1.0, 2.0], 6)
    y = np.where(np.arange(18) < 9, 0.0, 1.0)[:, None]  # the jump is inside the second value
    (found,) = least_squares_thresholds(x, y, 2, "levels")
    assert found in (0.5, 1.5)


def test_rows_that_are_too_few_have_no_thresholds():
    x = np.arange(11.0)
    assert least_squares_thresholds(x, x[:, None], 2, "levels") is not None
    assert least_squares_thresholds(x, x[:, None], 3, "levels") is None
    assert least_squares_thresholds(np.ones(11), x[:, None], 2, "levels") is None


def test_of_many_rows_the_thresholds_are_near():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 1.0, 5_000)
    y = np.select([x < 0.3, x < 0.6], [0.0, 1.0], 3.0)[:, None] + 0.1 * rng.normal(size=(5_000, 1))
    # Of 200 places one is within half of their distance.
    found = least_squares_thresholds(x, y, 3, "lines")
    np.testing.assert_allclose(found, [0.3, 0.6], atol=0.5 / 200 + 1e-3)


def starts(gate, count=8):
    x = torch.linspace(-1.7, 1.7, 60, dtype=torch.float64)
    x = torch.stack([torch.zeros_like(x), x], dim=-1)
    y = torch.where(x[:, 1] < 0.45, 0.0, 2.0) + x[:, 1]
    model = HybridMixture(num_features=2, experts=(Line(), Line()), gate=gate)
    joint = LogJoint(model, x, count)
    rows = Rows(joint, x, Target(y), len(x), torch.Generator())
    theta = prior_draws(joint, x, count, seed=0)
    return joint.table, theta, segmented(theta, rows, rows.folds(count, 5), "lines")


def test_three_starts_in_four_have_the_thresholds_of_their_rows():
    table, before, after = starts(ThresholdGate(feature=1))
    before, after = table.constrain(before), table.constrain(after)
    chosen = torch.tensor([True, True, True, False] * 2)
    location = after.pop("gate.location")[:, 0]
    # Rows are 0.058 apart, and of those beside the jump a start may not see some.
    assert (location[chosen] - 0.45).abs().max() < 0.12
    torch.testing.assert_close(location[~chosen], before.pop("gate.location")[~chosen, 0])
    torch.testing.assert_close(after, {name: before[name] for name in after})


@pytest.mark.parametrize("gate", [ConstantGate(), MonotoneGate(feature=1)], ids=["even", "warped"])
def test_starts_under_other_gates_stay(gate):
    _, before, after = starts(gate)
    assert after is before


def test_segments_are_levels_or_lines():
    with pytest.raises(OptionError, match="segments must be one of 'levels', 'lines'; got 'line'"):
        WarmStart(segments="line")
