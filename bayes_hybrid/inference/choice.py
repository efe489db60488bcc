"""Which of the candidates make up the posterior, and how much of it."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.inference.guides import Guide
from bayes_hybrid.inference.labels import same_labelling
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.rows import Rows
from bayes_hybrid.inference.svi import exact_elbo

# By how many the effective number may fall short of R, where R is more than twice as many.  The
# best few of many are too sure in many dimensions, where their ELBOs lie hundreds of nats apart.
# Where ELBOs lie close enough to tell good modes from bad ones, R nats leave that many anyway.
_FEWER_THAN_ALL: Final = 4


@dataclass(frozen=True, eq=False)
class Choice:
    """Which candidates make up the posterior.

    Args:
        index: of C candidates the R to keep, best first; by weight one may be kept several times.
        allowed: boolean ``[C]``, which label the regimes as the best one does.
        words: what was done, for the record.
    """

    index: Tensor
    allowed: Tensor
    words: str


def choose_restarts(
    rows: Rows,
    guide: Guide,
    elbo: Tensor,
    *,
    weighting: str,
    count: int,
    generator: torch.Generator,
    progress: Progress,
) -> Choice:
    """The candidates to keep, of those that mean the same by a regime as the best one does.

    See ``weighting`` of :class:`~bayes_hybrid.inference.options.FitOptions`.

    Args:
        rows: all rows.
        guide: of C candidates.
        elbo: their ELBO in the run of SVI ``[C]``, ``-inf`` of a lost one.
        weighting: ``"uniform"``, ``"tempered"`` or ``"elbo"``.
        count: R, how many to keep.
        generator: of the draws that the ELBO is taken from.
        progress: told about them.
    """
    lost, score = ~torch.isfinite(elbo), elbo
    if weighting != "uniform":
        # A nat of noise is a factor of three.
        score = exact_elbo(rows, guide, generator, progress)
        score = torch.where(torch.isfinite(score) & ~lost, score, -torch.inf)
        if bool(torch.isinf(score).all()):
            score = elbo
    allowed = ~lost & same_labelling(rows, guide.center, int(score.argmax()))
    if weighting == "uniform":
        best = best_of(score, allowed, count)
        words = f"kept the {len(best)} restarts with the largest ELBO"
    else:
        temperature = 1.0
        if weighting == "tempered":
            temperature = temperature_of(score[allowed], count)
        best = by_evidence(score / temperature, allowed, count)
        share = "exp(ELBO)" if weighting == "elbo" else f"exp(ELBO / {temperature:.0f})"
        words = f"took {len(set(best.tolist()))} different restarts in proportion to {share}"
    return Choice(best, allowed, words)


def temperature_of(score: Tensor, count: int) -> float:
    """T of weights exp(score / T) that leaves an effective number of nearly ``count``.

    That is at least half of ``count``, at least ``count - 4``, and at most ``count``.  T is
    ``count`` nats where it can be: by so much may one ELBO miss its log evidence by more than
    another, and who keeps few restarts wants those of the best modes.  The effective number is
    ``1 / sum_c w_c^2``; with no more than ``count`` the best score's weight is at least
    ``1 / count``, and it is always taken.  Where there are fewer scores, their number stands for
    ``count``.

    Args:
        score: of the candidates that may be taken; those that are not finite do not count.
        count: R.
    """
    finite = score[torch.isfinite(score)].double()

    def effective(temperature: float) -> float:
        return 1.0 / float(torch.softmax(finite / temperature, dim=0).square().sum())

    temperature, most = float(count), min(count, len(finite))
    while effective(temperature) < max(0.5 * most, most - _FEWER_THAN_ALL):
        temperature *= 1.1
    # Equal scores are in effect all of them at any temperature.
    while effective(temperature) > count and temperature > 1e-3:
        temperature /= 1.1
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


def best_of(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest scores among those allowed, best first."""
    order = torch.where(allowed, score, -torch.inf).argsort(descending=True)
    return order[: min(count, int(allowed.sum()))]
