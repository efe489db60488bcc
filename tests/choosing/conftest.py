"""Two small tables, and one search of each that the tests share."""

import numpy as np
import pytest

from bayes_hybrid import HMC, FitOptions, HybridRegressor, Variational, WarmStart, choose

# Curves of few parameters: seconds for a search, and modes that are those of a long fit.
OPTIONS = FitOptions(
    num_restarts=4,
    warm_start=WarmStart(max_steps=400, learning_rate=0.1, patience=4, num_cuts=0),
    variational=Variational(num_steps=100, kl_weights=(0.0,), num_draws=30),
    # Without it k-hats are large, and every search goes on with folds.
    sampler=HMC(num_warmup=60, num_iterations=30, num_leapfrog=5),
    compile="never",
)
BASE = HybridRegressor(fit_options=OPTIONS, random_state=0, progress=False)


def one_line(num_rows=80, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 10.0, num_rows)
    return x[:, None], 2.0 + 0.7 * x + 0.5 * rng.normal(size=num_rows)


def two_lines(num_rows=80, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 10.0, num_rows)
    return x[:, None], np.where(x < 4.0, 1.0 + x, 12.0 - x) + 0.4 * rng.normal(size=num_rows)


@pytest.fixture(scope="session")
def enough(tmp_path_factory):
    """Folder and answer of a search where one line has made the rows."""
    folder = tmp_path_factory.mktemp("choices") / "one"
    return folder, choose(*one_line(), base=BASE, experts=["line"], folder=folder)


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """Folder and answer of a search where two lines have."""
    folder = tmp_path_factory.mktemp("choices") / "two"
    return folder, choose(*two_lines(), base=BASE, experts=["line"], max_regimes=2, folder=folder)
