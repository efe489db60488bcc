"""What every peer needs: a fit that changes nothing global, and standardised data."""

import io
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyro
import torch

from bayes_hybrid.random import seeded
from benchmarks.methods.base import Vector
from benchmarks.methods.predictives import NormalMixture, Normals


@contextmanager
def apart(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch, silence warnings and prints, and put all back afterwards."""
    dtype, python = torch.get_default_dtype(), random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002 (some peers draw from it)
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        np.errstate(),
        seeded(seed, torch.device("cpu")),
        pyro.get_param_store().scope(),
    ):
        warnings.simplefilter("ignore")
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@dataclass(frozen=True)
class Scales:
    """Means and standard deviations of features and target, which standardise them."""

    x_mean: Vector
    x_sd: Vector
    y_mean: float
    y_sd: float

    @classmethod
    def of(cls, x: np.ndarray, y: Vector) -> Self:
        """Those of the training rows; a column that is constant is only centred."""
        sd = x.std(0)
        return cls(x.mean(0), np.where(sd > 0.0, sd, 1.0), float(y.mean()), float(y.std()) or 1.0)

    def x(self, x: np.ndarray) -> np.ndarray:
        return np.asarray((x - self.x_mean) / self.x_sd)

    def y(self, y: Vector) -> Vector:
        return np.asarray((y - self.y_mean) / self.y_sd)

    def predictive(self, normals: Callable[[np.ndarray], Normals]) -> NormalMixture:
        """From Normals of standardised y at standardised x: the mixture in the units of y."""

        def in_units(x: np.ndarray) -> Normals:
            weights, means, sds = normals(self.x(x))
            return weights, self.y_mean + self.y_sd * means, self.y_sd * sds

        return NormalMixture(in_units)


def held_out(num_rows: int, seed: int) -> np.ndarray:
    """Mask of the random fifth of the rows that says when to stop early."""
    order = np.random.default_rng(seed).permutation(num_rows)
    return np.asarray(order < max(1, num_rows // 5))
