"""Quantiles of a mixture of mixtures: the posterior predictive over many draws."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.distributions.mixture import RegimeMixture

# Of the smaller of p and 1 - p; a further step of Newton's method leaves about the square of it.
_CLOSE: Final = 1e-7
# Each step halves the one before or the bracket; two to eight are usual.
_MAX_STEPS: Final = 200


def pooled_quantiles(
    of_rows: Callable[[Tensor], RegimeMixture], rows: Tensor, levels: Tensor
) -> Tensor:
    """Quantiles of the equal mixture over the draws on the first axis of the batch.

    The bracket is Cantelli's inequality: with mean m and standard deviation s of the whole::

        m - s sqrt((1 - p) / p) <= quantile(p) <= m + s sqrt(p / (1 - p))

    Within it, Newton's method with the density.  Rows that are done are left out of later steps.

    Args:
        of_rows: from the numbers of M rows to their mixtures, batch shape ``[S, M]``; of several
            outputs, each by itself.
        rows: numbers of the N rows.
        levels: probabilities ``[L]``, strictly between 0 and 1.

    Returns:
        ``[L, N]``, or ``[L, N, Q]``.

    Source: Cantelli (1928), Sui confini della probabilita.

    Example:
        >>> def two(rows):
        ...     ends = torch.tensor([[-1.0], [1.0]]).double().expand(2, len(rows))
        ...     each = torch.distributions.Normal(ends, 1.0)
        ...     return RegimeMixture(torch.zeros(2, len(rows), 1), [each])
        >>> median = pooled_quantiles(two, torch.arange(3), torch.tensor([0.5]))
        >>> median.shape, bool((median.abs() < 1e-9).all())
        (torch.Size([1, 3]), True)
    """
    mixture = of_rows(rows)
    center = mixture.mean.mean(0)
    spread = mixture.square_about(center).mean(0).sqrt()
    prob = levels.to(center).reshape(-1, *[1] * center.dim())
    lower = center - spread * ((1.0 - prob) / prob).sqrt()
    upper = center + spread * (prob / (1.0 - prob)).sqrt()
    if not bool(torch.isfinite(spread).all()):
        # Without a variance, from the smallest of the components' quantiles to the largest.
        shape = mixture.batch_shape + mixture.event_shape
        probs = prob.unsqueeze(1).expand(-1, *shape)
        parts = torch.stack([part.icdf(probs) for part in mixture.components])
        lower, upper = parts.amin((0, 2)), parts.amax((0, 2))
        center, spread = 0.5 * (lower + upper), upper.amax(0) - lower.amin(0)
    value = center + spread * torch.special.ndtri(prob)
    value = torch.minimum(torch.maximum(value, lower), upper)
    result, place = torch.empty_like(value), torch.arange(len(rows), device=rows.device)
    before, done = upper - lower, torch.zeros_like(value, dtype=torch.bool)
    rounding = 4.0 * torch.finfo(value.dtype).eps
    enough = (_CLOSE * torch.minimum(prob, 1.0 - prob)).clamp_min(rounding)
    for _ in range(_MAX_STEPS):
        cdf, density = (part.mean(1) for part in mixture.cdf_and_density(value.unsqueeze(1)))
        error = cdf - prob
        lower = torch.where(error < 0.0, value, lower)
        upper = torch.where(error > 0.0, value, upper)
        step = error / density
        # Bisection where Newton's method would leave the bracket or does not get faster.
        newton = (value - step >= lower) & (value - step <= upper)
        newton &= step.abs() < 0.5 * before.abs()
        step = torch.where(newton | (error == 0.0), step, value - 0.5 * (lower + upper))
        value, before = torch.where(done, value, value - step), torch.where(done, before, step)
        done |= (error.abs() <= enough) | (step.abs() <= rounding * value.abs())
        live = ~done.transpose(0, 1).flatten(1).all(-1)
        count = int(live.sum())
        if count == 0:
            break
        if 2 * count <= len(place):
            result[:, place] = value
            place, mixture = place[live], of_rows(rows[place[live]])
            value, lower, upper = value[:, live], lower[:, live], upper[:, live]
            before, done = before[:, live], done[:, live]
    result[:, place] = value
    return result
