"""Simulated families with a known truth: which part of a method pays off on which kind of data?

The package's own families (:func:`bayes_hybrid.data.simulate`) give learning curves; the others ask
for noise that changes, several thresholds, several features and three regimes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import softmax

from bayes_hybrid.data import FAMILIES
from bayes_hybrid.data.simulators import SWITCH_POINT
from bayes_hybrid.random import spawn_seeds
from benchmarks.tasks.base import Data, Rows, Task, Vector

SIZES = (25, 50, 100, 200, 400, 800, 1_600, 3_200)
WIDE_SIZES = (100, 400)
TEST_ROWS = 1_000
STRIP_ROWS = 300
# Distances from the end of feature 0's range, in widths of that range.
STRIPS = {"10%": (0.0, 0.1), "25%": (0.1, 0.25)}
THREE_STEPS = (-1.0, SWITCH_POINT, 1.2)
Levels = Callable[[np.ndarray, np.random.Generator], tuple[Vector, Vector]]


@dataclass(frozen=True, kw_only=True)
class Law:
    """``y = level + noise * growth**x_0 * eps``: uniform features, eps standard Normal.

    Args:
        about: the level as a formula; "simulate" is the package's own.
        levels: from features ``[N, D]`` and a generator to each row's level and regime, ``[N]``.
        average: from features to the mean level; needed where ``levels`` uses the generator.
        low: lower end of each feature.
        high: upper end of each feature.
        noise: standard deviation, in the units of y.
        growth: factor of the noise per unit of feature 0.
        thresholds: where the mean jumps or bends, along feature 0.
        ends: ends of feature 0 that the law goes on beyond: -1 the lower one, 1 the upper one.
    """

    about: str
    levels: Levels
    average: Callable[[np.ndarray], Vector] | None = None
    low: tuple[float, ...] = (-2.0,)
    high: tuple[float, ...] = (2.0,)
    noise: float = 0.1
    growth: float = 1.0
    thresholds: tuple[float, ...] = ()
    ends: tuple[int, ...] = (-1, 1)

    def mean(self, x: np.ndarray) -> Vector:
        """True mean at features ``[N, D]``, ``[N]``."""
        if self.average is not None:
            return self.average(x)
        return self.levels(x, np.random.default_rng(0))[0]  # the generator is not used

    def draw(self, num_rows: int, seed: int) -> Data:
        """One data set: training rows, test rows and strips have a stream of numbers each.

        The strips start where the law's range ends, so they are the same at every ``num_rows``.
        """
        train, test, *strips = map(np.random.default_rng, spawn_seeds(seed, 2 + len(STRIPS)))
        test_rows, regimes = self._rows(self._inside(TEST_ROWS, test), test)
        beyond = {}
        for (name, between), rng in zip(STRIPS.items(), strips, strict=True):
            beyond[name] = self._rows(self._outside(*between, rng), rng)[0]
        return Data(
            train=self._rows(self._inside(num_rows, train), train)[0],
            test=test_rows,
            beyond=beyond,
            mean=self.mean,
            thresholds=self.thresholds,
            regimes=regimes if regimes.any() else None,
        )

    def _inside(self, num_rows: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, (num_rows, len(self.low)))

    def _outside(self, near: float, far: float, rng: np.random.Generator) -> np.ndarray:
        x = self._inside(STRIP_ROWS, rng)
        low, high = self.low[0], self.high[0]
        distance = rng.uniform(near, far, STRIP_ROWS) * (high - low)
        upper = rng.choice(self.ends, STRIP_ROWS) > 0
        x[:, 0] = np.where(upper, high + distance, low - distance)
        return x

    def _rows(self, x: np.ndarray, rng: np.random.Generator) -> tuple[Rows, Vector]:
        levels, regimes = self.levels(x, rng)
        scale = self.noise * self.growth ** x[:, 0]
        return Rows(x=x, y=levels + scale * rng.standard_normal(len(x))), regimes


# -- levels and regimes


def package(family: str, x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """A family of the package, along feature 0."""
    return FAMILIES[family](x[:, 0], rng)


def two_branch_mean(x: np.ndarray) -> Vector:
    """``sin 2x``; above 0 its mean with the branch at -1.5, which has probability 0.3."""
    branch = 0.3 * (x[:, 0] > 0)
    mean: Vector = (1 - branch) * np.sin(2 * x[:, 0]) + branch * -1.5
    return mean


def three_steps(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """``sin 2x``, and 1.5 more between the first two thresholds and after the third."""
    regimes = np.searchsorted(THREE_STEPS, x[:, 0], side="right") % 2
    return np.sin(2 * x[:, 0]) + 1.5 * regimes, regimes


def step_across(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """``sin 2x_1 + 1.5 [x_0 >= 0.3]``; further features change nothing."""
    after = x[:, 0] >= SWITCH_POINT
    return np.sin(2 * x[:, 1]) + 1.5 * after, after.astype(int)


def three_levels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability and level of each of three regimes, ``[N, 3]`` each."""
    x = x[:, 0]
    weights = softmax(np.stack([-1.5 * x, 0 * x, 1.5 * x], axis=1), axis=1)
    return weights, np.stack([np.sin(2 * x), 1.5 - 0.5 * x, np.full_like(x, -1.5)], axis=1)


def three_regimes(x: np.ndarray, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """A regime by its probability, and its level."""
    weights, levels = three_levels(x)
    regimes = (rng.random((len(x), 1)) > weights.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return np.take_along_axis(levels, regimes[:, None], axis=1)[:, 0], regimes


def three_regimes_mean(x: np.ndarray) -> Vector:
    """Levels times probabilities, summed."""
    weights, levels = three_levels(x)
    mean: Vector = np.sum(weights * levels, axis=1)
    return mean


LAWS = {
    "smooth": Law(about="sin 2x + 0.3x (simulate)", levels=partial(package, "smooth")),
    "step": Law(
        about="sin 2x + 1.5 [x >= 0.3] (simulate)",
        levels=partial(package, "step"),
        thresholds=(SWITCH_POINT,),
    ),
    "kink": Law(
        about="sin 2x below 0.3, from there a line of slope 2.5 (simulate)",
        levels=partial(package, "kink"),
        thresholds=(SWITCH_POINT,),
    ),
    "two_branch": Law(
        about="sin 2x; where x > 0, -1.5 with probability 0.3 (simulate)",
        levels=partial(package, "two_branch"),
        average=two_branch_mean,
        thresholds=(0.0,),
    ),
    "hetero": Law(
        about="sin 2x + 0.3x, noise sd 0.1 * 2**x", levels=partial(package, "smooth"), growth=2.0
    ),
    "three_steps": Law(
        about="sin 2x, and 1.5 more on [-1, 0.3) and from 1.2",
        levels=three_steps,
        thresholds=THREE_STEPS,
    ),
    "three_regimes": Law(
        about="sin 2x, 1.5 - 0.5x or -1.5, with probabilities softmax(-1.5x, 0, 1.5x)",
        levels=three_regimes,
        average=three_regimes_mean,
    ),
    "step_2d": Law(
        about="sin 2x_1 + 1.5 [x_0 >= 0.3]",
        levels=step_across,
        low=(-2.0,) * 2,
        high=(2.0,) * 2,
        thresholds=(SWITCH_POINT,),
    ),
    "step_10d": Law(
        about="sin 2x_1 + 1.5 [x_0 >= 0.3], and eight features that change nothing",
        levels=step_across,
        low=(-2.0,) * 10,
        high=(2.0,) * 10,
        thresholds=(SWITCH_POINT,),
    ),
}

TASKS = tuple(
    Task(name=f"ablation/{family}/{size}", about=law.about, draw=partial(law.draw, size))
    for family, law in LAWS.items()
    for size in (SIZES if len(law.low) == 1 else WIDE_SIZES)
)
