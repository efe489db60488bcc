"""Settings of the recipe: small frozen objects, checked when built."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.plans import Plan, plans_of

COMPILE_CHOICES = ("auto", "always", "never")
REFINE_CHOICES = ("auto", "always", "never")
SAMPLERS = ("hmc", "sghmc", "nuts")


@dataclass(frozen=True)
class Family:
    """What sets one variational family apart.

    Args:
        block: which entries have a joint distribution: ``"heads"``, ``"all"`` or ``"none"``.
        kl_weight: weight of the other entries' KL term; ``None`` leaves it to be chosen.
        trains: whether SVI changes it.
        kind: which one: ``"gaussian"`` of full rank, ``"low_rank"`` or ``"flow"``.
    """

    block: str
    kl_weight: float | None
    trains: bool = True
    kind: str = "gaussian"


GUIDES: Final[MappingProxyType[str, Family]] = MappingProxyType(
    {
        "block": Family("heads", None),
        "full_rank": Family("all", 1.0),
        "mean_field": Family("none", 1.0),
        "low_rank": Family("heads", None, kind="low_rank"),
        "flow": Family("heads", None, kind="flow"),
        "laplace": Family("all", 1.0, trains=False),
        "point": Family("none", 0.0),
    }
)
COMPILE_REPAYS_AFTER: Final = 6_000
"""Gradient calls that compiling is worth: uncompiled they take some 30 seconds, compiling 5 to 25.

A count and not a measured time: compiled code rounds differently, and the same seed must not give
another answer on a busier machine."""

COMPILED_STEPS_REPAY_AFTER: Final = 30_000
"""SVI steps, each of one batch of restarts, that compiling the whole step is worth: it takes some
10 seconds more than compiling the gradient alone, and saves 0.2 to 0.4 milliseconds a step."""

_STEPS: Final = 1_500
# A sampler needs a start and coordinates, which are there before the ELBO has settled.
_STEPS_TO_START: Final = 200
# Warm-up and kept iterations of a sampler, the longer ones up to this cost.
_LONG: Final = (150, 100)
_SHORT: Final = (75, 50)
_LONG_UP_TO: Final = 2e10


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Maximum a posteriori start of every restart, stopped by held-out density.

    Each restart leaves out one fold of the rows.  Every ``check_every`` steps the median over the
    restarts of their held-out log density is recorded; when it has not improved for ``patience``
    checks, training goes back to the best check.  It goes on from there at a tenth of the step,
    ``num_cuts`` times, and then stops: with next to no noise most of the fit is gained then.
    That is the plan ``direct``; another :class:`~bayes_hybrid.inference.plans.Plan` may have other
    stages.

    Args:
        max_steps: most Adam steps at each size of the step.
        learning_rate: largest step, decayed along a cosine to a twentieth.
        num_cuts: times that the step is cut to a tenth.
        num_folds: folds of the rows; restart r leaves out fold r modulo ``num_folds``.
        check_every: steps between checks.
        patience: checks without improvement before the stop.
    """

    max_steps: int = 6_000
    learning_rate: float = 0.03
    num_folds: int = 5
    check_every: int = 50
    patience: int = 10
    num_cuts: int = 1

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("max_steps", "check_every", "patience"):
            checks.positive_int(name, getattr(self, name))
        checks.positive_int("num_cuts", self.num_cuts, minimum=0)
        checks.positive_int("num_folds", self.num_folds, minimum=2)
        checks.positive_float("learning_rate", self.learning_rate)


@dataclass(frozen=True, kw_only=True)
class Variational:
    """SVI: by default a full-rank Gaussian over heads and scales, a mean-field one over features.

    ================  ===========================================================
    ``guide``         the variational family
    ================  ===========================================================
    ``"block"``       full rank over heads and scales; features independent, with
                      the KL weight of ``kl_weights`` that predicts best
    ``"full_rank"``   one full-rank Gaussian over everything
    ``"low_rank"``    as ``"block"``, with a diagonal and ten directions in place of full rank
    ``"flow"``        as ``"block"``, with an inverse autoregressive flow in place of a Gaussian
                      (needs ``bayes-hybrid[flow]``)
    ``"mean_field"``  independent Normals
    ``"laplace"``     the full-rank Gaussian of the curvature at the warm start,
                      as it is
    ``"point"``       the maximum of the log joint, without a spread
    ================  ===========================================================

    Args:
        guide: the variational family; the others are for comparison.
        num_steps: Adam steps of the final run.  ``None`` takes 1,500, and 200 where a sampler goes
            on from there.
        learning_rate: largest step, in whitened coordinates (posterior sds), decayed to a fiftieth.
        kl_weights: candidates for the weight of the features' KL term; 0 leaves the features at
            the maximum of the ELBO, without a spread.  The one with the best held-out density wins;
            from the third smallest on they are tried only while the largest before is the best.
            Where a sampler goes on from there, the smallest is taken.
        selection_steps: steps of each candidate's trial run, on the folds' training rows.
        num_draws: posterior draws per restart.
    """

    guide: str = "block"
    num_steps: int | None = None
    learning_rate: float = 0.03
    kl_weights: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    selection_steps: int = 200
    num_draws: int = 50

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.choice("guide", self.guide, tuple(GUIDES))
        for name in ("selection_steps", "num_draws"):
            checks.positive_int(name, getattr(self, name))
        if self.num_steps is not None:
            checks.positive_int("num_steps", self.num_steps)
        checks.positive_float("learning_rate", self.learning_rate)
        checks.instance("kl_weights", self.kl_weights, tuple, list)
        if not self.kl_weights or len(set(self.kl_weights)) < len(self.kl_weights):
            raise OptionError(
                f"kl_weights: expected one or more different weights, got {self.kl_weights!r}."
            )
        for weight in self.kl_weights:
            checks.fraction("kl_weights", weight, closed=True)

    def steps(self, *, refined: bool) -> int:
        """Adam steps of a final run that a sampler goes on from, or does not."""
        if self.num_steps is not None:
            return self.num_steps
        return _STEPS_TO_START if refined else _STEPS


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """Short Hamiltonian Monte Carlo from the middle of SVI's guide, all restarts side by side.

    Under a gate with thresholds, Metropolis steps of single thresholds, sharpnesses and scales
    stand between HMC's trajectories; they take at most half as long as these.

    Args:
        mode: ``"auto"`` refines when rows x parameters x restarts x gradient evaluations fit
            ``budget``, ``"always"`` or ``"never"`` do as they say.
        sampler: ``"hmc"``, all restarts side by side; ``"sghmc"``, the same on ``batch_size`` rows
            a step, for tables that HMC takes too long for, and not exact
            (:func:`~bayes_hybrid.inference.sghmc.refine_by_sghmc`); or ``"nuts"``, Pyro's, one
            restart after another: many times slower, and a second opinion.
        num_warmup: iterations that adapt the step size and are thrown away.  ``None`` takes 150,
            and 75 for tables on which these and the iterations to come cost more than 2e10, counted
            as for ``budget``: where rows are few, restarts have to be far along before what each
            counts no longer depends on the seed.
        num_iterations: iterations that are kept (thinned to the number of posterior draws).
            ``None`` takes 100, and 50 where the warm-up is short.
        num_leapfrog: mean number of leapfrog steps of an iteration; each iteration's number is
            drawn between half and one and a half of it.  SG-HMC takes so many of its steps, and
            NUTS chooses by itself.
        max_tree_depth: doublings of NUTS's trajectory, at most.
        target_acceptance: what the step size is adapted to.
        max_dense: most parameters for which the curvature of the whole log joint is measured.
        batch_size: rows of one step of SG-HMC, all where there are fewer.
        budget: largest product for ``"auto"``.  The default is about ten minutes on one core.
    """

    mode: str = "auto"
    sampler: str = "hmc"
    num_warmup: int | None = None
    num_iterations: int | None = None
    num_leapfrog: int = 40
    target_acceptance: float = 0.8
    max_tree_depth: int = 8
    max_dense: int = 600
    batch_size: int = 512
    budget: float = 3e11

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.choice("mode", self.mode, REFINE_CHOICES)
        checks.choice("sampler", self.sampler, SAMPLERS)
        for name in ("num_leapfrog", "max_tree_depth", "max_dense", "batch_size"):
            checks.positive_int(name, getattr(self, name))
        for name in ("num_warmup", "num_iterations"):
            if getattr(self, name) is not None:
                checks.positive_int(name, getattr(self, name))
        checks.fraction("target_acceptance", self.target_acceptance)
        checks.positive_float("budget", self.budget)

    @property
    def warmup(self) -> int:
        """Iterations that are thrown away, at least."""
        return _SHORT[0] if self.num_warmup is None else self.num_warmup

    @property
    def iterations(self) -> int:
        """Iterations that are kept, at least."""
        return _SHORT[1] if self.num_iterations is None else self.num_iterations

    def sized(self, num_rows: int, num_parameters: int, num_restarts: int) -> "Refinement":
        """With the numbers of iterations that suit a fit of this size."""
        full = replace(
            self,
            num_warmup=self.num_warmup or _LONG[0],
            num_iterations=self.num_iterations or _LONG[1],
        )
        if full._cost(num_rows, num_parameters, num_restarts) <= _LONG_UP_TO:
            return full
        return replace(self, num_warmup=self.warmup, num_iterations=self.iterations)

    def wanted(self, num_rows: int, num_parameters: int, num_restarts: int) -> bool:
        """Whether to refine a fit of this size."""
        cost = self._cost(num_rows, num_parameters, num_restarts)
        return self.mode == "always" or (self.mode == "auto" and cost <= self.budget)

    def _cost(self, num_rows: int, num_parameters: int, num_restarts: int) -> float:
        taken = min(num_rows, self.batch_size) if self.sampler == "sghmc" else num_rows
        evaluations = (self.warmup + self.iterations) * self.num_leapfrog
        return float(taken) * num_parameters * num_restarts * evaluations


class HasRegimes(Protocol):
    """What of a model the options go by."""

    @property
    def num_regimes(self) -> int:
        """K, the number of regimes."""

    @property
    def has_thresholds(self) -> bool:
        """Whether the regimes are in an order with thresholds between them."""


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Everything about how a model is fitted.

    Args:
        num_restarts: modes that are looked for: each is trained from a start of its own, sampled,
            and weighed (:mod:`~bayes_hybrid.inference.weighing`).
        plan: the stages of training: one of ``"default"``, ``"direct"``, ``"even_gate"``,
            ``"gaussian_first"``, ``"balanced"``, ``"plain"``, a
            :class:`~bayes_hybrid.inference.plans.Plan`, or several of these, which share the
            restarts.  The default is the first two.  Where there are fewer restarts than plans,
            only the first plans are trained.
        warm_start: see :class:`WarmStart`.
        variational: see :class:`Variational`.
        refinement: see :class:`Refinement`.
        batch_size: rows per step of warm start and SVI; ``None`` takes all rows up to 4,096 and
            minibatches of 512 beyond.
        compile: ``"auto"`` compiles when the gradient calls to come should repay it,
            ``"always"``, ``"never"``.  SVI's whole step is compiled for Gaussian guides of full
            rank only.
        device: ``"auto"`` takes a GPU where there is one, else any torch device name.
    """

    num_restarts: int = 32
    plan: str | Plan | Sequence[str | Plan] = "default"
    warm_start: WarmStart = field(default_factory=WarmStart)
    variational: Variational = field(default_factory=Variational)
    refinement: Refinement = field(default_factory=Refinement)
    batch_size: int | None = None
    compile: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.positive_int("num_restarts", self.num_restarts)
        plans_of(self.plan)
        for name, kind in (
            ("warm_start", WarmStart),
            ("variational", Variational),
            ("refinement", Refinement),
        ):
            checks.instance(name, getattr(self, name), kind)
        draws, iterations = self.variational.num_draws, self.refinement.iterations
        if self.refinement.mode != "never" and draws > iterations:
            raise OptionError(
                f"num_draws: expected at most num_iterations={iterations} of Refinement, of which "
                f"HMC's draws are picked, got {draws}; raise num_iterations, or set mode='never'."
            )
        checks.choice("compile", self.compile, COMPILE_CHOICES)
        if self.batch_size is not None:
            checks.positive_int("batch_size", self.batch_size)

    def compiles(self, num_calls: int) -> bool:
        """Whether to compile for this many gradient calls."""
        worth = self.compile == "auto" and num_calls >= COMPILE_REPAYS_AFTER
        return worth or self.compile == "always"

    def compiles_steps(self, num_steps: int) -> bool:
        """Whether to compile SVI's whole step for this many of them."""
        worth = self.compile == "auto" and num_steps >= COMPILED_STEPS_REPAY_AFTER
        return worth or self.compile == "always"

    def plans_for(self, model: HasRegimes) -> tuple[Plan, ...]:
        """The plans that share the restarts of this model."""
        plans = plans_of(self.plan)
        if model.num_regimes > 1 and not model.has_thresholds:
            return plans
        # There is no gate, or an even one would lose where its thresholds start.
        others = tuple(plan for plan in plans if not plan.even_gate)
        return others or tuple(replace(plan, even_gate=False) for plan in plans)

    def rows_per_step(self, num_rows: int) -> int:
        """B, the rows of one step."""
        if self.batch_size is not None:
            return min(self.batch_size, num_rows)
        return num_rows if num_rows <= 4_096 else 512
