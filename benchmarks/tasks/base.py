"""What a prediction task is: a way to draw data sets, and what is known of the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Vector = np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Features ``x [N, D]`` and targets ``y [N]``."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Data:
    """One data set.

    Args:
        train: the rows that a method may see.
        test: new rows of the same distribution.
        beyond: rows outside the training range of a feature, by how far: ``"10%"``, ``"25%"``.
        mean: the true mean, from features ``[N, D]`` to ``[N]``; ``None`` where nobody knows it.
        along: number of the feature that derivatives and thresholds are along.
        thresholds: values of that feature where the mean jumps or bends.
        regimes: number of the true regime of each test row, ``[N]``; ``None`` where there are none.
        layer: whether each test row is in a boundary layer, ``[N]``; ``None`` where there is none.
    """

    train: Rows
    test: Rows
    beyond: Mapping[str, Rows] = field(default_factory=dict)
    mean: Callable[[np.ndarray], Vector] | None = None
    along: int = 0
    thresholds: tuple[float, ...] = ()
    regimes: Vector | None = None
    layer: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """Data sets of one kind.

    Args:
        name: ``suite/task`` or ``suite/task/size``.
        about: what it is, in one sentence, with its source.
        draw: the data set of a seed; the same seed gives the same numbers.
    """

    name: str
    about: str
    draw: Callable[[int], Data]
