"""Restarts that group the rows alike."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.inference.readings import grouped

X = np.linspace(0.0, 1.0, 50)[:, None]
EVERY = np.ones((2, 2), dtype=bool)


def _split(at, *, first=0, soft=0.02):
    """Rows below ``at`` belong to the expert ``first``."""
    low = np.where(X[:, 0] < at, 1.0 - soft, soft)
    columns = [low, 1.0 - low]
    return np.stack(columns[::-1] if first else columns, axis=-1)


def _grouped(*restarts, weights=None, tradable=EVERY, x=X):
    count = len(restarts)
    given = [1.0 / count] * count if weights is None else weights
    return grouped(
        np.stack(restarts),
        np.asarray(given, dtype=np.float64),
        np.arange(count, dtype=np.float64),
        x,
        tradable,
    )


def test_a_regime_is_its_rows_whichever_expert_serves_it():
    (reading,) = _grouped(_split(0.3), _split(0.3, first=1), _split(0.32))
    assert reading.weight == 1.0
    assert dict(zip(reading.members.tolist(), reading.order.tolist(), strict=True)) == {
        0: [0, 1],
        1: [1, 0],
        2: [0, 1],
    }
    np.testing.assert_allclose(reading.responsibilities[0], [0.98, 0.02])


def test_other_groups_are_another_reading():
    readings = _grouped(_split(0.3), _split(0.7), _split(0.7, first=1), weights=[0.5, 0.2, 0.3])
    assert [reading.weight for reading in readings] == [0.5, 0.5]
    assert sorted(sorted(reading.members.tolist()) for reading in readings) == [[0], [1, 2]]


def test_the_heaviest_reading_comes_first():
    readings = _grouped(_split(0.3), _split(0.7), _split(0.7), weights=[0.4, 0.35, 0.25])
    assert [reading.members.tolist() for reading in readings] == [[1, 2], [0]]
    np.testing.assert_allclose([r.elpd for r in readings], [(0.35 + 0.5) / 0.6, 0.0])


def test_the_regime_at_the_lower_end_comes_first():
    for first in (0, 1):
        (reading,) = _grouped(_split(0.3, first=first))
        assert reading.order.tolist() == [[first, 1 - first]]
        np.testing.assert_allclose(reading.usage.round(2), [0.31, 0.69])


def test_one_regime_is_a_reading_whichever_expert_has_the_rows():
    soft = _split(2.0, soft=0.05), _split(2.0, first=1, soft=0.05)
    (reading,) = _grouped(*soft, weights=[0.6, 0.4])
    assert reading.num_used == 2  # by more than a soft gate leaks
    (reading,) = _grouped(_split(2.0, soft=0.0), _split(2.0, first=1, soft=0.0))
    assert reading.num_used == 1
    assert reading.usage.tolist() == [1.0, 0.0]


def test_a_regime_is_used_unless_its_usage_is_known_to_be_small():
    (reading,) = _grouped(_split(2.0, soft=0.0))
    assert reading.used.tolist() == [True, False]
    broken = dataclasses.replace(reading, responsibilities=np.full((50, 2), np.nan))
    assert broken.used.tolist() == [True, True]


def test_of_several_features_the_larger_comes_first():
    x = np.column_stack([X[:, 0], X[::-1, 0]])
    (reading,) = _grouped(_split(0.3), x=x)
    assert reading.order.tolist() == [[1, 0]]


def test_regimes_with_names_of_their_own_keep_them():
    readings = _grouped(_split(0.3), _split(0.3, first=1), tradable=np.eye(2, dtype=bool))
    assert [reading.order.tolist() for reading in readings] == [[[0, 1]], [[0, 1]]]


@pytest.mark.parametrize(("owned", "num_used"), [(0, 1), (1, 1), (2, 2)])
def test_a_small_share_is_a_regime_where_two_rows_are_its_own(owned, num_used):
    shares = np.full((200, 2), [0.985, 0.015])
    shares[:owned] = [0.1, 0.9]
    (reading,) = grouped(
        shares[None], np.ones(1), np.zeros(1), np.arange(200.0)[:, None], np.ones((2, 2), bool)
    )
    assert reading.num_used == num_used


def test_a_regime_that_nobody_uses_comes_last_wherever_it_starts():
    shares = np.full((200, 2), [0.0, 1.0])
    shares[:60] = [0.05, 0.95]  # leaked, and at the lower end
    (reading,) = grouped(
        shares[None], np.ones(1), np.zeros(1), np.arange(200.0)[:, None], np.ones((2, 2), bool)
    )
    assert reading.used.tolist() == [True, False]
