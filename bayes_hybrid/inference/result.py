"""What a fit returns: the posterior, and how it came about."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.cached import cached_property
from bayes_hybrid.inference.posterior import Posterior

FloatArray = NDArray[np.float64]
_TRACE_LENGTH = 200


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
class Fit:
    """A fitted hybrid model.

    Args:
        posterior: equally weighted draws of the restarts that were kept.
        variational: SVI's own posterior, before any refinement, to compare with.
        x: training features ``[N, D]``, as they came.
        y: training targets ``[N]``, as they came; ``[N, Q]`` of Q outputs, NaN where missing.
        feature_names: names of the D columns.
        target_name: name of the target; of several outputs ``"y"``.
        output_names: names of the outputs: the target's alone, or Q.
        status: a sentence that says how the fit ended and what to do next.
        converged: whether every stage ended by its own rule, not by its budget.
        method: ``"svi"``, ``"svi+hmc"``, ``"svi+sghmc"`` or ``"svi+nuts"``; ``"none"`` for a
            constant target, of which nothing is learned.
        seed: the seed that everything random was derived from.
        kl_weight: weight of the features' KL term that was chosen; 0 means point features.
        kl_scores: held-out log density per row (standardised) of every weight tried.
        elbo: ELBO of each kept restart in nats, ``[R]``.
        sources: number of the candidate that each restart came from, ``[R]``.  Where restarts are
            taken in proportion to exp(ELBO), several may be of one candidate, each with draws of
            its own; they are copies, and say nothing about other modes.
        reading: the restarts that :attr:`for_regimes` is made of, by their numbers in the
            posterior, some several times; all of them where nothing is said.
        log_ratios: log importance ratios ``log p(y, theta | x) - log q(theta)`` at fresh draws of
            each restart's guide, ``[R, M]``; from which its Pareto k is computed.
        variational_log_ratios: the same at the draws of ``variational``, ``[R, S]``, by which
            they can be reweighted; empty where there are none.
        num_restarts_dropped: restarts that became non-finite or stuck, and were left out.
        num_restarts_missing: restarts asked for that are not in the posterior, because they failed
            or because what they mean by a regime is not what the best restart means.
        sampler: per-draw statistics of the sampler, each ``[R, S]``; empty for pure SVI.
        stages: the stages in order.
        labels: number of each row's regime label, NaN where it has none, ``[N]``; ``None`` where
            there are no labels.
        device: where it ran.
        compiled: whether the recorded graph was compiled.
    """

    posterior: Posterior
    variational: Posterior
    x: FloatArray
    y: FloatArray
    feature_names: tuple[str, ...]
    target_name: str
    output_names: tuple[str, ...] = ("y",)
    status: str
    converged: bool
    method: str
    seed: int
    kl_weight: float
    kl_scores: Mapping[float, float]
    elbo: FloatArray
    sources: NDArray[np.int64]
    reading: NDArray[np.int64] | None = None
    log_ratios: FloatArray
    num_restarts_dropped: int
    num_restarts_missing: int = 0
    sampler: Mapping[str, FloatArray] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    labels: FloatArray | None = None
    device: str = "cpu"
    compiled: bool = False
    variational_log_ratios: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    @cached_property
    def for_regimes(self) -> "Fit":
        """The fit that regimes are read from: of the restarts that explain the rows best.

        With ``weighting="tempered"`` restarts enter predictions in proportion to exp(ELBO / T).
        Here they count by their elpd_loo, too
        (:func:`~bayes_hybrid.inference.reading.regime_reading`): a restart occurs as often as its
        share demands, each time with the same draws.  With other weights it is the fit itself.
        ``variational`` stays that of all restarts.
        """
        if self.reading is None:
            return self
        return replace(
            self,
            posterior=self.posterior.select(self.reading),
            elbo=self.elbo[self.reading],
            sources=self.sources[self.reading],
            log_ratios=self.log_ratios[self.reading],
            sampler={name: values[self.reading] for name, values in self.sampler.items()},
            reading=None,
        )

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(stage.seconds for stage in self.stages)
