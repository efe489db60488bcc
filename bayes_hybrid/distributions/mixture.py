"""The finite mixture that is left when the regime is summed out."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import cast

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from bayes_hybrid.cached import cached_property
from bayes_hybrid.distributions.assignment import Assignment
from bayes_hybrid.distributions.censored import Censored
from bayes_hybrid.distributions.line import Line, line_of


def along_last(parts: Sequence[Tensor]) -> Tensor:
    """Stack on a new last axis, in memory the first one: short axes are slow where they are last.

    Example:
        >>> along_last([torch.zeros(4, 3), torch.ones(4, 3)]).shape
        torch.Size([4, 3, 2])
    """
    return torch.stack(list(parts)).movedim(0, -1)


def mixture_quantile(
    cdf: Callable[[Tensor], Tensor], prob: Tensor, lower: Tensor, upper: Tensor
) -> Tensor:
    """Invert a continuous increasing ``cdf`` on a bracket, by Chandrupatla's method (1997).

    Inverse quadratic interpolation where it is safe, bisection where it is not.

    Args:
        cdf: maps ``[...]`` values to ``[...]`` probabilities, elementwise in the batch.
        prob: target probabilities ``[...]`` in (0, 1).
        lower: values with ``cdf(lower) <= prob``, same shape.
        upper: values with ``cdf(upper) >= prob``, same shape.

    Returns:
        ``y`` with ``cdf(y) = prob``, to the rounding of the dtype.

    Example:
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> p = torch.tensor([0.5, 0.975], dtype=torch.float64)
        >>> y = mixture_quantile(normal.cdf, p, torch.full_like(p, -9), torch.full_like(p, 9))
        >>> print(f"{abs(y[0]):.3f} {y[1]:.3f}")
        0.000 1.960
    """
    a, f_a = lower, cdf(lower) - prob
    # Where one regime has all the weight, an end is the quantile, and rounding may put it outside.
    # Steps go from a towards b, so that beyond the upper end they find it by themselves.
    b = torch.where(f_a >= 0.0, lower, upper)
    f_b = cdf(b) - prob
    # Beyond the rounding of the bracket's ends nothing can be gained.
    tolerance = 4.0 * torch.finfo(prob.dtype).eps * torch.maximum(a.abs(), b.abs())
    share = torch.full_like(a, 0.5)
    # As many steps as bisection would take; the interpolation needs about twelve.
    for _ in range(64):
        middle = a + share * (b - a)
        f_middle = cdf(middle) - prob
        same_side = torch.sign(f_middle) == torch.sign(f_a)
        c, f_c = torch.where(same_side, a, b), torch.where(same_side, f_a, f_b)
        b, f_b = torch.where(same_side, b, a), torch.where(same_side, f_b, f_a)
        a, f_a = middle, f_middle
        smallest = tolerance / (b - a).abs().clamp_min(torch.finfo(prob.dtype).tiny)
        if bool(((smallest > 0.5) | (f_a == 0)).all()):
            break
        xi, phi = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
        inverse_quadratic = (phi.square() < xi) & ((1.0 - phi).square() < 1.0 - xi)
        share = f_a / (f_b - f_a) * f_c / (f_b - f_c)
        share = share + (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (f_c - f_b)
        share = torch.where(inverse_quadratic & torch.isfinite(share), share, 0.5)
        share = torch.minimum(torch.maximum(share, smallest), 1.0 - smallest).clamp(0.0, 1.0)
    return torch.where(f_a.abs() <= f_b.abs(), a, b)


def support_of(density: Distribution) -> constraints.Constraint:
    """What values a density is of: all numbers, where it does not say."""
    try:
        return cast(constraints.Constraint, density.support)
    except NotImplementedError:
        return constraints.independent(constraints.real, len(density.event_shape))


def cantelli(prob: Tensor, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Values below and above every quantile of a distribution with this mean and this spread.

    ::

        m - s sqrt((1 - p) / p) <= quantile(p) <= m + s sqrt(p / (1 - p))

    Source: Cantelli (1928), Sui confini della probabilita.
    """
    lower = mean - spread * ((1.0 - prob) / prob).sqrt()
    return lower, mean + spread * (prob / (1.0 - prob)).sqrt()


def whole_quantile(
    cdf: Callable[[Tensor], Tensor], prob: Tensor, mean: Tensor, spread: Tensor
) -> Tensor:
    """The least whole number from zero on with ``cdf >= prob``, by bisection.

    Args:
        cdf: of a distribution of whole numbers, elementwise.
        prob: probabilities ``[...]`` in (0, 1).
        mean: of the distribution, ``[...]``.
        spread: its standard deviation.
    """
    low, high = cantelli(prob, mean, spread)
    lower, upper = (low.floor() - 1.0).clamp_min(-1.0), high.ceil() + 1.0
    # A sum of probabilities that is the level but for its rounding is the level.
    enough = prob * (1.0 - 4.0 * torch.finfo(prob.dtype).eps)
    while bool((upper - lower > 1.0).any()):
        middle = (0.5 * (lower + upper)).floor()
        reached = cdf(middle) >= enough
        lower, upper = torch.where(reached, lower, middle), torch.where(reached, middle, upper)
    return upper


class RegimeMixture(TorchDistribution):
    """``p(y) = sum_k pi_k p_k(y)``: K component distributions, of any families, one per regime.

    ===================  =============  ===============================
    object               batch shape    event shape
    ===================  =============  ===============================
    ``log_weights``      ``[..., K]``   (normalised on the last axis)
    each component       ``[...]``      ``()``, or ``(Q,)`` for several outputs
    the mixture          ``[...]``      the components'
    ===================  =============  ===============================

    Outputs of one event share the regime.  Mean, variance, cdf and icdf are those of each output by
    itself, ``[...]`` or ``[..., Q]``.

    Args:
        log_weights: normalised log gate probabilities ``[..., K]``.
        components: K distributions with batch shape ``[...]``.
        assignment: how rows get their regimes.

    Raises:
        ValueError: the number of components is not the size of the last axis.

    Example:
        >>> weights = torch.tensor([0.25, 0.75]).log()
        >>> parts = [torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(4.0, 1.0)]
        >>> mixture = RegimeMixture(weights, parts)
        >>> float(mixture.mean), float(mixture.variance)
        (3.0, 4.0)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own protocol)
    has_rsample = False

    def __init__(
        self,
        log_weights: Tensor,
        components: Sequence[Distribution],
        assignment: Assignment | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        """Pair the weights with their components."""
        if log_weights.shape[-1] != len(components):
            raise ValueError(
                f"log_weights has {log_weights.shape[-1]} regimes on its last axis, but "
                f"{len(components)} components came; give one component per regime."
            )
        self.log_weights = log_weights
        self.components = tuple(components)
        self.assignment = assignment or Assignment()
        batch_shape = torch.broadcast_shapes(
            log_weights.shape[:-1], *(component.batch_shape for component in components)
        )
        event_shape = components[0].event_shape
        # Values of several outputs are not checked: there NaN stands for a missing one.
        validate_args = False if event_shape else validate_args
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """That of the components."""
        return support_of(self.components[0])

    @property
    def is_discrete(self) -> bool:
        """Whether values are whole numbers."""
        return bool(self.support.is_discrete)

    @property
    def line(self) -> Line | None:
        """Where quantiles are looked for, if values are no numbers of either sign."""
        return line_of(self.support)

    def expand(
        self, batch_shape: Sequence[int], _instance: "RegimeMixture | None" = None
    ) -> "RegimeMixture":
        """The same mixture over a larger batch."""
        size = torch.Size(batch_shape)
        num_regimes = len(self.components)
        return RegimeMixture(
            self.log_weights.expand((*size, num_regimes)),
            [component.expand(size) for component in self.components],
            self.assignment,
            validate_args=False,
        )

    def log_likelihoods(self, value: Tensor) -> Tensor:
        """``log p_k(y)`` of every component, ``[..., K]``."""
        return along_last([part.log_prob(value) for part in self.components])

    def log_prob(self, value: Tensor) -> Tensor:
        """``log sum_k exp(log pi_k + log p_k(y))``, ``[...]``."""
        return self.assignment.evidence(self.log_weights, self.log_likelihoods(value))

    def log_responsibilities(self, value: Tensor) -> Tensor:
        """``log p(z = k | y)``, ``[..., K]``."""
        likelihoods = self.log_likelihoods(value)
        return self.assignment.log_responsibilities(self.log_weights, likelihoods)

    def cdf(self, value: Tensor) -> Tensor:
        """``sum_k pi_k F_k(y)``, of each output."""
        return self._mixed([part.cdf(value) for part in self.components])

    def pit(self, value: Tensor, uniform: Tensor) -> Tensor:
        """Probability integral transform of each output, uniform where the mixture is the truth.

        It is ``F(y)``; of whole numbers, which have ties, a place between ``F(y - 1)`` and
        ``F(y)``; where the value is only known to be larger, one between ``F(y)`` and 1.

        Args:
            value: y, ``[...]``, or ``[..., Q]``.
            uniform: that place in the step, from 0 to 1, of the shape of y.

        Source: Czado, Gneiting and Held (2009), Predictive model assessment for count data,
        Biometrics 65.
        """
        upto = self.cdf(value)
        if isinstance(part := self.components[0], Censored):
            side = part.status
            inside = torch.where(side > 0.0, upto + uniform * (1.0 - upto), uniform * upto)
            return torch.where(side == 0.0, upto, inside)
        if not self.is_discrete:
            return upto
        below = self.cdf(value - 1.0)
        return below + uniform * (upto - below)

    def square_about(self, center: Tensor) -> Tensor:
        """``E[(y - center)**2]``, of each output by itself."""
        means, variances = (
            [getattr(part, name) for part in self.components] for name in ("mean", "variance")
        )
        return self._mixed(
            [(m - center).square() + v for m, v in zip(means, variances, strict=True)]
        )

    def icdf(self, value: Tensor) -> Tensor:
        """Exact quantiles, found between the smallest and largest component quantile.

        For whole numbers it is the least one with ``cdf >= value``.
        """
        if self.is_discrete:
            mean, spread = (part + 0.0 * value for part in (self.mean, self.variance.sqrt()))
            return whole_quantile(self.cdf, value, mean, spread)
        lower, upper = zip(*(_bracket(part, value) for part in self.components), strict=True)
        least, most = reduce(torch.minimum, lower), reduce(torch.maximum, upper)
        line = self.line
        if line is None:
            return mixture_quantile(self.cdf, value, least, most)

        def cdf(places: Tensor) -> Tensor:
            return self.cdf(line.values(places))

        return line.values(mixture_quantile(cdf, value, line.places(least), line.places(most)))

    @property
    def mean(self) -> Tensor:
        """``sum_k pi_k E_k[y]``, of each output."""
        return self._mixed([part.mean for part in self.components])

    @property
    def variance(self) -> Tensor:
        """``sum_k pi_k (Var_k[y] + (E_k[y] - E[y])**2)``: within plus between regimes."""
        return self.square_about(self.mean)

    def _mixed(self, parts: Sequence[Tensor]) -> Tensor:
        """``sum_k pi_k v_k`` of a value for each regime."""
        weights = self.weights.unbind(-1)
        total = weights[0] * parts[0]
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total = total + weight * part
        return total

    @cached_property
    def weights(self) -> Tensor:
        """Probabilities of the regimes beside the outputs' axis, if there is one."""
        weights = self.log_weights.exp()
        return weights.unsqueeze(-2) if self.event_shape else weights

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Draw a regime, then a value from its component, ``sample_shape + [...]``."""
        shape = torch.Size(sample_shape)
        with torch.no_grad():
            draws = torch.stack(
                [part.expand(self.batch_shape).sample(shape) for part in self.components], dim=-1
            )
            rows = shape + self.batch_shape
            probs = self.log_weights.exp().expand(*rows, len(self.components))
            regime = torch.distributions.Categorical(probs=probs).sample()
            return chosen(draws, regime, self.event_shape)


def _bracket(part: Distribution, prob: Tensor) -> tuple[Tensor, Tensor]:
    """Values below and above a component's quantile: the quantile itself where there is an icdf.

    Otherwise steps from the mean double until they are past it, to 2**60 standard deviations.
    """
    try:
        quantile: Tensor = part.icdf(prob)
    except NotImplementedError:
        mean, width = part.mean + 0.0 * prob, part.stddev + 0.0 * prob
        lower, upper = mean - width, mean + width
        for _ in range(60):
            above, below = part.cdf(lower) > prob, part.cdf(upper) < prob
            if not bool((above | below).any()):
                break
            width = 2.0 * width
            lower = torch.where(above, mean - width, lower)
            upper = torch.where(below, mean + width, upper)
        return lower, upper
    return quantile, quantile


def chosen(draws: Tensor, regime: Tensor, event_shape: torch.Size) -> Tensor:
    """The draw ``[...] + event_shape`` of each row's regime.

    Args:
        draws: one draw of every regime, ``[...] + event_shape + [K]``.
        regime: index of the regime, ``[...]``.
        event_shape: of a draw.
    """
    index = regime.reshape(regime.shape + (1,) * (len(event_shape) + 1))
    return draws.gather(-1, index.expand(*draws.shape[:-1], 1)).squeeze(-1)
