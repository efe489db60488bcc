"""One replication: parameters and data from the prior, a fit, and the ranks of the truth."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bayes_hybrid.ablation.cells import alone
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.inference import FitOptions, fit
from bayes_hybrid.inference.posterior.over_draws import draw_weights
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.models import HybridModel
from bayes_hybrid.random import spawn_seeds
from bayes_hybrid.validation.prior import as_they_are, simulate_prior, spread_features
from bayes_hybrid.validation.quantities import quantities
from bayes_hybrid.validation.ranks import uniform_rank

__all__ = ["Replication", "replicate"]

DRAWS_PER_RESTART: Final = 10
"""Neighbouring draws of a chain are alike, which pushes ranks to the ends (Talts et al. 2018,
section 5.1).  Ten of a chain, evenly spaced, are every fifth of the default's 50."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Replication:
    """The outcome of a replication.

    Attributes:
        number: which one, from 0.
        truth: the quantities of the parameters that were drawn.
        rank: :func:`~bayes_hybrid.validation.ranks.uniform_rank` of each among the draws.
        num_draws: L, the posterior draws that were ranked against.
        status: how the fit ended, in its own words.
        seconds: of all of it.
        failure: what went wrong, empty where nothing did; then there are no ranks.
    """

    number: int
    truth: Mapping[str, float] = field(default_factory=dict)
    rank: Mapping[str, float] = field(default_factory=dict)
    num_draws: int = 0
    status: str = ""
    seconds: float
    failure: str = ""


def replicate(
    model: HybridModel,
    options: FitOptions,
    *,
    number: int,
    num_rows: int,
    seed: int,
    one_thread: bool,
) -> Replication:
    """Draw, fit and rank; what goes wrong is the outcome, not an exception.

    Args:
        model: a model of one target without labels.
        options: how it is fitted.
        number: which replication.
        num_rows: N.
        seed: of everything.
        one_thread: whether torch keeps to one thread, because others fit beside.
    """
    with alone(one_thread=one_thread):
        started = time.perf_counter()
        x_seed, prior_seed, fit_seed, rank_seed = spawn_seeds(seed, 4)
        x = spread_features(num_rows, model.num_features, x_seed)
        if model.likelihoods.size_column is not None:
            x[:, model.likelihoods.size_column] = model.likelihoods[0].plain_size
        try:
            truth, y = simulate_prior(model, x, prior_seed)
            scalings = as_they_are(model.num_features)
            fitted = fit(model, x, y, seed=fit_seed, options=options, scalings=scalings)
            draws = {name: _thinned(v) for name, v in quantities(fitted.posterior, x, y).items()}
            values = {name: v.item() for name, v in quantities(truth, x, y).items()}
            rng = np.random.default_rng(rank_seed)
            weights = draw_weights(fitted.posterior.restart_weights, _num_kept(fitted))
            ranks = {name: uniform_rank(values[name], draws[name], rng, weights) for name in draws}
        except Exception as error:
            return Replication(
                number=number,
                seconds=time.perf_counter() - started,
                failure=f"{type(error).__name__}: {error}",
            )
        return Replication(
            number=number,
            truth=values,
            rank=ranks,
            num_draws=_num_draws(fitted),
            status=fitted.training.status,
            seconds=time.perf_counter() - started,
        )


def _num_draws(fitted: Fit) -> int:
    return fitted.posterior.num_restarts * _num_kept(fitted)


def _num_kept(fitted: Fit) -> int:
    """Draws of each restart."""
    return min(fitted.posterior.num_draws, DRAWS_PER_RESTART)


def _thinned(draws: FloatArray) -> FloatArray:
    """At most ten evenly spaced draws of each restart, from ``[R, S]`` to ``[L]``."""
    num_draws = draws.shape[1]
    at = np.linspace(0, num_draws - 1, min(num_draws, DRAWS_PER_RESTART)).round().astype(int)
    return draws[:, at].reshape(-1)
