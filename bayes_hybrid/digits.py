"""Numbers as text, with the digits that their interval or standard error supports."""

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["figures", "percentages", "with_error"]

_SIGNIFICANT: Final = 6
"""Digits of a number that no interval is about: what is printed of a constant."""

_WHOLE: Final = 1e6
"""From here on tens and more that are rounded away are written as a power of ten."""

_EXACT: Final = 1e15
"""Beyond it not every whole number is a float."""

_PLACES: Final = 6
"""More decimals than this are written as a power of ten where nothing precedes them."""


def figures(width: float, *values: float) -> tuple[str, ...]:
    """All ``values`` to one decimal place, at which ``width`` has two significant digits.

    The unit of the last digit lies between a hundredth and a tenth of the width, so what is printed
    of an interval's ends is off by at most a twentieth of it.  A width that is 0 or not finite says
    nothing; six significant digits are printed then.

    Args:
        width: of the interval that the values stand beside, or a standard error.
        values: the values, the interval's ends among them.

    Example:
        >>> figures(1981.42 - 1979.71, 1980.47, 1979.71, 1981.42)
        ('1980.5', '1979.7', '1981.4')
        >>> figures(0.0, 1980.471), figures(4.2e7, 1.234567e8)
        (('1980.47',), ('1.23e+08',))
    """
    if not math.isfinite(width) or width == 0.0:
        return tuple(_plain(value) for value in values)
    decimals = 1 - math.floor(math.log10(abs(width)))
    finite = [abs(value) for value in values if math.isfinite(value)]
    largest = max(finite, default=0.0)
    power = largest >= (_WHOLE if decimals < 0 else _EXACT)
    power |= largest < 10.0 ** (1 - _PLACES) and decimals > _PLACES
    return tuple(_rounded(value, decimals, power) for value in values)


def with_error(value: float, error: float) -> tuple[str, str]:
    """A value and its standard error, which has two significant digits.

    Example:
        >>> with_error(-4.19312, 0.0347)
        ('-4.193', '0.035')
    """
    value_text, error_text = figures(error, value, error)
    return value_text, error_text


def percentages(width: float, *shares: float) -> tuple[str, ...]:
    """Shares as percentages, see :func:`figures`.

    Example:
        >>> percentages(0.009, 0.9971, 0.9904, 0.9994)
        ('99.71%', '99.04%', '99.94%')
        >>> percentages(0.6, 0.731, 0.22, 0.82)
        ('73%', '22%', '82%')
    """
    scaled: Sequence[float] = [100.0 * share for share in shares]
    return tuple(f"{text}%" for text in figures(100.0 * width, *scaled))


def _plain(value: float) -> str:
    return f"{value + 0.0:.{_SIGNIFICANT}g}"


def _rounded(value: float, decimals: int, power: bool) -> str:
    if not math.isfinite(value):
        return f"{value:g}"
    value = round(value, decimals) + 0.0  # no minus zero
    if not power:
        return f"{value:.{max(decimals, 0)}f}"
    if value == 0.0:
        return "0"
    return f"{value:.{max(math.floor(math.log10(abs(value))) + decimals, 0)}e}"
