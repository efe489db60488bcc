"""The package's estimator as benchmarks use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart

# Fits of half a second: whether a benchmark runs at all, its figures mean nothing.
_TINY: Final = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=10),
    variational=Variational(num_steps=5, selection_steps=5, kl_weights=(0.0,), num_draws=10),
    sampler=None,
    compile="never",
)
_quick: list[bool] = []


@contextmanager
def quick(wanted: bool) -> Iterator[None]:
    """Within it, :func:`regressor` takes a tiny budget, whatever it is told."""
    if wanted:
        _quick.append(True)
    try:
        yield
    finally:
        if wanted:
            _quick.pop()


def regressor(**settings: Any) -> HybridRegressor:
    """An estimator without a progress bar; the defaults but for ``settings``."""
    if _quick:
        # Experts that are a Pathway have their own number of units.
        small = {} if "experts" in settings else {"num_units": 4}
        settings = {**small, **settings, "fit_options": _TINY}
    return HybridRegressor(**settings, progress=False)
