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
from bayes_hybrid.models import HybridMixture, HybridModel, Pathway, PathwayModel

# Written out, not read from the package: a new member must be added here to be tested.
KINDS: Final = ("gaussian", "relu", "linear", "relu_gates_gaussian", "gaussian_stabilizes_relu")
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


def pathway(kind: str, **settings: object) -> Pathway:
    """A pathway of three units."""
    return Pathway(**{"kind": kind, "num_units": 3, **settings})  # type: ignore[arg-type]


def _single(**settings: object) -> PathwayModel:
    return PathwayModel(num_features=NUM_FEATURES, pathway=pathway(**settings))  # type: ignore[arg-type]


def _mixture(kinds: tuple[str, ...], gate: str, noise: str) -> HybridMixture:
    experts = tuple(pathway(kind, noise=noise) for kind in kinds)
    return HybridMixture(num_features=NUM_FEATURES, experts=experts, gate=GATES[gate])


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
}


def rows(size: int = 9, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of standardised size, in float64: ``x [size, 2]``, ``y [size]``."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, NUM_FEATURES, generator=generator, dtype=torch.float64)
    return x, torch.randn(size, generator=generator, dtype=torch.float64)
