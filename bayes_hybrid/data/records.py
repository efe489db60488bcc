"""JSON that is decoded by a schema, or refused in one sentence."""

from typing import Any, Final, Literal, TypeVar

import msgspec
import numpy as np

from bayes_hybrid.errors import FileFormatError

__all__ = ["Number", "decode_json", "encode_json", "from_numbers", "shortened", "to_numbers"]

_T = TypeVar("_T")

Number = float | Literal["nan", "inf", "-inf"]
"""A float64 as JSON takes it: JSON has no word for what is not finite."""

_LONGEST: Final = 300


def decode_json(content: bytes, kind: type[_T]) -> _T:
    """An object out of its JSON, every field of the type and range that its class states.

    Args:
        content: the JSON.
        kind: a :class:`msgspec.Struct`, a dataclass, or a type of the standard library.

    Raises:
        FileFormatError: no JSON, nested too deeply, or not of that form.

    Example:
        >>> decode_json(b"[1, 2]", tuple[int, int])
        (1, 2)
        >>> decode_json(b"[1, 2.5]", tuple[int, int])
        Traceback (most recent call last):
        bayes_hybrid.errors.FileFormatError: Expected `int`, got `float` - at `$[1]`
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError:
        raise FileFormatError("it is nested too deeply") from None
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise FileFormatError(shortened(error)) from error


def encode_json(value: Any, *, indent: int = 1) -> bytes:  # noqa: ANN401 (whatever JSON takes)
    """JSON that :func:`decode_json` reads back to the same bits; no NaN, see :data:`Number`."""
    return msgspec.json.format(msgspec.json.encode(value), indent=indent) + b"\n"


def to_numbers(values: Any) -> tuple[Number, ...]:  # noqa: ANN401 (a sequence or an array)
    """Floats as JSON takes them.

    Example:
        >>> to_numbers([0.5, float("inf")])
        (0.5, 'inf')
    """
    flat = [float(value) for value in values]
    return tuple(value if np.isfinite(value) else str(value) for value in flat)  # type: ignore[misc]


def from_numbers(values: tuple[Number, ...]) -> tuple[float, ...]:
    """The floats that :func:`to_numbers` wrote."""
    return tuple(map(float, values))


def shortened(error: object) -> str:
    r"""What an error says, on one line of bounded length: it may quote a whole file.

    Example:
        >>> shortened("a\nb")
        'a b'
    """
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
