"""Which restarts mean the same by a regime.

Experts of different kinds can trade places: one restart explains the calm rows with its Gaussian
expert, another with its ReLU expert, and both fit.  Predictions do not care, but a regime
probability averaged over both says 50% where every restart is certain.  As an order constraint
does for experts of one kind, keeping to one labelling makes the regimes mean something.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bayes_hybrid.inference.graph import evaluate_regimes
from bayes_hybrid.inference.rows import Rows

# Rows beyond these say nothing new about the labelling.
_MAX_ROWS = 1_000


def same_labelling(rows: Rows, theta: Tensor, reference: int) -> Tensor:
    """Which of C points label the rows as the reference does, boolean ``[C]``.

    With responsibilities ``r_c [N, K]`` of each point, the agreement of label k of the reference
    and label j of c is ``mean_n r_ref[n, k] r_c[n, j]``.  A point has the same labelling when no
    permutation of its labels agrees better than leaving them as they are.

    Args:
        rows: training rows.
        theta: points ``[C, P]``; of one that is not finite the answer means nothing.
        reference: index of the point to compare with.
    """
    model, stride = rows.joint.model, max(1, rows.num_rows // _MAX_ROWS)
    x, y = rows.x[::stride], rows.y[::stride]
    # A lost point labels nothing; any finite stand-in will do, and its answer is not used.
    finite = torch.where(torch.isfinite(theta).all(-1, keepdim=True), theta, theta[reference])
    regimes = evaluate_regimes(model, rows.joint.table, finite, x)
    responsibilities = model.predictive(regimes).log_responsibilities(y).exp()
    agreement = torch.einsum("nk,cnj->ckj", responsibilities[reference], responsibilities)
    best = []
    for matrix in torch.nan_to_num(agreement).cpu().double().numpy():
        labels, permuted = linear_sum_assignment(matrix, maximize=True)
        # A regime that is not used agrees with any: only a strict gain counts as another label.
        best.append(matrix[labels, permuted].sum() <= matrix.trace() * (1.0 + 1e-6))
    return torch.tensor(best, device=theta.device)
