"""One order of the experts that are made alike, for all restarts.

Such experts trade places without a change to the model, so they are put in the order in which they
agree with one restart.  Which rows a regime stands for is a matter of readings
(:mod:`~bayes_hybrid.inference.readings`).
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.posterior.evaluation import evaluate_regimes

# Rows beyond these say nothing new about the labelling.
_MAX_ROWS = 1_000


def relabel(rows: Rows, theta: Tensor, reference: int) -> Tensor:
    """The points ``[C, P]`` with regimes in the reference's order, as far as they may trade places.

    Experts made alike are exchangeable: a restart may have found the reference's solution under
    other names.  Its regimes are permuted among exchangeable ones so that they agree best with the
    reference's.  (An order constraint on one number, a slope or a level, would do the same where
    the regimes differ in that number, and cut through the posterior where they do not.)
    """
    model, table = rows.joint.model, rows.joint.table
    size = range(model.num_regimes)
    allowed = np.array([[model.exchangeable(k, j) for j in size] for k in size])
    if (allowed == np.eye(len(size), dtype=bool)).all():
        return theta
    result = theta.clone()
    for c, matrix in enumerate(_agreement(rows, theta, reference)):
        _, order = linear_sum_assignment(np.where(allowed, matrix, -1.0), maximize=True)
        if bool(torch.isfinite(theta[c]).all()):
            result[c] = table.flatten(model.relabelled(table.constrain(theta[c]), order.tolist()))
    return result


def usage(rows: Rows, theta: Tensor) -> tuple[float, ...]:
    """Mean responsibility of each regime over rows and points ``[C, P]``, K numbers.

    Points that are not finite do not count; of none that is, the usage is NaN.
    """
    size = rows.joint.model.num_regimes
    if size == 1:
        return (1.0,)
    finite = theta[torch.isfinite(theta).all(-1)]
    if not len(finite):
        return (math.nan,) * size
    shares: list[float] = _responsibilities(rows, finite).mean((0, 1)).tolist()
    return tuple(shares)


def _agreement(rows: Rows, theta: Tensor, reference: int) -> NDArray[np.float64]:
    """How label k of the reference and label j of point c agree, ``[C, K, K]``.

    With responsibilities ``r_c [N, K]`` of each point it is ``mean_n r_ref[n, k] r_c[n, j]``.
    """
    # A lost point labels nothing; any finite stand-in will do, and its answer is not used.
    finite = torch.where(torch.isfinite(theta).all(-1, keepdim=True), theta, theta[reference])
    shares = _responsibilities(rows, finite)
    agreement = torch.einsum("nk,cnj->ckj", shares[reference], shares)
    result: NDArray[np.float64] = torch.nan_to_num(agreement).cpu().double().numpy()
    return result / shares.shape[1]


def _responsibilities(rows: Rows, theta: Tensor) -> Tensor:
    """Of each regime for some of the rows, under finite points, ``[C, n, K]``."""
    model, stride = rows.joint.model, max(1, rows.num_rows // _MAX_ROWS)
    some = slice(None, None, stride)
    regimes = evaluate_regimes(model, rows.joint.table, theta, rows.x[some])
    return model.predictive(regimes).log_responsibilities(rows.target[some].y).exp()
