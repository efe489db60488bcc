"""Real tables: the 20 standard splits of four UCI tables, random splits of others.

A folder holds ``uci/NAME.csv`` with ``uci/NAME_test_index.csv`` (one split a column, rows from 0),
``physics/airfoil_self_noise.csv`` and further ``tables/*.csv``.  The last column is the target.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.tasks.base import Data, Rows, Task

UCI = ("boston", "concrete", "kin8nm", "power")
UCI_ABOUT = "UCI {}, the 20 splits of Gal & Ghahramani (2016)"
AIRFOIL_ABOUT = "UCI airfoil self-noise, dB (Brooks, Pope & Marcolini 1989), random splits"
TEST_SHARE = 0.1


def divide(table: np.ndarray, chosen: np.ndarray) -> tuple[Rows, Rows]:
    """Training and test rows; ``chosen`` are the numbers of the test rows."""
    test = np.zeros(len(table), dtype=bool)
    test[chosen] = True
    x, y = table[:, :-1], table[:, -1]
    return Rows(x=x[~test], y=y[~test]), Rows(x=x[test], y=y[test])


def uci_split(data: Path, name: str, split: int) -> tuple[Rows, Rows]:
    """Training and test rows of one of the standard splits of a UCI table.

    Raises:
        IndexError: there is no such split.
    """
    index = pd.read_csv(data / "uci" / f"{name}_test_index.csv")
    if not 0 <= split < index.shape[1]:
        raise IndexError(f"{name}: expected a split from 0 to {index.shape[1] - 1}; got {split}")
    table = pd.read_csv(data / "uci" / f"{name}.csv").to_numpy(float)
    return divide(table, index.iloc[:, split].dropna().to_numpy(int))


def random_split(path: Path, seed: int) -> tuple[Rows, Rows]:
    """Training and test rows of a table, 90% and 10%, drawn by the seed."""
    table = pd.read_csv(path).to_numpy(float)
    order = np.random.default_rng(seed).permutation(len(table))
    return divide(table, order[: round(TEST_SHARE * len(table))])


def draw(split: Callable[[int], tuple[Rows, Rows]], seed: int) -> Data:
    """The data set of one split."""
    train, test = split(seed)
    return Data(train=train, test=test)


def tasks(data: Path) -> tuple[Task, ...]:
    """A task for each table found in ``data``; the seed is the number of the split."""
    found = []
    for name in UCI:
        if (data / "uci" / f"{name}.csv").exists():
            found.append((name, UCI_ABOUT.format(name), partial(uci_split, data, name)))
    airfoil = data / "physics" / "airfoil_self_noise.csv"
    if airfoil.exists():
        found.append(("airfoil", AIRFOIL_ABOUT, partial(random_split, airfoil)))
    for path in sorted((data / "tables").glob("*.csv")):
        found.append((path.stem, f"{path.name}, random splits", partial(random_split, path)))
    return tuple(Task(name=f"tables/{n}", about=a, draw=partial(draw, s)) for n, a, s in found)
