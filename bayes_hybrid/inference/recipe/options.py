"""Everything about how a model is fitted: small frozen objects, checked when built."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.recipe.plans import Plan, plans_of
from bayes_hybrid.inference.recipe.start import WarmStart
from bayes_hybrid.inference.recipe.variational import Variational
from bayes_hybrid.inference.samplers import HMC, SAMPLERS, Sampler

COMPILE_CHOICES = ("auto", "always", "never")


COMPILE_REPAYS_AFTER: Final = 6_000
"""Gradient calls that compiling is worth: uncompiled they take some 30 seconds, compiling 5 to 25.

A count and not a measured time: compiled code rounds differently, and the same seed must not give
another answer on a busier machine."""

COMPILED_STEPS_REPAY_AFTER: Final = 30_000
"""SVI steps, each of one batch of restarts, that compiling the whole step is worth: it takes some
10 seconds more than compiling the gradient alone, and saves 0.2 to 0.4 milliseconds a step."""

SMALL_TABLE: Final = 125_000
"""Most rows x parameters of a small table: sixteen restarts side by side fit a CPU's cache."""

# Restarts of a small table, and of others.  Which readings 32 restarts find on a small table still
# depends on the seed (:mod:`benchmarks.stability`).
_MANY, _FEWER = 64, 32


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Everything about how a model is fitted.

    Args:
        num_restarts: modes that are looked for: each is trained from a start of its own, sampled,
            and weighed (:mod:`~bayes_hybrid.inference.recipe.weighing`).  ``"auto"`` is 64 up to
            :data:`SMALL_TABLE` rows x parameters (some 350 rows of one feature), else 32.
        plan: the stages of training: one of ``"default"``, ``"direct"``, ``"even_gate"``,
            ``"gaussian_first"``, ``"balanced"``, ``"plain"``, a
            :class:`~bayes_hybrid.inference.recipe.plans.Plan`, or several of these, which share the
            restarts.  The default is the first two.  Where there are fewer restarts than plans,
            only the first plans are trained.
        warm_start: see :class:`~bayes_hybrid.inference.recipe.start.WarmStart`.
        variational: see :class:`~bayes_hybrid.inference.recipe.variational.Variational`.
        sampler: what goes on from SVI, all restarts side by side, where the table is within its
            budget: :class:`~bayes_hybrid.inference.samplers.HMC`, ``NUTS`` or ``SGHMC``; ``None``
            for SVI alone.
        batch_size: rows per step of warm start and SVI; ``None`` takes all rows up to 4,096 and
            minibatches of 512 beyond.
        compile: ``"auto"`` compiles when the gradient calls to come should repay it,
            ``"always"``, ``"never"``.  SVI's whole step is compiled for Gaussian guides of full
            rank only.
        device: ``"auto"`` takes a GPU where there is one, else any torch device name.
    """

    num_restarts: int | str = "auto"
    plan: str | Plan | Sequence[str | Plan] = "default"
    warm_start: WarmStart = field(default_factory=WarmStart)
    variational: Variational = field(default_factory=Variational)
    sampler: Sampler | None = field(default_factory=HMC)
    batch_size: int | None = None
    compile: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.positive_int_or_auto("num_restarts", self.num_restarts)
        plans_of(self.plan)
        checks.instance("warm_start", self.warm_start, WarmStart)
        checks.instance("variational", self.variational, Variational)
        if self.sampler is not None:
            if not isinstance(self.sampler, Sampler):
                raise OptionError(
                    f"sampler must be {', '.join(f'{kind.__name__}(...)' for kind in SAMPLERS)} "
                    f"or None; got {self.sampler!r}"
                )
            draws, most = self.variational.num_draws, self.sampler.iterations
            if draws > most:
                raise OptionError(
                    f"num_draws: expected at most num_iterations={most} of {self.sampler.name}, "
                    f"of which draws are picked, got {draws}; raise num_iterations, or set "
                    "sampler=None."
                )
        checks.choice("compile", self.compile, COMPILE_CHOICES)
        if self.batch_size is not None:
            checks.positive_int("batch_size", self.batch_size)

    def restarts(self, size: int) -> int:
        """R, the restarts of a fit of ``size`` rows x parameters."""
        if self.num_restarts != "auto":
            return int(self.num_restarts)
        return _MANY if size <= SMALL_TABLE else _FEWER

    def compiles(self, num_calls: int) -> bool:
        """Whether to compile for this many gradient calls."""
        worth = self.compile == "auto" and num_calls >= COMPILE_REPAYS_AFTER
        return worth or self.compile == "always"

    def compiles_steps(self, num_steps: int) -> bool:
        """Whether to compile SVI's whole step for this many of them."""
        worth = self.compile == "auto" and num_steps >= COMPILED_STEPS_REPAY_AFTER
        return worth or self.compile == "always"

    @classmethod
    def quick(cls, **others: Any) -> Self:  # noqa: ANN401 (any field)
        """Seconds in place of a good fit, to try code: two restarts of few steps, SVI alone.

        Args:
            others: fields that are to be otherwise.

        Example:
            >>> FitOptions.quick(num_restarts=1).num_restarts
            1
        """
        return replace(
            cls(
                num_restarts=2,
                warm_start=WarmStart(max_steps=100),
                variational=Variational(num_steps=20, kl_weights=(0.0,), num_draws=30),
                sampler=None,
                compile="never",
            ),
            **others,
        )

    def plans_for(self, num_regimes: int, *, has_thresholds: bool) -> tuple[Plan, ...]:
        """The plans that share the restarts of a model of K regimes, with thresholds or without."""
        plans = plans_of(self.plan)
        if num_regimes > 1 and not has_thresholds:
            return plans
        # There is no gate, or an even one would lose where its thresholds start.
        others = tuple(plan for plan in plans if not plan.even_gate)
        return others or tuple(replace(plan, even_gate=False) for plan in plans)

    def rows_per_step(self, num_rows: int) -> int:
        """B, the rows of one step."""
        if self.batch_size is not None:
            return min(self.batch_size, num_rows)
        return num_rows if num_rows <= 4_096 else 512
