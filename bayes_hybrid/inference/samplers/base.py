"""What all samplers share: how long they run, what that costs, and the chains they return."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Final, Self

import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.progress import Progress

# Warm-up and kept iterations, the longer ones up to this cost.
_LONG: Final = (150, 100)
_SHORT: Final = (75, 50)
_LONG_UP_TO: Final = 2e10
# A chain whose trajectories are accepted less often than this has hardly moved.
_STUCK: Final = 0.05


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of C chains and how the sampler did; ``None`` for what the sampler does not say.

    Args:
        draws: ``[C, S, P]``.
        acceptance: mean acceptance probability of the iterations since the draw before, ``[C, S]``.
        diverging: whether the energy error exceeded 1,000 in one of them, in spite of a step of
            the lower half (HMC), ``[C, S]``.
        energy: negative log joint plus kinetic energy, ``[C, S]``.
        step_size: final step size of each chain, ``[C]``.
        single_acceptance: share of the single-site steps after the warm-up that were accepted,
            ``[C]``.
        temperature: of the iterations since the draw before, one at the posterior, ``[C, S]``.
        before: the last states of a warm-up that had not seen all rows, ``[C, W, P]``.
    """

    draws: Tensor
    acceptance: Tensor | None = None
    diverging: Tensor | None = None
    energy: Tensor | None = None
    step_size: Tensor | None = None
    single_acceptance: Tensor | None = None
    temperature: Tensor | None = None
    before: Tensor | None = None

    def select(self, index: Tensor) -> "Chains":
        """The chains in ``index`` only."""
        values = (getattr(self, field.name) for field in fields(self))
        return Chains(*(None if value is None else value[index] for value in values))  # type: ignore[arg-type]

    @property
    def moving(self) -> Tensor:
        """Which chains are finite, and have moved, ``[C]``."""
        finite = torch.isfinite(self.draws).flatten(1).all(-1)
        return finite if self.acceptance is None else finite & (self.acceptance.mean(-1) > _STUCK)

    @property
    def words(self) -> str:
        """How the sampler did, for the record."""
        words = []
        if self.acceptance is not None:
            words.append(f"acceptance {float(self.acceptance.mean()):.2f}")
        if self.single_acceptance is not None:
            words.append(f"of single-site steps {float(self.single_acceptance.mean()):.2f}")
        if self.temperature is not None:
            words.append(f"temperature {float(self.temperature.mean()):.2f}")
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """One chain per restart, from the middle of SVI's guide.

    Args:
        num_warmup: iterations that adapt the step size and are thrown away.  ``None`` takes 150,
            and 75 for tables on which these and the iterations to come cost more than 2e10, counted
            as for ``budget``: where rows are few, restarts have to be far along before what each
            counts no longer depends on the seed.
        num_iterations: iterations that are kept (thinned to the number of posterior draws).
            ``None`` takes 100, and 50 where the warm-up is short.
        budget: most rows x parameters x restarts x gradient evaluations: a fit of more is left to
            SVI.  The default is about ten minutes on one core; ``None`` sets no limit.
    """

    num_warmup: int | None = None
    num_iterations: int | None = None
    budget: float | None = 3e11

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("num_warmup", "num_iterations"):
            if getattr(self, name) is not None:
                checks.positive_int(name, getattr(self, name))
        if self.budget is not None:
            checks.positive_float("budget", self.budget)

    @property
    def name(self) -> str:
        """What people call it."""
        return type(self).__name__

    @property
    def warmup(self) -> int:
        """Iterations that are thrown away, at least."""
        return self.num_warmup or _SHORT[0]

    @property
    def iterations(self) -> int:
        """Iterations that are kept, at least."""
        return self.num_iterations or _SHORT[1]

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """Gradient evaluations of an iteration."""

    def cost(self, num_rows: int, num_parameters: int, num_restarts: int) -> float:
        """Rows x parameters x restarts x gradient evaluations of a fit of this size, at least."""
        return float(num_rows) * num_parameters * self.calls(num_restarts, batch=1)

    def suited(self, num_rows: int, num_parameters: int, num_restarts: int) -> Self | None:
        """The same with the iterations that suit a fit of this size; ``None`` beyond the budget."""
        size = num_rows, num_parameters, num_restarts
        full = replace(
            self,
            num_warmup=self.num_warmup or _LONG[0],
            num_iterations=self.num_iterations or _LONG[1],
        )
        short = replace(self, num_warmup=self.warmup, num_iterations=self.iterations)
        chosen = full if full.cost(*size) <= _LONG_UP_TO else short
        return chosen if self.budget is None or chosen.cost(*size) <= self.budget else None

    def calls(self, num_restarts: int, batch: int) -> int:
        """Gradient calls, of a batch of restarts each."""
        evaluations = (self.warmup + self.iterations) * self.evaluations
        return evaluations * math.ceil(num_restarts / batch)

    def rows(self, rows: Rows) -> Rows:
        """The rows as this sampler takes them."""
        return rows

    def prepare(self, rows: Rows) -> None:
        """Compile what :meth:`run` evaluates on these rows."""
        rows.prepare()

    @abstractmethod
    def run(
        self,
        rows: Rows,
        guide: BlockGaussian,
        *,
        num_draws: int,
        row_weights: Tensor,
        generator: torch.Generator,
        progress: Progress,
    ) -> Chains:
        """The chains.

        Args:
            rows: those of :meth:`rows`.
            guide: where they start, and in which coordinates.
            num_draws: S, picked evenly from the iterations.
            row_weights: what a warm-up may see of the rows, ``[C, N]``.
            generator: of everything random.
            progress: told of the iterations.
        """


def kept_iterations(num_iterations: int, num_draws: int) -> frozenset[int]:
    """Which iterations are kept: evenly spaced, the last one included."""
    count = min(num_draws, num_iterations)
    return frozenset((i + 1) * num_iterations // count - 1 for i in range(count))
