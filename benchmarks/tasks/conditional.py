"""Small programs with conditions, seen through noise: where does behaviour change?"""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.tasks.ablation import Law
from benchmarks.tasks.base import Task, Vector

ROWS = {1: 150, 2: 200}  # by the number of features
PERIOD = 1.3

# Tax on residents' income in Australia, 2020-21 to 2023-24, without the Medicare levy, in thousand
# dollars (Australian Taxation Office, "Tax rates - Australian residents").  The noise of 500
# dollars, and that of 50 rupees below, are made up.
TAX_EDGES = (18.2, 45.0, 120.0, 180.0)
TAX_RATES = (0.19, 0.325, 0.37, 0.45)

# A month's electricity for a home in Sri Lanka, kWh and rupees (Public Utilities Commission of Sri
# Lanka, "Approved Tariff for Domestic Consumers - 2014").  Who uses more than 60 kWh pays more for
# the first 60, too.
TARIFF_EDGES = (30.0, 60.0, 90.0, 120.0, 180.0)
FIXED_CHARGES = (30.0, 60.0, 90.0, 480.0, 480.0, 540.0)
LOW_USE = ((0.0, 30.0), (2.5, 4.85))
HIGH_USE = ((0.0, 60.0, 90.0, 120.0, 180.0), (7.85, 10.0, 27.75, 32.0, 45.0))


def only(
    program: Callable[[np.ndarray], Vector], x: np.ndarray, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Levels of a program that has one regime."""
    return program(x), np.zeros(len(x), dtype=int)


def in_blocks(amount: Vector, edges: tuple[float, ...], rates: tuple[float, ...]) -> Vector:
    """Each part of the amount at the rate of its block, summed; block k starts at ``edges[k]``."""
    return np.maximum(amount[:, None] - edges, 0.0) @ np.diff(rates, prepend=0.0)


def if_else(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Two formulas, by a condition on a."""
    a, b = x.T
    met = a < 0.5
    return np.where(met, np.sin(2 * a) + 0.5 * b, 1.5 - 0.8 * b), (~met).astype(int)


def clamp(x: np.ndarray) -> Vector:
    """A line that stops at two levels."""
    return (2 * x[:, 0]).clip(-1.0, 1.5)


def absolute(x: np.ndarray) -> Vector:
    """An absolute value within another: a W."""
    return abs(abs(1.5 * x[:, 0]) - 1.2)


def modulo(x: np.ndarray) -> Vector:
    """A sawtooth."""
    return x[:, 0] % PERIOD


def income_tax(x: np.ndarray) -> Vector:
    """Tax on an income, both in thousand dollars."""
    return in_blocks(x[:, 0], TAX_EDGES, TAX_RATES)


def electricity_bill(x: np.ndarray) -> Vector:
    """Rupees for a month's kWh; each block's fixed charge replaces the one before."""
    use = x[:, 0]
    energy = np.where(use <= 60, in_blocks(use, *LOW_USE), in_blocks(use, *HIGH_USE))
    bill: Vector = energy + np.take(FIXED_CHARGES, np.searchsorted(TARIFF_EDGES, use))
    return bill


def lower_plane(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """The lower of two planes, which meet at a = 0.4."""
    a, b = x.T
    planes = np.stack([a + 0.5 * b, 0.8 - a + 0.5 * b])
    return planes.min(axis=0), planes.argmin(axis=0)


def switch(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """One of four formulas, by a condition on each feature."""
    a, b = x.T
    case = 2 * (a >= 0.3) + (b >= -0.4)
    return np.choose(case, [np.sin(2 * a), b, np.full_like(a, 1.5), 0.5 * a * b - 1.5]), case


_LOW, _HIGH = (-2.0, -2.0), (2.0, 2.0)
LAWS = {
    "if_else": Law(
        about="Two formulas: sin 2a + b / 2 if a < 0.5 else 1.5 - 0.8b",
        levels=if_else,
        low=_LOW,
        high=_HIGH,
        thresholds=(0.5,),
    ),
    "clamp": Law(
        about="A line that stops: min(max(2x, -1), 1.5)",
        levels=partial(only, clamp),
        thresholds=(-0.5, 0.75),
    ),
    "absolute": Law(
        about="A W: ||1.5x| - 1.2|", levels=partial(only, absolute), thresholds=(-0.8, 0.0, 0.8)
    ),
    "modulo": Law(
        about="A sawtooth: x % 1.3", levels=partial(only, modulo), thresholds=(-PERIOD, 0.0, PERIOD)
    ),
    "tax_brackets": Law(
        about="Tax on residents' income in Australia, 2023-24, thousand dollars (Australian "
        "Taxation Office)",
        levels=partial(only, income_tax),
        low=(0.0,),
        high=(240.0,),
        noise=0.5,
        thresholds=TAX_EDGES,
        ends=(1,),
    ),
    "tariff": Law(
        about="A month's electricity bill by kWh in Sri Lanka, rupees (Public Utilities Commission "
        "of Sri Lanka, domestic tariff of 2014)",
        levels=partial(only, electricity_bill),
        low=(0.0,),
        high=(240.0,),
        noise=50.0,
        thresholds=TARIFF_EDGES,
        ends=(1,),
    ),
    "min_max": Law(
        about="The lower of two planes: min(a + b / 2, 0.8 - a + b / 2)",
        levels=lower_plane,
        low=_LOW,
        high=_HIGH,
        thresholds=(0.4,),
    ),
    "switch_2d": Law(
        about="Four formulas, by a >= 0.3 and b >= -0.4: sin 2a, b, 1.5 and ab / 2 - 1.5",
        levels=switch,
        low=_LOW,
        high=_HIGH,
        thresholds=(0.3,),
    ),
}

TASKS = tuple(
    Task(name=f"conditional/{name}", about=law.about, draw=partial(law.draw, ROWS[len(law.low)]))
    for name, law in LAWS.items()
)
