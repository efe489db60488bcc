"""Settings objects as plain JSON values, and back."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from bayes_hybrid.data.records import shortened
from bayes_hybrid.errors import FileFormatError, OptionError

__all__ = ["decode", "encode"]

Find = Callable[[str], Callable[..., object] | None]

# A fit's options hold a plan, this its stages, and these their rates: with the lists between them
# eight levels.
_DEEPEST: Final = 20


def encode(value: object, classes: Mapping[str, type]) -> Any:  # noqa: ANN401 (JSON values)
    """Settings as plain JSON values: a settings object becomes its class name and its fields.

    Args:
        value: text, numbers, booleans, ``None``, settings objects, or sequences of them.
        classes: the settings classes that may occur, by name.

    Raises:
        OptionError: anything else, or a number that is not finite; only the package's own settings
            can be read back.

    Example:
        >>> from bayes_hybrid.gates import ReLUGate
        >>> encode((ReLUGate(num_units=4), None), {"ReLUGate": ReLUGate})
        [{'type': 'ReLUGate', 'num_units': 4}, None]
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"a fit with the setting {value!r} cannot be saved: it is not finite")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [encode(item, classes) for item in value]
    name = next((name for name, kind in classes.items() if kind is type(value)), None)
    if name is not None and dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {"type": name} | {
            field.name: encode(getattr(value, field.name), classes) for field in fields
        }
    raise OptionError(
        f"a fit with {value!r} cannot be saved: expected text, numbers or settings of this "
        f"package, got {type(value).__module__}.{type(value).__name__}"
    )


def decode(data: Any, find: Find) -> Any:  # noqa: ANN401 (any setting)
    """Settings from what :func:`encode` made of them; sequences come back as tuples.

    Each settings class checks its own fields.

    Args:
        data: plain JSON values.
        find: the settings class of a name, or ``None`` where that may not occur.

    Raises:
        FileFormatError: a class that is not found, fields or values that it does not take, or more
            than twenty levels.

    Example:
        >>> from bayes_hybrid.gates import ReLUGate
        >>> decode([{"type": "ReLUGate", "num_units": 4}], {"ReLUGate": ReLUGate}.get)
        (ReLUGate(num_units=4),)
    """
    return _decode(data, find, 0)


def _decode(data: Any, find: Find, depth: int) -> Any:  # noqa: ANN401
    if depth > _DEEPEST:
        raise FileFormatError(f"the saved fit has settings of more than {_DEEPEST} levels")
    if isinstance(data, list):
        return tuple(_decode(item, find, depth + 1) for item in data)
    if not isinstance(data, dict):
        return data
    name = data.get("type")
    kind = find(name) if isinstance(name, str) else None
    if kind is None:
        raise FileFormatError(f"the saved fit has {_unknown(name)}")
    fields = {key: _decode(item, find, depth + 1) for key, item in data.items() if key != "type"}
    try:
        return kind(**fields)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FileFormatError(
            f"the saved fit has a {name} that this version does not take: {shortened(error)}; "
            "load it with the version that wrote it"
        ) from error


def _unknown(name: object) -> str:
    """What a class is that cannot be found, and what to do."""
    shown = shortened(repr(name))
    if isinstance(name, str) and ":" in name:
        module = shortened(name.partition(":")[0])
        what = "define it" if module == "__main__" else f"import {module}"
        return (
            f"a part from outside the package, {shown}, which is not registered; {what} first, "
            "where @bayes_hybrid.register makes it known"
        )
    return (
        f"the setting {shown}, which this version does not know; load it with the version that "
        "wrote it"
    )
