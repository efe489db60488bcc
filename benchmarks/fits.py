"""The package's estimator as benchmarks use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bayes_hybrid import FitOptions, HybridRegressor, Variational, WarmStart
from bayes_hybrid.estimator import with_units
from bayes_hybrid.nn import COMBINATIONS

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
    if not _quick:
        return HybridRegressor(**settings, progress=False)
    reg = HybridRegressor(**{**settings, "fit_options": _TINY}, progress=False)
    # Experts that were given have their own number of units, or none.
    small = "experts" not in settings and reg.model in ("mixture", *COMBINATIONS)
    return with_units(reg, num_units=4) if small else reg
