"""Training plans: which parts of a model learn when, how fast, and under which regularisers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Final

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.models.regularised import REGULARISERS

STOP_RULES: Final = ("held_out", "steps")
# Restarts are compared by their ELBO at the end, and whether it has settled is read off its last
# fifth, so the KL term has to be whole long before.
_LONGEST_WARMUP: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rate of each part of a model, as a multiple of the stage's; at 0 it is frozen.

    Args:
        gaussian: hidden layers of the Gaussian pathways.
        relu: hidden layers of the ReLU pathways.
        gate: all of the gate.
        heads: what reads experts off hidden layers, and mixes pathways within a layer.
        scales: noise scales and shapes of the likelihoods.
        noise_slopes: how noise scales depend on the features.

    Example:
        >>> Rates(relu=0.0).relu
        0.0
    """

    gaussian: float = 1.0
    relu: float = 1.0
    gate: float = 1.0
    heads: float = 1.0
    scales: float = 1.0
    noise_slopes: float = 1.0

    def __post_init__(self) -> None:
        """Check every rate."""
        for name, rate in self.by_group.items():
            checks.positive_float(name, rate, closed=True)

    @property
    def by_group(self) -> dict[str, float]:
        """The rates by the name of their training group."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PlanStage:
    """One stage of the warm start.

    A regulariser's weight, in nats per row, goes linearly from the first of its two numbers, at the
    stage's first step, to the second, at its last (:mod:`bayes_hybrid.models.regularised`).

    Args:
        name: what the fit's record calls it.
        rates: see :class:`Rates`.
        gate_entropy: weight of the gate's mean entropy, which keeps it from deciding too early.
        load_balance: weight of the squared coefficient of variation of the regimes' usage.
        relu_smoothness: weight of the squared second differences of experts with ReLU units.
        stop: ``"held_out"`` ends at the best check once held-out density has not improved for
            ``patience`` checks; ``"steps"`` takes all its steps.
        patience: ``None`` for that of :class:`~bayes_hybrid.inference.recipe.options.WarmStart`.
        budget: most steps, as a share of ``max_steps`` of ``WarmStart``.
        resumes: goes on where the stage before it stopped, with what is left of its budget and with
            the optimiser's momentum; else the stage starts at the best point so far.
        cut: runs ``num_cuts`` times (of ``WarmStart``), each at a tenth of the step before.

    Example:
        >>> PlanStage(name="even", load_balance=(1.0, 0.0), stop="steps").weights(0.25)
        {'gate_entropy': 0.0, 'load_balance': 0.75, 'relu_smoothness': 0.0}
    """

    name: str
    rates: Rates = field(default_factory=Rates)
    gate_entropy: tuple[float, float] = (0.0, 0.0)
    load_balance: tuple[float, float] = (0.0, 0.0)
    relu_smoothness: tuple[float, float] = (0.0, 0.0)
    stop: str = "held_out"
    patience: int | None = None
    budget: float = 1.0
    resumes: bool = False
    cut: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.instance("name", self.name, str)
        checks.instance("rates", self.rates, Rates)
        checks.choice("stop", self.stop, STOP_RULES)
        checks.positive_float("budget", self.budget)
        if self.patience is not None:
            checks.positive_int("patience", self.patience)
        for name, ends in self.penalties.items():
            if not isinstance(ends, tuple | list) or len(ends) != 2:
                raise OptionError(
                    f"{name} must be a pair of weights, at the stage's start and end, such as "
                    f"(1.0, 0.0); got {ends!r}"
                )
            for end in ends:
                checks.positive_float(name, end, closed=True)
            # A list is as good, but would not hash.
            object.__setattr__(self, name, tuple(ends))
        if self.anneals and (self.stop != "steps" or self.resumes):
            raise OptionError(
                f"stage {self.name!r} anneals a weight over all its steps, so it needs "
                "stop='steps' and resumes=False"
            )
        if self.resumes and (self.cut or self.budget != 1.0):
            raise OptionError(
                f"stage {self.name!r} resumes the one before, whose step and budget it takes; "
                "leave cut and budget alone"
            )

    @property
    def penalties(self) -> dict[str, tuple[float, float]]:
        """First and last weight of every regulariser, by name."""
        return {name: getattr(self, name) for name in REGULARISERS}

    @property
    def anneals(self) -> bool:
        """Whether a weight changes."""
        return any(start != end for start, end in self.penalties.values())

    def weights(self, progress: float) -> dict[str, float]:
        """The regularisers' weights at a share of the stage, 0 at its first step, 1 at its last."""
        return {
            name: (1.0 - progress) * start + progress * end
            for name, (start, end) in self.penalties.items()
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of the warm start, and how SVI goes on from them.

    SVI takes the last stage's rates (in its whitened coordinates, each named after the entry at its
    place) and, for good, that stage's last weights.  Where one of these is not zero the posterior
    is not that of the stated model, and :attr:`Fit.status` says so.  HMC is never regularised.

    The KL warm-up multiplies everything in the ELBO but the likelihood by a number that rises
    linearly to 1 over the first steps of SVI::

        ELBO_b = E_q[log p(y | x, theta)] - b KL(q | prior),   b = min(1, step / (kl_warmup steps))

    Args:
        stages: one or more :class:`PlanStage`.
        kl_warmup: share of SVI's steps that the warm-up takes, at most a half.
        even_gate: starts with a gate that gives all regimes nearly the same weight, in place of one
            drawn from its prior: its head is a thousandth of a draw.  For softmax gates; where the
            gate is another, or there is one regime, such a plan is left out beside others.
        name: what the fit's record calls it, where there are several.

    Raises:
        OptionError: nothing is trained in the last stage, or stages do not fit together.

    Source: for the warm-up Sonderby et al. (2016), Ladder variational autoencoders, section 2.3.

    Example:
        >>> free = PlanStage(name="all")
        >>> Plan(stages=(PlanStage(name="no gate", rates=Rates(gate=0.0)), free)).kl_warmup
        0.0
    """

    stages: tuple[PlanStage, ...]
    kl_warmup: float = 0.0
    even_gate: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        """Check the stages and how they follow each other."""
        checks.instance("stages", self.stages, tuple, list)
        checks.instance("even_gate", self.even_gate, bool)
        checks.instance("name", self.name, str)
        for stage in self.stages:
            checks.instance("stages", stage, PlanStage)
        # A list is as good, but would not hash.
        object.__setattr__(self, "stages", tuple(self.stages))
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise OptionError(f"stages: expected one or more of different names, got {names!r}")
        if checks.fraction("kl_warmup", self.kl_warmup, closed=True) > _LONGEST_WARMUP:
            raise OptionError(
                f"kl_warmup must be at most {_LONGEST_WARMUP}, so that SVI ends with the whole KL "
                f"term; got {self.kl_warmup!r}"
            )
        if self.stages[0].resumes or self.stages[0].cut:
            raise OptionError("stages: the first has no step to resume or to cut")
        frozen = [name for name, rate in self.stages[-1].rates.by_group.items() if rate == 0.0]
        if frozen:
            raise OptionError(
                f"stages: the last freezes {', '.join(frozen)}; what SVI is to learn has to be "
                "free there, so give it a rate above 0 or add a stage"
            )
        for before, stage in zip(self.stages, self.stages[1:], strict=False):
            if stage.resumes and (before.stop == "steps" or before.cut):
                raise OptionError(
                    f"stages: {stage.name!r} resumes {before.name!r}, which has to be a stage with "
                    "stop='held_out' and without cut, or no steps would be left"
                )

    @property
    def final_weights(self) -> dict[str, float]:
        """The regularisers' weights in SVI."""
        return self.stages[-1].weights(1.0)

    def regularised_share(self, names: tuple[str, ...]) -> float:
        """Most steps under one of these regularisers, as a multiple of ``max_steps``."""
        return sum(s.budget for s in self.stages if any(any(s.penalties[n]) for n in names))


# Noise that is free to depend on the features from the start explains hard rows away.
_RECIPE: Final = (
    PlanStage(name="means first", rates=Rates(noise_slopes=0.0), patience=1),
    PlanStage(name="all", resumes=True),
    PlanStage(name="small steps", cut=True),
)

_DIRECT: Final = Plan(name="direct", stages=_RECIPE)
# Experts that start under a gate drawn at random divide the rows as it does, and parallel branches
# or a rare regime are then hardly found; under an even gate they compete for every row.
_EVEN: Final = Plan(
    name="even gate",
    stages=(
        PlanStage(
            name="slow gate",
            rates=Rates(gate=0.05, noise_slopes=0.0),
            stop="steps",
            budget=0.1,
        ),
        *_RECIPE,
    ),
    even_gate=True,
)

PLANS: Final[Mapping[str, tuple[Plan, ...]]] = MappingProxyType(
    {
        # Neither start finds every kind of regime; the ELBO says which did.
        "default": (_DIRECT, _EVEN),
        "direct": (_DIRECT,),
        "even_gate": (_EVEN,),
        # A frozen gate would be a random one; this one is free, and held even by its entropy.
        "gaussian_first": (
            Plan(
                name="gaussian first",
                stages=(
                    PlanStage(
                        name="gaussian",
                        rates=Rates(relu=0.0, noise_slopes=0.0),
                        gate_entropy=(10.0, 10.0),
                    ),
                    PlanStage(
                        name="gate and relu",
                        rates=Rates(gaussian=0.0, noise_slopes=0.0),
                        gate_entropy=(1.0, 0.0),
                        load_balance=(1.0, 0.0),
                        stop="steps",
                        budget=0.15,
                    ),
                    *_RECIPE,
                ),
            ),
        ),
        "balanced": (
            Plan(
                name="balanced",
                stages=(
                    PlanStage(
                        name="regularised",
                        rates=Rates(noise_slopes=0.0),
                        gate_entropy=(0.1, 0.0),
                        load_balance=(0.2, 0.0),
                        relu_smoothness=(0.3, 0.0),
                        stop="steps",
                        budget=0.1,
                    ),
                    *_RECIPE,
                ),
            ),
        ),
        # What one would write first: a baseline for the others.
        "plain": (Plan(name="plain", stages=(PlanStage(name="all"),)),),
    }
)
"""The built-in plans, by name: of several, each trains its share of the candidates."""


def plans_of(plan: str | Plan | Sequence[str | Plan]) -> tuple[Plan, ...]:
    """The plans that share the candidates, from names and plans.

    Args:
        plan: a name of :data:`PLANS`, a plan, or several of them.

    Raises:
        OptionError: no plan has that name; there is none, or one occurs twice; or they do not go on
            alike in SVI, whose ELBO has to compare their candidates.

    Example:
        >>> [plan.name for plan in plans_of("default")]
        ['direct', 'even gate']
        >>> plans_of("ballanced")
        Traceback (most recent call last):
        bayes_hybrid.errors.OptionError: plan must be one of 'default', 'direct', 'even_gate',
            'gaussian_first', 'balanced', 'plain'; got 'ballanced'; did you mean 'balanced'?
    """
    if isinstance(plan, Plan):
        return (plan,)
    if isinstance(plan, str):
        return PLANS[checks.choice("plan", plan, tuple(PLANS))]
    if not isinstance(plan, tuple | list):
        raise OptionError(
            f"plan must be one of {', '.join(map(repr, PLANS))}, a Plan, or several of these; got "
            f"{plan!r}"
        )
    plans = tuple(single for part in plan for single in plans_of(part))
    names = [single.name for single in plans if single.name]
    if not plans or len(set(plans)) < len(plans) or len(set(names)) < len(names):
        raise OptionError(
            "plan: expected one or more different plans of different names ('default' stands for "
            f"'direct' and 'even_gate'), got {plan!r}"
        )
    first = plans[0]
    for other in plans[1:]:
        if (other.stages[-1].rates, other.final_weights, other.kl_warmup) != (
            first.stages[-1].rates,
            first.final_weights,
            first.kl_warmup,
        ):
            raise OptionError(
                "plan: several plans have to end with the same rates and weights and have the same "
                "kl_warmup, because SVI trains all candidates together"
            )
    return plans
