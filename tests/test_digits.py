"""Digits against the width of the interval that they describe."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bayes_hybrid.digits import figures, percentages, with_error

SIZES = st.floats(min_value=1e-300, max_value=1e300)
NUMBERS = st.one_of(SIZES, SIZES.map(lambda size: -size), st.just(0.0))
# Relative to the size of the numbers, from what a float still resolves to a million times it.
WIDTHS = st.floats(min_value=1e-12, max_value=1e6)


@st.composite
def intervals(draw):
    """Lower end, a value inside, upper end."""
    centre = draw(NUMBERS)
    width = draw(WIDTHS) * (abs(centre) or 1.0)
    assume(1e-300 < width < 1e300)
    ends = centre - draw(st.floats(0.0, 1.0)) * width
    return ends, ends + draw(st.floats(0.0, 1.0)) * width, ends + width


@given(intervals())
def test_what_is_printed_is_within_a_twentieth_of_the_width(interval):
    low, _, high = interval
    width = high - low
    assume(width > 0.0)
    # Beside the rounding to a decimal place, that of floats as large as these.
    slack = 0.051 * width + 4.0 * math.ulp(max(abs(low), abs(high)))
    printed = [float(text) for text in figures(width, *interval)]
    for number, text in zip(interval, printed, strict=True):
        assert abs(number - text) <= slack
    assert printed[0] <= printed[1] <= printed[2]
    assert printed[0] < printed[2]


@given(intervals())
def test_no_digit_is_printed_that_the_width_does_not_support(interval):
    width = interval[2] - interval[0]
    assume(width > 0.0)
    for text in figures(width, *interval):
        mantissa, _, power = text.partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(power or 0)
        # The last digit printed is worth a hundredth of the width or more; whole numbers are whole.
        assert 10.0**-decimals >= 0.00999 * width or decimals == 0 or text == "0"


@given(intervals())
def test_texts_are_short_and_have_no_minus_zero(interval):
    width = interval[2] - interval[0]
    assume(width > 0.0)
    for text in figures(width, *interval):
        assert len(text) <= 24
        assert not (float(text) == 0.0 and text.startswith("-"))


@pytest.mark.parametrize(
    ("width", "values", "texts"),
    [
        (1.71, (1980.47, 1979.71, 1981.42), ("1980.5", "1979.7", "1981.4")),
        (6.9, (0.4341, -2.318, 4.539), ("0.4", "-2.3", "4.5")),
        (300.0, (1980.4, 1850.0, 2150.0), ("1980", "1850", "2150")),
        (5000.0, (12345.6, 10012.0, 15034.0), ("12300", "10000", "15000")),
        (2e8, (1.23456e9, 1.13456e9, 1.33456e9), ("1.23e+09", "1.13e+09", "1.33e+09")),
        (2e-8, (3.3e-8, 2.31e-8, 4.3e-8), ("3.3e-08", "2.3e-08", "4.3e-08")),
        (2e-8, (1.00000003, 1.00000002, 1.00000004), ("1.000000030", "1.000000020", "1.000000040")),
        (0.0, (1980.4712, 1e9, 0.0), ("1980.47", "1e+09", "0")),
        (math.inf, (1.5, -math.inf, math.inf), ("1.5", "-inf", "inf")),
        (math.nan, (math.nan, 2.0), ("nan", "2")),
        (1.0, (-0.001, math.nan), ("0.0", "nan")),
    ],
)
def test_examples(width, values, texts):
    assert figures(width, *values) == texts


def test_percentages_and_standard_errors():
    assert percentages(0.05, 0.732, 0.701, 0.751) == ("73.2%", "70.1%", "75.1%")
    assert percentages(0.0, 1.0, 1.0, 1.0) == ("100%", "100%", "100%")
    assert with_error(12.3456, 1.23) == ("12.3", "1.2")
    assert with_error(12.3456, math.nan) == ("12.3456", "nan")
