"""Checks of settings: each returns the checked value or raises :class:`OptionError`.

Every message says what was expected, what it got, and, where it is known, what to do.
"""

import difflib
import math
import operator
from collections.abc import Collection, Sequence
from numbers import Real
from typing import Final, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hybrid.errors import OptionError

__all__ = [
    "NEAREST",
    "central",
    "choice",
    "column",
    "finite_float",
    "fraction",
    "instance",
    "name_or_index",
    "positive_float",
    "positive_int",
    "positive_int_or_auto",
    "probabilities",
    "suggestion",
]

_T = TypeVar("_T")

NEAREST: Final = 1e-12
"""The least probability that a quantile leaves on either side.  Means of probabilities are rounded
by some 1e-15, a thousandth of it; and no fit knows more of such a tail."""


def suggestion(value: object, options: Collection[str]) -> str:
    """The words ``"; did you mean 'b'?"`` when an option is close to ``value``, or nothing.

    Args:
        value: what was typed; case does not matter, and anything but text has no near option.
        options: what could have been meant.

    Example:
        >>> suggestion("Relue", ["linear", "relu"])
        "; did you mean 'relu'?"
        >>> suggestion("markov", ["linear", "relu"])
        ''
    """
    if not isinstance(value, str):
        return ""
    by_folded = {option.casefold(): option for option in options}
    near = difflib.get_close_matches(value.casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""


def choice(name: str, value: str, options: Sequence[str]) -> str:
    """``value``, which has to be one of ``options``.

    Args:
        name: the setting, as its user writes it.
        value: the value to check.
        options: what it may be, in the order in which the message lists them.

    Raises:
        OptionError: ``value`` is none of them; the message names the nearest one.

    Example:
        >>> choice("gate", "relu", ["linear", "relu"])
        'relu'
        >>> choice("gate", "rellu", ["linear", "relu"])
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: gate must be one of 'linear', 'relu'; got 'rellu';
            did you mean 'relu'?
    """
    # Only text is compared, because an array compared with text gives an array, not an answer.
    if isinstance(value, str) and value in options:
        return value
    listed = ", ".join(repr(option) for option in options)
    raise OptionError(f"{name} must be one of {listed}; got {value!r}{suggestion(value, options)}")


def name_or_index(name: str, value: int | str) -> int | str:
    """``value``, which has to say a column: by its name, or by its index from 0 on."""
    return value if isinstance(value, str) else positive_int(name, value, minimum=0)


def column(name: str, value: int | str, num_columns: int, names: Sequence[str] = ()) -> int:
    """The index of a column.

    Args:
        name: of the setting.
        value: the column's name or index.
        num_columns: D.
        names: of the D columns; empty where they have none.

    Raises:
        OptionError: there is no such column.

    Example:
        >>> column("feature", "age", 2, ["dose", "age"])
        1
    """
    if isinstance(value, str):
        if not names:
            raise OptionError(
                f"{name}={value!r} is the name of a column, but the columns have no names; "
                f"expected an index below {num_columns}"
            )
        return list(names).index(choice(name, value, names))
    if value >= num_columns:
        raise OptionError(
            f"{name}: expected an index below {num_columns}, the number of columns; "
            f"got {value}; the first column is 0"
        )
    return int(value)  # NumPy's integers are no int, and would not be found again


def instance(name: str, value: _T, *kinds: type) -> _T:
    """``value``, which has to be an instance of one of ``kinds``.

    Raises:
        OptionError: of another type.

    Example:
        >>> instance("noise", 0.2, dict)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: noise must be a dict; got 0.2, of type float
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise OptionError(
            f"{name} must be a {wanted}; got {value!r}, of type {type(value).__name__}"
        )
    return value


def positive_int(name: str, value: SupportsIndex, *, minimum: int = 1) -> int:
    """``value`` as a Python ``int``, which has to be a whole number ``>= minimum``.

    NumPy integers pass; ``bool`` does not, because ``num_regimes=True`` is a mistake; nor does a
    ``float`` such as 8.0.

    Raises:
        OptionError: not an integer, or below ``minimum``.

    Example:
        >>> positive_int("num_regimes", 3, minimum=2)
        3
        >>> positive_int("num_regimes", 1, minimum=2)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: num_regimes must be an integer >= 2; got 1
    """
    wanted = f"{name} must be an integer >= {minimum}; got {value!r}"
    if isinstance(value, bool | np.bool_):
        raise OptionError(f"{wanted}, a bool")
    try:
        whole = operator.index(value)
    except TypeError:
        raise OptionError(f"{wanted}, of type {type(value).__name__}") from None
    if whole < minimum:
        raise OptionError(wanted)
    return whole


def positive_int_or_auto(name: str, value: SupportsIndex | str) -> int | str:
    """``"auto"``, or ``value`` as a Python ``int``, which has to be a whole number of 1 or more.

    Raises:
        OptionError: neither.

    Example:
        >>> positive_int_or_auto("num_units", "auto")
        'auto'
        >>> positive_int_or_auto("num_units", "32")
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: num_units must be a positive integer or 'auto'; got '32',
            which is text
    """
    if not isinstance(value, str):
        return positive_int(name, value)
    if value == "auto":
        return value
    raise OptionError(
        f"{name} must be a positive integer or 'auto'; got {value!r}, which is text"
        f"{suggestion(value, ('auto',))}"
    )


def positive_float(name: str, value: float, *, closed: bool = False) -> float:
    """``value`` as a Python ``float``, which has to be finite and above 0.

    Args:
        name: the setting, as its user writes it.
        value: the value to check.
        closed: whether 0 itself is allowed.

    Raises:
        OptionError: not a real number, not finite, negative, or 0 where that is not allowed.

    Example:
        >>> positive_float("noise_floor", 1)
        1.0
        >>> positive_float("noise_floor", -0.5)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: noise_floor must be a finite number > 0; got -0.5
    """
    wanted = f"{name} must be a finite number {'>=' if closed else '>'} 0; got {value!r}"
    number = _real(wanted, value)
    if not (math.isfinite(number) and (number > 0.0 or (closed and number == 0.0))):
        raise OptionError(wanted)
    return number


def finite_float(name: str, value: float) -> float:
    """``value`` as a Python ``float``, which has to be finite.

    Raises:
        OptionError: not a real number, or not finite.

    Example:
        >>> finite_float("mean", -2)
        -2.0
    """
    wanted = f"{name} must be a finite number; got {value!r}"
    number = _real(wanted, value)
    if not math.isfinite(number):
        raise OptionError(wanted)
    return number


def fraction(name: str, value: float, *, closed: bool = False) -> float:
    """``value`` as a Python ``float``, which has to lie between 0 and 1.

    Args:
        name: the setting, as its user writes it.
        value: the value to check.
        closed: whether 0 and 1 themselves are allowed.

    Raises:
        OptionError: not a real number, or outside; above 1 the message asks whether a percentage
            was meant.

    Example:
        >>> fraction("prob", 0.9)
        0.9
        >>> fraction("held_out", 0, closed=True)
        0.0
        >>> fraction("prob", 90)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: prob must lie strictly between 0 and 1; got 90;
            for a percentage, divide by 100
    """
    bounds = "between 0 and 1, ends included" if closed else "strictly between 0 and 1"
    wanted = f"{name} must lie {bounds}; got {value!r}"
    number = _real(wanted, value)
    inside = 0.0 <= number <= 1.0 if closed else 0.0 < number < 1.0
    if not inside:
        percentage = "; for a percentage, divide by 100" if 1.0 < number <= 100.0 else ""
        raise OptionError(wanted + percentage)
    return number


def probabilities(probs: ArrayLike, *, name: str = "probs") -> NDArray[np.float64]:
    """Probability levels ``[Q]`` as float64, each from 1e-12 to 1 - 1e-12, in the given order.

    The quantile of a Normal at 0 or 1 is infinite, and nearer to them than 1e-12 (:data:`NEAREST`)
    the rounding of a sum of probabilities is no longer small beside the level.

    Args:
        probs: ``Q >= 1`` numbers; a single number is refused, so that the shape of a result never
            depends on how its argument was written.
        name: the setting, as its user writes it.

    Raises:
        OptionError: not a flat, non-empty list of numbers from 1e-12 to 1 - 1e-12, or some of them
            are masked.

    Example:
        >>> probabilities([0.05, 0.5, 0.95])
        array([0.05, 0.5 , 0.95])
        >>> probabilities([0.5, 1.0])
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: probs[1] must lie strictly between 0 and 1; got 1.0
    """
    wanted = f"{name} must be a flat list of numbers strictly between 0 and 1, such as [0.05, 0.95]"
    parts = probs if isinstance(probs, list | tuple) else [probs]
    if any(np.ma.is_masked(part) for part in parts):  # NumPy would read through the mask
        raise OptionError(f"{wanted}; some of it is masked: leave those levels out")
    try:
        levels = np.array(probs, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{wanted}; got {probs!r}") from None
    if levels.ndim != 1 or levels.size == 0:
        raise OptionError(f"{wanted}; got {probs!r}, of shape {levels.shape}")
    for index, level in enumerate(levels.tolist()):
        if _near_end(fraction(f"{name}[{index}]", level)):
            raise OptionError(
                f"{name}[{index}] must keep {NEAREST:g} away from 0 and 1, because float64 rounds "
                f"the probabilities beyond; got {level!r}"
            )
    return levels


def central(name: str, prob: float) -> tuple[float, float]:
    """The ends of the central interval, the levels ``(1 - prob) / 2`` and ``(1 + prob) / 2``.

    Args:
        name: the setting, as its user writes it.
        prob: the probability inside.

    Raises:
        OptionError: not strictly between 0 and 1, or so near to 1 that the ends are no levels for
            :func:`probabilities`.

    Example:
        >>> central("prob", 0.5)
        (0.25, 0.75)
        >>> central("prob", 1.0 - 1e-15)
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: prob must be 1 - 2e-12 at most, because float64 rounds the
            probabilities outside; got 0.999999999999999
    """
    tail = (1.0 - fraction(name, prob)) / 2.0
    if _near_end(tail):
        raise OptionError(
            f"{name} must be 1 - {2.0 * NEAREST:g} at most, because float64 rounds the "
            f"probabilities outside; got {prob!r}"
        )
    return tail, 1.0 - tail


def _near_end(level: float) -> bool:
    # A level near 1 is itself rounded, by 1e-16.
    return min(level, 1.0 - level) < 0.999 * NEAREST


def _real(wanted: str, value: object) -> float:
    """``value`` as a ``float``; text, ``None``, ``bool`` and arrays are refused."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise OptionError(f"{wanted}, of type {type(value).__name__}")
    return float(value)
