"""What a fit returns: the posterior, and how it came about."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.data.support import spread_rows
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.posterior.posterior import Posterior
from bayes_hybrid.inference.readings import Reading, grouped, interchangeable

_TRACE_LENGTH = 200
# Rows beyond these say nothing new about how they are grouped.
_READ_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a fit.

    Args:
        name: what ran.
        reason: why it ended.
        steps: optimiser steps or iterations.
        seconds: wall time.
        trace: its objective over time (thinned): held-out log density per row for the warm start,
            median negative ELBO in nats for SVI; empty for the others.
        rates: learning rate of each part of the model, as multiples; empty where nothing is
            trained.
        weights: first and last weight of each regulariser that acts on the model, in nats per row.
        usage_before: mean responsibility of each regime over rows and restarts, at the start.
        usage_after: the same at the end.
    """

    name: str
    reason: str
    steps: int
    seconds: float
    trace: tuple[float, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    usage_before: tuple[float, ...] = ()
    usage_after: tuple[float, ...] = ()


@dataclass
class StageLog:
    """The stages so far; each has taken the time since the one before."""

    stages: list[Stage] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def add(
        self,
        name: str,
        reason: str,
        steps: int,
        trace: Sequence[float] = (),
        **details: Any,  # noqa: ANN401 (further fields of Stage)
    ) -> None:
        """Add a stage that ends now, its trace thinned."""
        now = time.perf_counter()
        stride = max(1, len(trace) // _TRACE_LENGTH)
        thin = tuple(float(value) for value in trace[::stride])
        seconds = now - self.started
        self.stages.append(
            Stage(name=name, reason=reason, steps=steps, seconds=seconds, trace=thin, **details)
        )
        self.started = now


@dataclass(frozen=True, eq=False, kw_only=True)
class Restarts:
    """What is known of each of R restarts.

    Args:
        sources: number of the start that each came from, ``[R]``.
        elbo: in nats, ``[R]``.
        elpd: leave-one-out log density in nats, ``[R]``
            (:func:`~bayes_hybrid.inference.recipe.weighing.truncated_loo`).
        log_ratios: log importance ratios ``log p(y, theta | x) - log q(theta)`` at fresh draws of
            the guide, ``[R, M]``; from which its Pareto k is computed.
        sampler: per-draw statistics of the sampler, each ``[R, S]``; empty for pure SVI.
    """

    sources: NDArray[np.int64]
    elbo: FloatArray
    elpd: FloatArray
    log_ratios: FloatArray
    sampler: Mapping[str, FloatArray] = field(default_factory=dict)

    def select(self, index: NDArray[np.int64]) -> "Restarts":
        """Those in ``index`` only."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        sampler = arrays.pop("sampler")
        return Restarts(
            sampler={name: values[index] for name, values in sampler.items()},
            **{name: values[index] for name, values in arrays.items()},
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Training:
    """How a fit came about.

    Args:
        status: a sentence that says how it ended and what to do next.
        converged: whether every stage ended by its own rule, not by its budget.
        method: ``"svi"``, ``"svi+hmc"``, ``"svi+sghmc"`` or ``"svi+nuts"``; ``"none"`` for a
            constant target, of which nothing is learned.
        stages: the stages in order.
        kl_weight: weight of the features' KL term that was chosen; 0 means point features.
        kl_scores: held-out log density per row (standardised) of every weight tried.
        temperature: T of the restarts' weights, in proportion to ``exp((elpd - p) / T)``
            (:func:`~bayes_hybrid.inference.recipe.weighing.scores`), or ``exp(ELBO / T)`` where no
            sampler has run; infinite where they are equal.
        num_dropped: restarts that became non-finite or stuck, and were left out.
        num_negligible: restarts whose weight is next to nothing, and were left out.
        device: where it ran.
        compiled: whether the recorded graph was compiled.
    """

    status: str
    converged: bool
    method: str
    stages: tuple[Stage, ...] = ()
    kl_weight: float = 0.0
    kl_scores: Mapping[float, float] = field(default_factory=dict)
    temperature: float = math.inf
    num_dropped: int = 0
    num_negligible: int = 0
    device: str = "cpu"
    compiled: bool = False

    @property
    def sampler_name(self) -> str:
        """Name of the sampler's class; empty for SVI alone."""
        return self.method.partition("+")[2].upper()

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawn:
    """What the recipe makes of standardised rows.

    Args:
        theta: draws of the posterior ``[R, S, P]``, of the restarts that count.
        weights: of each restart ``[R]``.
        variational: SVI's own draws ``[R, S, P]``.
        variational_log_ratios: their log importance ratios ``[R, S]``.
        restarts: what is known of each restart.
        training: how they came about.
    """

    theta: Tensor
    weights: FloatArray
    variational: Tensor
    variational_log_ratios: FloatArray
    restarts: Restarts
    training: Training


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Fit:
    """A fitted hybrid model.

    Args:
        posterior: draws of the restarts, and what each counts.
        variational: SVI's own posterior, before any sampler, to compare with.
        variational_log_ratios: log importance ratios at the draws of ``variational``, ``[R, S]``,
            by which they can be reweighted; empty where there are none.
        restarts: what is known of each restart.
        training: how the fit came about.
        x: training features ``[N, D]``, as they came.
        y: training targets ``[N]``, as they came; ``[N, Q]`` of Q outputs, NaN where missing.
        labels: number of each row's regime label, NaN where it has none, ``[N]``; ``None`` where
            there are no labels.
        feature_names: names of the D columns.
        target_name: name of the target; of several outputs ``"y"``.
        output_names: names of the outputs: the target's alone, or Q.
        seed: the seed that everything random was derived from.
    """

    posterior: Posterior
    variational: Posterior
    variational_log_ratios: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    restarts: Restarts
    training: Training
    x: FloatArray
    y: FloatArray
    labels: FloatArray | None = None
    feature_names: tuple[str, ...]
    target_name: str
    output_names: tuple[str, ...] = ("y",)
    seed: int

    def __repr__(self) -> str:
        """What was fitted, and how it ended, in a few lines."""
        posterior = self.posterior
        restarts = "1 restart" if (n := posterior.num_restarts) == 1 else f"{n} restarts"
        return (
            f"Fit of {' and '.join(self.output_names)} by {', '.join(self.feature_names)}: "
            f"{len(self.x)} rows, regimes {', '.join(posterior.regime_names)}, "
            f"{restarts} of {posterior.num_draws} draws "
            f"({self.training.method}, seed {self.seed}).\n{self.training.status}"
        )

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """How the restarts group the training rows, the heaviest first; one of a single regime."""
        posterior, rows = self.posterior, spread_rows(len(self.x), _READ_ROWS)
        labels = None if self.labels is None else self.labels[rows]
        draws = posterior.by_draw.regime_probability(self.x[rows], self.y[rows], labels)
        return grouped(
            draws.mean(axis=1),
            posterior.restart_weights,
            self.restarts.elpd,
            self.x[rows],
            interchangeable(posterior.model),
        )

    def reading(self, number: int = 0) -> "Fit":
        """The fit of one reading's restarts alone.

        Args:
            number: of the reading, 0 for the leading one.

        Raises:
            OptionError: there is no such reading.
        """
        if not 0 <= number < len(self.readings):
            raise OptionError(
                f"reading: expected a number below {len(self.readings)}, got {number!r}"
            )
        found = self.readings[number]
        return self._of(found.members)

    def in_order(self) -> "Fit":
        """The same with every restart's regimes in the order of its reading."""
        if self.posterior.num_regimes == 1:
            return self
        order = np.empty((self.posterior.num_restarts, self.posterior.num_regimes), dtype=np.int64)
        for reading in self.readings:
            order[reading.members] = reading.order
        return replace(self, posterior=self.posterior.in_order(order))

    @cached_property
    def for_regimes(self) -> "Fit":
        """The restarts of the leading reading, which regime probabilities are computed from.

        ``variational`` stays that of all restarts.
        """
        return self if self.posterior.num_regimes == 1 else self.reading(0)

    def named(self, features: Sequence[str] | None, outputs: Sequence[str] | None) -> "Fit":
        """The same with names for the D columns and for the outputs; ``None`` leaves them."""
        output_names = self.output_names if outputs is None else tuple(outputs)
        return replace(
            self,
            feature_names=self.feature_names if features is None else tuple(features),
            target_name=output_names[0] if self.y.ndim == 1 else self.target_name,
            output_names=output_names,
        )

    def _of(self, restarts: NDArray[np.int64]) -> "Fit":
        return replace(
            self,
            posterior=self.posterior.select(restarts),
            restarts=self.restarts.select(restarts),
        )
