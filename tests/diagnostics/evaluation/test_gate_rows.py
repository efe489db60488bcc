"""What gate and experts say of the rows, against densities written out."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_hybrid.diagnostics.evaluation.gate_rows import gate_rows, join, overlap, row_worth

RNG = np.random.default_rng(0)


def bayes(gate, mean, scale, y):
    """Responsibilities and densities of Normal experts."""
    joint = gate * stats.norm.pdf(y[..., None], mean, scale)
    return joint / joint.sum(axis=-1, keepdims=True), joint


def test_worth_is_the_log_ratio_of_the_densities_with_and_without():
    gate = RNG.dirichlet([1.0, 1.0, 1.0], size=40)
    mean, scale, y = RNG.normal(size=(40, 3)), RNG.uniform(0.5, 2.0, (40, 3)), RNG.normal(size=40)
    responsibilities, joint = bayes(gate, mean, scale, y)
    for k in range(3):
        rest = np.delete(joint, k, axis=1).sum(axis=1) / (1.0 - gate[:, k])
        expected = np.log(joint.sum(axis=1) / rest)
        assert np.abs(expected).max() < 6.9
        np.testing.assert_allclose(row_worth(gate, responsibilities)[:, k], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("gate", "responsibilities", "expected"),
    [
        ([0.5, 0.5], [0.5, 0.5], [0.0, 0.0]),  # twins: either does for the other
        ([0.5, 0.5], [0.0, 1.0], [-np.log(2.0), np.log(1e3)]),  # cut at a thousand to one
        ([0.0, 1.0], [0.0, 1.0], [0.0, np.log(1e3)]),  # shut to the last bit
        ([1e-12, 1.0 - 1e-12], [1e-12, 1.0 - 1e-12], [0.0, 0.0]),  # no cancellation
    ],
)
def test_worth_of_one_row(gate, responsibilities, expected):
    worth = row_worth(np.array(gate), np.array(responsibilities))
    np.testing.assert_allclose(worth, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("first", "second"), [((0, 1), (0, 1)), ((0, 1), (1.5, 0.4)), ((0, 1), (40, 1))]
)
def test_overlap_is_the_integral_of_the_root_of_both_densities(first, second):
    mean, scale = np.array([first, second], dtype=float).T
    grid = np.linspace(-60.0, 60.0, 200_001)
    product = stats.norm.pdf(grid, *first) * stats.norm.pdf(grid, *second)
    expected = integrate.simpson(np.sqrt(product), x=grid)
    # The step is a thousandth of the smaller scale: the rule is exact to rounding.
    assert overlap(mean, scale, 0, 1) == pytest.approx(expected, abs=1e-9)


def test_an_infinite_deviation_has_no_overlap_and_no_weight():
    shape = (1, 2, 6, 2)
    gate, mean = np.full(shape, 0.5), np.zeros(shape)
    scale = np.ones(shape)
    scale[:, :, :2] = np.inf
    assert np.isnan(overlap(mean, scale, 0, 1)[0, 0, 0])
    rows = gate_rows(gate, gate, mean, scale, np.array(0.0), np.array(1.0))
    np.testing.assert_allclose(rows.undecided, 4.0)
    np.testing.assert_allclose(rows.shared, 4.0)


def draws(outputs=()):
    gate = RNG.dirichlet([1.0, 2.0, 3.0], size=(2, 5, 12))
    shape = (2, 5, 12, *outputs, 3)
    return gate, gate[:, ::-1], RNG.normal(size=shape), RNG.uniform(0.5, 2.0, shape)


def test_chunks_together_are_the_whole():
    gate, given, mean, scale = draws()
    level = np.array(0.3), np.array(1.7)

    def read(piece):
        return gate_rows(
            gate[:, :, piece], given[:, :, piece], mean[:, :, piece], scale[:, :, piece], *level
        )

    whole = read(slice(None))
    split = [read(slice(0, 5)), read(slice(5, 12))]
    for name, value in vars(join(split)).items():
        np.testing.assert_allclose(value, getattr(whole, name), rtol=1e-12, err_msg=name)


def test_outputs_multiply_overlaps_and_average_spreads():
    gate, given, mean, scale = draws((2,))
    center, spread = np.array([0.5, -1.0]), np.array([2.0, 3.0])
    both = gate_rows(gate, given, mean, scale, center, spread)
    each = [
        gate_rows(gate, given, mean[..., q, :], scale[..., q, :], center[q], spread[q])
        for q in range(2)
    ]
    by_hand = (4.0 * gate[..., 0] * gate[..., 2] * overlap(mean, scale, 0, 2).prod(axis=-1)).sum(-1)
    np.testing.assert_allclose(both.shared[..., 1], by_hand)
    np.testing.assert_allclose(both.spread, (each[0].spread + each[1].spread) / 2)
