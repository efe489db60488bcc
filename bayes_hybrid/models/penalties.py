"""Regularisers against collapse: what each says of a model's regimes, without its weight.

:meth:`~bayes_hybrid.models.base.HybridModel.marginal` and ``enumerated`` take their weights, and
make of each a Pyro factor of its name::

    gate_entropy      + w N mean_n H(pi(x_n))
    load_balance      - w N CV^2(u)
    relu_smoothness   - w N mean_m sum_k (D^2 location_k(x_m))^2      over experts k with ReLU units

All need features alone, never a target, so they may look at rows that are held out.
"""

from typing import Final

import torch
from torch import Tensor

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
