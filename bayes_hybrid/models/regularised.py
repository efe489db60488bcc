"""Regularisers against collapse, and the programs of a model that have them as Pyro factors.

Of N rows, with the weight w::

    gate_entropy      + w N mean_n H(pi(x_n))
    load_balance      - w N CV^2(u)
    relu_smoothness   - w N mean_m sum_k (D^2 location_k(x_m))^2      over experts k with ReLU units

All need features alone, never a target, so they may look at rows that are held out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyro
import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.distributions import along_last
from bayes_hybrid.errors import OptionError
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.sampled import Programs, Sampled

# Half the width of a second difference, in sds of the feature: a smooth function changes little
# over a quarter of an sd, a jump changes by its full height.
_STEP: Final = 0.25
# Rows at which second differences are taken: more tell little, and each costs two evaluations.
_MAX_ROWS: Final = 128


def mean_entropy(log_weights: Tensor) -> Tensor:
    """``mean_n H(pi(x_n))``, ``H(pi) = -sum_k pi_k log pi_k``, in nats: log K for an even gate.

    Args:
        log_weights: the gate's log probabilities ``[N, K]``.

    Source: Pereyra et al. (2017), Regularizing neural networks by penalizing confident output
    distributions, section 3.  Grandvalet and Bengio (2004), Semi-supervised learning by entropy
    minimization, have the opposite sign: they want decisions, which come by themselves here.

    Example:
        >>> print(f"{mean_entropy(torch.tensor([[0.5, 0.5]]).log()):.4f}")
        0.6931
    """
    return -(log_weights.exp() * log_weights).sum(-1).mean()


def usage_variation(log_weights: Tensor) -> Tensor:
    """Squared coefficient of variation of the regimes' usage, 0 for an even one, K - 1 at most.

    ::

        u_k = mean_n pi_k(x_n);   CV^2 = var(u) / mean(u)^2 = K sum_k u_k^2 - 1

    Args:
        log_weights: the gate's log probabilities ``[N, K]``.

    Source: Shazeer et al. (2017), Outrageously large neural networks: the sparsely-gated
    mixture-of-experts layer, equations 6 and 7.

    Example:
        >>> print(f"{usage_variation(torch.tensor([[0.75, 0.25]]).log()):.4f}")
        0.2500
    """
    usage = log_weights.exp().mean(0)
    return len(usage) * usage.square().sum() - 1.0


def neighbours(x: Tensor, but: int | None = None) -> Tensor:
    """The points ``[2 M, D]`` on either side of M rows, first below and then above.

    Every s-th row counts, with s the smallest that leaves 128 rows or fewer.  Row m has its
    neighbours a quarter of an sd away along feature m modulo D, so that the rows take turns.

    Args:
        x: standardised features ``[N, D]``.
        but: a column that is none of the features.
    """
    rows = x[:: _stride(x)]
    steps = _STEP * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    if but is not None:
        steps = torch.cat([steps[:but], steps[but + 1 :]])
    step = steps[torch.arange(len(rows), device=x.device) % len(steps)]
    return torch.cat([rows - step, rows + step])


def roughness(locations: Tensor, around: Tensor) -> Tensor:
    """Mean over M rows of the squared second difference, summed over outputs and experts.

    ::

        D^2 f(x_m) = f(x_m + h u_m) - 2 f(x_m) + f(x_m - h u_m)

    It is not divided by h^2: a jump adds the square of its height, where a quotient would see
    little else than kinks.

    Args:
        locations: of the experts to be smooth, at all rows, ``[N, ..., K]``.
        around: the same at :func:`neighbours`, ``[2 M, ..., K]``.

    Source: Eilers and Marx (1996), Flexible smoothing with B-splines and penalties, section 2,
    after Whittaker (1923): there between coefficients, here along the data.

    Example:
        >>> x = torch.linspace(-1, 1, 5).unsqueeze(-1)
        >>> print(f"{roughness(3.0 * x, 3.0 * neighbours(x)):.4f}")
        0.0000
    """
    below, above = around.chunk(2)
    difference = above - 2.0 * locations[:: _stride(locations)] + below
    return difference.square().mean(0).sum()


def _stride(rows: Tensor) -> int:
    return -(-len(rows) // _MAX_ROWS)


REGULARISERS: Final = ("gate_entropy", "load_balance", "relu_smoothness")
"""The regularisers, and the names of their factors."""


def regularisers(model: HybridModel) -> tuple[str, ...]:
    """The regularisers that a model has a use for: those of its gate, of its ReLU units."""
    several = model.num_regimes > 1
    acts = (several, several, bool(model.relu_regimes))
    return tuple(name for name, act in zip(REGULARISERS, acts, strict=True) if act)


@dataclass(frozen=True, eq=False)
class Regularised(Programs):
    """The Pyro programs of a model with a factor for each regulariser that has something to act on.

    The factors have no part in the stated model.

    Args:
        model: the model.
        weights: of the regularisers, in nats per row, by name.

    Raises:
        OptionError: a regulariser of another name.
    """

    model: HybridModel
    weights: Mapping[str, float | Tensor]

    def __post_init__(self) -> None:
        """Check the names."""
        for name in self.weights:
            checks.choice("weights", name, REGULARISERS)

    def sampled(self, x: Tensor, num_rows: int | None = None) -> Sampled:
        """The model's, and the factors."""
        sampled = self.model.sampled(x)
        if self.weights and sampled.vectorised:
            raise OptionError(
                "weights: a regulariser is one number of all rows, which several draws side by "
                "side do not have; use one particle at a time"
            )
        size = len(x) if num_rows is None else num_rows
        for name in regularisers(self.model):
            if name in self.weights:
                term = self._term(name, x, sampled)
                pyro.factor(name, size * self.weights[name] * term)
        return sampled

    def _term(self, name: str, x: Tensor, sampled: Sampled) -> Tensor:
        if name == "gate_entropy":
            return mean_entropy(sampled.regimes.log_weights)
        if name == "load_balance":
            return -usage_variation(sampled.regimes.log_weights)
        near, relu = neighbours(x, self.model.likelihoods.size_column), self.model.relu_regimes
        locations = [sampled.regimes.experts[k].location for k in relu]
        around = [sampled.parts.experts[k](near).location for k in relu]
        return -roughness(along_last(locations), along_last(around))
