import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayes_hybrid.data import (
    Standardizer,
    constant_columns,
    refuse_far,
    refuse_large,
    refuse_narrow,
)
from bayes_hybrid.errors import DataError

# Differences of two such numbers stay finite.
_ENTRIES = st.floats(min_value=-1e300, max_value=1e300, allow_nan=False)
_TABLES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=_ENTRIES
)
_EPS = np.finfo(np.float64).eps


@given(_TABLES)
def test_round_trip(table):
    standardizer = Standardizer.fit(table)
    back = standardizer.inverse_transform(standardizer.transform(table))
    # Subtracting and adding the mean, and dividing by and multiplying with the scale, round once
    # each: four half-ulps of the largest number in play; 1e-323 is two steps between subnormals.
    size = np.abs(table).max(axis=0) + np.abs(standardizer.mean)
    assert (np.abs(back - table) <= 4 * _EPS * size + 1e-323).all()


@given(_TABLES)
def test_fields_are_finite_and_positive(table):
    standardizer = Standardizer.fit(table)
    assert np.isfinite(standardizer.mean).all()
    assert (standardizer.scale > 0).all()
    assert np.isfinite(standardizer.transform(table)).all()


@given(st.floats(-1e300, 1e300), st.integers(1, 20))
def test_constant_column_becomes_exactly_zero(value, num_rows):
    standardizer = Standardizer.fit(np.full((num_rows, 1), value))
    assert standardizer.mean.tolist() == [value]
    assert standardizer.scale.tolist() == [max(1.0, abs(value))]
    assert not standardizer.transform(np.full((num_rows, 1), value)).any()
    assert standardizer.inverse_transform([[0.0]]).tolist() == [[value]]


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1.0, 1e12, 1e300])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_moments_at_every_size(size, offset):
    table = size * (offset + np.random.default_rng(0).standard_normal((200, 3)))
    standardizer = Standardizer.fit(table)
    z = standardizer.transform(table)
    # Sums of 200 rounded numbers of size 1 are off by less than 200 ulps.
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=200 * _EPS)
    np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=200 * _EPS)


def test_scale_of_subnormal_differences_is_not_zero():
    # The standard deviation, 5e-322, is subnormal, and a division by it would lose its digits.
    series = np.array([0.0] * 99 + [5e-321])
    standardizer = Standardizer.fit(series)
    assert standardizer.scale == np.finfo(np.float64).tiny
    np.testing.assert_array_equal(
        standardizer.inverse_transform(standardizer.transform(series)), series
    )


# -- constant up to rounding

_ROUNDED = np.array([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2])


@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e-12, 1.0, 1e12, 1e300, -1.0])
@pytest.mark.parametrize("make", [Standardizer.fit, Standardizer.of_targets])
def test_a_column_constant_up_to_rounding_is_constant(size, make):
    series = size * _ROUNDED
    assert series.min() < series.max() or size == 1e-310
    assert constant_columns(series)
    standardizer = make(series)
    assert series.min() <= standardizer.mean <= series.max()
    # 64 units in the last place are 1.4e-14; a target's scale is a billionth of its size.
    assert np.abs(standardizer.transform(series)).max() < 1.5e-5
    assert make(series[:, None]).scale.shape == (1,)


@pytest.mark.parametrize("offset", [1.0, 1e6, -1e12])
def test_noise_of_a_few_units_in_the_last_place_is_rounding(offset):
    steps = np.random.default_rng(0).integers(-20, 20, 200)
    assert constant_columns(offset + steps * np.spacing(offset))
    assert not constant_columns(offset + 10 * steps * np.spacing(abs(offset)))


@pytest.mark.parametrize(
    "series",
    [
        [1.0, 2.0],
        [0.0, 1e-300],
        [0.0, 5e-321],
        [1e300, 1.0001e300],
        [-1e308, 1e308],
        # Readings of a clock: days that are a second apart, and microseconds since 1970.
        2460000.5 + np.arange(100) / 86400,
        1.7e15 + np.arange(100),
    ],
)
def test_columns_that_vary_are_not_constant(series):
    assert not constant_columns(series)


def test_missing_values_do_not_vary():
    nan = np.nan
    assert constant_columns([[nan, nan, 1.0], [2.0, nan, nan], [2.0, nan, 3.0]]).tolist() == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("constant", "new", "standard"),
    [
        (0.3, 0.31, 0.01),
        (0.0, 1.0, 1.0),  # a dummy variable that was never on
        (1.0, 0.0, -1.0),
        (1e6, 1.1e6, 0.1),
        (-1e6, -1.1e6, -0.1),
        (1e-300, 2e-300, 1e-300),
        (1e-300, 0.5, 0.5),
        (5.5e-17, 1e-3, 1e-3),  # what 0.1 + 0.2 - 0.3 leaves
    ],
)
def test_a_new_value_in_a_constant_feature_stays_near(constant, new, standard):
    standardizer = Standardizer.fit(np.full((5, 1), constant))
    assert standardizer.transform([[new]]) == pytest.approx(standard, rel=1e-9)


@pytest.mark.parametrize("constant", [0.0, 1e-6, -3.0, 14.62, 1e20, 1e-300])
def test_the_scale_of_a_constant_target_is_next_to_nothing(constant):
    standardizer = Standardizer.of_targets(np.full(5, constant))
    assert standardizer.mean == constant
    assert 0.0 < standardizer.scale <= 1e-9 * max(1.0, abs(constant))
    # Powers of it are still there.
    assert standardizer.scale**4 > 0.0
    several = Standardizer.of_targets([[constant, np.nan], [np.nan, 1.0], [constant, 3.0]])
    assert several.scale.tolist() == [standardizer.scale, 1.0]
    assert several.mean.tolist() == [constant, 2.0]


def test_targets_that_vary_have_their_standard_deviation():
    series = np.random.default_rng(0).normal(size=50)
    assert Standardizer.of_targets(series).scale == Standardizer.fit(series).scale


# -- sizes


def test_the_first_value_that_is_too_large_is_named():
    values = np.array([[1.0, -1e75], [np.nan, 1e300]])
    with pytest.raises(DataError, match=r"^X, row 2, column 2: 1e\+300 is beyond 1e\+75, .* unit$"):
        refuse_large("X", values)
    with pytest.raises(DataError, match=r"^X, row 2, column 'b': "):
        refuse_large("X", values, columns=["a", "b"])
    with pytest.raises(DataError, match=r"^y, row 1, column 'kg': -1e"):
        refuse_large("y", np.array([-1e300]), columns=["kg"])
    refuse_large("X", values[:1])


def test_the_first_column_that_varies_too_little_is_named():
    values = np.array([[1.0, 5.0, 1e-300], [2.0, 5.0, 2e-300], [np.nan, 5.0, 0.0]])
    with pytest.raises(DataError, match=r"^X, column 3: values differ by 2e-300 at most, less tha"):
        refuse_narrow("X", values)
    with pytest.raises(DataError, match=r"^y, column 'kg': values differ by 2e-300"):
        refuse_narrow("y", values[:, 2], columns=["kg"])
    refuse_narrow("X", values[:, :2])
    # A constant needs no powers of its spread.
    refuse_narrow("y", np.full(3, 1e-300))


def test_same_as_numpy():
    table = np.random.default_rng(1).uniform(-2, 5, (50, 2))
    standardizer = Standardizer.fit(table)
    np.testing.assert_allclose(standardizer.mean, table.mean(axis=0), rtol=50 * _EPS)
    np.testing.assert_allclose(standardizer.scale, table.std(axis=0), rtol=50 * _EPS)


def test_large_offset_keeps_its_scale():
    # 1e8 and a spread of 1: the sum of squares minus the squared sum would lose all 16 digits.
    table = 1e8 + np.random.default_rng(2).standard_normal(1000)
    standardizer = Standardizer.fit(table)
    np.testing.assert_allclose(standardizer.scale, (table - 1e8).std(), rtol=1e-12)


@given(
    hnp.arrays(np.float64, st.integers(2, 20), elements=st.floats(-1e3, 1e3), unique=True),
    st.sampled_from([2.0**-40, 2.0**-3, 2.0**40]),
)
def test_scaling_by_a_power_of_two_changes_nothing(series, factor):
    # A power of two scales without rounding, so z is the same to the last bit.  Subnormal
    # numbers would round; differences of numbers above 1e-250 are far from them.
    series = np.where(np.abs(series) < 1e-250, 0.0, series)
    plain = Standardizer.fit(series).transform(series)
    if not constant_columns(series):
        np.testing.assert_array_equal(
            Standardizer.fit(series * factor).transform(series * factor), plain
        )


def test_one_series():
    standardizer = Standardizer.fit([1.0, 3.0])
    assert standardizer.mean.shape == ()
    assert standardizer.transform(np.full((2, 5), 3.0)).shape == (2, 5)
    np.testing.assert_array_equal(standardizer.inverse_transform([-1.0, 1.0]), [1.0, 3.0])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32, np.float64])
def test_every_number_type_gives_float64(dtype):
    standardizer = Standardizer.fit(np.array([[0], [1], [1]], dtype=dtype))
    assert standardizer.mean.dtype == np.float64
    assert standardizer.transform(np.array([[1]], dtype=dtype)).dtype == np.float64


@pytest.mark.parametrize("shape", [(0,), (0, 3), (), (2, 2, 2)])
def test_fit_refuses_shapes(shape):
    with pytest.raises(DataError, match="N >= 1; got shape"):
        Standardizer.fit(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_fit_refuses_non_finite(bad):
    with pytest.raises(DataError, match="got 1 NaN or infinite entries"):
        Standardizer.fit([[1.0, bad], [2.0, 3.0]])


@pytest.mark.parametrize("shape", [(4, 3), (2,), (4, 2, 2), (4, 1)])
def test_transform_refuses_other_columns(shape):
    # [4, 1] would broadcast to two columns.
    standardizer = Standardizer.fit(np.eye(2))
    with pytest.raises(DataError, match=r"values must be \[N, 2\]"):
        standardizer.transform(np.zeros(shape))
    with pytest.raises(DataError, match=r"values must be \[N, 2\]"):
        standardizer.inverse_transform(np.zeros(shape))


@pytest.mark.parametrize(
    ("mean", "scale"),
    [
        ([0.0], [0.0]),
        ([0.0], [-1.0]),
        ([np.nan], [1.0]),
        ([0.0], [np.inf]),
        ([0.0], [1.0, 1.0]),
        ([[0.0]], [[1.0]]),
    ],
)
def test_fields_are_checked(mean, scale):
    with pytest.raises(DataError, match=r"scale must (be|have)"):
        Standardizer(mean=np.array(mean), scale=np.array(scale))


def test_it_is_immutable_and_owns_its_fields():
    mean = np.zeros(1)
    standardizer = Standardizer(mean=mean, scale=np.ones(1))
    mean[0] = 5.0
    assert standardizer.mean[0] == 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        standardizer.mean = mean
    with pytest.raises(ValueError, match="read-only"):
        standardizer.scale[0] = 2.0


def test_the_first_value_that_is_too_far_is_named():
    scaling = Standardizer.fit([[0.0, 0.0], [2.0, 2e9]])
    # One standard deviation is 1 in the first column and 1e9 in the second.
    refuse_far("X", np.array([[1e14, 1e23], [np.nan, 0.0]]), scaling)
    far = np.array([[0.0, 0.0], [0.0, -1e25], [1e300, 0.0]])
    with pytest.raises(DataError, match=r"^X, row 2, column 2: -1e\+25 lies more than 1e\+15 st"):
        refuse_far("X", far, scaling)
    with pytest.raises(DataError, match=r"^the table, row 2, column 'b': -1e\+25 lies"):
        refuse_far("the table", far, scaling, columns=["a", "b"])
    with pytest.raises(DataError, match=r"^y, row 3: 1e\+300 lies"):
        refuse_far("y", np.array([0.0, np.nan, 1e300]), Standardizer.fit([0.0, 1e-9]))


def test_a_far_row_of_a_part_says_where_it_is():
    scaling = Standardizer.fit([0.0, 1.0])
    with pytest.raises(DataError, match=r"^y, row 52 \(line 60\): 1e\+300 lies"):
        refuse_far("y", np.array([1e300]), scaling, place=lambda n: f"row {n + 52} (line 60)")


def test_a_logarithm_is_standardised_like_a_column_of_logarithms():
    values = np.random.default_rng(0).lognormal(2.0, 1.0, (30, 2))
    logged = Standardizer.fit(values, log=[True, False])
    plain = Standardizer.fit(np.column_stack([np.log(values[:, 0]), values[:, 1]]))
    np.testing.assert_array_equal((logged.mean, logged.scale), (plain.mean, plain.scale))
    z = logged.transform(values)
    # A logarithm and its exponential, each rounded.
    np.testing.assert_allclose(logged.inverse_transform(z), values, rtol=1e-14)
    for column in range(2):
        near = values.copy()
        near[:, column] *= 1.0 + 1e-6
        slope = (near - values)[:, column] / (logged.transform(near) - z)[:, column]
        # The difference over a step of one millionth.
        np.testing.assert_allclose(logged.step(values[:, column], column), slope, rtol=1e-5)
        read = logged.read(values[:, column], column)
        np.testing.assert_allclose(logged.unread(read, column), values[:, column], rtol=1e-14)
    assert logged.log.tolist() == [True, False]
    assert not logged.leaving(0).log.any()
    with pytest.raises(DataError, match="column 1, row 2: 0 has no logarithm"):
        logged.transform([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(DataError, match="log must be of the shape of mean"):
        Standardizer(mean=np.zeros(2), scale=np.ones(2), log=np.array([True]))
