"""What the steps of the recipe hand on to each other."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.errors import FitError
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.recipe.plans import Plan
from bayes_hybrid.inference.result import StageLog
from bayes_hybrid.inference.samplers import Chains, Sampler
from bayes_hybrid.random import stream_seed, torch_generator

__all__ = ["Approximation", "Context", "State", "Step", "Weighed", "require_usable"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Context:
    """What is the same for all steps.

    Args:
        rows: the training rows and the engine.
        plans: that share the restarts.
        num_restarts: how many are started.
        sampler: the one that goes on from SVI; ``None`` where none does.
        seed: everything random is derived from it.
        compiled: whether the gradient was compiled.
        compiles_steps: whether that many of SVI's steps are worth compiling.
        progress: told about the progress of each step.
        log: the record of what was done.
    """

    rows: Rows
    plans: tuple[Plan, ...]
    num_restarts: int
    sampler: Sampler | None
    seed: int
    compiled: bool
    compiles_steps: Callable[[int], bool]
    progress: Progress
    log: StageLog

    def generator(self, stream: str) -> torch.Generator:
        """A generator of one of the :data:`~bayes_hybrid.random.STREAMS`."""
        return torch_generator(stream_seed(self.seed, stream), self.rows.x.device)


@dataclass(frozen=True, eq=False, kw_only=True)
class Approximation:
    """SVI's approximation of each of C restarts.

    Args:
        guide: the fitted guide.
        elbo: in nats, ``[C]``.
        draws: of the guide, ``[C, S, P]``.
        draw_ratios: their log importance ratios, ``[C, S]``.
        log_ratios: those of 200 draws of their own, ``[C, 200]``.
        kl_weight: of the features.
        kl_scores: held-out log density by KL weight; empty where none was chosen.
        settled: whether the ELBO had settled.
    """

    guide: BlockGaussian
    elbo: Tensor
    draws: Tensor
    draw_ratios: Tensor
    log_ratios: Tensor
    kl_weight: float
    kl_scores: Mapping[float, float]
    settled: bool

    def select(self, index: Tensor) -> "Approximation":
        """The restarts in ``index`` only."""
        return replace(
            self,
            guide=self.guide.select(index),
            elbo=self.elbo[index],
            draws=self.draws[index],
            draw_ratios=self.draw_ratios[index],
            log_ratios=self.log_ratios[index],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Weighed:
    """What C restarts count.

    Args:
        weights: of each restart ``[C]``, which add up to one.
        elpd: leave-one-out log density of each in nats, ``[C]``.
        temperature: of the weights, in nats.
        num_negligible: restarts left out because next to nothing of the weight is theirs.
    """

    weights: NDArray[np.float64]
    elpd: NDArray[np.float64]
    temperature: float = math.inf
    num_negligible: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """C restarts as a step leaves them; those that failed are left out.

    Args:
        theta: where the warm start is, or ended, ``[C, P]``.
        folds: the rows that it may see, as weights ``[C, N]``.
        sources: numbers of the restarts, ``[C]``.
        settled: whether the warm start ended by its own rule.
        approximation: SVI's, once it has run.
        chains: the sampler's, if one has run.
        weighed: what they count, once they are weighed.
    """

    theta: Tensor
    folds: Tensor
    sources: Tensor
    settled: bool = True
    approximation: Approximation | None = None
    chains: Chains | None = None
    weighed: Weighed | None = None

    def select(self, index: Tensor) -> "State":
        """The restarts in ``index`` only, before they are weighed."""
        return replace(
            self,
            theta=self.theta[index],
            folds=self.folds[index],
            sources=self.sources[index],
            approximation=self.approximation and self.approximation.select(index),
            chains=self.chains and self.chains.select(index),
        )

    @property
    def approximated(self) -> Approximation:
        """SVI's approximation, which has run."""
        if self.approximation is None:
            raise AssertionError("SVI comes before what goes on from it")
        return self.approximation

    @property
    def draws(self) -> Tensor:
        """The posterior's draws: the sampler's, or SVI's, ``[C, S, P]``."""
        return self.approximated.draws if self.chains is None else self.chains.draws


Step = Callable[[State, Context], State]
"""A step of the recipe; it adds to the log what it did."""


def require_usable(
    usable: Tensor,
    what: str,
    advice: str = "Look for extreme values in the data; try a smaller learning rate, another seed.",
) -> Tensor:
    """Numbers of the restarts that can be used; of the others it is said ``what`` happened.

    Raises:
        FitError: there is none; it says what to do.
    """
    if not bool(usable.any()):
        raise FitError(
            f"Every one of the {len(usable)} restarts {what}, so there is no posterior. {advice}"
        )
    return usable.nonzero()[:, 0]
