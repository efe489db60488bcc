"""Quantiles of a mixture of mixtures: the posterior predictive over many draws."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from bayes_hybrid.distributions.mixture import RegimeMixture

# Of the spread; Newton's last step is shorter than this, so what is left is its square.
_SHORTEST: Final = 1e-6
# Each step halves the one before or the bracket, so that this many are never needed.
_MAX_STEPS: Final = 200


def pooled_quantiles(mixture: RegimeMixture, levels: Tensor) -> Tensor:
    """Quantiles of the equal mixture over the draws on the first axis of the batch.

    The bracket is Cantelli's inequality: with mean m and standard deviation s of the whole::

        m - s sqrt((1 - p) / p) <= quantile(p) <= m + s sqrt(p / (1 - p))

    Within it, Newton's method with the density.

    Args:
        mixture: batch shape ``[S, N]``; of several outputs, each by itself.
        levels: probabilities ``[L]``, strictly between 0 and 1.

    Returns:
        ``[L, N]``, or ``[L, N, Q]``.

    Source: Cantelli (1928), Sui confini della probabilita.

    Example:
        >>> two = torch.distributions.Normal(torch.tensor([[-1.0], [1.0]]).double(), 1.0)
        >>> both = RegimeMixture(torch.zeros(2, 1, 1), [two])
        >>> pooled_quantiles(both, torch.tensor([0.5], dtype=torch.float64)).abs().item() < 1e-9
        True
    """
    means = mixture.mean
    center = means.mean(0)
    spread = (mixture.variance.mean(0) + means.var(0, correction=0)).sqrt()
    prob = levels.to(center).reshape(-1, *[1] * center.dim())
    lower = center - spread * ((1.0 - prob) / prob).sqrt()
    upper = center + spread * (prob / (1.0 - prob)).sqrt()
    if not bool(torch.isfinite(spread).all()):
        # Without a variance, from the smallest of the components' quantiles to the largest.
        probs = prob.unsqueeze(1).expand(-1, *means.shape)
        parts = torch.stack([part.icdf(probs) for part in mixture.components])
        lower, upper = parts.amin((0, 2)), parts.amax((0, 2))
        center, spread = 0.5 * (lower + upper), upper - lower
    start = center + spread * torch.special.ndtri(prob)

    def cdf_and_density(value: Tensor) -> tuple[Tensor, Tensor]:
        beside = value.unsqueeze(1)
        return mixture.cdf(beside).mean(1), mixture.density(beside).mean(1)

    inside = torch.minimum(torch.maximum(start, lower), upper)
    return _newton(cdf_and_density, prob, inside, lower, upper, _SHORTEST * spread)


def _newton(
    cdf_and_density: Callable[[Tensor], tuple[Tensor, Tensor]],
    prob: Tensor,
    value: Tensor,
    lower: Tensor,
    upper: Tensor,
    shortest: Tensor,
) -> Tensor:
    """Newton's method on a bracket, bisection where it would leave it or does not get faster."""
    rounding = 4.0 * torch.finfo(value.dtype).eps
    before = upper - lower
    for _ in range(_MAX_STEPS):
        cdf, density = cdf_and_density(value)
        error = cdf - prob
        lower = torch.where(error < 0.0, value, lower)
        upper = torch.where(error > 0.0, value, upper)
        step = error / density
        moved = value - step
        newton = (moved >= lower) & (moved <= upper) & (step.abs() < 0.5 * before.abs())
        moved = torch.where(newton | (error == 0.0), moved, 0.5 * (lower + upper))
        before, value = moved - value, moved
        enough = torch.maximum(shortest, rounding * value.abs())
        if not bool((before.abs() > enough).any()):
            break
    return value
