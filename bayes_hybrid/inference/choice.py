"""Which of the candidates make up the posterior, and how much of it."""

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import Guide
from bayes_hybrid.inference.rows import Rows
from bayes_hybrid.inference.svi import exact_elbo

# Nats by which one ELBO may miss its log evidence by more than another.
_LOWEST_TEMPERATURE = 16.0


def choose_restarts(
    rows: Rows,
    guide: Guide,
    elbo: Tensor,
    allowed: Tensor,
    *,
    weighting: str,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, str]:
    """Indices of the candidates to keep, best first, and a phrase that says which these are.

    See ``weighting`` of :class:`~bayes_hybrid.inference.options.FitOptions`.

    Args:
        rows: all rows.
        guide: of C candidates.
        elbo: their ELBO in the run of SVI ``[C]``, ``-inf`` of a lost one.
        allowed: which may be kept ``[C]``.
        weighting: ``"uniform"``, ``"tempered"`` or ``"elbo"``.
        count: R, how many to keep; by weight one may be kept several times.
        generator: of the draws that the ELBO is taken from.
    """
    if weighting == "uniform":
        best = _best(elbo, allowed, count)
        return best, f"kept the {len(best)} restarts with the largest ELBO"
    # A nat of noise is a factor of three.
    score = torch.nan_to_num(exact_elbo(rows, guide, generator), nan=-torch.inf)
    temperature = temperature_of(score[allowed], count / 2) if weighting == "tempered" else 1.0
    best = by_evidence(score / temperature, allowed, count)
    share = "exp(ELBO)" if weighting == "elbo" else f"exp(ELBO / {temperature:.3g})"
    return best, f"took {len(set(best.tolist()))} different restarts in proportion to {share}"


def temperature_of(score: Tensor, least: float) -> float:
    """T of weights exp(score / T): the smallest, from 16 on, that leaves ``least`` effective ones.

    The effective number is ``1 / sum_c w_c^2``, at most that of the finite scores.
    """
    finite = score[torch.isfinite(score)].double()
    least = min(least, 0.99 * len(finite))
    temperature = _LOWEST_TEMPERATURE
    while float(torch.softmax(finite / temperature, dim=0).square().sum()) * least > 1.0:
        temperature *= 1.1
    return temperature


def by_evidence(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """``count`` indices, each about ``count`` times its share of exp(score), best first.

    Systematic resampling: Carpenter, Clifford and Fearnhead (1999), Improved particle filter for
    nonlinear problems.
    """
    shares = torch.softmax(torch.where(allowed, score.double(), -torch.inf), dim=0)
    order = shares.argsort(descending=True)
    middles = (torch.arange(count, dtype=shares.dtype, device=shares.device) + 0.5) / count
    places = torch.searchsorted(shares[order].cumsum(0), middles)
    return order[places.clamp_max(len(order) - 1)]


def _best(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest scores among those allowed, best first."""
    order = torch.where(allowed, score, -torch.inf).argsort(descending=True)
    return order[: min(count, int(allowed.sum()))]
