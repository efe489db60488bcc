"""Plain torch building blocks: Gaussian and ReLU layers, and the ways to combine them."""

from bayes_hybrid.nn.affine import affine, bind
from bayes_hybrid.nn.combine import (
    COMBINATIONS,
    GaussianStabilizesReLULayer,
    LinearMixLayer,
    ReLUGatesGaussianLayer,
    pathway_kind,
    stack,
)
from bayes_hybrid.nn.gaussian import SMOOTHINGS, GaussianBlock, smooth
from bayes_hybrid.nn.relu import ReLUBlock

__all__ = [
    "COMBINATIONS",
    "SMOOTHINGS",
    "GaussianBlock",
    "GaussianStabilizesReLULayer",
    "LinearMixLayer",
    "ReLUBlock",
    "ReLUGatesGaussianLayer",
    "affine",
    "bind",
    "pathway_kind",
    "smooth",
    "stack",
]
