"""Every model of the package, small: the family that the contract tests go through."""

from typing import Final

import torch

from bayes_hybrid.gates import (
    ConstantGate,
    Gate,
    LinearGate,
    MonotoneGate,
    ObliqueGate,
    ReLUGate,
    ThresholdGate,
)
from bayes_hybrid.likelihoods import (
    Bernoulli,
    Beta,
    Binomial,
    ContaminatedNormal,
    Gamma,
    Huber,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Poisson,
    PseudoHuber,
    StudentT,
)
from bayes_hybrid.models import (
    Constant,
    HybridMixture,
    HybridModel,
    LabelHead,
    Line,
    Pathway,
    PathwayModel,
    Polynomial,
    Target,
)
from bayes_hybrid.priors import LogNormalPrior

# Written out, not read from the package: a new member must be added here to be tested.
KINDS: Final = ("gaussian", "relu", "linear_mix", "relu_gates_gaussian", "gaussian_stabilizes_relu")
NOISES: Final = ("constant", "input")
SMOOTHINGS: Final = ("bump", "step", "relu", "identity")
GATES: Final[dict[str, Gate]] = {
    "constant": ConstantGate(),
    "linear": LinearGate(),
    "relu": ReLUGate(num_units=3),
    "threshold": ThresholdGate(feature=1),
    "monotone": MonotoneGate(feature=0, num_units=3),
    "oblique": ObliqueGate(),
}
NUM_FEATURES: Final = 2
_COUNTS: Final = Poisson(base=2.0)
_RATES: Final = Poisson(base=2.0, exposure=0)
_LEARNED: Final = LogNormalPrior(median=2.0, spread=0.5)


def pathway(kind: str, **settings: object) -> Pathway:
    """A pathway of three units."""
    return Pathway(**{"kind": kind, "num_units": 3, **settings})  # type: ignore[arg-type]


def _single(**settings: object) -> PathwayModel:
    return PathwayModel(num_features=NUM_FEATURES, pathway=pathway(**settings))  # type: ignore[arg-type]


def _mixture(
    kinds: tuple[str, ...],
    gate: str,
    noise: str,
    num_outputs: int = 1,
    label_head: LabelHead | None = None,
) -> HybridMixture:
    return HybridMixture(
        num_features=NUM_FEATURES,
        experts=tuple(pathway(kind, noise=noise) for kind in kinds),
        gate=GATES[gate],
        num_outputs=num_outputs,
        label_head=label_head,
    )


MODELS: Final[dict[str, HybridModel]] = {
    **{f"{kind}, {noise}": _single(kind=kind, noise=noise) for kind in KINDS for noise in NOISES},
    **{f"{kind}, deep": _single(kind=kind, depth=2) for kind in KINDS},
    **{f"gaussian, {base}": _single(kind="gaussian", smoothing=base) for base in SMOOTHINGS[1:]},
    **{
        f"mixture of 2, {gate}, {noise}": _mixture(("gaussian", "relu"), gate, noise)
        for gate in GATES
        for noise in NOISES
    },
    **{
        f"mixture of 3, {gate}, {noise}": _mixture(("gaussian", "relu", "gaussian"), gate, noise)
        for gate in GATES
        for noise in NOISES
    },
    "mixture of combinations": _mixture(KINDS[2:], "relu", "input"),
    "relu, learned df": _single(kind="relu", likelihood=StudentT(df=_LEARNED)),
    "gaussian, contaminated": _single(kind="gaussian", likelihood=ContaminatedNormal()),
    "gaussian, laplace": _single(kind="gaussian", likelihood=Laplace()),
    "mixture of mixed families": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(
            pathway("gaussian"),
            pathway("relu", likelihood=Huber(threshold=_LEARNED)),
            pathway("relu", likelihood=PseudoHuber(threshold=0.5)),
        ),
        gate=GATES["linear"],
    ),
    "line": PathwayModel(num_features=NUM_FEATURES, pathway=Line()),
    "mixture of curves": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(Constant(), Line(noise="input"), Polynomial(degree=3)),
        gate=GATES["threshold"],
    ),
    "joined curves": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(Line(), Constant(), Polynomial()),
        gate=GATES["threshold"],
        joined=(True, True),
    ),
    "relu, bernoulli": _single(kind="relu", likelihood=Bernoulli(base=0.3)),
    "mixture of counts": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(
            pathway("gaussian", likelihood=Poisson(base=2.0)),
            pathway("relu", likelihood=NegativeBinomial(base=2.0)),
        ),
        gate=GATES["linear"],
    ),
    "line, binomial": PathwayModel(
        num_features=NUM_FEATURES, pathway=Line(likelihood=Binomial(trials=1, base=0.3))
    ),
    "mixture of rates, 2 outputs": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(pathway("gaussian", likelihood=_RATES), pathway("relu", likelihood=_RATES)),
        gate=GATES["threshold"],
        num_outputs=2,
    ),
    "mixture of 2, poisson, 3 outputs": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(pathway("gaussian", likelihood=_COUNTS), pathway("relu", likelihood=_COUNTS)),
        num_outputs=3,
    ),
    "relu, beta": _single(kind="relu", likelihood=Beta(base=0.4)),
    "mixture of positive numbers": HybridMixture(
        num_features=NUM_FEATURES,
        experts=(
            pathway("gaussian", likelihood=Gamma(base=2.0)),
            pathway("relu", likelihood=LogNormal(centre=0.5, spread=0.7)),
        ),
        gate=GATES["linear"],
    ),
    "relu, gamma, 2 outputs": PathwayModel(
        num_features=NUM_FEATURES,
        pathway=pathway("relu", likelihood=Gamma(base=2.0, spread=0.5), noise="constant"),
        num_outputs=2,
    ),
    "relu, 3 outputs": PathwayModel(
        num_features=NUM_FEATURES, pathway=pathway("relu"), num_outputs=3
    ),
    "mixture of 2, 3 outputs": _mixture(("gaussian", "relu"), "relu", "input", 3),
    "mixture of 2, labels": _mixture(
        ("gaussian", "relu"), "linear", "constant", label_head=LabelHead(noise="none")
    ),
    "mixture of 3, 2 outputs, labels": _mixture(
        ("gaussian", "relu", "gaussian"), "constant", "constant", 2, LabelHead(weight=0.5)
    ),
}


def rows(
    size: int = 9, seed: int = 0, model: HybridModel | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of standardised size, in float64: ``x [size, 2]``, ``y [size]`` or ``[size, Q]``.

    Several outputs have one missing value in three.  Models of counts have zeros, ones and some
    larger numbers; where rows have a size, it is a whole number that is larger.  Those of positive
    numbers and of shares have such.
    """
    x, target = observed(size, seed, model)
    return x, target.y


def observed(
    size: int = 9, seed: int = 0, model: HybridModel | None = None
) -> tuple[torch.Tensor, Target]:
    """:func:`rows`; for a model with a label head there is a label on every other one."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, NUM_FEATURES, generator=generator, dtype=torch.float64)
    column = None if model is None else model.likelihoods.size_column
    if column is not None:
        x[:, column] = 9.0 + (4.0 * x[:, column].abs()).floor()
    num_outputs = 1 if model is None else model.num_outputs
    y = _targets((size, num_outputs), generator, model)
    if num_outputs > 1:
        y[::3, 1] = torch.nan
    else:
        y = y[:, 0]
    if model is None or model.label_head is None:
        return x, Target(y)
    label = torch.randint(model.num_regimes, (size,), generator=generator).to(y)
    label[1::2] = torch.nan
    return x, Target(y, label)


def _targets(
    shape: tuple[int, ...], generator: torch.Generator, model: HybridModel | None
) -> torch.Tensor:
    y = torch.randn(shape, generator=generator, dtype=torch.float64)
    if model is None or model.likelihoods.standardises:
        return y
    if model.likelihoods.has_noise:
        return y.sigmoid() if isinstance(model.likelihoods[0], Beta) else (0.5 * y).exp()
    counts = (2.0 * y.abs()).floor()
    return counts.clamp_max(1.0) if isinstance(model.likelihoods[0], Bernoulli) else counts
