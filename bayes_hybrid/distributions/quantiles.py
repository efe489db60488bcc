"""Quantiles of a mixture of mixtures: the posterior predictive over many draws."""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.distributions import Distribution

from bayes_hybrid.distributions.censored import Censored
from bayes_hybrid.distributions.mixture import (
    RegimeMixture,
    along_last,
    cantelli,
    whole_quantile,
)
from bayes_hybrid.distributions.normal import Normal
from bayes_hybrid.distributions.outputs import Outputs

_SQRT_2: Final = math.sqrt(2.0)
_SQRT_PI: Final = math.sqrt(math.pi)

# Of the smaller of p and 1 - p; a further step leaves about the square of it.
_CLOSE: Final = 1e-5
# A few draws tell where the quantiles of many are, to some percent of a standard deviation.
_THINNED: Final = 4
_NEAR: Final = 1e-2
# Each step halves the one before or the bracket; two to eight are usual.
_MAX_STEPS: Final = 200


def pooled_quantiles(
    of: Callable[[slice, slice | Tensor], RegimeMixture], levels: Tensor, shares: Tensor
) -> Tensor:
    """Quantiles of the mixture over the draws on the first axis of the batch.

    The bracket is Cantelli's inequality (:func:`~.mixture.cantelli`), with mean and standard
    deviation of the whole.  Within it, inverse cubic interpolation of the last two points, with the
    density, from where it ends for every fourth draw.  Rows that are done are left out of later
    steps.  Positive numbers and shares are searched by their logs or log odds
    (:class:`~.line.Line`), between the ends of the dtype.  For whole numbers it
    is the least one that reaches the probability (:func:`~.mixture.whole_quantile`).

    Args:
        of: from some of S draws and some of N rows to their mixtures, batch shape ``[S, N]``; of
            several outputs, each by itself.
        levels: probabilities ``[L]``, strictly between 0 and 1.
        shares: of each draw in the mixture ``[S]``, which add up to one.

    Returns:
        ``[L, N]``, or ``[L, N, Q]``.

    Example:
        >>> ends = torch.tensor([[-1.0], [1.0]]).double().expand(2, 3)
        >>> def two(draws, rows):
        ...     each = torch.distributions.Normal(ends[draws, rows], 1.0)
        ...     return RegimeMixture(torch.zeros(*each.batch_shape, 1), [each])
        >>> median = pooled_quantiles(two, torch.tensor([0.5]), torch.tensor([0.5, 0.5]).double())
        >>> median.shape, bool((median.abs() < 1e-9).all())
        (torch.Size([1, 3]), True)
    """
    mixture = of(slice(None), slice(None))
    if mixture.is_discrete:
        return _whole(mixture, levels, shares)
    thin = slice(None, None, _THINNED)
    start = _solved(of, of(thin, slice(None)), levels, shares, thin, None, _NEAR)
    found, line = _solved(of, mixture, levels, shares, slice(None), start, _CLOSE), mixture.line
    return found if line is None else line.values(found)


def _whole(mixture: RegimeMixture, levels: Tensor, shares: Tensor) -> Tensor:
    mean, spread = _moments(mixture, shares)
    prob = levels.to(mean).reshape(-1, *[1] * mean.dim()).expand(-1, *mean.shape)

    def cdf(value: Tensor) -> Tensor:
        by_level = [torch.tensordot(shares, mixture.cdf(each), 1) for each in value]
        return torch.stack(by_level)

    return whole_quantile(cdf, prob, mean, spread)


def _moments(mixture: RegimeMixture, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all draws, ``[N]``, or ``[N, Q]``."""
    mean = torch.tensordot(shares, mixture.mean, 1)
    return mean, torch.tensordot(shares, mixture.square_about(mean), 1).sqrt()


def _solved(
    of: Callable[[slice, slice | Tensor], RegimeMixture],
    mixture: RegimeMixture,
    levels: Tensor,
    shares: Tensor,
    draws: slice,
    start: Tensor | None,
    enough: float,
) -> Tensor:
    shares = shares[draws] / shares[draws].sum()
    center, spread = _moments(mixture, shares)
    prob = levels.to(center).reshape(-1, *[1] * center.dim())
    lower, upper, guess = _bracket(mixture, prob, center, spread)
    value = guess if start is None else start
    value = torch.minimum(torch.maximum(value, lower), upper)
    result, place = torch.empty_like(value), torch.arange(value.shape[1], device=value.device)
    moved, done = upper - lower, torch.zeros_like(value, dtype=torch.bool)
    before = torch.full_like(value.expand(3, *value.shape), torch.nan)
    rounding = 4.0 * torch.finfo(value.dtype).eps
    scale = torch.minimum(prob, 1.0 - prob)
    pooled = _pooled(mixture, shares)
    for _ in range(_MAX_STEPS):
        cdf, density = pooled(value)
        error = cdf - prob
        lower = torch.where(error < 0.0, value, lower)
        upper = torch.where(error > 0.0, value, upper)
        now = torch.stack([value, cdf, 1.0 / density])
        cubic, newton = _inverse(prob, now, before), value - error / density
        inverse = torch.where(cubic.isfinite(), cubic, newton)
        # Bisection where it would leave the bracket or does not get faster.
        fast = (inverse >= lower) & (inverse <= upper)
        fast &= (inverse - value).abs() < 0.5 * moved.abs()
        target = torch.where(fast | (error == 0.0), inverse, 0.5 * (lower + upper))
        step = torch.where(done, 0.0, target - value)
        done |= error.abs() <= (enough * scale).clamp_min(rounding)
        done |= step.abs() <= rounding * value.abs()
        value, moved, before = value + step, step, now
        live = ~done.transpose(0, 1).flatten(1).all(-1)
        count = int(live.sum())
        if count == 0:
            break
        if 2 * count <= len(place):
            result[:, place] = value
            place = place[live]
            pooled = _pooled(of(draws, place), shares)
            value, lower, upper = value[:, live], lower[:, live], upper[:, live]
            moved, done, before = moved[:, live], done[:, live], before[:, :, live]
    result[:, place] = value
    return result


def _bracket(
    mixture: RegimeMixture, prob: Tensor, center: Tensor, spread: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the quantiles of the whole are: below, above, and a guess."""
    if mixture.line is not None:
        return mixture.line.bracket(prob, center, spread)
    lower, upper = cantelli(prob, center, spread)
    if not bool(torch.isfinite(spread).all()):
        # Without a variance, from the smallest of the components' quantiles to the largest.
        shape = mixture.batch_shape + mixture.event_shape
        probs = prob.unsqueeze(1).expand(-1, *shape)
        parts = torch.stack([part.icdf(probs) for part in mixture.components])
        lower, upper = parts.amin((0, 2)), parts.amax((0, 2))
        center, spread = 0.5 * (lower + upper), upper.amax(0) - lower.amin(0)
    return lower, upper, center + spread * torch.special.ndtri(prob)


def _inverse(prob: Tensor, now: Tensor, before: Tensor) -> Tensor:
    """Value, cdf and 1 / density at two points: the cubic through them, as a function of the cdf.

    Hermite's interpolation in Newton's form, with the present point first.
    """
    (v1, f1, s1), (v0, f0, s0) = now, before
    width = f0 - f1
    chord = (v0 - v1) / width
    bend, twist = (chord - s1) / width, (s0 - 2.0 * chord + s1) / width.square()
    ahead = prob - f1
    result: Tensor = v1 + ahead * (s1 + ahead * (bend + twist * (prob - f0)))
    return result


def _pooled(mixture: RegimeMixture, shares: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Cdf and density at places ``[L, N]``, or ``[L, N, Q]``, averaged over the draws."""
    bases = [_of_values(part) for part in mixture.components]
    weights = mixture.weights * shares.reshape(-1, *[1] * (mixture.weights.dim() - 1))
    if all(isinstance(base, Normal) for base in bases):
        return _pooled_normals(
            weights, *(along_last([getattr(b, name) for b in bases]) for name in ("loc", "scale"))
        )

    line = mixture.line

    def of(place: Tensor) -> tuple[Tensor, Tensor]:
        place = place.unsqueeze(1)
        value = place if line is None else line.values(place)
        cdfs = along_last([base.cdf(value) for base in bases])
        logs = along_last([base.log_prob(value) for base in bases])
        densities = (logs if line is None else logs + line.log_slope(place).unsqueeze(-1)).exp()
        return tuple((weights * part).sum(-1).sum(1) for part in (cdfs, densities))  # type: ignore[return-value] # (two)

    return of


def _of_values(part: Distribution) -> Distribution:
    """A component's density of one value, censored or not."""
    while isinstance(part, Outputs | Censored):
        part = part.base
    return part


def _pooled_normals(
    weights: Tensor, loc: Tensor, scale: Tensor
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The same of Normal components ``[S, N, K]``, or ``[S, N, Q, K]``, in few passes.

    With all components of a row beside each other, averages are sums over memory in its order.
    """

    def by_row(value: Tensor) -> Tensor:
        parts = value.expand(loc.shape).flatten(1, -2)
        return parts.permute(1, 2, 0).flatten(1)  # [N Q, K S]

    rate = by_row(1.0 / (_SQRT_2 * scale))
    place = (by_row(loc) * rate).unsqueeze(1)
    share = by_row(weights)
    density_share = (share * rate / _SQRT_PI).unsqueeze(1)
    share, rate = (0.5 * share).unsqueeze(1), rate.unsqueeze(1)

    def of(value: Tensor) -> tuple[Tensor, Tensor]:
        levels = value.flatten(1).T.unsqueeze(-1)  # [N Q, L, 1]
        # Further out is below 1e-270; the exponential of what is not a normal number is slow.
        r = torch.addcmul(place, levels, rate, value=-1.0).clamp_(-25.0, 25.0)
        cdf = torch.erfc(r).mul_(share).sum(-1)
        density = r.square_().neg_().exp_().mul_(density_share).sum(-1)
        return cdf.T.reshape(value.shape), density.T.reshape(value.shape)

    return of
